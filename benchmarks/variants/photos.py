"""Folders of pictures as people have them: transparent, on a light ground, of unusual formats, in unusual folders."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.variants.variant import Digits, Maker, Variant

Pixels = NDArray[np.uint8]  # (H, W)
ORIENTATION, TURNED_RIGHT = 0x0112, 6


def same(images: NDArray[Any]) -> NDArray[Any]:
    return images


def inverted(images: NDArray[Any]) -> NDArray[Any]:
    return 255 - images


def on_nothing(grey: int) -> Callable[[Pixels], Image.Image]:
    """Ink of a grey whose opacity is the digit."""
    return lambda image: Image.merge("RGBA", [Image.new("L", image.shape[::-1], grey)] * 3 + [Image.fromarray(image)])


def grey_on_nothing(image: Pixels) -> Image.Image:
    return Image.merge("LA", [Image.new("L", image.shape[::-1], 255), Image.fromarray(image)])


def opaque(image: Pixels) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(image), Image.new("L", image.shape[::-1], 255)])


def palette_on_nothing(image: Pixels) -> Image.Image:
    """A palette of white only, whose opacities are the greys."""
    picture = Image.fromarray(image).convert("P")
    picture.putdata(image.ravel().tolist())
    picture.putpalette([255] * 768)
    picture.info["transparency"] = bytes(range(256))
    return picture


@dataclass(frozen=True)
class Folder:
    """A folder of pictures for each class. make: from the pixels (H, W) of a digit."""

    make: Callable[[Pixels], Image.Image] = Image.fromarray
    ending: str = ".png"
    expected: Callable[[NDArray[Any]], NDArray[Any]] = same
    saving: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    inner: str = ""
    """The folder that holds those of the classes."""
    others: tuple[str, ...] = ()
    """Files that are no pictures."""
    test: int = 0
    tolerance: int = 0

    def __call__(self, folder: Path, digits: Digits) -> Variant:
        order = np.argsort(digits.labels, kind="stable")
        for number, row in enumerate(order.tolist()):
            path = folder / self.inner / str(digits.labels[row]) / f"{number:03}{self.ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._save(self.make(digits.images[row]), path)
        for number in range(self.test):
            path = folder / "test" / f"{number}{self.ending}"
            path.parent.mkdir(exist_ok=True)
            self._save(self.make(digits.images[number]), path)
        for name in self.others:
            (folder / name).write_text("these are digits")
        images, labels = self.expected(digits.images[order]), digits.labels[order].tolist()
        return Variant(folder, images, labels, self.options, self.test, self.tolerance)

    def _save(self, picture: Image.Image, path: Path) -> None:
        with path.open("wb") as stream:
            picture.save(stream, **self._saving(picture, path))

    def _saving(self, picture: Image.Image, path: Path) -> dict[str, Any]:
        formats = {"": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".tif": "TIFF", ".pgm": "PPM"}
        kind = formats.get(path.suffix.lower(), path.suffix[1:].upper())
        known = {"transparency": picture.info["transparency"]} if "transparency" in picture.info else {}
        return {"format": kind, **known, **self.saving}


def mixed(folder: Path, digits: Digits) -> Variant:
    """Light ink on nothing beside opaque pictures."""
    made = iter([Image.fromarray, on_nothing(255)] * len(digits.labels))
    return Folder(lambda image: next(made)(image))(folder, digits)


def turned(image: Pixels) -> Image.Image:
    """Stored on its side, with the entry that turns it."""
    return Image.fromarray(np.ascontiguousarray(np.rot90(image)))


def enlarged(image: Pixels) -> Image.Image:
    return Image.fromarray(np.kron(image, np.ones((2, 2), dtype=np.uint8)))


def binary(images: NDArray[Any]) -> NDArray[Any]:
    return np.where(images > 127, 255, 0)


BEST: dict[str, Any] = {"quality": 100}
EXIF = Image.Exif()
EXIF[ORIENTATION] = TURNED_RIGHT
VARIANTS: dict[str, Maker] = {
    "pictures on a light ground": Folder(lambda image: Image.fromarray(255 - image), expected=inverted),
    "white ink on nothing": Folder(on_nothing(255)),
    "black ink on nothing": Folder(on_nothing(0), expected=inverted),
    "white ink on nothing, with pictures to predict": Folder(on_nothing(255), inner="train", test=5),
    "grey and opacity": Folder(grey_on_nothing),
    "grey and full opacity": Folder(opaque),
    "a palette with opacities": Folder(palette_on_nothing),
    "transparent beside opaque": mixed,
    "a palette": Folder(lambda image: Image.fromarray(image).convert("P")),
    "one bit": Folder(lambda image: Image.fromarray(image > 127), expected=binary),
    "16 bits": Folder(lambda image: Image.fromarray(image.astype(np.uint16) * 257)),
    "0 and 1": Folder(lambda image: Image.fromarray((image > 127).astype(np.uint8)), expected=binary),
    "CMYK JPEG": Folder(lambda image: Image.fromarray(image).convert("CMYK"), ".JPG", saving=BEST, tolerance=6),
    "grey JPEG in colour": Folder(
        lambda image: Image.fromarray(image).convert("RGB"), ".jfif", saving=BEST, tolerance=6
    ),
    "an interlaced GIF": Folder(ending=".gif", saving={"interlace": True}),
    "a moving GIF": Folder(
        lambda image: Image.fromarray(image),
        ".gif",
        saving={"save_all": True, "append_images": [Image.new("L", (28, 28))]},
    ),
    "a compressed TIFF": Folder(ending=".TIF", saving={"compression": "tiff_lzw"}),
    "PGM": Folder(ending=".pgm"),
    "WebP without loss": Folder(ending=".webp", saving={"lossless": True}),
    "names without an ending": Folder(ending=""),
    "turned by the camera": Folder(turned, saving={"exif": EXIF}),
    "larger pictures, resized": Folder(enlarged, options={"shape": (28, 28)}, tolerance=70),
    "classes some folders down": Folder(inner="archive/data/digits"),
    "a README among the classes": Folder(others=("README.txt", "LICENSE")),
}
