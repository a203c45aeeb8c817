"""What the report shows, and how it becomes HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from hitofude.inputs.duplicates import Duplicate
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.epoch_log import EpochLog
from hitofude.metrics.label_issues import LabelIssues
from hitofude.outputs.audit import Hardness
from hitofude.outputs.html_report.charts import Series, line_chart, network_chart, reliability_chart
from hitofude.outputs.html_report.sheet import ImageSheet
from hitofude.outputs.network_graph import Operation
from hitofude.outputs.report import RunSummary
from hitofude.storage import write_text

SHOWN = 60
SHOWN_RIGHT = 12
SHOWN_OF_CLASS = 4
BARS = 3
MOST_CLASSES_IN_A_MATRIX = 40
MOST_CONFUSED = 40


@dataclass(frozen=True, eq=False)
class Page:
    """All that the report is made from."""

    summary: RunSummary
    train: ImageSet
    test: ImageSet | None
    out_of_fold: NDArray[np.float32]  # (N, classes), NaN in rows that every member saw
    logs: Sequence[EpochLog]
    hardness: Hardness
    issues: LabelIssues
    duplicates: Sequence[Duplicate]
    recipe: str
    """As TOML."""
    originals: NDArray[np.uint8]  # (K, C, H, W)
    augmented: NDArray[np.uint8]  # (K, V, C, H, W)
    operations: Mapping[str, Sequence[Operation]]
    """Of each network."""


@dataclass(frozen=True)
class Figure:
    """An image with what is said of it."""

    style: Markup
    """Shows the image."""
    caption: str
    note: str
    bars: tuple[tuple[str, float], ...] = ()
    """The likeliest classes and their probabilities."""


@dataclass(frozen=True)
class Cell:
    """Rows of one label given one answer."""

    label: int
    predicted: int
    count: int
    share: float
    """Of the rows with this label."""
    figures: tuple[Figure, ...]

    @property
    def anchor(self) -> str:
        return f"cell-{self.label}-{self.predicted}"


def write_page(path: Path, page: Page) -> None:
    write_text(path, render(page))


def render(page: Page) -> str:
    """HTML that asks for nothing outside itself."""
    environment = Environment(
        loader=PackageLoader("hitofude.outputs.html_report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup(environment.loader.get_source(environment, "style.css")[0])  # type: ignore[union-attr]
    return environment.get_template("report.html").render(view=_View(page), summary=page.summary, style=style)


class _View:
    """The page's parts, as the template asks for them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sheet = ImageSheet(page.train.image_shape)
        self.classes = page.summary.classes
        self.labels = page.train.known_labels()
        self._place = {int(row): place for place, row in enumerate(page.hardness.rows)}

    @property
    def is_grey(self) -> bool:
        return self.sheet.channels == 1

    @property
    def is_matrix_shown(self) -> bool:
        return len(self.classes) <= MOST_CLASSES_IN_A_MATRIX

    @cached_property
    def cells(self) -> dict[tuple[int, int], Cell]:
        """The cells of the confusion matrix that are not empty."""
        rows, predicted = self.page.hardness.rows, self.page.hardness.predicted
        found: dict[tuple[int, int], list[int]] = {}
        for row, answer in zip(rows.tolist(), predicted.tolist(), strict=True):
            found.setdefault((int(self.labels[row]), answer), []).append(row)
        return {place: self._cell(place, of_cell) for place, of_cell in sorted(found.items())}

    def _cell(self, place: tuple[int, int], rows: list[int]) -> Cell:
        label, predicted = place
        of_label = self.page.summary.class_scores[label].rows
        shown = rows[: SHOWN_RIGHT if label == predicted else SHOWN] if self.is_matrix_shown else []
        return Cell(label, predicted, len(rows), len(rows) / of_label, tuple(self._figures(shown)))

    def most_confused(self) -> list[Cell]:
        wrong = [cell for cell in self.cells.values() if cell.label != cell.predicted]
        return sorted(wrong, key=lambda cell: -cell.count)[:MOST_CONFUSED]

    def hardest(self) -> list[Figure]:
        return self._figures(self.page.hardness.rows[:SHOWN].tolist())

    def by_class(self) -> list[tuple[str, list[tuple[str, list[Figure]]]]]:
        """Each class with its easiest, its hardest and its suspected images."""
        rows, suspected = self.page.hardness.rows, self.page.issues.rows
        found = []
        for label, name in enumerate(self.classes):
            of_class = rows[self.labels[rows] == label].tolist()
            suspects = suspected[self.labels[suspected] == label].tolist()
            groups = {
                "easiest": of_class[::-1][:SHOWN_OF_CLASS],
                "hardest": of_class[:SHOWN_OF_CLASS],
                "probably mislabelled": suspects[:SHOWN_OF_CLASS],
            }
            found.append((name, [(title, self._figures(shown)) for title, shown in groups.items() if shown]))
        return found

    def issues(self) -> list[Figure]:
        issues = self.page.issues
        return [
            self._figure(int(row), self.classes[suggested], f"label {score:.3f}")
            for row, suggested, score in zip(
                issues.rows[:SHOWN], issues.suggested[:SHOWN], issues.scores[:SHOWN], strict=True
            )
        ]

    def duplicates(self) -> list[tuple[Figure, Figure]]:
        """The first pairs; those across the parts before the others."""
        pairs = sorted(self.page.duplicates, key=lambda item: not item.is_leak)[: SHOWN // 2]
        return [
            (
                self._named(item.part, item.row, f"differs by {item.difference:.1f}"),
                self._named(item.earlier_part, item.earlier_row, ""),
            )
            for item in pairs
        ]

    def augmentation(self) -> list[tuple[Figure, list[Figure]]]:
        """Originals, each with its transformed versions."""

        def bare(image: NDArray[np.uint8], caption: str) -> Figure:
            return Figure(self.sheet.place(image), caption, "")

        return [
            (bare(original, "original"), [bare(version, "transformed") for version in versions])
            for original, versions in zip(self.page.originals, self.page.augmented, strict=True)
        ]

    def loss_chart(self) -> Markup:
        series = _curves(self.page.logs, "train_loss", "validation_loss")
        description = _last("Loss", self.page.logs, "train_loss", "validation_loss")
        return line_chart(series, "Loss", description, ("epoch", "cross-entropy (nats)"), logarithmic=True)

    def accuracy_chart(self) -> Markup:
        logs = [log for log in self.page.logs if log.epoch > 1] or self.page.logs
        series = _curves(logs, "train_accuracy", "validation_accuracy")
        description = _last("Accuracy", logs, "train_accuracy", "validation_accuracy")
        return line_chart(series, "Accuracy", description, ("epoch", "accuracy"))

    def reliability_chart(self) -> Markup:
        found = self.page.summary.calibration.as_predicted
        description = f"The groups lie {found.expected_calibration_error:.4f} from the diagonal on average."
        return reliability_chart(found, "Reliability", description)

    def networks(self) -> list[tuple[str, Markup]]:
        return [(name, network_chart(operations, name)) for name, operations in self.page.operations.items()]

    def _figures(self, rows: Iterable[int]) -> list[Figure]:
        hardness = self.page.hardness
        return [
            self._figure(
                row, self.classes[hardness.predicted[self._place[row]]], f"loss {hardness.losses[self._place[row]]:.2f}"
            )
            for row in rows
        ]

    def _figure(self, row: int, answer: str, note: str) -> Figure:
        train, probabilities = self.page.train, self.page.out_of_fold[row]
        likeliest = np.argsort(-probabilities, kind="stable")[:BARS]
        bars = tuple((self.classes[index], float(probabilities[index])) for index in likeliest)
        caption = f"{self.classes[self.labels[row]]} → {answer}"
        return Figure(self.sheet.place(train.images[row]), caption, f"{train.ids[row]} · {note}", bars)

    def _named(self, part: str, row: int, note: str) -> Figure:
        images = self.page.train if part == "train" or self.page.test is None else self.page.test
        label = f"label {self.classes[self.labels[row]]}" if part == "train" else "to predict"
        return Figure(self.sheet.place(images.images[row]), label, f"{part} {images.ids[row]} {note}")


def _curves(logs: Sequence[EpochLog], train: str, validation: str) -> list[Series]:
    """Two lines a member; no validation where it learns from all rows."""
    series = []
    for member in sorted({log.member for log in logs}):
        for kind, name in (("training", train), ("validation", validation)):
            values = [(log.epoch, getattr(log, name)) for log in logs if log.member == member]
            points = [(float(epoch), float(value)) for epoch, value in values if value is not None]
            if points:
                series.append(Series(kind, points))
    return series


def _last(what: str, logs: Sequence[EpochLog], train: str, validation: str) -> str:
    """The chart in a sentence: where the members end."""
    ends = {log.member: log for log in sorted(logs, key=lambda log: log.epoch)}.values()

    def mean(name: str) -> str:
        values = [getattr(log, name) for log in ends if getattr(log, name) is not None]
        return f"{np.mean(values):.4f}" if values else "not measured"

    return f"{what} of {len(ends)} members ends at {mean(train)} in training, {mean(validation)} in validation."
