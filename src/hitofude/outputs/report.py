"""The figures of a run as one object: report.json, from which the HTML report is made too.

Imported networks have no figures; import.json states their origin.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from hitofude.errors import RunFolderError
from hitofude.inputs.direction import isolate
from hitofude.language.translation import say
from hitofude.metrics.calibration import Cascade, Reliability
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.metrics import Accuracy, ClassScore
from hitofude.metrics.scores import Score
from hitofude.metrics.whole_ensemble import Temperatures
from hitofude.recipe import Metric
from hitofude.storage import read_json, validated, write_json

Content = TypeVar("Content")

UNEVEN = 2
"""Classes are uneven if the commonest has this many times the rows of the rarest."""


@dataclass(frozen=True)
class Calibration:
    """The temperatures, and how well the out-of-fold probabilities agree with the share of right answers."""

    temperature: float  # of the mean of all members, for images that none of them saw
    out_of_fold_temperature: float  # of the out-of-fold probabilities, which come from fewer members
    as_predicted: Reliability  # out of fold
    at_temperature: Reliability  # out of fold, at their temperature
    set_thresholds: dict[str, float]  # by level: the least probability of a class in an image's prediction set

    @property
    def temperatures(self) -> Temperatures:
        return Temperatures(self.out_of_fold_temperature, self.temperature)


@dataclass(frozen=True)
class MemberSummary:
    """One network of the ensemble."""

    network: str
    trained_on: int  # rows
    held_out: Accuracy | None  # on the rows it never saw; None if it trained on all rows
    variant: int | None = None  # its number, from 1, if the recipe has variants
    settings: dict[str, Any] = field(default_factory=dict)  # of the variant, in place of the recipe's
    predicts: bool = True  # other images; False if only members on all rows do


@dataclass(frozen=True)
class AuditSummary:
    """The counts found by the audit of the training data; the files beside the report list the images."""

    label_issues: int  # suspected labels
    probably_wrong: int  # of these, labels more likely wrong than the networks
    expected_wrong: float  # the number of wrong labels among the suspected ones, by their probabilities
    same_images: int  # images identical to an earlier one
    near_images: int  # images nearly identical to an earlier one
    differing_labels: int  # of both, training images whose label differs from that of the earlier one
    leaks: int  # of both, images to predict that resemble a training image


@dataclass(frozen=True)
class RelatedSummary:
    """Training rows that belong together, by the user's groups or folds or as copies of an image."""

    groups: int  # of two rows or more
    rows: int  # in these groups
    largest: int  # the rows of the largest group
    copies: int  # rows that are linked to another by copies
    given: tuple[str, ...]  # "groups", "folds": given by the user
    divided_copies: int  # rows with a copy that given folds put on the other side
    flattery: float | None  # the accuracy that a split regardless of the groups would add, by nearest neighbours


@dataclass(frozen=True)
class TeacherSummary:
    """The run whose answers the members of a distilled run learned, and the cost of both."""

    run: str  # its folder
    networks: int  # that predict
    operations: int  # multiply-accumulate operations of these for an image
    own_operations: int  # of the distilled run's networks that predict
    out_of_fold: Accuracy


@dataclass(frozen=True)
class RunSummary:
    """The figures of a finished run."""

    source: str
    command: str  # repeats this run
    finished: str  # ISO 8601
    environment: dict[str, str | int | None]  # versions, processor, device, threads, precision
    images_to_train: int
    images_to_predict: int
    classes: tuple[str, ...]
    parameters: dict[str, int]  # by network
    members: tuple[MemberSummary, ...]
    agreement: tuple[tuple[float, ...], ...] | None  # the share of the images to predict that two members answer alike
    metric: Metric  # by which the run is judged
    scores: dict[Metric, Score]  # out of fold, calibrated; without the metrics that are not defined
    test_scores: dict[Metric, Score] | None  # if the source holds the labels
    single: dict[str, Accuracy]  # by network and variant: of its single members, pooled, on the rows they never saw
    out_of_fold: Accuracy
    confusion: tuple[tuple[int, ...], ...]  # out of fold: labels down, answers across
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration
    estimate: Estimate | None  # of the whole ensemble on the images to predict, if there are any and it can be trusted
    no_estimate: str | None  # the reason if it cannot
    test: Accuracy | None  # if the source holds the labels; nothing was chosen by it
    audit: AuditSummary
    warnings: tuple[str, ...]  # of settings that cannot work, and of networks that are no better than a guess
    training_seconds: float
    training_flop: float | None = None  # floating-point operations of all members; earlier versions do not say
    related: RelatedSummary | None = None  # None if every training row is alone
    never_held_out: tuple[str, ...] = ()  # classes without out-of-fold answers, as they have a single image or group
    scale: str = "0..255"  # the numbers of the training images that are black and white
    look: str = ""  # of the training images: ground and margin, by which photos are made like them
    reading: tuple[str, ...] = ()  # how the files were read, if that had to be found out
    left_aside: tuple[str, ...] = ()  # the files, parts and columns that were not read
    pseudo_labelled: int = 0  # images to predict that members learned from, without their labels
    weights: str | None = None  # of the training rows in the loss: `from 0.5 to 3`
    teacher: TeacherSummary | None = None  # if the run is distilled
    cascade: Cascade | None = None  # the rule by which members are asked one after another; None if all always are

    @property
    def networks(self) -> tuple[str, ...]:
        """The network of each member."""
        return tuple(member.network for member in self.members)

    @property
    def predicting(self) -> dict[int, str]:
        """The members that predict other images: their numbers and networks."""
        return {number: member.network for number, member in enumerate(self.members) if member.predicts}

    @property
    def networks_asked(self) -> str | None:
        """How many networks answer an image; None if all always do: `1 for 98.96 % of images, all 8 for the rest; …`"""
        if self.cascade is None:
            return None
        shares = [100 * stage.answered for stage in self.cascade.stages]
        first = say("1 for {share:.2f} % of images", share=shares[0])
        others = [
            say("{count} for {share:.2f} %", count=count, share=share) for count, share in enumerate(shares[1:], 2)
        ]
        return say(
            "{parts}, all {all} for the rest; this is expected to change at most {changed:.2g} of 10,000 labels",
            parts=say(", ").join([first, *others]), all=len(self.predicting), changed=10_000 * self.cascade.changed,
        )  # fmt: skip

    @property
    def score(self) -> Score | None:
        """The score by the run's metric; None if it is not defined for the out-of-fold rows."""
        return self.scores.get(self.metric)

    @property
    def baseline_answer(self) -> str:
        """The answer of the baseline to every image: `three, the commonest class`."""
        rows = [sum(row) for row in self.confusion]
        if len(set(rows)) == 1:
            return say("one class, as all are equally common")
        return say("{name}, the commonest class", name=isolate(self.classes[rows.index(max(rows))]))

    @property
    def worst_class(self) -> "WorstClass | None":
        """The class with the lowest recall, if the mean hides it: the classes are uneven, or most of it is wrong."""
        rows = [sum(row) for row in self.confusion]
        known = [index for index, count in enumerate(rows) if count]
        worst = min(known, key=lambda index: self.confusion[index][index] / rows[index])
        wrong = rows[worst] - self.confusion[worst][worst]
        is_uneven = max(rows) >= UNEVEN * min(rows[index] for index in known)
        if not wrong or not (is_uneven or 2 * wrong > rows[worst]):
            return None
        others = [0 if index == worst else count for index, count in enumerate(self.confusion[worst])]
        return WorstClass(self.classes[worst], wrong, rows[worst], self.classes[others.index(max(others))])


@dataclass(frozen=True)
class WorstClass:
    """The class of which the largest share is wrong."""

    name: str
    wrong: int
    rows: int
    answer: str  # the wrong answer given most often

    def __str__(self) -> str:
        return say(
            "{name}: {wrong:,} of {rows:,} wrong, most often answered {answer}",
            name=isolate(self.name), wrong=self.wrong, rows=self.rows, answer=isolate(self.answer),
        )  # fmt: skip


@dataclass(frozen=True)
class ImportedMember:
    """A network that was trained elsewhere."""

    network: str
    file: str  # its name
    sha256: str
    iterations: int | None  # before the snapshot; None if the file does not say


@dataclass(frozen=True)
class ImportSummary:
    """The origin of networks that were trained elsewhere; their accuracy is unknown."""

    program: str  # trained them
    command: str
    finished: str  # the time of the import, ISO 8601
    members: tuple[ImportedMember, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The network of each member."""
        return tuple(member.network for member in self.members)

    @property
    def predicting(self) -> dict[int, str]:
        """The number and network of each member."""
        return dict(enumerate(self.networks))


FORMAT_VERSIONS: dict[type, int] = {RunSummary: 5, ImportSummary: 1}


def write_summary(path: Path, summary: RunSummary | ImportSummary) -> None:
    write_json(path, {"format_version": FORMAT_VERSIONS[type(summary)]} | _to_json(summary))


def read_summary(path: Path, kind: type[Content]) -> Content:
    """Read a RunSummary or an ImportSummary. Raises RunFolderError if it is missing, damaged or of another version."""
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("format_version", None) != FORMAT_VERSIONS[kind]:
        raise RunFolderError(f"{path} was written by another version of hitofude. Run again into a new folder.")
    if "cascade" in content:
        content["cascade"] = Cascade.upgraded(content["cascade"])
    return validated(kind, content, path)


def _to_json(value: Any) -> Any:
    """Return the fields, preceded by the figures derived from them, which `read_summary` ignores."""
    if is_dataclass(value):
        return _derived(value) | {one.name: _to_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    return [_to_json(inner) for inner in value] if isinstance(value, tuple) else value


def _derived(value: Any) -> dict[str, float]:
    match value:
        case Accuracy() | Estimate():
            low, high = value.interval
            return {"accuracy": value.value, "low": low, "high": high}
        case ClassScore():
            return {"f1": value.f1}
        case Reliability():
            return {"expected_calibration_error": value.expected_calibration_error}
    return {}
