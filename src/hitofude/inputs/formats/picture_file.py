"""Opening picture files without being harmed: known formats, a size bounded before decoding, and errors explained."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from hitofude.errors import InputError

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
"""What cameras, scanners and drawing programs write. Others are left out: Pillow hands EPS to a program."""


@contextmanager
def open_picture(source: Path | bytes, name: str, most_pixels: int) -> Iterator[Image.Image]:
    """A picture, not decoded yet; what decoding raises within is explained, and no warning reaches the screen.

    name: how messages call it. most_pixels: by what the file says of itself. Raises InputError where it is missing, no
    picture, damaged, or larger.
    """
    too_large = InputError(f"{name}: the picture has more than {most_pixels:,} pixels. Save it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in a file, and of sizes that are judged here
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
        raise InputError(f"{name}: this is no picture that can be read. Save it as PNG or JPEG.") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        raise InputError(f"{name}: the picture is damaged or cut short ({error}). Save it as PNG or JPEG.") from None
