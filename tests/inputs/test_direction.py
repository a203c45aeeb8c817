"""Names that are written from right to left: each stays on its side of the arrow."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hitofude.inputs.dataset import Dataset, describe_dataset
from hitofude.inputs.direction import isolate, isolate_quoted, without_isolates
from hitofude.inputs.image_set import ImageSet
from hitofude.outputs.audit import LabelledRows
from hitofude.outputs.report import write_summary
from hitofude.prediction.files import FilePredictions, describe_answers
from hitofude.runs.audit import LabelledPredictions, audit_labels
from hitofude.runs.result import RunResult
from tests.outputs.test_html_report import page_of

SHORT, LONG = "א", "ממממממממ"
SEVEN, EIGHT = "שבע", "ثمانية"


@pytest.mark.parametrize("name", ["שבע", "واحد", "7 שבע"])
def test_names_written_from_right_to_left_are_isolated(name: str) -> None:
    assert isolate(name) == f"\u2068{name}\u2069"
    assert without_isolates(isolate(name)) == name


@pytest.mark.parametrize("name", ["seven", "七", "7", ""])
def test_other_names_are_unchanged(name: str) -> None:
    assert isolate(name) == name


def test_names_in_quotes_are_isolated_outside_of_their_quotes() -> None:
    quoted = f"'{SEVEN}'"
    assert isolate_quoted(f"{quoted}, 'x': 2") == f"{isolate(quoted)}, 'x': 2"
    assert isolate_quoted(f"the class's name {quoted}") == f"the class's name {isolate(quoted)}"
    assert isolate_quoted(isolate_quoted(quoted)) == isolate_quoted(quoted)


def widths_drawn(text: str) -> list[int]:
    """The widths, in pixels, of the words of a drawn text, from the left."""
    figure = Figure(figsize=(6, 1))
    figure.text(0.02, 0.4, text, fontsize=20)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    inked = np.flatnonzero((np.asarray(canvas.buffer_rgba())[..., 0] < 128).any(axis=0))
    return [len(word) for word in np.split(inked, np.flatnonzero(np.diff(inked) > 6) + 1)]


@pytest.mark.skipif(mpl.__version_info__[:2] < (3, 11), reason="earlier versions keep the letters in order")
def test_a_label_is_drawn_to_the_left_of_its_arrow() -> None:
    label, _, answer = widths_drawn(f"{isolate(SHORT)} → {isolate(LONG)}")
    assert answer > 3 * label


def test_the_report_isolates_every_name(digits: ImageSet) -> None:
    page = page_of(replace(digits, classes=("שבע", *digits.classes[1:])))
    assert "<bdi>שבע</bdi>" in page
    assert "\u2068שבע\u2069 → " in page
    assert page.count("שבע") == page.count("<bdi>שבע</bdi>") + page.count("\u2068שבע\u2069")


def all_isolated(text: str, *names: str) -> bool:
    """Whether each name is in a text, always isolated."""
    return all(0 < text.count(name) == text.count(isolate(name)) for name in names)


def test_the_lines_of_a_result_isolate_names_and_its_file_does_not(finished: RunResult, tmp_path: Path) -> None:
    summary = replace(
        finished.summary,
        classes=(SEVEN, EIGHT),
        confusion=((300, 0), (10, 2)),
        never_held_out=(SEVEN, EIGHT),
        warnings=(f"NO BETTER THAN A GUESS: always answering '{SEVEN}' is right",),
    )
    text = replace(finished, summary=summary).describe()
    assert all_isolated(text.replace(f"'{SEVEN}'", SEVEN), SEVEN, EIGHT)
    assert text.count(SEVEN) == 4
    write_summary(tmp_path / "report.json", summary)
    written = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert SEVEN in written
    assert written == without_isolates(written)


def test_the_description_of_a_source_isolates_its_classes(dataset: Dataset) -> None:
    classes = (SEVEN, *dataset.train.classes[1:])
    named = replace(dataset, train=replace(dataset.train, classes=classes))
    lines = describe_dataset(named).splitlines()
    assert f"  {isolate(SEVEN)}       30" in lines
    assert f"  {classes[1]}         30" in lines


def test_suspected_labels_are_on_the_left_of_their_suggestions(tmp_path: Path) -> None:
    true = np.arange(600) % 3
    labels = np.where(np.arange(600) < 60, (true + 1) % 3, true)
    logits = 6 * np.eye(3)[true] + np.random.default_rng(0).normal(0, 1.5, (600, 3))
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    rows = LabelledRows(np.arange(600).astype(np.str_), labels, (SEVEN, EIGHT, "nine"))
    text = audit_labels(LabelledPredictions(rows, probabilities, np.zeros(600, dtype=np.float32)), tmp_path)
    assert f": {isolate(EIGHT)} → {isolate(SEVEN)}  (wrong" in text
    assert all_isolated(text, SEVEN, EIGHT)
    listed = (tmp_path / "label_issues.csv").read_text(encoding="utf-8")
    assert SEVEN in listed
    assert listed == without_isolates(listed)


def test_answers_isolate_names_and_stand_in_columns() -> None:
    classes, sets = (SEVEN, EIGHT), np.array([[True, False], [True, True]])
    probabilities = np.array([[0.9, 0.1], [0.55, 0.45]], dtype=np.float32)
    ids, labels = np.array([f"{EIGHT}.png#1", "a.png#2"]), np.array([SEVEN, "not sure"])
    images = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    found = FilePredictions(ids, probabilities, classes, labels, sets, None, (), images)
    lines = describe_answers(found).splitlines()
    assert without_isolates(lines[0]) == f"{EIGHT}.png#1  {SEVEN}       0.900  set {SEVEN}"
    assert lines[0].startswith(isolate(f"{EIGHT}.png#1"))
    assert all_isolated(lines[1], *classes)
    seven, eight = map(isolate, classes)
    assert lines[1] == f"a.png#2       not sure  {seven} 0.550 or {eight} 0.450  set {seven}|{eight}"
