"""Draw realistic pictures of digits from a seed: printed in fonts, and handwritten as strokes of a pen.

Independent of hitofude's photo pipeline. A picture has one to eight digits in one line or two; pictures differ in
writing, pen width, size, slant, colours, paper, light and noise, and are ink on paper or chalk on a board.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Mask = NDArray[np.float64]  # (H, W), the amount of ink, 0..1
Points = NDArray[np.float64]  # (K, 2), x to the right and y down; a digit has height 1

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSansMono-Oblique", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
"""All are part of matplotlib."""

STROKES = {
    "0": (
        "32,2 8,22 2,55 14,90 34,98 55,80 60,45 50,12 32,2",
        "42,5 20,6 3,35 5,75 28,99 55,85 66,50 56,15 36,3",
        "50,10 30,0 10,15 0,50 10,88 32,100 56,86 64,50 56,16 42,4",
    ),
    "1": (
        "20,0 19,35 20,70 18,100",
        "2,22 14,12 25,0 | 25,0 24,50 24,100",
        "40,0 27,35 14,70 2,100",
    ),
    "2": (
        "4,22 16,5 36,1 52,14 50,36 30,66 2,97 | 2,97 30,96 60,95",
        "6,20 22,3 44,6 52,26 40,55 18,84 4,94 8,78 24,80 44,95 66,90",
        "2,14 20,0 42,2 55,18 48,40 26,70 5,98 | 5,98 35,95 62,100",
    ),
    "3": (
        "5,10 26,0 48,10 46,32 22,46 | 22,46 48,54 58,76 40,97 16,99 0,88",
        "4,4 30,3 56,2 | 56,2 40,20 24,40 | 24,40 48,46 60,68 46,93 20,100 0,90",
        "0,16 18,1 42,5 46,26 28,44 20,47 40,50 56,68 48,92 22,100 2,86",
    ),
    "4": (
        "10,0 8,28 6,55 | 6,55 30,53 56,50 | 54,2 52,50 50,100",
        "42,0 20,34 0,66 | 0,66 34,66 66,66 | 42,0 42,50 42,100",
        "16,0 6,26 4,46 26,50 50,44 | 60,0 50,44 42,100",
    ),
    "5": (
        "12,2 10,22 8,44 | 8,44 30,36 54,50 56,76 36,97 12,99 0,90 | 12,2 34,2 58,0",
        "58,0 36,2 16,3 | 16,3 12,22 6,42 | 6,42 34,38 54,58 48,86 24,100 0,94",
        "10,5 8,25 5,46 | 5,46 26,40 50,54 52,80 30,99 2,93 | 16,4 38,3 60,1",
    ),
    "6": (
        "44,0 20,22 4,52 4,82 24,100 48,90 54,68 36,54 16,60 6,78",
        "30,0 12,30 2,64 12,94 36,98 52,80 44,60 24,58 6,76",
        "52,6 34,2 14,22 3,56 10,90 34,100 54,84 50,60 26,53 8,68",
    ),
    "7": (
        "0,4 28,3 56,2 | 56,2 38,50 22,100",
        "0,5 28,5 58,0 | 58,0 40,36 28,70 24,100 | 14,50 34,48 54,46",
        "0,12 10,3 32,5 56,2 42,30 26,66 18,100",
    ),
    "8": (
        "50,12 28,0 8,12 12,32 34,48 54,68 48,92 24,100 4,86 10,64 34,46 50,28 50,12",
        "28,46 8,28 18,4 42,4 50,26 28,46 | 28,46 4,68 12,96 40,99 54,74 28,46",
        "56,6 32,1 14,18 28,42 46,64 42,92 18,100 2,82 20,56 44,34 58,10",
    ),
    "9": (
        "50,20 36,2 12,6 2,28 14,46 36,42 50,20 | 50,20 49,60 46,100",
        "50,12 28,0 6,14 6,38 28,46 48,30 52,10 52,45 44,80 24,100 6,94",
        "54,8 30,2 8,18 8,40 30,44 52,22 56,6 46,50 30,100",
    ),
}
"""Ways to write each digit: strokes of the pen, each a curve through points in hundredths of the height."""


@dataclass(frozen=True)
class WrittenPicture:
    """A picture and its digits in reading order."""

    image: Image.Image
    digits: str
    kind: str
    """A description: writing, size, surface, light."""


def write_pictures(digits: int, seed: int) -> list[WrittenPicture]:
    """Draw pictures with this many digits in total, all ten equally often if possible."""
    generator = np.random.default_rng(seed)
    text = "".join(generator.permutation(list("0123456789" * -(-digits // 10)))[:digits])
    pictures: list[WrittenPicture] = []
    while text:
        count = min(len(text), int(generator.choice([1, 1, 1, 2, 3, 5, 8])))
        pictures.append(write_picture(text[:count], generator))
        text = text[count:]
    return pictures


LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"
"""Without those that look like digits: I, O, l, o."""


def write_letters(count: int, seed: int) -> list[WrittenPicture]:
    """Draw pictures of one printed letter each, all letters equally often if possible."""
    generator = np.random.default_rng(seed)
    letters = generator.permutation(list(LETTERS * -(-count // len(LETTERS))))[:count]
    return [write_picture(str(letter), generator, str(generator.choice(FONTS))) for letter in letters]


def write_picture(digits: str, generator: np.random.Generator, font: str | None = None) -> WrittenPicture:
    """Draw these digits, or letters if a font is given, with everything else at random."""
    writing = font or ("strokes" if generator.random() < 0.6 else str(generator.choice(FONTS)))
    height = int(generator.choice([28, 48, 80, 140, 260]))
    mask = _lay_out([_glyph(digit, writing, height, generator) for digit in digits], height, generator)
    surface = str(generator.choice(["paper", "paper", "paper", "board", "screen"]))
    if surface == "screen":
        return WrittenPicture(_on_screen(mask, generator), digits, f"{writing}, {height} px, {surface}")
    light = str(generator.choice(["even", "slope", "shadow"]))
    page = _photographed(mask, surface, light, generator)
    return WrittenPicture(page, digits, f"{writing}, {height} px, {surface}, {light} light")


def _glyph(digit: str, writing: str, height: int, generator: np.random.Generator) -> Mask:
    """Draw one digit at about this height, cropped to its ink."""
    height = round(height * generator.uniform(0.85, 1.15))
    mask = _from_strokes(digit, height, generator) if writing == "strokes" else _from_font(digit, writing, height)
    angle = generator.normal(0, 4 if writing == "strokes" else 2)
    mask = np.clip(ndimage.rotate(mask, angle, order=1), 0, 1)
    return _cropped(mask)


def _from_strokes(digit: str, height: int, generator: np.random.Generator) -> Mask:
    """Write a digit with a pen of varying pressure at four times the size, then reduce it."""
    strokes = _strokes(str(generator.choice(STROKES[digit])))
    width, slant, aspect = generator.uniform(0.02, 0.15), generator.normal(0.05, 0.12), generator.uniform(0.8, 1.25)
    shift = {tuple(point): generator.normal(0, 0.018, 2) for stroke in strokes for point in stroke}
    scale, margin = 4 * height, 2 * height
    canvas = Image.new("L", (scale * 2 + 2 * margin, scale + 2 * margin))
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        moved = np.array([point + shift[tuple(point)] for point in stroke])
        curve = _curve(moved)
        curve[:, 0] = curve[:, 0] * aspect + slant * (1 - curve[:, 1]) + 0.3
        pressure = 1 + 0.2 * np.sin(np.linspace(0, generator.uniform(2, 6), len(curve)) + generator.uniform(0, 6))
        for (x, y), weight in zip(curve * scale + margin, pressure, strict=True):
            radius = width * scale * weight / 2
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _cropped(np.asarray(canvas.reduce(4), dtype=np.float64) / 255)


def _strokes(text: str) -> list[Points]:
    return [
        np.array([point.split(",") for point in stroke.split()], dtype=np.float64) / 100 for stroke in text.split("|")
    ]


def _curve(points: Points) -> Points:
    """Return a densely sampled Catmull-Rom spline through the points."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, 60)[:, None, None]
    curve: Points = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def _from_font(digit: str, font: str, height: int) -> Mask:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    canvas = Image.new("L", (6 * height, 6 * height))
    ImageDraw.Draw(canvas).text((2 * height, 2 * height), digit, fill=255, font=ImageFont.truetype(path, height * 1.37))
    return _cropped(np.asarray(canvas, dtype=np.float64) / 255)


def _cropped(mask: Mask) -> Mask:
    rows, columns = np.flatnonzero((mask > 0.1).any(axis=1)), np.flatnonzero((mask > 0.1).any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _lay_out(glyphs: list[Mask], height: int, generator: np.random.Generator) -> Mask:
    """Arrange the digits in one line, or two if there are four or more, never touching."""
    lines = 2 if len(glyphs) >= 4 and generator.random() < 0.5 else 1
    per_line = -(-len(glyphs) // lines)
    placed: list[tuple[int, int, Mask]] = []
    for number in range(lines):
        x = 0
        for glyph in glyphs[number * per_line : (number + 1) * per_line]:
            y = round(number * 1.9 * height + (height - len(glyph)) / 2 + generator.normal(0, 0.05) * height)
            placed.append((y, x, glyph))
            x += glyph.shape[1] + round(height * generator.uniform(0.22, 0.6))
    top = min(y for y, _, _ in placed)
    bottom, right = max(y + len(g) for y, _, g in placed), max(x + g.shape[1] for _, x, g in placed)
    before, after = (generator.uniform(0.15, 1.5, 2) * height).round().astype(int) + 2
    mask = np.zeros((bottom - top + before + after, right + before + after))
    for y, x, glyph in placed:
        mask[y - top + before :, x + before :][: glyph.shape[0], : glyph.shape[1]] = glyph
    return mask


def _on_screen(mask: Mask, generator: np.random.Generator) -> Image.Image:
    """Draw as a drawing program saves it: two plain colours, or one on a transparent background."""
    dark, light = generator.integers(0, 90, 3), generator.integers(170, 256, 3)
    ink, background = (dark, light) if generator.random() < 0.6 else (light, dark)
    if generator.random() < 0.4:
        pixels = np.concatenate([np.broadcast_to(ink, (*mask.shape, 3)), 255 * mask[..., None]], axis=2)
        return Image.fromarray(pixels.round().astype(np.uint8))
    pixels = background + (ink - background) * mask[..., None]
    return Image.fromarray(pixels.round().astype(np.uint8))


def _photographed(mask: Mask, surface: str, light: str, generator: np.random.Generator) -> Image.Image:
    """Draw ink on paper or chalk on a board, in uneven light, slightly out of focus, with noise, as JPEG."""
    height, width = mask.shape
    background = generator.uniform(190, 250) + generator.normal(0, 8, 3)
    ink = np.array([[25, 25, 30], [30, 45, 130], [150, 30, 40], [90, 90, 95], [20, 90, 50]])[generator.integers(5)]
    if surface == "board":
        background, ink = np.array([[40, 75, 55], [35, 35, 38]])[generator.integers(2)], np.array([225, 222, 212])
    opacity = generator.uniform(0.75, 1) * (1 + 0.15 * _texture((height, width), 1.2, generator))
    pixels = background + (ink - background) * np.clip(mask * opacity, 0, 1)[..., None]
    pixels = pixels * (1 + 0.02 * _texture((height, width), generator.uniform(1, 8), generator))[..., None]
    pixels = pixels * _light((height, width), light, generator)[..., None]
    pixels = ndimage.gaussian_filter(pixels, (*[generator.uniform(0.3, 1.0)] * 2, 0))
    pixels = pixels + generator.normal(0, generator.uniform(1, 7), pixels.shape)
    image = Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=int(generator.integers(55, 95)))
    with Image.open(stream) as saved:
        return saved.convert("RGB")


def _texture(shape: tuple[int, int], size: float, generator: np.random.Generator) -> Mask:
    """Return blurred noise with standard deviation one."""
    noise = ndimage.gaussian_filter(generator.normal(size=shape), size)
    texture: Mask = noise / noise.std()
    return texture


def _light(shape: tuple[int, int], light: str, generator: np.random.Generator) -> Mask:
    """Return even light, light fading to one side, or the soft-edged shadow of a hand across the page."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    across = np.cos(angle) * columns + np.sin(angle) * rows
    if light == "even":
        return np.ones(shape)
    if light == "slope":
        fading: Mask = np.clip(0.72 + 0.28 * across - 0.08 * (rows**2 + columns**2), 0.25, None)
        return fading
    edge = generator.uniform(-0.5, 0.5) + 0.15 * np.sin(3 * (columns - rows) + generator.uniform(0, 6))
    softness, depth = generator.uniform(0.02, 0.3), generator.uniform(0.3, 0.6)
    shadow: Mask = 1 - depth / (1 + np.exp(-(across - edge) / softness))
    return shadow
