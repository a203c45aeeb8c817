"""The display in a notebook: a table updated in place; tests/test_notebooks.py runs it in a real kernel."""

import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display import NotebookDisplay
from hitofude.outputs.display.lines import header as titles
from hitofude.outputs.display.notebook import COLUMNS, Bundle, TrainingTable

LOG = EpochLog(0, 2, 0.51234, 0.8123, 0.4123, 0.9012, 0.00123, 3.0, 12345.6)


def half_done() -> TrainingTable:
    """The first of two members after two of its five epochs."""
    table = TrainingTable(members=2, images=1000)
    table.start_member(0, epochs=5, epochs_done=0)
    table.images_done = 500
    table.add_epoch(LOG)
    return table


def parse(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)  # noqa: S314, it is our own


def test_the_html_has_a_row_a_member_also_before_it_is_trained() -> None:
    header, *rows = parse(half_done().html()).iter("tr")
    assert tuple(cell.text for cell in header) == COLUMNS
    assert [["".join(cell.itertext()) for cell in row] for row in rows] == [
        ["1/2", "2/5", "40%", "0.5123", "0.8123", "0.4123", "0.9012", "0.00123", "12,346"],
        ["2/2", "-", "0%", "-", "-", "-", "-", "-", "-"],
    ]


def test_each_bar_has_a_name_and_a_share() -> None:
    bars = parse(half_done().html()).iter("progress")
    assert [(bar.get("aria-label"), bar.get("value"), bar.text) for bar in bars] == [
        ("all members", "0.500", "50%"),
        ("member 1", "0.400", "40%"),
        ("member 2", "0.000", "0%"),
    ]


def test_the_html_brings_no_colour_and_no_script() -> None:
    html = half_done().html()
    assert not [word for word in ("color", "background", "<script", "<style") if word in html]


def test_the_text_has_the_newest_epoch_of_each_member_under_the_header() -> None:
    status, header, *rows = half_done().text().splitlines()
    assert status.startswith("50 %, ")
    assert header == titles()
    assert [row.split()[:3] for row in rows] == [["1/2", "2/5", "0.5123"]]


def test_the_status_follows_the_training() -> None:
    table = TrainingTable(members=1, images=1000)
    assert table.status() == "starting"
    table.images_done = 1000
    assert table.status() == "trained, predicting, 0:00"
    table.state = "trained"
    assert table.status() == "trained in 0:00"
    table.state = "stopped"
    assert "continues from the last whole epoch" in table.status()


class Page:
    """Records the outputs: for each a list of its versions."""

    def __init__(self) -> None:
        self.outputs: list[list[Bundle]] = []

    def publish(self, bundle: Bundle) -> Callable[[Bundle], None]:
        self.outputs.append([bundle])
        return self.outputs[-1].append


@pytest.fixture
def page() -> Page:
    return Page()


def train(page: Page, batches: int = 1) -> None:
    display = NotebookDisplay(page.publish)
    with display.training(members=1, images=batches):
        display.member_started(0, epochs=2, epochs_done=0)
        for _ in range(batches):
            display.batch_finished(1)
        display.epoch_finished(LOG)


def test_a_training_is_one_output_that_ends_with_its_newest_epoch(page: Page) -> None:
    train(page)
    (output,) = page.outputs
    assert "starting" in output[0]["text/html"]
    assert "trained in" in output[-1]["text/html"]
    assert "0.5123" in output[-1]["text/html"]
    assert "0.5123" in output[-1]["text/plain"]


def test_many_batches_are_few_updates(page: Page) -> None:
    train(page, batches=2000)
    (output,) = page.outputs
    assert len(output) < 10


def test_a_finished_training_shows_nothing(page: Page) -> None:
    with NotebookDisplay(page.publish).training(members=2, images=0):
        pass
    assert page.outputs == []


def test_an_interrupted_training_says_that_it_continues(page: Page) -> None:
    with pytest.raises(KeyboardInterrupt), NotebookDisplay(page.publish).training(members=1, images=10):
        raise KeyboardInterrupt
    assert "the same call continues" in page.outputs[0][-1]["text/html"]


def test_a_notebook_is_one_whose_ipython_has_a_kernel_and_ipython_is_not_imported_to_find_out() -> None:
    code = """
import sys
from hitofude.outputs.display import choose_display
print(type(choose_display()).__name__, "IPython" in sys.modules)
import IPython
print(type(choose_display()).__name__)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["Display", "False", "Display"]
