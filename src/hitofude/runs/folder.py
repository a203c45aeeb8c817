"""A run's folder: every result and figure of a run, readable without hitofude.

recipe.toml              every setting, resolved
data.json                the source: sizes, classes, fingerprints
environment.json         versions, device, threads, precision
log.jsonl                a line for each epoch of each member
loss.png accuracy.png    the learning curves
network.dot              the computation graph
plugins/ plugins.json    the sources of the networks and augmentations of plugins, only if the recipe uses some
members/NN/              weights.safetensors and member.json; during training, state-*
targets.npz              only during the training of a distilled run: the teacher's answers, by member that learns them
oof.npz                  ids, labels, classes; of each row, by members that never saw it: probabilities (N, classes),
                         calibrated, raw_probabilities (N, classes), and disagreement (N,) among those members;
                         held_out (N, members), which members these are; groups (N,), equal for related rows
test_probabilities.npz   ids, classes; probabilities (N, classes), calibrated; member_probabilities (members, N,
                         classes), raw
submission.csv           only if there are images to predict
novelty.npz              the score of images unlike anything learned, if enough rows were held out: the features of
                         the training images, and the scores of held-out ones
hardest.csv hardest.png  training images by out-of-fold loss
label_issues.csv         suspected labels, with the probability that each is wrong
duplicates.csv           images that repeat an earlier one
reviewed.csv             a person's verdicts on doubtful labels, once there are some; of a reviewer reviewed-NAME.csv
tensorboard/ wandb/      the curves for these programs, and mlflow.json MLflow's number of the run, only if asked for
model.onnx               the ensemble to serve, once it was served
report.html              all of it to look at, in one file
report.json              the figures; written last: a run that has it is finished
imported.json            in place of report.json if the networks were trained elsewhere: the files they come from.
                         Such a folder also holds recipe.toml (how it predicts), data.json and members/, nothing else
.command.json            until the run is finished: the command line that continues it, if it was begun by one
.owner.json              the process that works here; .lock, which stays, is the lock that it holds
"""

import json
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hitofude.errors import RecipeError, RunFolderError
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.look import LearnedLook, Look
from hitofude.inputs.rescaling import UNKNOWN, TrainedScale
from hitofude.inputs.sources import Reading
from hitofude.language.translation import note
from hitofude.learning.epoch_log import EpochLog, member_folder_name
from hitofude.metrics.calibration import Cascade
from hitofude.outputs.report import ImportSummary, RunSummary, read_summary
from hitofude.recipe import Recipe
from hitofude.storage import explaining_os_errors, read_json, validated, write_json, write_text

FORMAT_VERSION = 1
RELATED = ("groups", "folds", "weights")
"""The texts and numbers that a user may give with each training row."""


@dataclass(frozen=True, kw_only=True)
class DataDescription(LearnedLook):
    """The content of data.json. The training images of imported networks are not known."""

    format_version: int
    source: str
    image_shape: ImageShape
    classes: tuple[str, ...]
    train_images: int | None = None
    test_images: int = 0
    train_fingerprint: str | None = None
    test_fingerprint: str | None = None
    group_column: str | None = None
    fold_column: str | None = None
    weight_column: str | None = None
    label_column: str | None = None
    """Its name, or its number from 0 in files without a header."""
    ignored_columns: tuple[str, ...] = ()
    header: bool | None = None
    """Whether the files' first lines name their columns, if the user said so."""
    groups_fingerprint: str | None = None
    folds_fingerprint: str | None = None
    weights_fingerprint: str | None = None
    teacher_fingerprint: str | None = None
    """Of the run whose answers were learned from in place of the labels; see hitofude.runs.teacher."""
    look: Look | None = None
    """The look of the training images; runs of earlier versions, and imported networks, do not say."""
    transposed: bool = False
    """Whether rows and columns were exchanged in the files of the training images."""
    planes: bool | None = None
    """Whether rows of pixels in colour were red, then green, then blue in those files; None if they held none."""
    pixels: TrainedScale = UNKNOWN
    """The scale of the training images."""

    def related_differences(self, other: "DataDescription") -> list[str]:
        """Return a note for each of groups, folds and weights that differ: `groups: none → given`."""
        found = []
        for name in RELATED:
            first, second = (getattr(one, f"{name}_fingerprint") for one in (self, other))
            if first is None and second is not None:
                found.append(note("{name}: none → given", name=name))
            elif second is None and first is not None:
                found.append(note("{name}: given → none", name=name))
            elif first != second:
                found.append(note("{name}: given → other ones", name=name))
        return found

    def how_to_read(self) -> Reading:
        """Return how files of the same kind are read, if nothing else is asked for."""
        return {
            "groups": self.group_column,
            "folds": self.fold_column,
            "sample_weight": self.weight_column,
            "usual_label": self.label_column,
            "usual_ignore": self.ignored_columns,
            "header": self.header,
            "behind": self.known_look.behind,
            "transpose": self.transposed or None,
            "planes": self.planes,
        }


class RunFolder:
    """The names of a run folder's files, and their content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.data = path / "data.json"
        self.environment = path / "environment.json"
        self.log = path / "log.jsonl"
        self.loss = path / "loss.png"
        self.accuracy = path / "accuracy.png"
        self.network = path / "network.dot"
        self.plugins = path / "plugins"
        self.plugin_list = path / "plugins.json"
        self.members = path / "members"
        self.targets = path / "targets.npz"
        self.out_of_fold = path / "oof.npz"
        self.test_probabilities = path / "test_probabilities.npz"
        self.submission = path / "submission.csv"
        self.novelty = path / "novelty.npz"
        self.hardest = path / "hardest.csv"
        self.hardest_picture = path / "hardest.png"
        self.label_issues = path / "label_issues.csv"
        self.duplicates = path / "duplicates.csv"
        self.model = path / "model.onnx"
        self.page = path / "report.html"
        self.report = path / "report.json"
        self.imported = path / "imported.json"
        self.command = path / ".command.json"

    @property
    def is_finished(self) -> bool:
        return self.report.exists()

    @property
    def is_imported(self) -> bool:
        """Whether its networks were trained elsewhere."""
        return self.imported.exists()

    def member(self, number: int) -> Path:
        return self.members / member_folder_name(number)

    def threads_begun_with(self) -> int | None:
        """Return the threads of each member if a run was begun here, else None."""
        return self.load_environment().get("threads") if self.recipe.exists() else None

    def keep_command(self, command: str) -> None:
        """Keep the command line that continues the run, and the current folder, from which its paths are."""
        write_json(self.command, {"command": command, "folder": str(Path.cwd())})

    def how_to_continue(self) -> str | None:
        """Return the command line that continues the run, and before it how to reach its folder; None if not known."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self.command.read_text(encoding="utf-8"))
            command, folder = str(kept["command"]), Path(kept["folder"])
            return f"  {command}" if folder == Path.cwd() else f"  cd {shlex.quote(str(folder))}\n  {command}"
        return None

    def bytes_written(self) -> int:
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def check_is_run(self) -> None:
        """Raise RunFolderError if there is no run here, and suggest the nearest name."""
        if self.recipe.exists():
            return
        if self.path.is_dir():
            inside = min(self.path.glob(f"*/{self.recipe.name}"), default=None)
            such_as = f" It holds runs: name one, such as {inside.parent}." if inside else ""
            raise RunFolderError(f"{self.path} is not a run folder: there is no {self.recipe.name} in it.{such_as}")
        if self.path.exists():
            raise RunFolderError(f"{self.path} is a file, not the folder of a run. hitofude runs lists the runs.")
        raise RunFolderError(f"{self.path}: there is no such folder.{_suggest_run(self.path)}")

    def check_trained_here(self) -> None:
        """Raise RunFolderError if the networks were imported, for only their weights are known."""
        if self.is_imported:
            raise RunFolderError(
                f"{self.path} holds imported networks, which were trained elsewhere: there are no out-of-fold rows to "
                "audit, compare or calibrate by, and no training to continue. Predict with them by hitofude predict, "
                "without --sets; to train, name another folder with --run."
            )

    def load_recipe(self) -> Recipe:
        """Read the recipe. Raises RunFolderError if this is not a run folder."""
        self.check_is_run()
        try:
            return Recipe.load(self.recipe)
        except RecipeError as error:
            raise RunFolderError(f"{error} Restore it, or run again into a new folder.") from None

    def load_summary(self) -> RunSummary:
        """Read the finished run's figures. Raises RunFolderError if the run is not finished, or was imported."""
        self.check_is_run()
        self.check_trained_here()
        if not self.is_finished:
            command = self.how_to_continue()
            lines = "." if command is None else f":\n{command}"
            raise RunFolderError(f"The run in {self.path} is not finished. Run its command again to continue it{lines}")
        return read_summary(self.report, RunSummary)

    def load_temperature(self) -> float | None:
        """Return the temperature that calibrates the mean of all members; None for imported networks.

        Raises RunFolderError if the run is not finished.
        """
        return None if self.is_imported else self.load_summary().calibration.temperature

    def load_cascade(self) -> Cascade | None:
        """Return the rule by which the members answer together; None if all of them are asked about every image.

        Raises RunFolderError if the run is not finished.
        """
        return None if self.is_imported else self.load_summary().cascade

    def load_import(self) -> ImportSummary:
        """Read where imported networks come from. Raises RunFolderError if that is missing or damaged."""
        return read_summary(self.imported, ImportSummary)

    def load_networks(self) -> dict[int, str]:
        """Return the number and network of each member that predicts.

        Raises RunFolderError if the run is not finished.
        """
        return self.load_import().predicting if self.is_imported else self.load_summary().predicting

    def load_data(self) -> DataDescription:
        """Read data.json. Raises RunFolderError if it is missing, damaged, or of a newer version."""
        self.check_is_run()
        content = validated(DataDescription, read_json(self.data), self.data)
        if content.format_version > FORMAT_VERSION:
            raise RunFolderError(f"{self.data} was written by a newer hitofude. Upgrade with pip install -U hitofude.")
        return content

    def load_environment(self) -> dict[str, Any]:
        """Read environment.json. Raises RunFolderError if it is missing or damaged."""
        content = read_json(self.environment)
        if not isinstance(content, dict) or not isinstance(content.get("threads", 1), int):
            raise RunFolderError(f"{self.environment} is damaged. Restore it, or run again into a new folder.")
        return content

    def restart_log(self, logs: Iterable[EpochLog]) -> None:
        """Write log.jsonl anew, with the epochs that are known to be durable."""
        write_text(self.log, "".join(_log_line(log) for log in logs))

    def append_log(self, log: EpochLog) -> None:
        with explaining_os_errors(self.log), self.log.open("a", encoding="utf-8") as stream:
            stream.write(_log_line(log))


def _suggest_run(path: Path) -> str:
    """Return the run of the nearest name beside the path or in runs/, as a question; else how to find one."""
    beside = [path.parent, Path("runs")]
    runs = [found.parent for folder in beside for found in sorted(folder.glob("*/recipe.toml"))]
    by_name = {run.name: run for run in reversed(runs)}
    if nearest := get_close_matches(path.name, by_name, n=1, cutoff=0.5):
        return f" Did you mean {by_name[nearest[0]]}?"
    return " Name the folder of a run: hitofude runs lists those in runs/."


def _log_line(log: EpochLog) -> str:
    return json.dumps(asdict(log)) + "\n"
