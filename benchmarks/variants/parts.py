"""Well-known data sets as they are downloaded: their names, folders, zips and formats, with few images.

`docs/data-sets.md` names each of them with its command; `tests/test_data_sets.py` runs those commands on these files.
"""

import bz2
import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.variants.variant import Digits, Maker, Variant

LEARNED = 40
"""The training images of 60 digits; the others are to be predicted."""
LETTERS = "ABCDEFGHIJ"
PIXELS = [f"pixel{number}" for number in range(784)]


def split(digits: Digits) -> dict[str, Digits]:
    """The digits to learn from, and to predict."""
    return {
        "train": Digits(digits.images[:LEARNED], digits.labels[:LEARNED]),
        "test": Digits(digits.images[LEARNED:], digits.labels[LEARNED:]),
    }


def learned(source: Path, digits: Digits, **more: Any) -> Variant:
    """The variant of which the digits to learn from must be read, and 20 images to predict."""
    train = split(digits)["train"]
    return Variant(source, train.images, more.pop("labels", train.labels.tolist()), test=more.pop("test", 20), **more)


def idx(array: NDArray[Any], kind: int = 8) -> bytes:
    """An IDX file. kind: 8 for bytes, 0xC for integers of 4 bytes."""
    values = array.astype("u1" if kind == 8 else ">i4")
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + values.tobytes()


def table(digits: Digits, first: str | None = "label", names: list[str] = PIXELS) -> str:
    """A CSV table of labels (or ids, or neither) and pixels."""
    header = [] if first is None else [first]
    lines = [",".join([*header, *names])]
    firsts = digits.labels.tolist() if first == "label" else range(len(digits.labels))
    for number, row in zip(firsts, digits.rows.tolist(), strict=True):
        lines.append(",".join(map(str, row if first is None else [number, *row])))
    return "\n".join(lines) + "\n"


def bare(digits: Digits) -> str:
    """A table without a header, the label first."""
    return table(digits).partition("\n")[2]


def png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def four_idx(digits: Digits, images: str, labels: str, parts: tuple[str, str] = ("train", "t10k")) -> dict[str, bytes]:
    """The four files of MNIST. images, labels: their names, with {} for the part."""
    files = {}
    for part, some in zip(parts, split(digits).values(), strict=True):
        files[images.format(part)] = idx(some.images)
        files[labels.format(part)] = idx(some.labels)
    return files


def pictures(digits: Digits, name: Callable[[int, int], str]) -> dict[str, bytes]:
    """A PNG for each digit. name: its name by its number and its label."""
    numbered = enumerate(zip(digits.images, digits.labels.tolist(), strict=True))
    return {name(number, label): png(image) for number, (image, label) in numbered}


def colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W) → (N, 3, H, W), the channels alike but not equal."""
    return np.stack([images, images // 2, 255 - images // 3], axis=1)


def enlarged(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(N, 28, 28) in the middle of (N, side, side)."""
    before = (side - 28) // 2
    after = side - 28 - before
    return np.pad(images, ((0, 0), (before, after), (before, after)))


def digit_recognizer(folder: Path, digits: Digits) -> Variant:
    parts = split(digits)
    files = {
        "train.csv": table(parts["train"]),
        "test.csv": table(parts["test"], None),
        "sample_submission.csv": "ImageId,Label\n" + "".join(f"{number},0\n" for number in range(1, 21)),
    }
    return learned(zipped(folder / "digit-recognizer.zip", files), digits)


def mnist_of_kaggle(folder: Path, digits: Digits) -> Variant:
    """With dots in the names, and folders that hold the same files again."""
    files = four_idx(digits, "{}-images.idx3-ubyte", "{}-labels.idx1-ubyte")
    inner = {f"{name.replace('.', '-')}/{name.replace('.', '-')}": content for name, content in files.items()}
    return learned(zipped(folder / "archive.zip", files | inner), digits)


def mnist_of_torchvision(folder: Path, digits: Digits) -> Variant:
    files = four_idx(digits, "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
    packed = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    write(folder / "data" / "MNIST" / "raw", files | packed)
    return learned(folder / "data", digits)


def mnist_of_openml(folder: Path, digits: Digits) -> Variant:
    """ARFF, the label last and called class."""
    header = "% MNIST\n@RELATION mnist_784\n\n" + "".join(f"@ATTRIBUTE pixel{i} real\n" for i in range(1, 785))
    rows = [",".join(map(str, [*row, label])) for row, label in zip(digits.rows, digits.labels, strict=True)]
    data = f"@ATTRIBUTE class {{{','.join(map(str, range(10)))}}}\n\n@DATA\n" + "\n".join(rows) + "\n"
    path = write(folder, {"mnist_784.arff": header + data}) / "mnist_784.arff"
    return Variant(path, digits.images, digits.labels.tolist())


def mnist_as_parquet(folder: Path, digits: Digits) -> Variant:
    """OpenML's Parquet, which scikit-learn and others fetch as dataset_554.pq."""
    import pandas

    frame = pandas.DataFrame(digits.rows, columns=[f"pixel{i}" for i in range(1, 785)])
    frame["class"] = pandas.Categorical(digits.labels.astype(str))
    frame.to_parquet(folder / "dataset_554.pq")
    return Variant(folder / "dataset_554.pq", digits.images, digits.labels.tolist())


def mnist_of_hugging_face(folder: Path, digits: Digits) -> Variant:
    """Shards of Parquet, pictures as bytes."""
    import pyarrow
    from pyarrow import parquet

    (folder / "mnist").mkdir()
    parts = split(digits)
    shards = {
        "train-00000-of-00002": (parts["train"].images[:25], parts["train"].labels[:25]),
        "train-00001-of-00002": (parts["train"].images[25:], parts["train"].labels[25:]),
        "test-00000-of-00001": (parts["test"].images, parts["test"].labels),
    }
    for name, (images, labels) in shards.items():
        cells = [{"bytes": png(image), "path": None} for image in images]
        found = pyarrow.table({"image": cells, "label": labels.tolist()})
        parquet.write_table(found, folder / "mnist" / f"{name}.parquet")
    return learned(folder / "mnist", digits)


def mnist_of_keras(folder: Path, digits: Digits) -> Variant:
    parts = split(digits)
    arrays: dict[str, Any] = {"x_train": parts["train"].images, "y_train": parts["train"].labels.astype("u1")}
    np.savez(folder / "mnist.npz", **arrays, x_test=parts["test"].images, y_test=parts["test"].labels.astype("u1"))
    return learned(folder / "mnist.npz", digits)


def mnist_of_libsvm(folder: Path, digits: Digits) -> Variant:
    for name, some in zip(("mnist.bz2", "mnist.t.bz2"), split(digits).values(), strict=True):
        lines = [
            f"{label} " + " ".join(f"{index + 1}:{row[index]}" for index in np.flatnonzero(row))
            for row, label in zip(some.rows, some.labels, strict=True)
        ]
        (folder / name).write_bytes(bz2.compress("\n".join([*lines, ""]).encode()))
    return learned(folder, digits)


def mnist_as_pictures(folder: Path, digits: Digits) -> Variant:
    for part, some in zip(("training", "testing"), split(digits).values(), strict=True):
        write(folder / "mnist_png" / part, pictures(some, lambda number, label: f"{label}/{number}.png"))
    return in_class_order(folder / "mnist_png", digits)


def in_class_order(source: Path, digits: Digits, letters: str = "0123456789") -> Variant:
    """The variant of class folders, which are read one after the other."""
    train = split(digits)["train"]
    order = np.argsort(train.labels, kind="stable")
    return Variant(source, train.images[order], [letters[label] for label in train.labels[order]], test=20)


def mnist_of_pjreddie(folder: Path, digits: Digits) -> Variant:
    for name, some in split(digits).items():
        write(folder / "mnist-in-csv", {f"mnist_{name}.csv": bare(some)})
    return learned(folder / "mnist-in-csv", digits)


def fashion_of_kaggle(folder: Path, digits: Digits) -> Variant:
    """IDX files and CSV files of the same images."""
    files: dict[str, bytes | str] = dict(four_idx(digits, "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"))
    for name, some in split(digits).items():
        files[f"fashion-mnist_{name}.csv"] = table(some, names=[f"pixel{i}" for i in range(1, 785)])
    return learned(zipped(folder / "archive.zip", files), digits)


def kuzushiji(folder: Path, digits: Digits, name: str = "k49") -> Variant:
    """Four files of one array each, arr_0."""
    place = folder / name
    place.mkdir()
    for part, some in split(digits).items():
        np.savez_compressed(place / f"{name}-{part}-imgs.npz", some.images)
        np.savez_compressed(place / f"{name}-{part}-labels.npz", some.labels.astype("u1"))
    write(place, {f"{name}_classmap.csv": "index,codepoint,char\n0,U+3042,あ\n"})
    return learned(place, digits)


def kmnist(folder: Path, digits: Digits) -> Variant:
    return kuzushiji(folder, digits, "kmnist")


def kannada(folder: Path, digits: Digits) -> Variant:
    parts = split(digits)
    files = {
        "train.csv": table(parts["train"]),
        "test.csv": table(parts["test"], "id"),
        "Dig-MNIST.csv": table(parts["test"]),
        "sample_submission.csv": "id,label\n" + "".join(f"{number},0\n" for number in range(20)),
    }
    return learned(zipped(folder / "Kannada-MNIST.zip", files), digits)


def emnist_of_matlab(folder: Path, digits: Digits) -> Variant:
    from scipy.io import savemat

    struct_of = {
        part: {"images": some.images.swapaxes(1, 2).reshape(-1, 784), "labels": some.labels[:, None].astype("u1")}
        for part, some in split(digits).items()
    }
    (folder / "matlab").mkdir()
    mapping = np.stack([np.arange(10), np.arange(48, 58)], axis=1)
    savemat(folder / "matlab" / "emnist-digits.mat", {"dataset": struct_of | {"mapping": mapping}}, do_compression=True)
    return learned(folder / "matlab" / "emnist-digits.mat", digits)


def emnist_as_idx(folder: Path, digits: Digits) -> Variant:
    """Several data sets in one folder."""
    turned = Digits(digits.images.swapaxes(1, 2), digits.labels)
    for name in ("digits", "letters"):
        files = four_idx(
            turned, f"emnist-{name}-{{}}-images-idx3-ubyte", f"emnist-{name}-{{}}-labels-idx1-ubyte", ("train", "test")
        )
        write(folder / "gzip", {f"{file}.gz": gzip.compress(content) for file, content in files.items()})
    write(folder / "gzip", {"emnist-digits-mapping.txt": "0 48\n"})
    return learned(folder / "gzip" / "emnist-letters", digits)


def emnist_as_csv(folder: Path, digits: Digits) -> Variant:
    for name, some in split(Digits(digits.images.swapaxes(1, 2), digits.labels)).items():
        write(folder / "archive", {f"emnist-digits-{name}.csv": bare(some)})
    return learned(folder / "archive", digits)


def qmnist(folder: Path, digits: Digits) -> Variant:
    """Labels of eight numbers each."""
    for name, some in split(digits).items():
        labels = np.column_stack([some.labels, *[np.arange(len(some.labels))] * 7])
        files = {
            f"qmnist-{name}-images-idx3-ubyte.gz": gzip.compress(idx(some.images)),
            f"qmnist-{name}-labels-idx2-int.gz": gzip.compress(idx(labels, 0xC)),
        }
        write(folder / "qmnist", files)
    return learned(folder / "qmnist", digits)


def letters_a_to_z(folder: Path, digits: Digits) -> Variant:
    path = write(folder, {"A_Z Handwritten Data.csv": bare(digits)}) / "A_Z Handwritten Data.csv"
    return Variant(path, digits.images, digits.labels.tolist())


def arabic_letters(folder: Path, digits: Digits) -> Variant:
    """AHCD: images and labels apart, without header, columns first."""
    for name, some in split(digits).items():
        rows = enlarged(some.images, 32).swapaxes(1, 2).reshape(-1, 1024)
        files = {
            f"csv{name.title()}Images 13440x1024.csv": "\n".join(",".join(map(str, row)) for row in rows.tolist()),
            f"csv{name.title()}Label 13440x1.csv": "\n".join(map(str, (some.labels + 1).tolist())),
        }
        write(folder / "ahcd", files)
    train = split(digits)["train"]
    labels = (train.labels + 1).tolist()
    return Variant(folder / "ahcd", enlarged(train.images, 32), labels, test=20)


def sign_language(folder: Path, digits: Digits) -> Variant:
    """Each CSV in a folder of its name, and again beside it; a picture that is none of the data."""
    files: dict[str, bytes | str] = {"american_sign_language.PNG": png(digits.images[0])}
    for name, some in split(digits).items():
        text = table(some, names=[f"pixel{i}" for i in range(1, 785)])
        files |= {f"sign_mnist_{name}.csv": text, f"sign_mnist_{name}/sign_mnist_{name}.csv": text}
    return learned(zipped(folder / "archive.zip", files), digits)


def sign_language_digits(folder: Path, digits: Digits) -> Variant:
    """X.npy of floats from 0 to 1, Y.npy one-hot."""
    place = folder / "Sign-language-digits-dataset"
    place.mkdir()
    np.save(place / "X.npy", (digits.images / 255).astype(np.float32))
    np.save(place / "Y.npy", np.eye(10)[digits.labels])
    return Variant(place, digits.images, digits.labels.tolist(), test=0)


def not_mnist(folder: Path, digits: Digits) -> Variant:
    write(folder / "notMNIST_small", pictures(digits, lambda number, label: f"{LETTERS[label]}/{number}.png"))
    order = np.argsort(digits.labels, kind="stable")
    labels = [LETTERS[label] for label in digits.labels[order]]
    return Variant(folder / "notMNIST_small", digits.images[order], labels, test=0)


def hasy(folder: Path, digits: Digits) -> Variant:
    """Pictures in one folder, a list of paths; folds with lists of their own."""
    place = folder / "HASYv2"
    write(place, pictures(digits, lambda number, _: f"hasy-data/v2-{number:05d}.png"))
    rows = [f"v2-{number:05d}.png,{31 + label},\\{LETTERS[label]},50" for number, label in enumerate(digits.labels)]
    header = "path,symbol_id,latex,user_id\n"
    files = {
        "hasy-data-labels.csv": header + "".join(f"hasy-data/{row}\n" for row in rows),
        "classification-task/fold-1/train.csv": header + "".join(f"../../hasy-data/{row}\n" for row in rows[:40]),
        "classification-task/fold-1/test.csv": header + "".join(f"../../hasy-data/{row}\n" for row in rows[40:]),
    }
    write(place, files)
    labels = [f"\\{LETTERS[label]}" for label in digits.labels]
    return Variant(place, digits.images, labels, {"label": "latex"}, test=0)


def usps(folder: Path, digits: Digits) -> Variant:
    import h5py

    with h5py.File(folder / "usps.h5", "w") as file:
        for name, some in split(digits).items():
            group = file.create_group(name)
            group["data"] = (some.rows / 255).astype(np.float32)
            group["target"] = some.labels
    return learned(folder / "usps.h5", digits)


def street_view(folder: Path, digits: Digits) -> Variant:
    """SVHN: (H, W, 3, N), the digit 0 labelled 10, more images in a third file."""
    from scipy.io import savemat

    place = folder / "SVHN"
    place.mkdir()
    parts = split(digits)
    for name, some in {**parts, "extra": parts["test"]}.items():
        values = colour(enlarged(some.images, 32)).transpose(2, 3, 1, 0)
        labels = np.where(some.labels == 0, 10, some.labels)[:, None].astype("u1")
        savemat(place / f"{name}_32x32.mat", {"X": values, "y": labels})
    train = parts["train"]
    labels = np.where(train.labels == 0, 10, train.labels).tolist()
    return Variant(place, colour(enlarged(train.images, 32)), labels, test=20)


def cifar_of_bytes(folder: Path, digits: Digits) -> Variant:
    place = folder / "cifar-10-batches-bin"
    parts = split(digits)
    batches = {"data_batch_1": (0, 25), "data_batch_2": (25, 40)}
    rows = np.column_stack([digits.labels.astype("u1"), colour(enlarged(digits.images, 32)).reshape(60, -1)])
    files: dict[str, bytes | str] = {f"{name}.bin": rows[a:b].tobytes() for name, (a, b) in batches.items()}
    write(place, files | {"test_batch.bin": rows[40:].tobytes(), "batches.meta.txt": "airplane\n"})
    return Variant(place, colour(enlarged(parts["train"].images, 32)), parts["train"].labels.tolist(), test=20)


def table_of_planes(folder: Path, digits: Digits) -> Variant:
    """CIFAR's rows in a CSV: 1,024 red values, then green, then blue."""
    images = colour(enlarged(digits.images, 32))
    rows = zip(digits.labels.tolist(), images.reshape(60, -1).tolist(), strict=True)
    header = ",".join(["label", *(f"pixel{i}" for i in range(3072))])
    text = "\n".join([header, *(",".join(map(str, [label, *row])) for label, row in rows)])
    return Variant(write(folder, {"cifar.csv": text}) / "cifar.csv", images, digits.labels.tolist())


def pictures_and_list(folder: Path, digits: Digits) -> Variant:
    """CIFAR-10 as a competition: train/1.png, trainLabels.csv of ids without ending."""
    parts = split(digits)
    place = folder / "cifar-10"
    write(place / "train", pictures(parts["train"], lambda number, _: f"{number + 1}.png"))
    write(place / "test", pictures(parts["test"], lambda number, _: f"{number + 1}.png"))
    lines = [f"{number + 1},{LETTERS[label]}\n" for number, label in enumerate(parts["train"].labels)]
    template = "id,label\n" + "".join(f"{number + 1},A\n" for number in range(20))
    write(place, {"trainLabels.csv": "id,label\n" + "".join(lines), "sampleSubmission.csv": template})
    return learned(place, digits, labels=[LETTERS[label] for label in parts["train"].labels])


def stl(folder: Path, digits: Digits) -> Variant:
    """STL-10: bytes without header, columns first, labels from 1."""
    place = folder / "stl10_binary"
    files: dict[str, bytes | str] = {"class_names.txt": "airplane\n", "unlabeled_X.bin": bytes(3 * 96 * 96)}
    for name, some in split(digits).items():
        files[f"{name}_X.bin"] = colour(enlarged(some.images, 96)).swapaxes(2, 3).tobytes()
        files[f"{name}_y.bin"] = (some.labels + 1).astype("u1").tobytes()
    write(place, files)
    train = split(digits)["train"]
    return Variant(place, colour(enlarged(train.images, 96)), (train.labels + 1).tolist(), test=20)


def med_mnist(folder: Path, digits: Digits, name: str = "pneumoniamnist") -> Variant:
    """Three parts in one file, labels (N, 1); pathmnist in colour."""
    images = digits.images if name == "pneumoniamnist" else colour(digits.images).transpose(0, 2, 3, 1)
    parts = {"train": slice(0, 35), "val": slice(35, 40), "test": slice(40, 60)}
    arrays: dict[str, Any] = {f"{part}_images": images[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": digits.labels[rows, None].astype("u1") for part, rows in parts.items()}
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    expected = digits.images[:35] if name == "pneumoniamnist" else colour(digits.images[:35])
    return Variant(folder / f"{name}.npz", expected, digits.labels[:35].tolist(), test=20)


def path_mnist(folder: Path, digits: Digits) -> Variant:
    return med_mnist(folder, digits, "pathmnist")


def faces(folder: Path, digits: Digits) -> Variant:
    """fer2013: all pixels in one column of text, and a column that names the part."""
    usage = ["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10
    rows = zip(digits.labels.tolist(), digits.rows.tolist(), usage, strict=True)
    lines = [f'{label},"{" ".join(map(str, row))}",{part}' for label, row, part in rows]
    write(folder, {"fer2013.csv": "\n".join(["emotion,pixels,Usage", *lines, ""])})
    return learned(folder / "fer2013.csv", digits)


def chinese(folder: Path, digits: Digits) -> Variant:
    names = [f"pixel_{number}" for number in range(784)]
    signs = "零一二三四五六七八九"
    rows = zip(digits.rows.tolist(), digits.labels.tolist(), strict=True)
    lines = [",".join(map(str, [*row, label, signs[label]])) for row, label in rows]
    write(folder, {"chineseMNIST.csv": "\n".join([",".join([*names, "label", "character"]), *lines, ""])})
    return Variant(folder / "chineseMNIST.csv", digits.images, digits.labels.tolist())


def small_digits_of_uci(folder: Path, digits: Digits) -> Variant:
    """The digits of scikit-learn and of the UCI archive: 8x8, from 0 to 16, the label last, no header."""
    small = digits.images[:, 2:26:3, 2:26:3].astype(np.int64) * 16 // 255
    small[0, 0, 0] = 16
    for name, rows in (("tra", slice(0, 40)), ("tes", slice(40, 60))):
        table = np.column_stack([small[rows].reshape(-1, 64), digits.labels[rows]])
        text = "\n".join(",".join(map(str, row)) for row in table.tolist()) + "\n"
        write(folder / "optdigits", {f"optdigits.{name}": text, "optdigits.names": "Optical recognition\n"})
    expected = np.rint(small[:40] * (255 / 16)).astype(np.uint8)
    return Variant(folder / "optdigits", expected, digits.labels[:40].tolist(), test=20, tolerance=1)


def dogs_and_cats(folder: Path, digits: Digits) -> Variant:
    """A zip of zips, the class in the names of the pictures."""
    parts = split(digits)
    animals = [("cat", "dog")[label % 2] for label in parts["train"].labels]
    named = sorted(range(LEARNED), key=lambda number: (animals[number], number))
    zipped(folder / "1.zip", pictures(parts["train"], lambda number, _: f"train/{animals[number]}.{number}.png"))
    zipped(folder / "2.zip", pictures(parts["test"], lambda number, _: f"test1/{number + 1}.png"))
    files: dict[str, bytes | str] = {
        "train.zip": (folder / "1.zip").read_bytes(),
        "test1.zip": (folder / "2.zip").read_bytes(),
        "sampleSubmission.csv": "id,label\n" + "".join(f"{number + 1},0\n" for number in range(20)),
    }
    (folder / "1.zip").unlink()
    (folder / "2.zip").unlink()
    path = zipped(folder / "dogs-vs-cats.zip", files)
    return Variant(path, parts["train"].images[named], [animals[number] for number in named], test=20)


def pictures_of_zindi(folder: Path, digits: Digits) -> Variant:
    """All pictures in one folder; lists name those to learn from and to predict."""
    place = folder / "zindi"
    write(place / "Images", pictures(digits, lambda number, _: f"ID_{number:04d}.png"))
    lines = [f"ID_{number:04d},{label}\n" for number, label in enumerate(digits.labels[:LEARNED])]
    asked = "".join(f"ID_{number:04d}\n" for number in range(LEARNED, 60))
    write(place, {"Train.csv": "Img_ID,Label\n" + "".join(lines), "Test.csv": "Img_ID\n" + asked})
    return learned(place, digits)


def two_flat_folders(folder: Path, digits: Digits) -> Variant:
    """train_images and test_images are no classes."""
    parts = split(digits)
    place = folder / "plants"
    for part, some in parts.items():
        write(place / f"{part}_images", pictures(some, lambda number, _: f"{number:05d}.png"))
    lines = [f"{number:05d}.png,{label}\n" for number, label in enumerate(parts["train"].labels)]
    write(place, {"train_labels.csv": "image_id,label\n" + "".join(lines)})
    return learned(place, digits)


def identify_the_digits(folder: Path, digits: Digits) -> Variant:
    parts = split(digits)
    place = folder / "identify"
    write(place / "Images" / "train", pictures(parts["train"], lambda number, _: f"{number}.png"))
    write(place / "Images" / "test", pictures(parts["test"], lambda number, _: f"{49000 + number}.png"))
    lines = [f"{number}.png,{label}\n" for number, label in enumerate(parts["train"].labels)]
    asked = "".join(f"{49000 + number}.png\n" for number in range(20))
    write(place, {"train.csv": "filename,label\n" + "".join(lines), "Test_fCbTej3.csv": "filename\n" + asked})
    return learned(place, digits)


def ardis(folder: Path, digits: Digits) -> Variant:
    """Spaces between floats, one-hot labels."""
    place = folder / "ARDIS_DATASET_IV"
    place.mkdir()
    for name, some in split(digits).items():
        np.savetxt(place / f"ARDIS_{name}_2828.csv", some.rows)
        np.savetxt(place / f"ARDIS_{name}_labels.csv", np.eye(10)[some.labels])
    return learned(place, digits)


def train_and_valid(folder: Path, digits: Digits) -> Variant:
    """Pictures with a validation part and no test part."""
    for part, some in zip(("train", "valid"), split(digits).values(), strict=True):
        write(folder / "pets" / part, pictures(some, lambda number, label: f"{label}/{number}.png"))
    return in_class_order(folder / "pets", digits)


def workbook(folder: Path, digits: Digits) -> Variant:
    import pandas

    frame = pandas.DataFrame(digits.rows[:20], columns=PIXELS)
    frame.insert(0, "label", digits.labels[:20])
    frame.to_excel(folder / "digits.xlsx", index=False)
    return Variant(folder / "digits.xlsx", digits.images[:20], digits.labels[:20].tolist())


VARIANTS: dict[str, Maker] = {
    "MNIST (Kaggle's Digit Recognizer)": digit_recognizer,
    "MNIST (Kaggle, IDX)": mnist_of_kaggle,
    "MNIST (torchvision)": mnist_of_torchvision,
    "MNIST (OpenML, ARFF)": mnist_of_openml,
    "MNIST (OpenML, Parquet)": mnist_as_parquet,
    "MNIST (Hugging Face)": mnist_of_hugging_face,
    "MNIST (Keras)": mnist_of_keras,
    "MNIST (LIBSVM)": mnist_of_libsvm,
    "MNIST (pictures)": mnist_as_pictures,
    "MNIST (pjreddie, CSV)": mnist_of_pjreddie,
    "Fashion-MNIST (Kaggle)": fashion_of_kaggle,
    "KMNIST (NPZ)": kmnist,
    "Kuzushiji-49": kuzushiji,
    "Kannada-MNIST": kannada,
    "EMNIST (MATLAB)": emnist_of_matlab,
    "EMNIST (IDX)": emnist_as_idx,
    "EMNIST (Kaggle, CSV)": emnist_as_csv,
    "QMNIST": qmnist,
    "A-Z Handwritten": letters_a_to_z,
    "AHCD (Arabic letters)": arabic_letters,
    "ARDIS": ardis,
    "Sign Language MNIST": sign_language,
    "Sign Language Digits": sign_language_digits,
    "notMNIST": not_mnist,
    "HASYv2": hasy,
    "USPS": usps,
    "SVHN": street_view,
    "CIFAR-10 (binary)": cifar_of_bytes,
    "CIFAR-10 (Kaggle)": pictures_and_list,
    "STL-10": stl,
    "MedMNIST (pneumonia)": med_mnist,
    "MedMNIST (path)": path_mnist,
    "fer2013": faces,
    "chineseMNIST": chinese,
    "Digits of scikit-learn (UCI)": small_digits_of_uci,
    "Dogs vs. Cats": dogs_and_cats,
    "Zindi": pictures_of_zindi,
    "Identify the Digits": identify_the_digits,
    "flat train_images and test_images": two_flat_folders,
    "rows of red, green, blue": table_of_planes,
    "pictures with train and valid": train_and_valid,
    "an Excel workbook": workbook,
}
