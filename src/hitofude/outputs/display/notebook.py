"""In a Jupyter notebook: one output with a table of the members, updated during training.

IPython replaces the HTML by its display_id, so ipywidgets are not needed, and the notebook is saved with the finished
table.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.plain import Display
from hitofude.outputs.display.training_table import TrainingTable

SECONDS_BETWEEN_UPDATES = 0.5

Bundle = dict[str, str]
"""The same content by media type."""
Publish = Callable[[Bundle], Callable[[Bundle], None]]
"""Shows a bundle, and returns a function that replaces it."""


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def publish(bundle: Bundle) -> Callable[[Bundle], None]:
    """Show a bundle as an output of the running cell."""
    from IPython.display import display

    handle = display(bundle, raw=True, display_id=True)
    return lambda newer: handle.update(newer, raw=True)


class NotebookDisplay(Display):
    """Messages as plain lines; the training as a table updated in place."""

    def __init__(self, publish: Publish = publish) -> None:
        super().__init__()
        self._publish = publish
        self._table = TrainingTable(0, 0)
        self._replace: Callable[[Bundle], None] = lambda _: None
        self._replaced = 0.0

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        if not images:
            yield
            return
        self._table = TrainingTable(members, images)
        self._replace = self._publish(self._bundle())
        try:
            yield
            self._table.state = "trained"
        except BaseException:
            self._table.state = "stopped"
            raise
        finally:
            self._replace(self._bundle())

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        super().member_started(member, epochs, epochs_done)
        self._table.start_member(member, epochs, epochs_done)
        self._update()

    def batch_finished(self, images: int) -> None:
        self._table.images_done += images
        self._update()

    def epoch_finished(self, log: EpochLog) -> None:
        self._table.add_epoch(log)
        self._update()

    def _update(self) -> None:
        """Show the current state, at most every SECONDS_BETWEEN_UPDATES."""
        if time.monotonic() - self._replaced >= SECONDS_BETWEEN_UPDATES:
            self._replace(self._bundle())
            self._replaced = time.monotonic()

    def _bundle(self) -> Bundle:
        return {"text/html": self._table.html(), "text/plain": self._table.text()}
