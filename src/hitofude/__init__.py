"""hitofude (一筆, "one stroke"): from a CSV of small images to an honest, resumable, inspectable classifier."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hitofude.estimator import HitofudeClassifier
    from hitofude.inputs.image_set import ImageSet
    from hitofude.inputs.sources import Dataset, open_source
    from hitofude.pipeline import run
    from hitofude.prediction import predict
    from hitofude.recipe import Recipe
    from hitofude.result import RunResult, load_result

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "hitofude.inputs.sources",
    "HitofudeClassifier": "hitofude.estimator",
    "ImageSet": "hitofude.inputs.image_set",
    "Recipe": "hitofude.recipe",
    "RunResult": "hitofude.result",
    "load_result": "hitofude.result",
    "open_source": "hitofude.inputs.sources",
    "predict": "hitofude.prediction",
    "run": "hitofude.pipeline",
}

__all__ = [
    "Dataset",
    "HitofudeClassifier",
    "ImageSet",
    "Recipe",
    "RunResult",
    "__version__",
    "load_result",
    "open_source",
    "predict",
    "run",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are used, so that `import hitofude` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hitofude' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
