"""The worker process of bulk prediction: it receives the model once, then one shard after the other.

It reads shards and writes predictions itself, by their absolute paths, so all machines must see the same folders. An
error in a shard's content is a result, not a failure. A worker that was replaced but works on writes the same bytes
under the same names, each file whole, and changes nothing.
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
from hitofude.workers.shared_disk import shares_disk
from hitofude.workers.versions import check_versions

SHARED = (
    "All machines that predict must see the shards, the run and the folder for --out under the same paths, as on a "
    "shared drive. Mount it there, or use processes of this machine, with a number for --workers."
)


@dataclass(frozen=True)
class BulkModel:
    """The model of a bulk prediction, and where and how its shards are read and predictions are written."""

    model: Model
    folder: BulkFolder
    options: ReadOptions
    is_remote: bool
    """Whether this machine may lack files that the driver sees."""

    @classmethod
    def open(cls, message: Message) -> "BulkModel":
        """Raises ClusterError if this machine sees other folders than the driver, or has other versions."""
        node, run, folder = platform.node(), Path(message["run"]), BulkFolder(Path(message["folder"]))
        check_versions(message)
        if not shares_disk(folder.path, message["token"]):
            raise ClusterError(f"{node} does not see the folder {folder.path}. {SHARED}")
        if not run.exists():
            raise ClusterError(f"{node} does not see the run {run}. {SHARED}")
        if model_identity(RunFolder(run), calibrated=message["calibrated"]) != message["model"]:
            raise ClusterError(f"{node} has another run at {run}. {SHARED}")
        model = Model.load(run, device=message["device"], threads=message["threads"], calibrated=message["calibrated"])
        shape = None if message["shape"] is None else tuple(message["shape"])
        options = ReadOptions(message["label"], shape, like=model.image_shape)
        return cls(model, folder, options, message["is_remote"])


class BulkWorker:
    """The requests of a bulk prediction, answered in a worker process."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._bulk: BulkModel | None = None

    def answer(self, message: Message) -> None:
        """Answer a request. Raises ClusterError if this machine does not see a file that it needs."""
        if message["ask"] == "model":
            self._bulk = BulkModel.open(message)
        elif self._bulk is not None:
            self._predict(self._bulk, Shard(**message["shard"]))

    def _predict(self, bulk: BulkModel, shard: Shard) -> None:
        started = time.monotonic()
        if bulk.is_remote and not Path(shard.path).exists():
            raise ClusterError(f"{platform.node()} does not see {shard.path}. {SHARED}")
        try:
            with explaining_memory_errors():
                images = predict_shard(bulk, shard, self._reporter)
        except InputError as error:
            self._reporter.finished(error=str(error))
            return
        seconds = time.monotonic() - started
        record = bulk.folder.finish(shard, images, seconds, f"{platform.node()}: {bulk.model.compute}")
        self._reporter.finished(images=record.images, seconds=record.seconds)


def predict_shard(bulk: BulkModel, shard: Shard, reporter: Reporter) -> int:
    """Predict a file block by block into its file of predictions; return its number of images.

    Raises InputError for wrong content, and if the file changed since the work was planned; then nothing is written.
    """
    model, path, count = bulk.model, Path(shard.path), 0
    before = Shard.of(path, shard.output)
    with writing_predictions(bulk.folder.output(shard), model.classes) as write_block:
        for block in open_blocks(path, bulk.options, images_at_once(model.image_shape)):
            write_block(block.ids, model.predict(torch.from_numpy(block.images)))
            count += len(block.images)
            reporter.batch_finished(len(block.images))
        if not Shard.of(path, shard.output).is_unchanged(before) or not before.is_unchanged(shard):
            raise InputError(f"{path}: the file changed before it was read to its end. Run the same command again.")
    return count


def main() -> None:
    with answering(Reporter) as (requests, reporter):
        worker = BulkWorker(reporter)
        while True:
            message, _ = requests.get()
            worker.answer(message)


if __name__ == "__main__":
    main()
