"""hitofude (一筆, "one stroke"): from a CSV of small images to an honest, resumable, inspectable classifier."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hitofude.version import __version__ as __version__

if TYPE_CHECKING:
    from hitofude.estimator import HitofudeClassifier
    from hitofude.inputs.sources import open_source
    from hitofude.learning.plugins import register_augmentation, register_network
    from hitofude.prediction.explanation import explain
    from hitofude.prediction.files import predict, predict_known
    from hitofude.recipe import Recipe
    from hitofude.runs.callbacks import Callback
    from hitofude.runs.distillation import distill
    from hitofude.runs.pipeline import run
    from hitofude.runs.result import load_result

_HOMES = {
    "Callback": "hitofude.runs.callbacks",
    "HitofudeClassifier": "hitofude.estimator",
    "Recipe": "hitofude.recipe",
    "distill": "hitofude.runs.distillation",
    "explain": "hitofude.prediction.explanation",
    "load_result": "hitofude.runs.result",
    "open_source": "hitofude.inputs.sources",
    "predict": "hitofude.prediction.files",
    "predict_known": "hitofude.prediction.files",
    "register_augmentation": "hitofude.learning.plugins",
    "register_network": "hitofude.learning.plugins",
    "run": "hitofude.runs.pipeline",
}

__all__ = [
    "Callback",
    "HitofudeClassifier",
    "Recipe",
    "distill",
    "explain",
    "load_result",
    "open_source",
    "predict",
    "predict_known",
    "register_augmentation",
    "register_network",
    "run",
]


logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever wants the log sets handlers


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import hitofude` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hitofude' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names alone, for dir() and for completion with TAB."""
    return __all__
