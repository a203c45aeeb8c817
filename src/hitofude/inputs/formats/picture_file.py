"""Open picture files safely: known formats only, the size bounded before decoding, errors explained."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hitofude.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
"""The formats of cameras, scanners and drawing programs. No others, as Pillow hands EPS to a program."""


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
