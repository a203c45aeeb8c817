"""The command line: parse, call, print errors. What a command needs is imported when it runs."""

from hitofude.cli import (
    auditing,
    exporting,
    fetching,
    importing,
    looking,
    measuring,
    predicting,
    running,
    serving,
    sweeping,
)
from hitofude.cli.entry import main

__all__ = [
    "auditing",
    "exporting",
    "fetching",
    "importing",
    "looking",
    "main",
    "measuring",
    "predicting",
    "running",
    "serving",
    "sweeping",
]
