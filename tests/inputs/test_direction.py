"""Names that are written from right to left: each stays on its side of the arrow."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hitofude.inputs.direction import isolate, without_isolates
from hitofude.inputs.image_set import ImageSet
from tests.outputs.test_html_report import page_of

SHORT, LONG = "א", "ממממממממ"


@pytest.mark.parametrize("name", ["שבע", "واحد", "7 שבע"])
def test_names_written_from_right_to_left_are_isolated(name: str) -> None:
    assert isolate(name) == f"\u2068{name}\u2069"
    assert without_isolates(isolate(name)) == name


@pytest.mark.parametrize("name", ["seven", "七", "7", ""])
def test_other_names_are_unchanged(name: str) -> None:
    assert isolate(name) == name


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
