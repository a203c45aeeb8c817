"""Images of kinds that a model never learned, from a seed: (N, 1, 28, 28) uint8, light on black.

The kinds for choice were used to choose the score in hitofude.metrics.novelty; those for measuring chose nothing.
Letters and other scripts are drawn in Matplotlib's and Debian's fonts, and brought into MNIST's format like the writing
in a photo. Kinds whose fonts or data are not installed are left out.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from benchmarks.letters import draw_letters
from benchmarks.written_digits import FONTS
from hitofude.errors import UserError
from hitofude.inputs.photos.mnist_format import to_image
from hitofude.inputs.sources import open_source

Images = NDArray[np.uint8]  # (N, 1, 28, 28)

SIDE = 28
NONE: Images = np.empty((0, 1, SIDE, SIDE), dtype=np.uint8)
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Of Debian's package dataset-fashion-mnist; elsewhere the data set is fetched."""
DEBIAN = Path("/usr/share/fonts")
HANDWRITING = (
    "dkg", "dkgIt", "Breip", "femkeklaver", "Humor-Sans", "Rufscript010", "SteveHand", "Delphine", "Ecolier-court",
    "BecauseWeBuild-Regular", "BecauseWeLearn-Regular", "BecauseWeMentor-Regular", "BecauseWeCreate-Regular",
    "BecauseWeOrganize-Regular", "BecauseWeConnect-Regular", "DancingScript-Regular",
)  # fmt: skip
"""Of Debian's fonts-dkg-handwriting, -breip, -femkeklaver, -humor-sans, -rufscript, -sjfonts, -bwht, -ecolier-court and
-dancingscript."""
KANA_FONTS, KANNADA_FONTS = ("KleeOne-Regular", "KleeOne-SemiBold", "YuseiMagic-Regular"), ("Navilu",)
"""Of fonts-klee, fonts-yusei-magic and fonts-navilu."""
CAPITALS, SMALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
LIKE_DIGITS = "OIZSBGDlozsigqbyQJ"
"""Letters that are written like digits; the others are also counted apart."""
KANA = "あいうえおかきくけこさしすせたちつてとなにぬねのはひふへほまみむめもやゆよらるれわを"
KANNADA = "ಅಆಇಈಉಊಎಏಐಒಓಕಖಗಘಙಚಛಜಝಞಟಠಡಢಣತಥದಧನಪಫಬಭಮಯರಲವಶಷಸಹಳ"
GREEK = "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπρστφχψω"


def strangers_for_choice(digits: Images, count: int, seed: int) -> dict[str, Images]:
    """Return kinds by their names. digits: images of the known kind, made into half digits and the like."""
    generator = np.random.default_rng(seed)
    kinds = {
        "half digits": _halves(digits, count, generator),
        "two digits": _pairs(digits, count, generator),
        "shuffled quarters": _shuffled(digits, count, generator),
        "smooth textures": _textures(count, generator),
        "stripes": _stripes(count, generator),
        "kana": _glyphs(KANA, KANA_FONTS, count, generator),
        "Kannada letters": _glyphs(KANNADA, KANNADA_FONTS, count, generator),
        "Greek": _glyphs(GREEK, FONTS[:6], count, generator),
    }
    return {name: images for name, images in kinds.items() if len(images)}


def strangers_for_measuring(count: int, seed: int) -> dict[str, Images]:
    """Return kinds by their names."""
    generator = np.random.default_rng(seed)
    kinds = {
        "printed capitals, turned and noisy": draw_letters(count, seed).images,
        "printed letters": _glyphs(CAPITALS + SMALL, FONTS, count, generator),
        "  unlike digits": _glyphs(_unlike_digits(), FONTS, count, generator),
        "handwritten letters": _glyphs(CAPITALS + SMALL, HANDWRITING, count, generator),
        "  unlike digits ": _glyphs(_unlike_digits(), HANDWRITING, count, generator),
        "Fashion-MNIST": _fashion(count),
        "noise": _noise(count, generator),
        "empty": np.zeros((1, 1, SIDE, SIDE), dtype=np.uint8),
        "full": np.full((1, 1, SIDE, SIDE), 255, dtype=np.uint8),
    }
    return {name: images for name, images in kinds.items() if len(images)}


def _unlike_digits() -> str:
    return "".join(letter for letter in CAPITALS + SMALL if letter not in LIKE_DIGITS)


def _halves(digits: Images, count: int, generator: np.random.Generator) -> Images:
    """Digits whose upper, lower, left or right half is missing."""
    images, middle = _some(digits, count, generator), SIDE // 2
    missing = [np.s_[:, :middle], np.s_[:, middle:], np.s_[:, :, :middle], np.s_[:, :, middle:]]
    for place, image in enumerate(images):
        image[missing[place % len(missing)]] = 0
    return images


def _pairs(digits: Images, count: int, generator: np.random.Generator) -> Images:
    """Two digits side by side, each half as wide."""
    left, right = (_some(digits, count, generator)[:, :, :, 4:24] for _ in "ab")
    narrow = [ndimage.zoom(side.astype(np.float64), (1, 1, 1, 0.65), order=1) for side in (left, right)]
    both = np.pad(np.concatenate(narrow, axis=3), ((0, 0), (0, 0), (0, 0), (1, 1))).clip(0, 255).round()
    return both.astype(np.uint8)


def _shuffled(digits: Images, count: int, generator: np.random.Generator) -> Images:
    """Digits whose four quarters change places."""
    images, middle = _some(digits, count, generator), SIDE // 2
    quarters = [images[:, :, top : top + middle, left : left + middle] for top in (0, middle) for left in (0, middle)]
    return np.concatenate(
        [np.concatenate([quarters[2], quarters[0]], axis=3), np.concatenate([quarters[3], quarters[1]], axis=3)], axis=2
    )


def _textures(count: int, generator: np.random.Generator) -> Images:
    """Noise, smoothed over one to four pixels, at full contrast."""
    noise = generator.normal(size=(count, SIDE, SIDE))
    smooth = [ndimage.gaussian_filter(image, generator.uniform(1, 4)) for image in noise]
    return np.stack([255 * (image - image.min()) / np.ptp(image) for image in smooth])[:, None].astype(np.uint8)


def _stripes(count: int, generator: np.random.Generator) -> Images:
    """Waves of any direction and width."""
    angle, width = generator.uniform(0, np.pi, (count, 1, 1)), generator.uniform(3, 14, (count, 1, 1))
    phase, (y, x) = generator.uniform(0, 2 * np.pi, (count, 1, 1)), np.mgrid[:SIDE, :SIDE]
    waves = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / width + phase)
    stripes: Images = (255 * (waves > 0))[:, None].astype(np.uint8)
    return stripes


def _noise(count: int, generator: np.random.Generator) -> Images:
    """Even, normal and sparse noise, a third each."""
    shape = (count // 3, 1, SIDE, SIDE)
    even, normal = generator.integers(0, 256, shape), generator.normal(128, 60, shape).clip(0, 255)
    sparse = 255 * (generator.random(shape) < generator.uniform(0.02, 0.5, (len(even), 1, 1, 1)))
    return np.concatenate([even, normal, sparse]).astype(np.uint8)


def _fashion(count: int) -> Images:
    source = DEBIAN_FASHION if DEBIAN_FASHION.is_dir() else "fashion-mnist"
    try:
        test = open_source(source).test
    except UserError:
        return NONE
    return NONE if test is None else test.images[:count]


def _some(digits: Images, count: int, generator: np.random.Generator) -> Images:
    return digits[generator.choice(len(digits), count)].copy()


def _glyphs(letters: str, fonts: Sequence[str], count: int, generator: np.random.Generator) -> Images:
    """Letters in fonts, slanted and turned a little, in MNIST's format; empty if no font is installed."""
    paths = [path for path in map(font_path, fonts) if path is not None]
    if not paths:
        return NONE
    choices = [(letters[place % len(letters)], paths[generator.integers(len(paths))]) for place in range(count)]
    return np.stack([_glyph(letter, path, generator) for letter, path in choices])[:, None]


def _glyph(letter: str, path: Path, generator: np.random.Generator) -> NDArray[np.uint8]:
    drawn = _drawn(letter, path)
    turn, slant = np.deg2rad(generator.normal(0, 5)), generator.normal(0, 0.1)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [slant, 1]]
    middle = np.full(2, len(drawn) / 2)
    turned = ndimage.affine_transform(drawn, matrix, middle - matrix @ middle, order=1)
    mask = turned > 0.5
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    inner = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return to_image(turned[inner].astype(np.float32), mask[inner], (SIDE, SIDE))


@cache
def _drawn(letter: str, path: Path) -> NDArray[np.float64]:
    """(160, 160) the letter, upright and centred, 0..1."""
    canvas = Image.new("L", (160, 160))
    ImageDraw.Draw(canvas).text((80, 80), letter, 255, font=ImageFont.truetype(str(path), 80), anchor="mm")
    return np.asarray(canvas, dtype=np.float64) / 255


@cache
def font_path(name: str) -> Path | None:
    """Return the file of one of Matplotlib's or Debian's fonts; None if it is not installed."""
    own = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    return own if own.is_file() else next(DEBIAN.rglob(f"{name}.[ot]tf"), None)
