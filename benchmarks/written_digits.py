"""Pictures of digits as people make them, drawn by a seed: from fonts, and as strokes of a pen.

Nothing here knows how hitofude prepares a picture. A picture has one to eight digits, in one line or two; they differ
in writing, width of the pen, size, slant, colours, paper, light, noise, and in being ink on paper or chalk on a board.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Mask = NDArray[np.float64]  # (H, W), 0..1, how much ink
Points = NDArray[np.float64]  # (K, 2), x to the right and y down, a digit is one high

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSansMono-Oblique", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10",
)  # fmt: skip
"""All of them are there with matplotlib."""

STROKES: dict[str, tuple[tuple[tuple[tuple[float, float], ...], ...], ...]] = {
    "0": (
        (((0.32, 0.02), (0.08, 0.22), (0.02, 0.55), (0.14, 0.9), (0.34, 0.98), (0.55, 0.8), (0.6, 0.45), (0.5, 0.12), (0.32, 0.02)),),
        (((0.42, 0.05), (0.2, 0.06), (0.03, 0.35), (0.05, 0.75), (0.28, 0.99), (0.55, 0.85), (0.66, 0.5), (0.56, 0.15), (0.36, 0.03)),),
        (((0.5, 0.1), (0.3, 0.0), (0.1, 0.15), (0.0, 0.5), (0.1, 0.88), (0.32, 1.0), (0.56, 0.86), (0.64, 0.5), (0.56, 0.16), (0.42, 0.04)),),
    ),
    "1": (
        (((0.2, 0.0), (0.19, 0.35), (0.2, 0.7), (0.18, 1.0)),),
        (((0.02, 0.22), (0.14, 0.12), (0.25, 0.0)), ((0.25, 0.0), (0.24, 0.5), (0.24, 1.0))),
        (((0.4, 0.0), (0.27, 0.35), (0.14, 0.7), (0.02, 1.0)),),
    ),
    "2": (
        (((0.04, 0.22), (0.16, 0.05), (0.36, 0.01), (0.52, 0.14), (0.5, 0.36), (0.3, 0.66), (0.02, 0.97)), ((0.02, 0.97), (0.3, 0.96), (0.6, 0.95))),
        (((0.06, 0.2), (0.22, 0.03), (0.44, 0.06), (0.52, 0.26), (0.4, 0.55), (0.18, 0.84), (0.04, 0.94), (0.08, 0.78), (0.24, 0.8), (0.44, 0.95), (0.66, 0.9)),),
        (((0.02, 0.14), (0.2, 0.0), (0.42, 0.02), (0.55, 0.18), (0.48, 0.4), (0.26, 0.7), (0.05, 0.98)), ((0.05, 0.98), (0.35, 0.95), (0.62, 1.0))),
    ),
    "3": (
        (((0.05, 0.1), (0.26, 0.0), (0.48, 0.1), (0.46, 0.32), (0.22, 0.46)), ((0.22, 0.46), (0.48, 0.54), (0.58, 0.76), (0.4, 0.97), (0.16, 0.99), (0.0, 0.88))),
        (((0.04, 0.04), (0.3, 0.03), (0.56, 0.02)), ((0.56, 0.02), (0.4, 0.2), (0.24, 0.4)), ((0.24, 0.4), (0.48, 0.46), (0.6, 0.68), (0.46, 0.93), (0.2, 1.0), (0.0, 0.9))),
        (((0.0, 0.16), (0.18, 0.01), (0.42, 0.05), (0.46, 0.26), (0.28, 0.44), (0.2, 0.47), (0.4, 0.5), (0.56, 0.68), (0.48, 0.92), (0.22, 1.0), (0.02, 0.86)),),
    ),
    "4": (
        (((0.1, 0.0), (0.08, 0.28), (0.06, 0.55)), ((0.06, 0.55), (0.3, 0.53), (0.56, 0.5)), ((0.54, 0.02), (0.52, 0.5), (0.5, 1.0))),
        (((0.42, 0.0), (0.2, 0.34), (0.0, 0.66)), ((0.0, 0.66), (0.34, 0.66), (0.66, 0.66)), ((0.42, 0.0), (0.42, 0.5), (0.42, 1.0))),
        (((0.16, 0.0), (0.06, 0.26), (0.04, 0.46), (0.26, 0.5), (0.5, 0.44)), ((0.6, 0.0), (0.5, 0.44), (0.42, 1.0))),
    ),
    "5": (
        (((0.12, 0.02), (0.1, 0.22), (0.08, 0.44)), ((0.08, 0.44), (0.3, 0.36), (0.54, 0.5), (0.56, 0.76), (0.36, 0.97), (0.12, 0.99), (0.0, 0.9)), ((0.12, 0.02), (0.34, 0.02), (0.58, 0.0))),
        (((0.58, 0.0), (0.36, 0.02), (0.16, 0.03)), ((0.16, 0.03), (0.12, 0.22), (0.06, 0.42)), ((0.06, 0.42), (0.34, 0.38), (0.54, 0.58), (0.48, 0.86), (0.24, 1.0), (0.0, 0.94))),
        (((0.1, 0.05), (0.08, 0.25), (0.05, 0.46)), ((0.05, 0.46), (0.26, 0.4), (0.5, 0.54), (0.52, 0.8), (0.3, 0.99), (0.02, 0.93)), ((0.16, 0.04), (0.38, 0.03), (0.6, 0.01))),
    ),
    "6": (
        (((0.44, 0.0), (0.2, 0.22), (0.04, 0.52), (0.04, 0.82), (0.24, 1.0), (0.48, 0.9), (0.54, 0.68), (0.36, 0.54), (0.16, 0.6), (0.06, 0.78)),),
        (((0.3, 0.0), (0.12, 0.3), (0.02, 0.64), (0.12, 0.94), (0.36, 0.98), (0.52, 0.8), (0.44, 0.6), (0.24, 0.58), (0.06, 0.76)),),
        (((0.52, 0.06), (0.34, 0.02), (0.14, 0.22), (0.03, 0.56), (0.1, 0.9), (0.34, 1.0), (0.54, 0.84), (0.5, 0.6), (0.26, 0.53), (0.08, 0.68)),),
    ),
    "7": (
        (((0.0, 0.04), (0.28, 0.03), (0.56, 0.02)), ((0.56, 0.02), (0.38, 0.5), (0.22, 1.0))),
        (((0.0, 0.05), (0.28, 0.05), (0.58, 0.0)), ((0.58, 0.0), (0.4, 0.36), (0.28, 0.7), (0.24, 1.0)), ((0.14, 0.5), (0.34, 0.48), (0.54, 0.46))),
        (((0.0, 0.12), (0.1, 0.03), (0.32, 0.05), (0.56, 0.02), (0.42, 0.3), (0.26, 0.66), (0.18, 1.0)),),
    ),
    "8": (
        (((0.5, 0.12), (0.28, 0.0), (0.08, 0.12), (0.12, 0.32), (0.34, 0.48), (0.54, 0.68), (0.48, 0.92), (0.24, 1.0), (0.04, 0.86), (0.1, 0.64), (0.34, 0.46), (0.5, 0.28), (0.5, 0.12)),),
        (((0.28, 0.46), (0.08, 0.28), (0.18, 0.04), (0.42, 0.04), (0.5, 0.26), (0.28, 0.46)), ((0.28, 0.46), (0.04, 0.68), (0.12, 0.96), (0.4, 0.99), (0.54, 0.74), (0.28, 0.46))),
        (((0.56, 0.06), (0.32, 0.01), (0.14, 0.18), (0.28, 0.42), (0.46, 0.64), (0.42, 0.92), (0.18, 1.0), (0.02, 0.82), (0.2, 0.56), (0.44, 0.34), (0.58, 0.1)),),
    ),
    "9": (
        (((0.5, 0.2), (0.36, 0.02), (0.12, 0.06), (0.02, 0.28), (0.14, 0.46), (0.36, 0.42), (0.5, 0.2)), ((0.5, 0.2), (0.49, 0.6), (0.46, 1.0))),
        (((0.5, 0.12), (0.28, 0.0), (0.06, 0.14), (0.06, 0.38), (0.28, 0.46), (0.48, 0.3), (0.52, 0.1), (0.52, 0.45), (0.44, 0.8), (0.24, 1.0), (0.06, 0.94)),),
        (((0.54, 0.08), (0.3, 0.02), (0.08, 0.18), (0.08, 0.4), (0.3, 0.44), (0.52, 0.22), (0.56, 0.06), (0.46, 0.5), (0.3, 1.0)),),
    ),
}  # fmt: skip
"""Of each digit, ways to write it; each is some strokes of the pen, each a curve through these points."""


@dataclass(frozen=True)
class WrittenPicture:
    """A picture, and the digits in it in reading order."""

    image: Image.Image
    digits: str
    kind: str
    """How it was made, in words."""


def write_pictures(digits: int, seed: int) -> list[WrittenPicture]:
    """Pictures that hold so many digits together, all ten as often as that allows."""
    generator = np.random.default_rng(seed)
    text = "".join(generator.permutation(list("0123456789" * -(-digits // 10)))[:digits])
    pictures: list[WrittenPicture] = []
    while text:
        count = min(len(text), int(generator.choice([1, 1, 1, 2, 3, 5, 8])))
        pictures.append(write_picture(text[:count], generator))
        text = text[count:]
    return pictures


def write_picture(digits: str, generator: np.random.Generator) -> WrittenPicture:
    """These digits, everything else drawn at random."""
    writing = "strokes" if generator.random() < 0.6 else str(generator.choice(FONTS))
    height = int(generator.choice([28, 48, 80, 140, 260]))
    mask = _lay_out([_glyph(digit, writing, height, generator) for digit in digits], height, generator)
    surface = str(generator.choice(["paper", "paper", "paper", "board", "screen"]))
    if surface == "screen":
        return WrittenPicture(_on_screen(mask, generator), digits, f"{writing}, {height} px, {surface}")
    light = str(generator.choice(["even", "slope", "shadow"]))
    page = _photographed(mask, surface, light, generator)
    return WrittenPicture(page, digits, f"{writing}, {height} px, {surface}, {light} light")


def _glyph(digit: str, writing: str, height: int, generator: np.random.Generator) -> Mask:
    """One digit at about this height, cropped to its ink."""
    height = round(height * generator.uniform(0.85, 1.15))
    mask = _from_strokes(digit, height, generator) if writing == "strokes" else _from_font(digit, writing, height)
    angle = generator.normal(0, 4 if writing == "strokes" else 2)
    mask = np.clip(ndimage.rotate(mask, angle, order=1), 0, 1)
    return _cropped(mask)


def _from_strokes(digit: str, height: int, generator: np.random.Generator) -> Mask:
    """A digit written by a pen whose pressure varies, on a canvas of four times the size, then reduced."""
    ways = STROKES[digit]
    strokes = [np.array(stroke) for stroke in ways[generator.integers(len(ways))]]
    width, slant, aspect = generator.uniform(0.035, 0.15), generator.normal(0.05, 0.12), generator.uniform(0.8, 1.25)
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


def _curve(points: Points) -> Points:
    """A Catmull-Rom spline through the points, closely sampled."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, 60)[:, None, None]
    curve = 0.5 * (
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
    """One line, or two where there are four digits or more; never touching."""
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
    """As a drawing program saves it: two plain colours, or one on nothing."""
    dark, light = generator.integers(0, 90, 3), generator.integers(170, 256, 3)
    ink, ground = (dark, light) if generator.random() < 0.6 else (light, dark)
    if generator.random() < 0.4:
        pixels = np.concatenate([np.broadcast_to(ink, (*mask.shape, 3)), 255 * mask[..., None]], axis=2)
        return Image.fromarray(pixels.round().astype(np.uint8), "RGBA")
    pixels = ground + (ink - ground) * mask[..., None]
    return Image.fromarray(pixels.round().astype(np.uint8), "RGB")


def _photographed(mask: Mask, surface: str, light: str, generator: np.random.Generator) -> Image.Image:
    """Ink on paper or chalk on a board, in uneven light, a little out of focus, with noise, as JPEG."""
    height, width = mask.shape
    ground = generator.uniform(190, 250) + generator.normal(0, 8, 3)
    ink = np.array([[25, 25, 30], [30, 45, 130], [150, 30, 40], [90, 90, 95], [20, 90, 50]])[generator.integers(5)]
    if surface == "board":
        ground, ink = np.array([[40, 75, 55], [35, 35, 38]])[generator.integers(2)], np.array([225, 222, 212])
    opacity = generator.uniform(0.75, 1) * (1 + 0.15 * _texture((height, width), 1.2, generator))
    pixels = ground + (ink - ground) * np.clip(mask * opacity, 0, 1)[..., None]
    pixels = pixels * (1 + 0.02 * _texture((height, width), generator.uniform(1, 8), generator))[..., None]
    pixels = pixels * _light((height, width), light, generator)[..., None]
    pixels = ndimage.gaussian_filter(pixels, (*[generator.uniform(0.3, 1.0)] * 2, 0))
    pixels = pixels + generator.normal(0, generator.uniform(1, 7), pixels.shape)
    image = Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8), "RGB")
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=int(generator.integers(55, 95)))
    with Image.open(stream) as saved:
        return saved.convert("RGB")


def _texture(shape: tuple[int, int], size: float, generator: np.random.Generator) -> Mask:
    """Blurred noise of standard deviation one."""
    noise = ndimage.gaussian_filter(generator.normal(size=shape), size)
    texture: Mask = noise / noise.std()
    return texture


def _light(shape: tuple[int, int], light: str, generator: np.random.Generator) -> Mask:
    """Even; falling off to one side; or with the soft-edged shadow of a hand across the page."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    across = np.cos(angle) * columns + np.sin(angle) * rows
    if light == "even":
        return np.ones(shape)
    if light == "slope":
        return np.clip(0.72 + 0.28 * across - 0.08 * (rows**2 + columns**2), 0.25, None)
    edge = generator.uniform(-0.5, 0.5) + 0.15 * np.sin(3 * (columns - rows) + generator.uniform(0, 6))
    softness, depth = generator.uniform(0.02, 0.3), generator.uniform(0.3, 0.6)
    return 1 - depth / (1 + np.exp(-(across - edge) / softness))
