"""The look of --help: descriptions as one paragraph each, and only defaults that say something."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


def shown_default(value: Any) -> str | None:
    """Return a default as text; None for one that says nothing: a flag that is off, an option not given."""
    return None if value is None or value is False or value == () else str(value)


class HelpFormatter:
    """Prints the help as cyclopts does, but without the line breaks that descriptions have in the source."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        from cyclopts.help import DefaultFormatter  # loads rich, which other commands need not
        from rich.text import Text

        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if isinstance(text, Text):
                text.plain = " ".join(text.plain.split())
        DefaultFormatter()(console, options, panel)

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)
