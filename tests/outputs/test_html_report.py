"""The elements of the report: the sheet of images, the charts."""

import base64
import io
import re
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from hitofude.inputs.image_set import ImageSet
from hitofude.metrics.calibration import Reliability
from hitofude.metrics.label_issues import find_label_issues
from hitofude.metrics.metrics import class_scores, confusion_matrix
from hitofude.outputs.audit import rank_hardness
from hitofude.outputs.html_report.drawings import COLUMNS, VARIABLES, ImageSheet, chart, network_chart
from hitofude.outputs.html_report.page import Page, render
from hitofude.outputs.network_graph import Operation
from hitofude.outputs.plots import draw_accuracy, draw_loss, draw_reliability
from tests.outputs.test_plots import LOGS
from tests.outputs.test_report import SUMMARY

HOSTILE = '<img src=x onerror="alert(1)">'
RELIABILITY = Reliability((0, 100, 900), (0, 0.5, 0.95), (0, 0.55, 0.96))
CHARTS = {
    "loss": partial(draw_loss, logs=LOGS),
    "accuracy": partial(draw_accuracy, logs=LOGS),
    "one epoch": partial(draw_loss, logs=LOGS[:1]),
    "reliability": partial(draw_reliability, found=RELIABILITY),
}


def test_a_sheet_holds_each_image_once_at_its_place(digits: ImageSet) -> None:
    sheet = ImageSheet(digits.image_shape)
    places = [str(sheet.place(image)) for image in [*digits.images[:40], digits.images[3]]]
    assert (places[0], places[-1], places[COLUMNS]) == ("--x:0;--y:0", "--x:3;--y:0", "--x:0;--y:1")
    found = np.asarray(Image.open(io.BytesIO(sheet.png())))
    assert found.shape == (2 * 28, COLUMNS * 28)
    assert np.array_equal(found[28:56, :28], digits.images[COLUMNS, 0])


def test_a_sheet_of_colour_images_keeps_their_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    sheet = ImageSheet((3, 5, 4))
    sheet.place(image)
    encoded = re.search(r"base64,([^)]+)\)", str(sheet.style()))
    assert encoded is not None
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))
    assert np.array_equal(found[:5, :4], image.transpose(1, 2, 0))


def test_a_chart_has_a_title_a_description_and_its_axes_as_text() -> None:
    drawn = ElementTree.fromstring(chart(CHARTS["loss"], "Loss <1>", "Falls & falls."))  # noqa: S314, it is our own
    assert drawn.get("aria-label") == "Loss <1>: Falls & falls."
    assert (drawn.findtext("title"), drawn.findtext("desc")) == ("Loss <1>", "Falls & falls.")
    assert {"epoch", "cross-entropy (nats, logarithmic)", "0.5"} <= {text.text for text in drawn.iter("text")}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_takes_its_colours_and_fonts_from_the_page(name: str) -> None:
    drawn = str(chart(CHARTS[name], name, ""))
    assert not re.search("#[0-9a-f]{6};|font-family|://", drawn)
    assert set(re.findall(r"var\((.+?)\)", drawn)) <= set(VARIABLES.values())
    assert "var(--blue)" in drawn
    ids = re.findall(r' id="([^"]+)"', drawn)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#(\w+)', drawn)) == set(ids)


def test_a_chart_has_the_same_bytes_every_time_whatever_style_the_caller_has_set() -> None:
    first = chart(CHARTS["reliability"], "Reliability", "")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        assert chart(CHARTS["reliability"], "Reliability", "") == first


def test_an_output_that_is_used_further_down_has_an_arc() -> None:
    shapes = ["N×4", "N×4", "N×4"]
    operations = [
        Operation(name, f"{name}<>", shape, 10, sources)
        for name, shape, sources in zip("abc", shapes, [(), ("a",), ("a", "b")], strict=True)
    ]
    drawn = network_chart(operations, "resnet")
    assert "a&lt;&gt;  N×4, 10 parameters</text>" in drawn
    assert (drawn.count('class="arrow"'), drawn.count(" C")) == (3, 1)


def page_of(train: ImageSet) -> str:
    """The report of random predictions."""
    labels, count = train.known_labels(), len(train.classes)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(count), len(train)).astype(np.float32)
    scores = tuple(class_scores(confusion_matrix(labels, probabilities.argmax(axis=1), count)))
    machine = dict.fromkeys(("hitofude", "processor", "device", "precision", "threads", "python", "torch", "numpy"))
    summary = replace(SUMMARY, source=HOSTILE, environment=machine, classes=train.classes, class_scores=scores)
    ranked, issues = rank_hardness(labels, probabilities), find_label_issues(labels, probabilities)
    versions = train.images[:1, None]
    return render(
        Page(summary, train, None, probabilities, LOGS, ranked, issues, [], "recipe", train.images[:1], versions, {})
    )


def test_hostile_labels_are_shown_as_text(digits: ImageSet) -> None:
    page = page_of(replace(digits, classes=(HOSTILE, *digits.classes[1:])))
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=" in page


def test_more_classes_than_the_matrix_holds_are_listed_by_their_confusions(digits: ImageSet) -> None:
    page = page_of(replace(digits, labels=np.arange(300) % 50, classes=tuple(map(str, range(50)))))
    assert "The most frequent confusions" in page
    assert '<table class="matrix">' not in page
