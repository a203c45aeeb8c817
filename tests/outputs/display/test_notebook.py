"""The display in a notebook: one output, updated in place; tests/test_notebooks.py runs it in a real kernel."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from hitofude.outputs.display import NotebookDisplay
from hitofude.outputs.display.notebook import Bundle
from tests.outputs.display.test_training_table import LOG


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
