"""Pictures: opened safely, in known formats and of a size that is checked before decoding; small ones as images.

A folder of pictures has one folder for each class, named after it; or train and test folders of that kind:
FOLDER/CLASS/*.png                           pictures to train on
FOLDER/train/CLASS/* and FOLDER/test/*       and to predict
FOLDER/train/CLASS/* and FOLDER/test/CLASS/* and to predict, with their classes known
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.layout import ReadOptions, channels_first, describe_size, join_images

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
"""The formats of cameras, scanners and drawing programs. No others, as Pillow hands EPS to a program."""
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 50_000_000
MOST_SIDE = 128
"""Pixels; larger pictures are accepted only if the user gives the size to resize them to."""
WHITE = (255, 255, 255, 255)
SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")


@contextmanager
def open_picture(source: Path | bytes, name: str, most_pixels: int) -> "Iterator[Image.Image]":
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
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
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
        raise InputError(f"{name}: this is not a picture that can be read. Save it as PNG or JPEG.") from None
    except Exception as error:  # Pillow's decoders raise anything for a damaged file
        raise InputError(f"{name}: the picture is damaged or cut short ({error}). Save it as PNG or JPEG.") from None


def read_picture(
    source: Path | bytes, name: str, options: ReadOptions, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """(H, W, C) values from 0 to 255; C is 1 if all of the picture is grey, else 3.

    name: the file, for messages. options: the picture is resized to their shape. most_pixels: compared with the size in
    the header. The picture is turned as its EXIF entry says and laid on white; of several frames the first is read.

    Raise InputError if it is not a picture, damaged, too large, or of another shape than `options.like`.
    """
    with open_picture(source, name, most_pixels) as picture:
        pixels = _pixels(picture, options)
    height, width, channels = pixels.shape
    found = f"{name}: {height}x{width} pixels"
    if options.like is None:
        if max(height, width) > MOST_SIDE and options.shape is None:
            raise InputError(f"{found}, more than {MOST_SIDE}x{MOST_SIDE}. Resize them, such as with --shape 64x64.")
        return pixels
    size = f"{options.like[1]}x{options.like[2]}"
    if (height, width) != options.like[1:]:
        wanted = describe_size(options.like)
        raise InputError(f"{found}, but the training images have {wanted}. Resize them with --shape {size}.")
    if channels > options.like[0]:
        raise InputError(f"{name}: in colour, but the training images are grey. Make them grey with --shape {size}x1.")
    return pixels


def read_pictures(sources: Sequence[Path | bytes], names: Sequence[str], options: ReadOptions) -> NDArray[np.uint8]:
    """(N, C, H, W) of pictures of one size. Raise InputError naming the first whose size differs."""
    pictures = [read_picture(source, name, options)[None] for source, name in zip(sources, names, strict=True)]
    least = options.like[0] if options.like else options.channels or 1
    return join_images([channels_first(picture) for picture in pictures], names, least)


def _pixels(picture: "Image.Image", options: ReadOptions) -> NDArray[np.uint8]:
    """(H, W, C) of the size and the channels that the user asks for."""
    from PIL import Image, ImageOps

    plain = _plain(ImageOps.exif_transpose(picture))
    if options.channels == 1:
        plain = plain.convert("L")
    if options.size is not None:
        height, width = options.size
        plain = plain.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(plain, dtype=np.uint8).reshape(plain.height, plain.width, -1)
    is_grey = bool((pixels == pixels[:, :, :1]).all())
    return pixels[:, :, :1] if is_grey else pixels


def _plain(picture: "Image.Image") -> "Image.Image":
    """Convert to grey or to RGB, eight bits a channel."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels have the mode {picture.mode}; save it with 8 bits a channel")
    if picture.has_transparency_data:
        on_white = Image.new("RGBA", picture.size, WHITE)
        on_white.alpha_composite(picture.convert("RGBA"))
        return on_white.convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def picture_folders(folder: Path) -> dict[str, Path]:
    """Find the folders of `train` and `test`; `train` is the folder itself if it holds the classes. May be empty."""
    train, test = folder / "train", folder / "test"
    if _folders(train):
        return {"train": train} | ({"test": test} if test.is_dir() else {})
    holds_pictures = any(_is_picture(path) for parent in (folder, *_folders(folder)) for path in _entries(parent))
    return {"train": folder} if holds_pictures else {}


def read_picture_folder(folder: Path, options: ReadOptions, *, labelled: bool = True) -> RawImages:
    """Read all pictures of a folder, in the natural order of their names; ids are their paths in it.

    Labels are the names of the class folders. If `labelled` is False, the pictures may be in the folder itself, without
    labels. The images are grey if all pictures are. Raise InputError naming the file that is not a picture, damaged,
    too large or of another size than the first, and the folder without pictures.
    """
    classes, loose = _folders(folder), [path for path in _entries(folder) if _is_picture(path)]
    if loose and (labelled or classes):
        moved = folder / "CLASS" / loose[0].name
        raise InputError(f"{loose[0]}: this picture is not in a class folder. Move it, such as to {moved}.")
    paths = loose or [path for class_folder in classes for path in _pictures_of_class(class_folder)]
    if not paths:
        raise InputError(f"{folder}: there are no pictures in it. Expected {folder / 'CLASS' / 'NAME.png'} and more.")
    names = [str(path) for path in paths]
    images = read_pictures(paths, names, options)
    labels = [path.parent.name.strip() for path in paths]
    ids = [path.name if loose else f"{label}/{path.name}" for path, label in zip(paths, labels, strict=True)]
    known = None if loose else np.asarray(labels)
    return RawImages(str(folder), images, known, np.asarray(ids), row="picture")


def _pictures_of_class(folder: Path) -> list[Path]:
    """Raise InputError if there are no pictures, or other files or folders."""
    found = _entries(folder)
    for path in found:
        if path.is_dir():
            raise InputError(f"{path}: a folder inside a class folder. Move its pictures up, or remove it.")
        if not _is_picture(path):
            raise InputError(f"{path}: this is not a picture ({', '.join(ENDINGS)}). Remove it from the folder.")
    if not found:
        raise InputError(f"{folder}: there is no picture of the class '{folder.name}'. Add some, or remove the folder.")
    return found


def _entries(folder: Path) -> list[Path]:
    """The visible entries of a folder, in natural order. Raise InputError for a name that cannot be printed."""
    seen = [path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in SYSTEM_FILES]
    for path in seen:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in path.name):
            raise InputError(
                f"{folder}: the file name contains control characters or invalid UTF-8. Rename {path.name!a}."
            )
    return sorted(seen, key=lambda path: (natural(path.name), path.name))


def natural(name: str) -> tuple[str | int, ...]:
    """A sort key that puts 2.png before 10.png: text and numbers alternate."""
    return tuple(int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"([0-9]+)", name)))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()] if folder.is_dir() else []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()
