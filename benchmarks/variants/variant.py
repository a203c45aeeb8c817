"""A valid variant: a source and its right content; and the comparison with the content that is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.dataset import Dataset
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source, sample


@dataclass(frozen=True, eq=False)
class Digits:
    """Real digits, 28x28, white on black."""

    images: NDArray[np.uint8]  # (N, H, W)
    labels: NDArray[np.int64]  # (N,)

    @property
    def rows(self) -> NDArray[np.uint8]:
        """(N, pixels)"""
        return self.images.reshape(len(self.images), -1)


@dataclass(frozen=True, eq=False)
class Variant:
    """A source and its right content."""

    source: Path
    images: NDArray[np.uint8]  # (N, H, W) or (N, C, H, W), the training images as bytes
    labels: Sequence[Any]  # (N,) of the training images; compared as text
    options: dict[str, Any] = field(default_factory=dict)
    """The keywords of open_source, such as {"label": "target"}; `data check` gets the same as --label target."""
    test: int | None = None
    """The number of images to predict; None if it does not matter."""
    tolerance: int = 0
    """How far a byte may be off, if the file's numbers are rounded."""
    arguments: tuple[str, ...] = ()
    """More arguments of `data check`, for options whose keyword has another form."""

    def command(self) -> list[str]:
        """Return the arguments of `hitofude data check`."""
        named = [part for name, value in self.options.items() for part in _argument(name, value)]
        return [str(self.source), *named, *self.arguments]


Maker = Callable[[Path, Digits], Variant]


def small_digits(rows: int = 60) -> Digits:
    """Return the first digits of the sample, all ten classes among them."""
    images: ImageSet = sample().train.take(np.arange(rows))
    return Digits(images.images[:, 0], images.known_labels())


def fault_of(variant: Variant, said: str, code: int) -> str | None:
    """Return how the content that is read differs from the right one; None if it does not.

    said, code: of `data check` of the variant.
    """
    if code != 0:
        return f"refused wrongly: {said.strip()[:300]}"
    found: Dataset = open_source(variant.source, **variant.options)
    images, labels = found.train.images, [found.train.classes[label] for label in found.train.known_labels().tolist()]
    expected = variant.images if variant.images.ndim == 4 else variant.images[:, None]
    if images.shape != expected.shape:
        return f"read {images.shape} instead of {expected.shape}"
    if int(np.abs(images.astype(np.int64) - expected).max()) > variant.tolerance:
        return f"{int((np.abs(images.astype(np.int64) - expected) > variant.tolerance).sum()):,} pixels are wrong"
    if labels != [str(label) for label in variant.labels]:
        return "the labels are wrong"
    test = 0 if found.test is None else len(found.test)
    if variant.test is not None and test != variant.test:
        return f"{test} images to predict instead of {variant.test}"
    return None


def _argument(name: str, value: Any) -> list[str]:
    """--label target, --no-header, --ignore a --ignore b."""
    if isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{name}"]
    if name == "shape":
        return ["--shape", "x".join(map(str, value))]
    values = value if isinstance(value, list | tuple) else [value]
    return [part for one in values for part in (f"--{name}", str(one))]
