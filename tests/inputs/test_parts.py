"""The parts of a data set: which files are read, and the words for those that are not."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from hitofude.errors import InputError
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import open_source, read_images
from tests.inputs.formats.test_idx import idx_bytes

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 4, 4)).astype(np.uint8)
LABELS = (np.arange(20) % 2).astype(np.uint8)


def table(first: str = "label", rows: slice = slice(None)) -> str:
    lines = [
        f"{label},{','.join(map(str, image.ravel()))}" for label, image in zip(LABELS[rows], IMAGES[rows], strict=True)
    ]
    return "\n".join([",".join([first, *(f"pixel{i}" for i in range(16))]), *lines, ""])


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".").replace("_DASH_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def draw(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[number % 20]).save(folder / name)


def idx_pair(folder: Path, images: str, labels: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / images).write_bytes(idx_bytes(IMAGES))
    (folder / labels).write_bytes(idx_bytes(LABELS))


def test_several_data_sets_are_listed_and_each_can_be_named(tmp_path: Path) -> None:
    for name in ("digits", "letters"):
        idx_pair(tmp_path, f"set-{name}-train-images-idx3-ubyte", f"set-{name}-train-labels-idx1-ubyte")
    with pytest.raises(
        InputError, match=r"it holds 2 data sets: digits, letters\. Name one of them, such as '.*/digits'"
    ) as e:
        open_source(tmp_path)
    named = str(e.value).split("'")[1]
    assert open_source(named).train.classes == ("0", "1")
    assert open_source(named).name == "digits"


def test_one_idx_file_is_read_with_its_partner(tmp_path: Path) -> None:
    idx_pair(tmp_path, "train-images.idx3-ubyte", "train-labels.idx1-ubyte")
    for source in ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"):
        assert np.array_equal(open_source(tmp_path / source).train.images[:, 0], IMAGES)
    (tmp_path / "train-labels.idx1-ubyte").unlink()
    with pytest.raises(InputError, match="the labels are in another file, which is missing"):
        open_source(tmp_path / "train-images.idx3-ubyte")


def test_files_that_could_be_the_same_part_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, my_train_DOT_csv=table(), my_DASH_train_DOT_csv=table())
    with pytest.raises(InputError, match=r"several files could be the same part: .*--train '.*my.train\.csv'"):
        open_source(tmp_path)


def test_a_plain_name_goes_before_others_which_are_named(tmp_path: Path) -> None:
    write(tmp_path, train_DOT_csv=table(), other_train_DOT_csv=table(), README_DOT_md="about")
    found = open_source(tmp_path)
    assert len(found.train) == 20
    assert found.left_aside == ("README.md", "other_train.csv")


def test_the_only_table_in_a_folder_or_a_zip_is_the_training_part(tmp_path: Path) -> None:
    write(tmp_path / "letters", A_Z_DOT_csv=table())
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("A Z Data/A Z Data.csv", table())
    for source in ("letters", "archive.zip", "archive.zip/A Z Data/A Z Data.csv"):
        assert np.array_equal(open_source(tmp_path / source).train.images[:, 0], IMAGES)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_a_validation_part_is_predicted_if_there_is_no_other_and_named_if_there_is(name: str, tmp_path: Path) -> None:
    write(tmp_path, train_DOT_csv=table(), **{f"{name}_DOT_csv": table(rows=slice(0, 5))})
    found = open_source(tmp_path)
    assert found.test is not None
    assert (len(found.test), found.left_aside) == (5, ())
    assert f"{name}.csv, a validation part, is read as the images to predict" in found.reading
    write(tmp_path, test_DOT_csv=table(rows=slice(0, 7)))
    found = open_source(tmp_path)
    assert found.test is not None
    assert (len(found.test), found.left_aside) == (
        7,
        (f"{name}.csv: a validation part; hitofude holds out training images of its own",),
    )


def test_labels_in_another_file_are_found_by_name_or_named(tmp_path: Path) -> None:
    np.save(tmp_path / "X_train.npy", IMAGES)
    np.save(tmp_path / "Y_train.npy", np.eye(2)[LABELS])
    np.save(tmp_path / "other.npy", 1 - LABELS)
    found = open_source(tmp_path)
    assert found.train.known_labels().tolist() == LABELS.tolist()
    assert found.left_aside == ("other.npy",)
    for how in ({"source": tmp_path}, {"train": tmp_path / "X_train.npy"}):
        named = open_source(**how, labels=tmp_path / "other.npy")  # type: ignore[arg-type]
        assert named.train.known_labels().tolist() == (1 - LABELS).tolist()
    np.save(tmp_path / "other.npy", LABELS[:7])
    with pytest.raises(InputError, match=r"other\.npy: 7 labels, but .*X_train\.npy has 20 images"):
        open_source(tmp_path, labels=tmp_path / "other.npy")


def test_labels_with_ids_are_given_to_the_images_of_these_ids(tmp_path: Path) -> None:
    ids = np.arange(100, 120)
    rows = [f"{id},{','.join(map(str, image.ravel()))}" for id, image in zip(ids, IMAGES, strict=True)]
    (tmp_path / "pixels.csv").write_text("\n".join([",".join(["id", *(f"p{i}" for i in range(16))]), *rows]))
    order = RNG.permutation(20)
    lines = [f"{ids[row]},{LABELS[row]}" for row in order]
    (tmp_path / "answers.csv").write_text("\n".join(["id,species", *lines]))
    found = open_source(train=tmp_path / "pixels.csv", labels=tmp_path / "answers.csv")
    assert found.train.known_labels().tolist() == LABELS.tolist()
    (tmp_path / "answers.csv").write_text("\n".join(["id,species", *lines[1:]]))
    with pytest.raises(InputError, match=f"no label for the image with the id '{ids[order[0]]}'"):
        open_source(train=tmp_path / "pixels.csv", labels=tmp_path / "answers.csv")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("label\n" + "\n".join(map(str, LABELS)), LABELS),
        ("\n".join(map(str, LABELS)), LABELS),
        ("\n".join(f"{label:.18e}" for label in LABELS), LABELS),
        ("\n".join("1 0" if label == 0 else "0 1" for label in LABELS), None),
        ("\n".join("1,0,0" if label == 0 else "0,1,0" for label in LABELS), LABELS),
    ],
)
def test_tables_of_labels_in_their_forms(text: str, labels: np.ndarray | None, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "labels.csv").write_text(text)
    if labels is None:
        with pytest.raises(InputError, match="2 columns without names"):
            open_source(train=tmp_path / "x.npy", labels=tmp_path / "labels.csv")
        return
    found = open_source(train=tmp_path / "x.npy", labels=tmp_path / "labels.csv").train
    assert [found.classes[label] for label in found.known_labels()] == [str(label) for label in labels]


def test_flat_folders_of_parts_are_no_classes(tmp_path: Path) -> None:
    draw(tmp_path / "train_images", [f"{n}.png" for n in range(6)])
    draw(tmp_path / "test_images", [f"{n}.png" for n in range(4)])
    with pytest.raises(
        InputError, match=r"not in class folders, and there is no list.*train_images/CLASS/0\.png.*--labels"
    ):
        open_source(tmp_path)
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"{n},{n % 2}\n" for n in range(6)))
    for found in (open_source(tmp_path), open_source(tmp_path, labels=tmp_path / "labels.csv")):
        assert found.test is not None
        assert (len(found.train), len(found.test)) == (6, 4)
    assert len(read_images(tmp_path, image_shape=(1, 4, 4))) == 4


def test_a_list_with_several_columns_asks_for_the_label_and_missing_pictures_are_named(tmp_path: Path) -> None:
    draw(tmp_path / "pictures", [f"{n}.png" for n in range(4)])
    rows = [f"pictures/{n}.png,{n % 2},u{n}\n" for n in range(4)]
    (tmp_path / "all.csv").write_text("path,symbol,user\n" + "".join(rows))
    with pytest.raises(InputError, match=r"which column is the label.*symbol, user\. .*--label symbol"):
        open_source(tmp_path)
    assert open_source(tmp_path, label="symbol").train.known_labels().tolist() == [0, 1, 0, 1]
    (tmp_path / "pictures" / "2.png").unlink()
    with pytest.raises(InputError, match=r"all\.csv, line 4: there is no picture 'pictures/2\.png'"):
        open_source(tmp_path, label="symbol")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ([f"{'cat' if n < 10 else 'dog'}.{n}.png" for n in range(20)], ["cat"] * 10 + ["dog"] * 10),
        ([f"{n:02d}_{n % 2}.png" for n in range(20)], [str(n % 2) for n in range(20)]),
        ([f"img{n:02d}.png" for n in range(20)], None),
        ([f"{n // 10}_{n % 2}_{n}.png" for n in range(20)], "several"),
    ],
)
def test_classes_in_the_names_of_pictures(names: list[str], labels: list[str] | str | None, tmp_path: Path) -> None:
    draw(tmp_path / "train", names)
    if not isinstance(labels, list):
        message = "several parts of their names" if labels else "not in class folders"
        with pytest.raises(InputError, match=message):
            open_source(tmp_path)
        return
    found = open_source(tmp_path)
    assert [found.train.classes[label] for label in found.train.known_labels()] == labels
    assert any("the class is in the pictures' names" in line for line in found.reading)


def test_a_folder_beside_classes_that_is_none_is_left_aside(tmp_path: Path) -> None:
    draw(tmp_path, [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(3)])
    draw(tmp_path / "unlabelled", ["1.png", "2.png"])
    found = open_source(tmp_path)
    assert (found.train.classes, len(found.train)) == (("cat", "dog"), 6)
    assert found.left_aside == ("unlabelled/, 2 pictures",)


def test_a_zip_of_pictures_reads_as_its_folder(tmp_path: Path) -> None:
    draw(
        tmp_path / "pets", [f"{part}/{label}/{n}.png" for part in ("Train", "Test") for label in "ab" for n in range(3)]
    )
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted((tmp_path / "pets").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr("__MACOSX/pets/Train/a/._0.png", "")
    folder, zipped = open_source(tmp_path / "pets"), open_source(tmp_path / "pets.zip")
    assert folder.test is not None
    assert zipped.test is not None
    assert zipped.train.fingerprint == folder.train.fingerprint
    assert zipped.test.fingerprint == folder.test.fingerprint
    assert zipped.train.ids.tolist() == folder.train.ids.tolist()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("Kanada.zip", r"no such file or folder\. Did you mean '.*Kannada\.zip'"),
        ("digit-recogniser.zip", "`hitofude data kaggle` fetches"),
        ("Kannada", r"nor a data set 'kannada' in .*Did you mean '.*Kannada\.zip'"),
    ],
)
def test_a_file_that_is_not_there_names_the_nearest(typed: str, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Kannada.zip", "w") as archive:
        archive.writestr("train.csv", table())
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / typed)


def smooth_in_colour() -> NDArray[np.uint8]:
    """(10, 3, 8, 8) images whose colours change evenly."""
    down, across = np.mgrid[:8, :8]
    images = [np.stack([down * 20 + n, across * 20 + n, 200 - down * 10 - n]) for n in range(10)]
    return np.stack(images).astype(np.uint8)


def test_rows_in_colour_are_read_in_the_smoother_layout() -> None:
    images = smooth_in_colour()
    labels = np.arange(10) % 2
    planes, pixelwise = images.reshape(10, -1), images.transpose(0, 2, 3, 1).reshape(10, -1)
    for rows in (planes, pixelwise):
        assert np.array_equal(open_source((rows, labels)).train.images, images)
    assert open_source((planes, labels)).reading == (
        "images: rows of 8x8 red, then green, then blue values; --shape 8x8x3 if not",
    )
    forced = open_source((planes, labels), shape=(8, 8, 3)).train.images
    assert np.array_equal(forced, planes.reshape(10, 8, 8, 3).transpose(0, 3, 1, 2))
    assert np.array_equal(
        open_source((pixelwise, labels), shape=(3, 8, 8)).train.images, pixelwise.reshape(10, 3, 8, 8)
    )
    assert open_source((planes, labels), shape=(3, 8, 8)).reading == ()


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("{n}.png,{label}\n", {}),
        ("{n}.png {label}\n", {}),
        ("{label};a/{n}.png\n", {}),
        ("{n}.png,left,{label}\n", {"label": "2"}),
    ],
)
def test_a_list_of_pictures_may_lack_a_header(text: str, how: dict[str, str], tmp_path: Path) -> None:
    draw(tmp_path / "pictures", [f"{n}.png" for n in range(6)])
    (tmp_path / "list.txt").write_text("".join(text.format(n=n, label="ab"[n % 2]) for n in range(6)))
    if how:
        with pytest.raises(InputError, match=r"which column is the label\? .*--label: 1 \('left'\), 2|no header"):
            open_source(tmp_path)
    found = open_source(tmp_path, **how)  # type: ignore[arg-type]
    assert [found.train.classes[label] for label in found.train.known_labels()] == list("ababab")


def test_a_split_may_hold_its_pictures_in_a_folder_and_its_list_beside_it(tmp_path: Path) -> None:
    draw(tmp_path, [f"train/images/{n}.png" for n in range(6)] + [f"test/images/{n}.png" for n in range(4)])
    (tmp_path / "train" / "labels.csv").write_text("id,label\n" + "".join(f"{n},{n % 2}\n" for n in range(6)))
    found = open_source(tmp_path)
    assert found.test is not None
    assert (found.train.classes, len(found.train), len(found.test)) == (("0", "1"), 6, 4)


def test_lists_beside_class_folders_are_left_aside(tmp_path: Path) -> None:
    draw(tmp_path, [f"Train/{n % 2}/{n}.png" for n in range(6)] + ["Meta/0.png"])
    (tmp_path / "Train.csv").write_text(
        "Path,ClassId\n" + "".join(f"Train/{n % 2}/{n}.png,{n % 2}\n" for n in range(6))
    )
    found = open_source(tmp_path)
    assert len(found.train) == 6
    assert found.left_aside == ("Meta/, 1 picture", "Train.csv")


def test_images_in_columns_as_in_the_original_mnist_of_matlab(tmp_path: Path) -> None:
    savemat(tmp_path / "mnist-original.mat", {"data": IMAGES.reshape(20, 16).T, "label": LABELS[None].astype(float)})
    found = open_source(tmp_path / "mnist-original.mat").train
    assert np.array_equal(found.images[:, 0], IMAGES)
    assert found.known_labels().tolist() == LABELS.tolist()


def test_rows_in_colour_are_read_as_those_of_the_training_images(tmp_path: Path) -> None:
    """A few images, even a single one, may look smoother in the wrong layout."""
    images = smooth_in_colour()
    odd = np.random.default_rng(1).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    for planes, rows in ((True, odd.reshape(3, -1)), (False, odd.transpose(0, 2, 3, 1).reshape(3, -1))):
        train = images.reshape(10, -1) if planes else images.transpose(0, 2, 3, 1).reshape(10, -1)
        dataset = open_source((train, np.arange(10) % 2), test=rows)
        assert dataset.test is not None
        assert np.array_equal(dataset.test.images, odd)
        assert dataset.planes is planes
        np.save(tmp_path / "odd.npy", rows)
        np.savetxt(tmp_path / "odd.csv", rows, "%d", ",", header=",".join(f"pixel{i}" for i in range(192)), comments="")
        for name in ("odd.npy", "odd.csv"):
            found = read_images(tmp_path / name, image_shape=(3, 8, 8), planes=dataset.planes)
            assert np.array_equal(found.images, odd)
            blocks = stream(tmp_path / name, planes) if name == "odd.csv" else [found.images]
            assert np.array_equal(np.concatenate(blocks), odd)


def stream(path: Path, planes: bool) -> list[NDArray[np.uint8]]:
    options = ReadOptions(like=(3, 8, 8), planes=planes)
    return [piece.images for piece in csv_file(path).stream(options)]


def test_parts_with_japanese_names_are_found(tmp_path: Path) -> None:
    (tmp_path / "学習データ.csv").write_text(table())
    (tmp_path / "テスト.csv").write_text(table(rows=slice(5)))
    found = open_source(tmp_path)
    assert np.array_equal(found.train.images[:, 0], IMAGES)
    assert found.test is not None
    assert len(found.test) == 5
