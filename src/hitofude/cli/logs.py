"""What hitofude says of its own decisions: nothing, unless it is asked."""

import logging
import os
import warnings

from hitofude.errors import RecipeError

VARIABLE = "HITOFUDE_LOG"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(name)s %(levelname)s: %(message)s"


def start_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Log to the standard error: what `verbose` or `quiet` asks for, else from the level that HITOFUDE_LOG names on.

    Warnings of Python and of libraries are meant for developers; they are shown from `debug` on. Raises RecipeError for
    another level, or where verbose and quiet contradict each other.
    """
    if verbose and quiet:
        raise RecipeError("--verbose and --quiet contradict each other. Leave one out.")
    level = _level_named(os.environ.get(VARIABLE, "warning").lower())
    if verbose:
        level = min(level, logging.INFO)
    if quiet:
        level = logging.ERROR
    logging.basicConfig(format=FORMAT, force=True)
    logging.getLogger("hitofude").setLevel(level)
    logging.captureWarnings(capture=level <= logging.DEBUG)
    if level > logging.DEBUG:
        warnings.simplefilter("ignore")


def is_quiet() -> bool:
    """Whether nothing but the outcome and errors is to be said."""
    return not logging.getLogger("hitofude").isEnabledFor(logging.WARNING)


def _level_named(name: str) -> int:
    if name not in LEVELS:
        raise RecipeError(f"{VARIABLE}={name}: there is no such level. Use {', '.join(LEVELS)}.")
    return logging.getLevelNamesMapping()[name.upper()]
