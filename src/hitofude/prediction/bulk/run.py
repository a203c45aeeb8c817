"""Share the parts out among worker processes, here or on a cluster, and keep account of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hitofude.inputs.layout import Shape, check_shape
from hitofude.learning.dispatch import open_worker_pool
from hitofude.outputs.display.bulk import BulkDisplay, Pace, choose_bulk_display, first_line
from hitofude.prediction.bulk.folder import BulkFolder, Record
from hitofude.prediction.bulk.shards import Shard, find_shards
from hitofude.prediction.model import model_identity
from hitofude.runs.folder import RunFolder
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import WorkerPool
from hitofude.workers.versions import versions
from hitofude.workers.worker import Worker

MODULE = "hitofude.prediction.bulk.worker"
WORTH_A_PROCESS = 10**9
"""Images: bulk scoring is never too small for processes of its own, which bound its memory."""


@dataclass(frozen=True)
class BulkResult:
    """What became of the parts."""

    folder: Path
    parts: int
    images: int
    """Of all parts that are finished."""
    found_finished: int
    """So many parts were finished before."""
    images_per_second: float
    seconds: float
    bad: dict[str, str] = field(default_factory=dict)
    """The parts that could not be predicted, and why."""

    def describe(self) -> str:
        """In a few lines."""
        done = self.parts - len(self.bad)
        before = f", {self.found_finished} of them finished before" if self.found_finished else ""
        lines = [f"predicted {self.images:,} images in {done} of {self.parts} parts{before}"]
        if self.images_per_second:
            lines.append(f"speed     {self.images_per_second:,.0f} images/s, {self.seconds:,.1f} s")
        return "\n".join([*lines, f"answers   {self.folder}"])

    def describe_bad(self) -> str:
        """A line for each part that could not be predicted."""
        listed = "\n  ".join(map(first_line, self.bad.values()))
        return (
            f"{len(self.bad)} of {self.parts} parts could not be predicted; the others are finished:\n  {listed}\n"
            "Mend them, and run the same command again."
        )


def predict_in_bulk(
    run: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int | str | None = None,
    threads: int | None = None,
    device: str = "auto",
    calibrated: bool = False,
    label: str | None = None,
    shape: Shape | None = None,
    format: str | None = None,
    quiet: bool = False,
) -> BulkResult:
    """Predict all images of many files by a finished run: a file of answers for each, in the folder `out`.

    inputs: files, folders of files, patterns; see hitofude.prediction.bulk.shards. An image's id is its file's own, or the
    number of its row in it. workers: a number of processes, None for the best, or a cluster (see
    hitofude.workers.clusters), whose machines all see the same folders. threads: of each. The others are as of
    hitofude predict. Parts that are finished already, by the same model and as they are now, are left alone.

    Raises RunFolderError where the run is not finished or `out` is another model's or in use, InputError and
    RecipeError before anything is begun, OutOfResourcesError where the disk or the memory is full, ClusterError where
    a cluster is lost. What is wrong with a part is no error: it stands in `bad`, and the rest is done.
    """
    check_shape(shape)
    folder = BulkFolder(Path(out).absolute())
    job = _Request(RunFolder(Path(run).absolute()), folder, workers, threads, device, calibrated, label, shape)
    how_read = {"label": label, "shape": None if shape is None else list(shape), "format": format}
    model = model_identity(job.run, calibrated=calibrated) | how_read
    parts = find_shards([Path(path) for path in inputs], folder.path, format)
    with folder.claimed(model) as token:
        records = {part: folder.find_finished(part) for part in parts}
        finished = [record for record in records.values() if record is not None]
        todo = [part for part in parts if records[part] is None]
        display = choose_bulk_display(Pace(len(parts), len(finished), sum(part.bytes for part in todo)), quiet=quiet)
        bad = _predict(job, todo, token, display) if todo else {}
        scores = _account(display.pace, folder, finished, bad)
        folder.summarise(model, {"parts": scores.parts, "images": scores.images, "bad": bad})
    return scores


@dataclass(frozen=True)
class _Request:
    """What all parts have in common."""

    run: RunFolder
    folder: BulkFolder
    workers: int | str | None
    threads: int | None
    device: str
    calibrated: bool
    label: str | None
    shape: Shape | None


@dataclass(frozen=True, eq=False)
class _ShardTask:
    """A part to be predicted."""

    part: Shard
    model: Message
    """What a worker is told before its first part."""

    @property
    def name(self) -> str:
        return self.part.path

    def ask(self, worker: Worker) -> None:
        if not worker.knows("model"):
            worker.tell(self.model)
        worker.tell({"ask": "part", "part": self.part.to_json()})


def _predict(job: _Request, parts: Sequence[Shard], token: str, display: BulkDisplay) -> dict[str, str]:
    """Have them all predicted, the largest first; what is wrong with those that cannot be."""
    bad: dict[str, str] = {}
    largest_first = sorted(parts, key=lambda part: -part.bytes)
    gathered = open_worker_pool(job.workers, len(parts), WORTH_A_PROCESS, job.device, job.threads, module=MODULE)
    with display, gathered as pool:
        display.begin(len(parts), _describe_crew(pool, len(parts)))
        model = _describe_job(job, pool, token)
        for task, message, _ in pool.work([_ShardTask(part, model) for part in largest_first]):
            part = task.part
            match message["event"]:
                case Event.BATCH_FINISHED:
                    display.images_predicted(part.path, message["images"])
                case Event.WARNED:
                    display.warned(message["message"])
                case Event.FINISHED if "error" in message:
                    bad[part.path] = message["error"]
                    display.part_refused(part.path, part.bytes, message["error"])
                case Event.FINISHED:
                    display.part_finished(part.path, part.bytes, message["images"], message["seconds"])
                case event:
                    raise ValueError(f"unexpected event {event!r} of {part.path}")
    return bad


def _describe_crew(pool: WorkerPool, parts: int) -> str:
    counts = {"worker": max(1, min(pool.size(), parts)), "thread": pool.threads}
    workers, threads = (f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items())
    return f"{workers} of {threads} on {pool.workers.name}"


def _describe_job(job: _Request, pool: WorkerPool, token: str) -> Message:
    return {
        "ask": "model",
        "run": str(job.run.path),
        "model": model_identity(job.run, calibrated=job.calibrated),
        "folder": str(job.folder.path),
        "token": token,
        "device": job.device,
        "threads": pool.threads,
        "is_away": pool.workers.replaces_lost,
        "calibrated": job.calibrated,
        "label": job.label,
        "shape": job.shape,
        "versions": versions(),
    }


def _account(pace: Pace, folder: BulkFolder, finished: Sequence[Record], bad: dict[str, str]) -> BulkResult:
    images = sum(record.images for record in finished) + pace.images_finished
    speed = pace.images_finished / pace.seconds() if pace.images_finished else 0.0
    return BulkResult(folder.path, pace.parts, images, len(finished), speed, pace.seconds(), bad)
