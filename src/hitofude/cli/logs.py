"""What hitofude says of its own decisions: nothing, unless it is asked."""

import logging
import os
import warnings

from hitofude.errors import RecipeError

VARIABLE = "HITOFUDE_LOG"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(name)s %(levelname)s: %(message)s"


def start_logging() -> None:
    """Log to the standard error from the level that HITOFUDE_LOG names, `warning` without it.

    Warnings of Python and of libraries are meant for developers; they are shown from `debug` on. Raises RecipeError for
    another level.
    """
    name = os.environ.get(VARIABLE, "warning").lower()
    if name not in LEVELS:
        raise RecipeError(f"{VARIABLE}={name}: there is no such level. Use {', '.join(LEVELS)}.")
    level = logging.getLevelNamesMapping()[name.upper()]
    logging.basicConfig(format=FORMAT, force=True)
    logging.getLogger("hitofude").setLevel(level)
    logging.captureWarnings(capture=level <= logging.DEBUG)
    if level > logging.DEBUG:
        warnings.simplefilter("ignore")
