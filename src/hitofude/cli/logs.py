"""The log: nothing but warnings by default, more by --verbose or HITOFUDE_LOG."""

import logging
import os
import warnings

from hitofude.errors import RecipeError

VARIABLE = "HITOFUDE_LOG"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(name)s %(levelname)s: %(message)s"


def start_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Log to the standard error, from the level of `verbose` or `quiet`, else of HITOFUDE_LOG.

    Warnings of Python and of libraries are for developers; they are shown at `debug`. Raise RecipeError for an unknown
    level, or if verbose and quiet are both given.
    """
    if verbose and quiet:
        raise RecipeError("--verbose and --quiet contradict each other. Leave one out.")
    name = os.environ.get(VARIABLE, "warning").lower()
    if name not in LEVELS:
        raise RecipeError(f"{VARIABLE}={name}: there is no such level. Use {', '.join(LEVELS)}.")
    level = logging.getLevelNamesMapping()[name.upper()]
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
    """Return whether only results and errors are to be printed."""
    return not logging.getLogger("hitofude").isEnabledFor(logging.WARNING)
