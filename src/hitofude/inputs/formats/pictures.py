"""Pictures: opened safely, in known formats and of a size that is checked before decoding; small ones as images.

Transparent pixels of all pictures are put on white, or on black if that hides fewer.
"""

import io
import shlex
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, counted
from hitofude.inputs.formats.archive import Member, Place
from hitofude.inputs.formats.picture_depth import deep_pixels, of_one_depth
from hitofude.inputs.formats.picture_ground import BLACK, choose_ground, put_on_ground
from hitofude.inputs.layout import ReadOptions, channels_first, describe_size, join_images
from hitofude.inputs.look import WHITE
from hitofude.inputs.scale import PixelScale, nominal_scale
from hitofude.language.translation import note

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
"""The formats of cameras, scanners and drawing programs. No others, as Pillow hands EPS to a program."""
ENDINGS = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6", b"RIFF")
"""The first bytes of pictures, whose names then need no ending."""
MOST_PIXELS = 50_000_000
MOST_SIDE = 128
"""The side in pixels; larger pictures are accepted only if the user gives the size to resize them to."""
FEW_NAMED, MOST_NAMED = 3, 20


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures as images of one size."""

    images: NDArray[Any]  # (N, C, H, W)
    behind: int | None
    """The grey put behind transparent pixels, 255 or 0; None if none are transparent."""
    reading: tuple[str, ...]
    """How they were read, if that had to be found out."""

    @property
    def nominal(self) -> PixelScale:
        """The scale of their format."""
        return nominal_scale(self.images.dtype)


@dataclass(frozen=True, eq=False)
class _Picture:
    """A picture's pixels, and what became of it."""

    pixels: NDArray[Any]  # (H, W, C) uint8; uint16 or int32 of 16 bits, float32 of floats
    hidden_on: tuple[int, ...] | None
    """The grounds, white or black, that hide it; None if no pixel is transparent."""
    frames: int


AS_PNG = " Save it as PNG or JPEG."


class UnreadableError(InputError):
    """A file is no picture, or is damaged."""


@contextmanager
def open_picture(source: Place | bytes, name: str, most_pixels: int) -> "Iterator[Image.Image]":
    """Open a picture without decoding it; explain errors of decoding within the block, and suppress warnings.

    name: the file, for messages. most_pixels: compared with the size in the header. Raise InputError if the file is
    missing, damaged, larger or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    too_large = InputError(f"{name}: the picture has more than {most_pixels:,} pixels. Save it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities in a file, and of sizes that are checked here
            Image.init()
            content = source.read_bytes() if isinstance(source, Member) else source
            stream = io.BytesIO(content) if isinstance(content, bytes) else content
            with Image.open(stream, formats=[known for known in FORMATS if known in Image.OPEN]) as picture:
                if picture.width * picture.height > most_pixels:
                    raise too_large
                yield picture
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file. Is the path right?") from None
    except Image.DecompressionBombError:
        raise too_large from None
    except UnidentifiedImageError:
        raise UnreadableError(f"{name}: this is not a picture that can be read.{AS_PNG}") from None
    except Exception as error:  # Pillow's decoders raise anything for a damaged file
        raise UnreadableError(f"{name}: the picture is damaged or cut short ({error}).{AS_PNG}") from None


def read_picture(
    source: Place | bytes, name: str, options: ReadOptions, most_pixels: int = MOST_PIXELS
) -> NDArray[Any]:
    """(H, W, C) the picture's own numbers, of 8 or 16 bits or floats; C is 1 if all of the picture is grey, else 3.

    name: the file, for messages. options: the picture is resized to their shape; `behind` is the grey behind its
    transparent pixels, white by default. most_pixels: compared with the size in the header. The picture is turned as
    its EXIF entry says; of several frames the first is read.

    Raise InputError if it is not a picture, damaged, too large, or of another shape than `options.like`.
    """
    return _read(source, name, options, most_pixels).pixels


def _read(source: Place | bytes, name: str, options: ReadOptions, most_pixels: int = MOST_PIXELS) -> _Picture:
    with open_picture(source, name, most_pixels) as picture:
        found = _decoded(picture, options)
    height, width, channels = found.pixels.shape
    size = f"{name}: {height}x{width} pixels"
    if options.like is None:
        if max(height, width) > MOST_SIDE and options.shape is None:
            raise InputError(f"{size}, more than {MOST_SIDE}x{MOST_SIDE}. Resize them, such as with --shape 64x64.")
        return found
    wanted = f"{options.like[1]}x{options.like[2]}"
    if (height, width) != options.like[1:]:
        raise InputError(
            f"{size}, but the training images have {describe_size(options.like)}. Resize them with --shape {wanted}."
        )
    if channels > options.like[0]:
        raise InputError(
            f"{name}: in colour, but the training images are grey. Make them grey with --shape {wanted}x1."
        )
    return found


def read_pictures(sources: Sequence[Place | bytes], names: Sequence[str], options: ReadOptions) -> Pictures:
    """Read pictures of one size.

    Behind transparent pixels comes `options.behind`. If that is None, it is white; black if white would hide the ink.
    Raise InputError naming all that are no pictures or damaged, the first whose size differs, and pictures of which
    some would vanish on either ground.
    """
    found, damaged = [], []
    for source, name in zip(sources, names, strict=True):
        try:
            found.append(_read(source, name, options))
        except UnreadableError as error:
            damaged.append((source, str(error)))
    if damaged:
        raise InputError(_explain_damage(damaged, len(names)))
    behind = choose_ground([picture.hidden_on for picture in found], names[0], options.behind)
    if behind == BLACK and options.behind is None:
        on_black = replace(options, behind=BLACK)
        for place, picture in enumerate(found):
            if picture.hidden_on is not None:
                found[place] = _read(sources[place], names[place], on_black)
    least = options.like[0] if options.like else options.channels or 1
    _check_sizes(found, names)
    images = join_images(of_one_depth([channels_first(picture.pixels[None]) for picture in found]), names, least)
    return Pictures(images, behind, _reading(found, behind, options))


def _reading(found: Sequence[_Picture], behind: int | None, options: ReadOptions) -> tuple[str, ...]:
    """Describe how pictures were read, a line for each thing that had to be found out."""
    lines = []
    transparent = sum(picture.hidden_on is not None for picture in found)
    if behind is not None and options.behind is None:
        pictures = counted(transparent, "picture")
        if behind == BLACK:
            line = note(
                "{pictures}: black behind their transparent pixels, as white would hide the ink", pictures=pictures
            )
        else:
            line = note("{pictures}: white behind their transparent pixels", pictures=pictures)
        lines.append(line)
    if moving := sum(picture.frames > 1 for picture in found):
        pictures = counted(moving, "picture")
        lines.append(note("{pictures} of several frames: the first is read", pictures=pictures))
    return tuple(lines)


def _explain_damage(damaged: Sequence[tuple[Place | bytes, str]], count: int) -> str:
    """Name the files that cannot be read, and the command that removes them."""
    if len(damaged) == 1:
        return f"{damaged[0][1]}{_leave_out(damaged)}"
    are_most = 2 * len(damaged) > count
    shown = damaged[: FEW_NAMED if are_most else MOST_NAMED]
    listed = "\n  ".join(message.removesuffix(AS_PNG) for _, message in shown)
    more = f"\n  and {len(damaged) - len(shown):,} more" if len(damaged) > len(shown) else ""
    remedy = AS_PNG.strip().replace("it", "them") + ("" if are_most else _leave_out(shown))
    return f"{len(damaged):,} of {counted(count, 'picture')} cannot be read:\n  {listed}{more}\n{remedy}"


def _leave_out(damaged: Sequence[tuple[Place | bytes, str]]) -> str:
    """Return the command that removes files."""
    paths = [str(source) for source, _ in damaged if isinstance(source, Path)]
    return f" To leave {'it' if len(paths) == 1 else 'them'} out: {shlex.join(['rm', *paths])}" if paths else ""


def _check_sizes(found: Sequence[_Picture], names: Sequence[str]) -> None:
    """Raise InputError, with the commonest size as the remedy, if their sizes differ."""
    sizes = Counter(picture.pixels.shape[:2] for picture in found)
    if len(sizes) > 1:
        first = found[0].pixels.shape[:2]
        other = next(place for place, picture in enumerate(found) if picture.pixels.shape[:2] != first)
        (height, width), (own_height, own_width) = sizes.most_common(1)[0][0], found[other].pixels.shape[:2]
        raise InputError(
            f"{names[other]}: {own_height}x{own_width} pixels, but {names[0]} has {first[0]}x{first[1]}; there are "
            f"{len(sizes):,} sizes. All images must have the same size; resize pictures with --shape {height}x{width}, "
            "the commonest."
        )


def _decoded(picture: "Image.Image", options: ReadOptions) -> _Picture:
    """Return the pixels (H, W, C) of the size and the channels that the user asks for."""
    from PIL import Image, ImageOps

    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if picture.mode.startswith(("I", "F")):
        return _Picture(deep_pixels(ImageOps.exif_transpose(picture), options.size), None, frames)
    behind = WHITE if options.behind is None else options.behind
    plain, hidden_on = put_on_ground(ImageOps.exif_transpose(picture), behind)
    if options.channels == 1:
        plain = plain.convert("L")
    if options.size is not None:
        height, width = options.size
        plain = plain.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(plain, dtype=np.uint8).reshape(plain.height, plain.width, -1)
    is_grey = bool((pixels == pixels[:, :, :1]).all())
    return _Picture(pixels[:, :, :1] if is_grey else pixels, hidden_on, frames)
