"""What a run says while it works: live on a terminal and in a notebook, plain lines anywhere else."""

import sys

from rich.console import Console

from hitofude.outputs.display.notebook import NotebookDisplay, in_notebook
from hitofude.outputs.display.plain import Display, PlainDisplay, SilentDisplay
from hitofude.outputs.display.terminal import TerminalDisplay

__all__ = ["Display", "NotebookDisplay", "PlainDisplay", "SilentDisplay", "TerminalDisplay", "choose_display"]


def choose_display() -> Display:
    """The live one of a notebook or a terminal, plain lines elsewhere."""
    if in_notebook():
        return NotebookDisplay()
    console = Console(file=sys.stdout)
    return TerminalDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay()
