"""Progress of a run: live on a terminal and in a notebook, plain lines elsewhere."""

from hitofude.outputs.display.lines import Display, SilentDisplay, TerminalDisplay, live_console
from hitofude.outputs.display.notebook import NotebookDisplay, in_notebook

__all__ = ["Display", "NotebookDisplay", "SilentDisplay", "TerminalDisplay", "choose_display"]


def choose_display(*, quiet: bool = False) -> Display:
    """Return the live display of a notebook or a terminal, else plain lines; on request a silent display."""
    if quiet:
        return SilentDisplay()
    if in_notebook():
        return NotebookDisplay()
    console = live_console()
    return TerminalDisplay(console) if console else Display()
