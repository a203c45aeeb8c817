"""Bulk prediction: share the shards among worker processes, here or on a cluster, and keep account of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hitofude.errors import counted, first_line
from hitofude.inputs.layout import Shape, check_shape
from hitofude.language.translation import line, say, say_count, translate
from hitofude.learning.dispatch import open_worker_pool
from hitofude.learning.recipe_plugins import pack_sources
from hitofude.outputs.display.bulk import BulkDisplay, Pace, choose_bulk_display
from hitofude.outputs.predictions import check_sure, describe_unanswered
from hitofude.prediction.bulk.shards import BulkFolder, Shard, find_shards
from hitofude.prediction.model import model_identity, set_threshold_of
from hitofude.runs.folder import RunFolder
from hitofude.runs.kept_plugins import sources_of_run
from hitofude.runs.known_kinds import known_threshold_of
from hitofude.workers.handshake import versions
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import WorkerPool
from hitofude.workers.worker import Worker

MODULE = "hitofude.prediction.bulk.worker"
WORTH_A_PROCESS = 10**9
"""Images: no bulk prediction is too small for processes of its own, which bound its memory."""


@dataclass(frozen=True)
class BulkResult:
    """The outcome of a bulk prediction."""

    folder: Path
    shards: int
    images: int
    """In all finished shards."""
    found_finished: int
    """The number of shards that were finished before."""
    images_per_second: float
    seconds: float
    bad: dict[str, str]
    """The shards that could not be predicted, each with the reason."""
    unanswered: int = 0
    """The number of images without an answer."""
    sure: float | None = None
    """The probability from which images were answered; None for any."""
    known: float | None = None
    """The share of the images of known kinds that was answered; None for all."""

    def describe(self) -> str:
        """Describe the outcome in a few lines."""
        done = self.shards - len(self.bad)
        text = say(
            "{images} in {done} of {shards}",
            images=say_count(self.images, "image"), done=done, shards=say_count(self.shards, "shard"),
        )  # fmt: skip
        text += say(", {count} of them finished before", count=self.found_finished) if self.found_finished else ""
        if self.sure is not None or self.known is not None:
            text += f"; {describe_unanswered(self.unanswered, self.images, self.sure, self.known)}"
        lines = [line("predicted", text, 10)]
        if self.images_per_second:
            speed = say("{speed:,.0f} images/s, {seconds:,.1f} s", speed=self.images_per_second, seconds=self.seconds)
            lines.append(line("speed", speed, 10))
        return "\n".join([*lines, line("answers", str(self.folder), 10)])

    def describe_bad(self) -> str:
        """List the shards that could not be predicted, a line each."""
        listed = "\n  ".join(map(first_line, self.bad.values()))
        return (
            f"{len(self.bad)} of {counted(self.shards, 'shard')} could not be predicted; the others are finished:"
            f"\n  {listed}\nFix them, and run the same command again."
        )


def predict_in_bulk(
    run: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int | str | None = None,
    threads: int | None = None,
    device: str = "auto",
    raw: bool = False,
    sure: float | None = None,
    level: float | None = None,
    known: float | None = None,
    label: str | None = None,
    shape: Shape | None = None,
    format: str | None = None,
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
    quiet: bool = False,
) -> BulkResult:
    """Predict all images of many files with a finished run: a file of predictions for each, in the folder `out`.

    inputs: files, folders of files, patterns; see find_shards. An image's id is the one in its file, or else its row
    number there. sure: the probability below which an image has the label `not sure`; None answers all. level: of the
    prediction sets in a column `set`; None for no column. known: as of hitofude.prediction.files.predict_files; the
    score is in a column `novelty`. workers: a number of processes,
    None for the best, or a cluster (see hitofude.workers.clusters) whose machines all see the same folders. threads: of
    each worker. The other parameters are those of hitofude predict. Shards that the same model has finished, and that
    have not changed, are left alone.

    Raises RunFolderError if the run is not finished or `out` belongs to another model or is in use, InputError and
    RecipeError before anything begins, OutOfResourcesError if the disk or the memory is full, ClusterError if a cluster
    is lost. A bad shard is no error: it is listed in `bad`, and the others are predicted.
    """
    check_shape(shape)
    check_sure(sure)
    RunFolder(Path(run)).check_is_run()  # by the name that the caller gave
    run_folder, folder = RunFolder(Path(run).absolute()), BulkFolder(Path(out).absolute())
    how_read: Message = {"label": label, "shape": None if shape is None else list(shape)}
    if scale is not None:
        how_read["scale"] = list(scale)
    if transpose is not None:
        how_read["transpose"] = transpose
    asked: Message = {} if sure is None else {"sure": sure}
    asked |= {} if known is None else {"known_threshold": known_threshold_of(run_folder, known)}
    request: Message = {
        "run": str(run_folder.path),
        "model": model_identity(run_folder, raw=raw),
        "set_threshold": set_threshold_of(run_folder.path, level),
        "folder": str(folder.path),
        "device": device,
        "raw": raw,
        "versions": versions(),
        "plugins": pack_sources(sources_of_run(run_folder)),
        **how_read,
        **asked,
    }
    model = request["model"] | how_read | asked | {"set_threshold": request["set_threshold"], "format": format}
    shards = find_shards([Path(path) for path in inputs], folder.path, format)
    with folder.claimed(model) as token:
        records = {shard: folder.find_finished(shard) for shard in shards}
        finished = [record for record in records.values() if record is not None]
        todo = [shard for shard in shards if records[shard] is None]
        pace, bad = Pace(len(shards), len(finished), sum(shard.bytes for shard in todo)), dict[str, str]()
        unanswered = sum(record.unanswered for record in finished)
        if todo:
            opening = open_worker_pool(workers, len(todo), WORTH_A_PROCESS, device, threads, module=MODULE)
            with choose_bulk_display(pace, quiet=quiet) as display, opening as pool:
                bad, more = _predict(request | {"token": token}, todo, pool, display)
                unanswered += more
        images = sum(record.images for record in finished) + pace.images_finished
        folder.write_summary(model, {"parts": len(shards), "images": images, "bad": bad})
    speed = pace.images_finished / pace.seconds() if pace.images_finished else 0.0
    return BulkResult(
        folder.path, len(shards), images, len(finished), speed, pace.seconds(), bad, unanswered, sure, known
    )


@dataclass(frozen=True, eq=False)
class _ShardTask:
    """A shard to predict."""

    shard: Shard
    model: Message
    """The request that a worker needs before its first shard."""

    @property
    def name(self) -> str:
        return self.shard.path

    def send(self, worker: Worker) -> None:
        if worker.first_time("model"):
            worker.send(self.model)
        worker.send({"shard": asdict(self.shard)})


def _predict(
    request: Message, shards: Sequence[Shard], pool: WorkerPool, display: BulkDisplay
) -> tuple[dict[str, str], int]:
    """Predict all shards, the largest first; return the errors of the bad ones, and the number of unanswered images."""
    display.begin(len(shards), _describe_workers(pool, len(shards)))
    model = request | {"threads": pool.threads, "is_remote": pool.cluster.replaces_lost}
    largest_first = sorted(shards, key=lambda shard: -shard.bytes)
    bad, unanswered = dict[str, str](), 0
    for task, message, _ in pool.work([_ShardTask(shard, model) for shard in largest_first]):
        shard = task.shard
        match message["event"]:
            case Event.BATCH_FINISHED:
                display.images_predicted(shard.path, message["images"])
            case Event.WARNED:
                display.warned(message["message"])
            case Event.FINISHED if "error" in message:
                bad[shard.path] = message["error"]
                display.shard_refused(shard.path, shard.bytes, message["error"])
            case Event.FINISHED:
                unanswered += message["unanswered"]
                display.shard_finished(shard.path, shard.bytes, message["images"], message["seconds"])
            case event:
                raise ValueError(f"unexpected event {event!r} of {shard.path}")
    return bad, unanswered


def _describe_workers(pool: WorkerPool, shards: int) -> str:
    return say(
        "{workers} of {threads} on {machine}",
        workers=say_count(max(1, min(pool.size(), shards)), "worker"),
        threads=say_count(pool.threads, "thread"),
        machine=translate(pool.cluster.name),
    )
