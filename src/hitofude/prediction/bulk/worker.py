"""A worker process that predicts parts: it is told of a run and a folder once, then of one part after the other.

It reads and writes by their absolute paths itself, so all machines must see the same folders. A part with something
wrong in it is no failure of the work: it is told as finished, with what is wrong. A worker that was replaced and still
works on writes the same bytes under the same names, each file at once and whole: that harms nobody.
"""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from hitofude.errors import ClusterError, InputError
from hitofude.inputs.blocks import open_blocks
from hitofude.inputs.layout import ReadOptions
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.predicting import images_at_once
from hitofude.outputs.predictions import writing_predictions
from hitofude.prediction.bulk.folder import BulkFolder
from hitofude.prediction.bulk.shards import Shard
from hitofude.prediction.model import Model, model_identity
from hitofude.runs.folder import RunFolder
from hitofude.workers.answering import Reporter, answering
from hitofude.workers.messages import Message
from hitofude.workers.versions import check_versions


@dataclass(frozen=True)
class BulkModel:
    """What all parts have in common."""

    model: Model
    folder: BulkFolder
    expected: ReadOptions
    is_away: bool
    """On a machine that may not see all that the one does which shares out the work."""


class BulkWorker:
    """What a worker process knows."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._job: BulkModel | None = None

    def answer(self, message: Message) -> None:
        """Do what is asked for. Raises ClusterError where this machine does not see what it needs."""
        if message["ask"] == "model":
            self._job = _open_job(message)
        elif self._job is not None:
            self._predict(self._job, Shard(**message["part"]))

    def _predict(self, job: BulkModel, part: Shard) -> None:
        started = time.monotonic()
        if job.is_away and not Path(part.path).exists():
            raise ClusterError(f"{platform.node()} does not see {part.path}. {SHARED}")
        try:
            with explaining_memory_errors():
                images = predict_shard(job, part, self._reporter)
        except InputError as error:
            self._reporter.finished(error=str(error))
            return
        seconds = time.monotonic() - started
        computed_on = f"{platform.node()}: {job.model.compute}"
        record = job.folder.finish(part, images, seconds, computed_on)
        self._reporter.finished(images=record.images, seconds=record.seconds)


SHARED = (
    "All machines that predict parts must see the parts, the run and the folder for --out under the same paths, as on "
    "a drive that they share. Mount it there, or use this machine's processes, with a number for --workers."
)


def predict_shard(job: BulkModel, part: Shard, reporter: Reporter) -> int:
    """Predict a file block by block into its file of answers; how many images it has.

    Raises InputError for what is wrong with it, also where it changes meanwhile; then nothing is written.
    """
    model, path, count = job.model, Path(part.path), 0
    before = Shard.of(path, part.output)
    with writing_predictions(job.folder.output(part), model.classes) as write_block:
        for block in open_blocks(path, job.expected, images_at_once(model.image_shape)):
            write_block(block.ids, model.predict(torch.from_numpy(block.images)))
            count += len(block.images)
            reporter.batch_finished(len(block.images))
        if not Shard.of(path, part.output).is_as_it_was(before) or not before.is_as_it_was(part):
            raise InputError(f"{path}: it was changed while it was to be read. Run the same command again.")
    return count


def _open_job(message: Message) -> BulkModel:
    """Raises ClusterError where this machine is not like the one that shares out the work."""
    where, run, folder = platform.node(), Path(message["run"]), BulkFolder(Path(message["folder"]))
    check_versions(message)
    if not folder.sees(message["token"]):
        raise ClusterError(f"{where} does not see the folder {folder.path}. {SHARED}")
    if not run.exists():
        raise ClusterError(f"{where} does not see the run {run}. {SHARED}")
    if model_identity(RunFolder(run), calibrated=message["calibrated"]) != message["model"]:
        raise ClusterError(f"{where} has another run at {run}. {SHARED}")
    model = Model.load(run, device=message["device"], threads=message["threads"], calibrated=message["calibrated"])
    shape = None if message["shape"] is None else tuple(message["shape"])
    return BulkModel(model, folder, ReadOptions(message["label"], shape, like=model.image_shape), message["is_away"])


def main() -> None:
    with answering(Reporter) as (requests, reporter):
        scorer = BulkWorker(reporter)
        while True:
            message, _ = requests.get()
            scorer.answer(message)


if __name__ == "__main__":
    main()
