"""Files of bytes without a header: the binary versions of CIFAR-10 and STL-10.

CIFAR-10: rows of one label and 3,072 pixels, first red, then green, then blue. STL-10: train_X.bin of rows of 27,648
pixels, channel by channel and column by column, and train_y.bin of labels.
Sources: the pages of the data sets (Krizhevsky; Coates, Lee and Ng).
"""

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.naming import read_name
from hitofude.inputs.layout import ReadOptions, lay_out

CIFAR, CIFAR_100, STL = 3 * 32 * 32 + 1, 3 * 32 * 32 + 2, 3 * 96 * 96


def read_raw_bytes(path: Place, options: ReadOptions) -> RawImages:
    """Read the images, and the labels if they are in the same file. Raise InputError for a file of another layout."""
    with reading(str(path)), open_file(path) as stream:
        content = np.frombuffer(bytearray(stream.read()), dtype=np.uint8)
    if read_name(path.name).role == "images" and len(content) and len(content) % STL == 0:
        images = content.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)
        line = f"{path.name} is read as STL-10: {len(images):,} images of 96x96x3, column by column"
        return RawImages(str(path), lay_out(images, str(path), options).images, None, None, reading=(line,))
    for length, name in ((CIFAR, "CIFAR-10"), (CIFAR_100, "CIFAR-100")):
        if len(content) and len(content) % length == 0:
            rows = content.reshape(-1, length)
            images = rows[:, length - 3072 :].reshape(-1, 3, 32, 32)
            labels = rows[:, length - 3073].astype(np.str_)
            line = f"{path.name} is read as {name}: {len(rows):,} rows of a label and 32x32x3 pixels"
            return RawImages(str(path), lay_out(images, str(path), options).images, labels, None, reading=(line,))
    raise InputError(
        f"{path}: {len(content):,} bytes without a header, which are not CIFAR-10's or STL-10's. Save it as NPZ:\n"
        f"  python -c \"import numpy; numpy.savez('{path.name.split('.')[0]}.npz', images=numpy.fromfile('{path}', "
        "'uint8').reshape(-1, 28, 28), labels=…)\""
    )


def read_raw_labels(path: Place) -> NDArray[np.str_]:
    """(N,) one byte a label."""
    with reading(str(path)), open_file(path) as stream:
        return np.frombuffer(stream.read(), dtype=np.uint8).astype(np.str_)
