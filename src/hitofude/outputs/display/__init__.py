"""Progress of a run: live on a terminal and in a notebook, plain lines elsewhere."""

from hitofude.outputs.display.notebook import NotebookDisplay, in_notebook
from hitofude.outputs.display.plain import Display, SilentDisplay
from hitofude.outputs.display.terminal import TerminalDisplay, live_console

__all__ = ["Display", "NotebookDisplay", "SilentDisplay", "TerminalDisplay", "choose_display"]


def choose_display() -> Display:
    """Return the live display of a notebook or a terminal, else plain lines."""
    if in_notebook():
        return NotebookDisplay()
    console = live_console()
    return TerminalDisplay(console) if console else Display()
