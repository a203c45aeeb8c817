"""Public data sets: their mirrors, sizes and checksums."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from hitofude.errors import InputError
from hitofude.inputs.remote.download import RemoteFile, cache_folder, fetch_all
from hitofude.storage import writing


@dataclass(frozen=True)
class PublicData:
    """A data set of four IDX files."""

    about: str  # contents, authors and licence
    files: tuple[RemoteFile, ...]


def _files(mirrors: tuple[str, ...], *published: tuple[str, int, str]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(f"{name}-ubyte.gz", size, sha256, tuple(f"{mirror}/{name}-ubyte.gz" for mirror in mirrors))
        for name, size, sha256 in published
    )


# Sizes and SHA-256 are from tensorflow-datasets 4.9.10 (url_checksums/*.txt), each confirmed by another project's list,
# such as torchvision for Ruby. Those of Fashion-MNIST are also confirmed by the files of Debian's package
# dataset-fashion-mnist, after restoring the names and times that Debian removed from the gzip headers.
PUBLIC_DATA = {
    "mnist": PublicData(
        "MNIST: 70,000 handwritten digits, by LeCun, Cortes and Burges.",
        _files(
            (
                "https://storage.googleapis.com/cvdf-datasets/mnist",  # tensorflow-datasets
                "https://ossci-datasets.s3.amazonaws.com/mnist",  # torchvision
                "https://azureopendatastorage.blob.core.windows.net/mnist",  # Azure Open Datasets
            ),
            ("train-images-idx3", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            ("train-labels-idx1", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            ("t10k-images-idx3", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            ("t10k-labels-idx1", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion-mnist": PublicData(
        "Fashion-MNIST: 70,000 pictures of clothes, by Xiao, Rasul and Vollgraf (Zalando), MIT licence.",
        _files(
            (
                "https://fashion-mnist.s3.eu-central-1.amazonaws.com",  # its authors' bucket, over TLS
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets",  # Keras
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            ("train-images-idx3", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            ("train-labels-idx1", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            ("t10k-images-idx3", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            ("t10k-labels-idx1", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    "kmnist": PublicData(
        "KMNIST: 70,000 cursive Japanese characters, created by CODH, adapted from the Kuzushiji Dataset of NIJL "
        "and others (doi:10.20676/00000341), CC BY-SA 4.0.",
        _files(
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist",),  # its authors' server; no mirror of these files
            ("train-images-idx3", 18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            ("train-labels-idx1", 29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            ("t10k-images-idx3", 3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            ("t10k-labels-idx1", 5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
}


def fetch_public(name: str) -> Path:
    """Return the cache folder with the files of a data set of PUBLIC_DATA, after fetching the missing ones.

    Raises InputError as fetch_all does.
    """
    folder = cache_folder() / name
    fetch_all(PUBLIC_DATA[name].files, folder)
    return folder


def copy_public(name: str, folder: Path) -> None:
    """Copy a data set's files into a folder of the user.

    Raises InputError as fetch_all does, and if the folder holds another file of the same name; then nothing is copied.
    """
    missing = [file for file in PUBLIC_DATA[name].files if not file.is_at(folder / file.name)]
    for file in missing:
        if (folder / file.name).exists():
            raise InputError(f"{folder / file.name} already exists and is another file. Choose another folder.")
    if not missing:
        return
    cached = fetch_public(name)
    for file in missing:
        with (cached / file.name).open("rb") as original, writing(folder / file.name, file.size) as stream:
            shutil.copyfileobj(original, stream)
