"""The worker process of bulk prediction: its first request names the model, each further one a shard.

It reads shards and writes predictions itself, by their absolute paths, so all machines must see the same folders. An
error in a shard's content is a result, not a failure. A worker that was replaced but works on writes the same bytes
under the same names, each file whole, and changes nothing.
"""

import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hitofude.errors import ClusterError, InputError
from hitofude.inputs.blocks import open_blocks
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.look import Look
from hitofude.inputs.rescaling import UNKNOWN, TrainedScale
from hitofude.inputs.sources import Reading, read_options
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.predicting import images_at_once
from hitofude.learning.recipe_plugins import load_packed
from hitofude.metrics.whole_ensemble import prediction_sets
from hitofude.outputs.predictions import answers, count_unanswered, writing_predictions
from hitofude.prediction.bulk.shards import BulkFolder, Shard
from hitofude.prediction.model import Model, model_identity
from hitofude.runs.folder import RunFolder
from hitofude.workers.answering import Reporter, answering
from hitofude.workers.handshake import check_versions, shares_disk
from hitofude.workers.messages import Message

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
    set_threshold: float | None
    """The threshold of the prediction sets, if they are asked for."""
    is_remote: bool
    """Whether this machine may lack files that the driver sees."""
    trained: TrainedScale = UNKNOWN
    """The scale of the training images."""
    look: Look | None = None
    """Their look, if it is known."""
    sure: float | None = None
    """The probability from which an image is answered; None answers all."""
    known_threshold: float | None = None
    """The score up to which an image counts as of a known kind; None answers all."""

    @classmethod
    def open(cls, message: Message) -> "BulkModel":
        """Raises ClusterError if this machine sees other folders than the driver, or has other versions."""
        node, run, folder = platform.node(), Path(message["run"]), BulkFolder(Path(message["folder"]))
        check_versions(message)
        if not shares_disk(folder.path, message["token"]):
            raise ClusterError(f"{node} does not see the folder {folder.path}. {SHARED}")
        if not run.exists():
            raise ClusterError(f"{node} does not see the run {run}. {SHARED}")
        if model_identity(RunFolder(run), raw=message["raw"]) != message["model"]:
            raise ClusterError(f"{node} has another run at {run}. {SHARED}")
        load_packed(message["plugins"])
        model = Model.load(run, device=message["device"], threads=message["threads"], raw=message["raw"])
        shape = None if message["shape"] is None else tuple(message["shape"])
        data = RunFolder(run).load_data()
        how = Reading(label=message["label"], shape=shape, scale=message.get("scale"), **data.how_to_read())
        how["transpose"] = message.get("transpose", how["transpose"])
        options = replace(read_options(**how), like=model.image_shape)
        return cls(
            model, folder, options, message["set_threshold"], message["is_remote"], data.pixels, data.look,
            message.get("sure"), message.get("known_threshold"),
        )  # fmt: skip

    def finish(self, shard: Shard, reporter: Reporter) -> None:
        """Predict a shard and report the outcome. Raises ClusterError if this machine does not see it."""
        started = time.monotonic()
        if self.is_remote and not Path(shard.path).exists():
            raise ClusterError(f"{platform.node()} does not see {shard.path}. {SHARED}")
        try:
            with explaining_memory_errors():
                images, unanswered = self.predict(shard, reporter)
        except InputError as error:
            reporter.finished(error=str(error))
            return
        seconds = time.monotonic() - started
        self.folder.finish(shard, images, seconds, f"{platform.node()}: {self.model.compute}", unanswered)
        reporter.finished(images=images, unanswered=unanswered, seconds=seconds)

    def predict(self, shard: Shard, reporter: Reporter) -> tuple[int, int]:
        """Predict a file block by block into its file of predictions.

        Return the number of its images, and of those without an answer.

        Raises InputError, and writes nothing, for wrong content or if the file changed since the work was planned.
        """
        model, path, count, unanswered = self.model, Path(shard.path), 0, 0
        before = Shard.of(path, shard.output)
        threshold, known = self.set_threshold, self.known_threshold
        has = {"has_sets": threshold is not None, "has_novelty": known is not None}
        with writing_predictions(self.folder.output(shard), model.classes, **has) as write_block:
            for block in open_blocks(path, self.options, images_at_once(model.image_shape), self.trained, self.look):
                probabilities, novelty = model.predict_with_novelty(torch.from_numpy(block.images))
                sets = None if threshold is None else prediction_sets(probabilities, threshold)
                labels = answers(probabilities, model.classes, self.sure, None if known is None else novelty <= known)
                write_block(block.ids, probabilities, labels, sets, None if known is None else novelty)
                unanswered += count_unanswered(labels)
                count += len(block.images)
                reporter.batch_finished(len(block.images))
            if not Shard.of(path, shard.output).is_unchanged(before) or not before.is_unchanged(shard):
                raise InputError(f"{path}: the file changed before it was read to its end. Run the same command again.")
        return count, unanswered


def main() -> None:
    with answering(Reporter) as (requests, reporter):
        bulk = BulkModel.open(requests.get()[0])
        while True:
            bulk.finish(Shard(**requests.get()[0]["shard"]), reporter)


if __name__ == "__main__":
    main()
