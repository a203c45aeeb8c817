"""The content of the report, and its rendering as HTML."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from hitofude.inputs.direction import isolate, isolate_quoted
from hitofude.inputs.duplicates import Duplicate
from hitofude.inputs.image_set import ImageSet
from hitofude.language.translation import language, say, say_count, translate, translated
from hitofude.learning.epoch_log import EpochLog
from hitofude.metrics.label_issues import LabelIssues
from hitofude.metrics.scores import NAMES
from hitofude.outputs.audit import Hardness
from hitofude.outputs.html_report.drawings import ImageSheet, chart, network_chart
from hitofude.outputs.network_graph import Operation
from hitofude.outputs.plots import draw_accuracy, draw_loss, draw_reliability
from hitofude.outputs.report import RunSummary
from hitofude.stage import describe_settings

SHOWN = 60
SHOWN_IF_RIGHT = 12
SHOWN_OF_CLASS = 4
BARS = 3
MAX_CLASSES_IN_MATRIX = 40
MAX_CONFUSIONS_LISTED = 40


@dataclass(frozen=True, eq=False)
class Page:
    """The content of the report."""

    summary: RunSummary
    train: ImageSet
    test: ImageSet | None
    out_of_fold: NDArray[np.float32]  # (N, classes), NaN in rows that every member trained on
    logs: Sequence[EpochLog]
    hardness: Hardness
    issues: LabelIssues
    duplicates: Sequence[Duplicate]
    recipe: str  # TOML
    originals: NDArray[np.uint8]  # (K, C, H, W)
    augmented: NDArray[np.uint8]  # (K, V, C, H, W)
    operations: Mapping[str, Sequence[Operation]]  # by network


@dataclass(frozen=True)
class Thumbnail:
    """An image with its caption."""

    style: Markup  # shows the image
    caption: str
    note: str = ""
    bars: tuple[tuple[str, float], ...] = ()  # the likeliest classes and their probabilities


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix."""

    label: int
    predicted: int
    count: int
    share: float  # of the rows with this label
    thumbnails: list[Thumbnail]


def render(page: Page) -> str:
    """Return HTML that loads nothing from outside."""
    environment = Environment(
        loader=PackageLoader("hitofude.outputs.html_report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["translate"] = translate
    thumbnails = _Thumbnails(page)
    cells = thumbnails.cells()
    confusions = [cell for cell in cells.values() if cell.label != cell.predicted]
    html = environment.get_template("report.html").render(
        summary=page.summary,
        recipe=page.recipe,
        charts=_charts(page),
        names=NAMES,
        language=language(),
        say=_say,
        say_of=_say_of,
        count=say_count,
        translate=translate,
        bdi=_isolated,
        listed=_listed,
        isolate=isolate,
        isolate_quoted=isolate_quoted,
        is_alike=not all(member.predicts for member in page.summary.members),
        describe_settings=describe_settings,
        has_variants=any(member.settings for member in page.summary.members),
        networks=[(name, network_chart(operations, name)) for name, operations in page.operations.items()],
        cells=cells if thumbnails.is_matrix_shown else None,
        confusions=sorted(confusions, key=lambda cell: -cell.count)[:MAX_CONFUSIONS_LISTED],
        hardest=thumbnails.ranked(range(len(page.hardness.rows[:SHOWN]))),
        issues=thumbnails.issues(SHOWN),
        duplicates=thumbnails.duplicates(SHOWN // 2),
        gallery=thumbnails.by_class(),
        augmentation=thumbnails.augmentation(),
        sheet=thumbnails.sheet,  # complete only after the thumbnails above have been made
        style=_style(environment),
    )
    return _without_gaps(html) if language() == "ja" else html


def _without_gaps(html: str) -> str:
    """Remove the spaces between sentences, which Japanese has none of; what is to be copied stays as it is."""
    return re.sub(
        r"(<pre>.*?</pre>)|(?<=。)\s+(?=[^<\s]|<code|<b>)", lambda found: found[1] or "", html, flags=re.DOTALL
    )


def _style(environment: Environment) -> Markup:
    """Return the style sheet, with that of the language behind it if there is one."""
    assert environment.loader is not None  # noqa: S101
    names = ["style.css", f"style.{language()}.css"]
    known = set(environment.loader.list_templates())
    return Markup("".join(environment.loader.get_source(environment, name)[0] for name in names if name in known))


def _say(message: str, /, **values: Any) -> Markup:
    """Return a message, which may be HTML, with its values, which are escaped if they are text."""
    text, formatted = translated(message, values)
    return Markup(text).format(**formatted)


def _say_of(count: int, one: str, several: str, /, **values: Any) -> Markup:
    return _say(one if count == 1 and language() == "en" else several, **values)


def _isolated(name: str) -> Markup:
    return Markup("<bdi>{}</bdi>").format(name)


def _listed(names: Iterable[str]) -> Markup:
    return Markup(say(", ")).join(map(_isolated, names))


def _charts(page: Page) -> dict[str, Markup]:
    found, logs = page.summary.calibration.as_predicted, page.logs
    error = found.expected_calibration_error
    distance = say("The groups lie {distance:.4f} from the diagonal on average.", distance=error)
    return {
        "loss": chart(partial(draw_loss, logs=logs), say("Loss"), _describe_loss(logs)),
        "accuracy": chart(partial(draw_accuracy, logs=logs), say("Accuracy"), _describe_accuracy(logs)),
        "reliability": chart(partial(draw_reliability, found=found), say("Reliability"), distance),
    }


def _describe_loss(logs: Sequence[EpochLog]) -> str:
    return say(
        "After the last epoch, the mean loss is {training} in training, {validation} in validation.",
        training=_last_mean(logs, "train_loss"),
        validation=_last_mean(logs, "validation_loss"),
    )


def _describe_accuracy(logs: Sequence[EpochLog]) -> str:
    return say(
        "After the last epoch, the mean accuracy is {training} in training, {validation} in validation.",
        training=_last_mean(logs, "train_accuracy"),
        validation=_last_mean(logs, "validation_accuracy"),
    )


def _last_mean(logs: Sequence[EpochLog], figure: str) -> str:
    """Return the mean of a figure over the members at their last epochs."""
    last = {log.member: log for log in sorted(logs, key=lambda log: log.epoch)}.values()
    known = [value for log in last if (value := getattr(log, figure)) is not None]
    return f"{np.mean(known):.4f}" if known else say("unknown")


class _Thumbnails:
    """The images that the report shows, with their captions; all are put on one sheet.

    A rank is an index into the arrays of Hardness: 0 is the hardest image.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.classes = page, page.summary.classes
        self.sheet = ImageSheet(page.train.image_shape)
        self.labels = page.train.known_labels()
        self.ranked_labels = self.labels[page.hardness.rows]
        self.is_matrix_shown = len(self.classes) <= MAX_CLASSES_IN_MATRIX

    def cells(self) -> dict[tuple[int, int], Cell]:
        """Return the cells of the confusion matrix that are not empty, by label and answer."""
        ranks = defaultdict[tuple[int, int], list[int]](list)
        pairs = zip(self.ranked_labels.tolist(), self.page.hardness.predicted.tolist(), strict=True)
        for rank, pair in enumerate(pairs):
            ranks[pair].append(rank)
        return {pair: self._cell(*pair, ranks[pair]) for pair in sorted(ranks)}

    def _cell(self, label: int, predicted: int, ranks: list[int]) -> Cell:
        share = len(ranks) / self.page.summary.class_scores[label].rows
        shown = (SHOWN_IF_RIGHT if label == predicted else SHOWN) if self.is_matrix_shown else 0
        return Cell(label, predicted, len(ranks), share, self.ranked(ranks[:shown]))

    def ranked(self, ranks: Iterable[int]) -> list[Thumbnail]:
        rows, predicted, losses = self.page.hardness.rows, self.page.hardness.predicted, self.page.hardness.losses
        return [
            self._train(int(rows[rank]), int(predicted[rank]), say("loss {loss:.2f}", loss=losses[rank]))
            for rank in ranks
        ]

    def issues(self, count: int, label: int | None = None) -> list[Thumbnail]:
        """Return the most suspect labels, of all classes or of one."""
        issues = self.page.issues
        found = np.arange(len(issues)) if label is None else np.flatnonzero(self.labels[issues.rows] == label)
        return [
            self._train(
                int(issues.rows[i]),
                int(issues.suggested[i]),
                say("wrong {probability:.2f}", probability=issues.wrong[i]),
            )
            for i in found[:count]
        ]

    def by_class(self) -> list[tuple[str, list[tuple[str, list[Thumbnail]]]]]:
        """Return for each class its easiest, its hardest and its suspected images."""
        found = []
        for label, name in enumerate(self.classes):
            ranks = np.flatnonzero(self.ranked_labels == label).tolist()
            groups = {
                say("easiest"): self.ranked(ranks[::-1][:SHOWN_OF_CLASS]),
                say("hardest"): self.ranked(ranks[:SHOWN_OF_CLASS]),
                say("suspected labels"): self.issues(SHOWN_OF_CLASS, label),
            }
            found.append((name, [(title, shown) for title, shown in groups.items() if shown]))
        return found

    def duplicates(self, count: int) -> list[tuple[Thumbnail, Thumbnail]]:
        """Return the first pairs, those across training and test images before the others."""
        pairs = sorted(self.page.duplicates, key=lambda item: not item.is_leak)[:count]
        return [
            (
                self._of_split(item.split, item.row, say("differs by {difference:.1f}", difference=item.difference)),
                self._of_split(item.earlier_split, item.earlier_row, ""),
            )
            for item in pairs
        ]

    def augmentation(self) -> list[list[Thumbnail]]:
        """Return originals, each followed by its transformed versions."""
        return [
            [
                Thumbnail(self.sheet.place(image), say("transformed") if number else say("original"))
                for number, image in enumerate([original, *versions])
            ]
            for original, versions in zip(self.page.originals, self.page.augmented, strict=True)
        ]

    def _train(self, row: int, answer: int, note: str) -> Thumbnail:
        train, probabilities = self.page.train, self.page.out_of_fold[row]
        likeliest = np.argsort(-probabilities, kind="stable")[:BARS]
        bars = tuple((self.classes[index], float(probabilities[index])) for index in likeliest)
        caption = f"{isolate(self.classes[self.labels[row]])} → {isolate(self.classes[answer])}"
        return Thumbnail(self.sheet.place(train.images[row]), caption, f"{isolate(str(train.ids[row]))} · {note}", bars)

    def _of_split(self, split: str, row: int, note: str) -> Thumbnail:
        images = self.page.train if split == "train" or self.page.test is None else self.page.test
        is_train = split == "train"
        part = say("train") if is_train else say("test")
        label = say("label {name}", name=self.classes[self.labels[row]]) if is_train else say("to predict")
        return Thumbnail(self.sheet.place(images.images[row]), label, f"{part} {isolate(str(images.ids[row]))} {note}")
