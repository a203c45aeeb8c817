"""The names of files, folders and arrays: which part of a data set they hold, and whether images or labels.

`emnist-digits-train-images-idx3-ubyte.gz`, `train-images.idx3-ubyte`, `sign_mnist_train.csv`,
`csvTrainLabel 3360x1.csv`, `Y_test.npy`, `testing/` and `val_images` are all understood by the words in them.
"""

import re
from dataclasses import dataclass
from typing import Literal

from hitofude.language.translation import note

Part = Literal["train", "test", "validation", "other"]
Role = Literal["images", "labels"]

PARTS: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trn", "tra"), "train"),
    **dict.fromkeys(("test", "testing", "tst", "tes", "t10k", "t"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("学習", "学習用", "学習データ", "訓練", "訓練用", "訓練データ"), "train"),
    **dict.fromkeys(("テスト", "テスト用", "テストデータ", "評価", "評価用", "評価データ"), "test"),
    **dict.fromkeys(("検証", "検証用", "検証データ"), "validation"),
    **dict.fromkeys(("extra", "unlabelled", "unlabeled"), "other"),
}  # fmt: skip
ROLES: dict[str, Role] = {
    **dict.fromkeys(("images", "image", "imgs", "img", "x", "pixels", "features", "pictures", "inputs"), "images"),
    **dict.fromkeys(("labels", "label", "lbls", "y", "target", "targets"), "labels"),
}
SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")
"""The files, in small letters, that operating systems leave in folders."""
NEUTRAL = {"idx", "ubyte", "int", "data", "set", "dataset", "csv", "arr"}
"""Words that do not tell one data set from another."""
ENDINGS = {
    "bin", "bz2", "csv", "gz", "h5", "hdf5", "arff", "libsvm", "mat", "npy", "npz", "parquet", "pkl", "pickle", "pq",
    "svm", "tsv", "txt", "xlsx", "xz", "zip",
}  # fmt: skip
_SHARD = re.compile(r"-\d{4,6}-of-\d{4,6}(?=\.|$)")
_BATCH = re.compile(r"(data|test)_batch(_\d+)?(\.bin)?")  # CIFAR-10's files
_TEST_OF_LIBSVM = re.compile(r"\.t(\.(gz|xz|bz2))?$")
_SIZE = re.compile(r"\d+x\d+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_JOINED = re.compile(r"([xy])[_-]?(train|test|val|valid)")


def validation_aside(name: str) -> str:
    """Say that a part is left aside."""
    return note("{name}: a validation part; hitofude holds out training images of its own", name=name)


def validation_asked(name: str) -> str:
    """Say that a part is predicted."""
    return note("{name}, a validation part, is read as the images to predict", name=name)


def to_learn_from(name: str) -> str:
    return note("to learn from: {name}", name=name)


def to_predict(name: str) -> str:
    return note("to predict: {name}", name=name)


def with_labels_of(images: str, labels: str) -> str:
    return note("{images} with the labels of {labels}", images=images, labels=labels)


@dataclass(frozen=True)
class Name:
    """The meaning of a name."""

    part: Part | None
    role: Role | None
    rest: tuple[str, ...]
    """The words that are left, in small letters: the name of the data set. Empty for train.csv."""


def read_name(text: str) -> Name:
    """Read the name of a file, a folder or an array: of two parts in it the last counts, and so for roles.

    x_y.npz holds both.
    """
    if match := _BATCH.fullmatch(text):
        return Name("test" if match[1] == "test" else "train", None, ("cifar",))
    part: Part | None = None
    role: Role | None = None
    rest: list[str] = []
    words = _words(_SHARD.sub("", text))
    for word in words:
        if word in PARTS and (word != "t" or _TEST_OF_LIBSVM.search(text)):
            part = PARTS[word]
        elif word in ROLES:
            role = ROLES[word]
        elif word not in NEUTRAL and not _SIZE.fullmatch(word) and not (word.isdigit() and (part or role)):
            rest.append(word)
    return Name(part, None if {"x", "y"} <= set(words) else role, tuple(rest))


def is_shard(text: str) -> bool:
    """Whether it is one of several files of a part: train-00000-of-00002.parquet."""
    return _SHARD.search(text) is not None or _BATCH.fullmatch(text) is not None


def is_template(text: str) -> bool:
    """Whether a file is a sample submission by its name: sample_submission.csv, sampleSubmission.csv."""
    return "submission" in set(_words(text))


def _words(text: str) -> list[str]:
    """The words of a name without its endings."""
    pieces = [piece for piece in re.split(r"[\W_]+", text) if piece]
    while len(pieces) > 1 and pieces[-1].lower() in ENDINGS:
        pieces.pop()
    words = []
    for piece in pieces:
        small = piece.lower()
        if small in PARTS or small in ROLES or _SIZE.fullmatch(small):
            words.append(small)
        elif match := _JOINED.fullmatch(small):
            words += match.groups()
        else:
            found = [word.lower() for word in _WORD.findall(piece)]
            is_split = any(word in PARTS or word in ROLES or word in NEUTRAL or word == "submission" for word in found)
            words += found if is_split else [small]
    return words


def natural(name: str) -> tuple[str | int, ...]:
    """A sort key that puts 2.png before 10.png: text and numbers alternate."""
    return tuple(int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"([0-9]+)", name)))
