"""Every kind of source becomes the same data set, or an error with a remedy."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, SubmissionTemplate, make_dataset, with_template
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, open_source, read_images, sample
from tests.conftest import write_csv
from tests.inputs.formats.test_idx import idx_bytes


@pytest.fixture
def folder(tmp_path: Path, dataset: Dataset) -> Path:
    """Kaggle's three files."""
    assert dataset.test is not None
    write_csv(tmp_path / "train.csv", dataset.train)
    write_csv(tmp_path / "test.csv", dataset.test, label=None)
    lines = ["ImageId,Label", *(f"{i},0" for i in range(1, 51))]
    (tmp_path / "sample_submission.csv").write_text("\n".join(lines))
    return tmp_path


def same(found: ImageSet, expected: ImageSet) -> bool:
    return np.array_equal(found.images, expected.images)


def test_the_sample_is_5000_digits_split_evenly_and_always_the_same() -> None:
    data = sample()
    assert data.test is not None
    assert data.train.images.shape == (4000, 1, 28, 28)
    assert np.bincount(data.train.known_labels()).tolist() == [400] * 10
    assert np.bincount(data.test.known_labels()).tolist() == [100] * 10
    assert len(np.unique(data.train.known_labels()[:20])) > 5, "the rows are shuffled"
    assert data.train.fingerprint == sample().train.fingerprint
    assert data.train.fingerprint.startswith("0218edb3")


def test_the_samples_splits_share_no_image() -> None:
    data = sample()
    assert data.test is not None
    train = {image.tobytes() for image in data.train.images}
    assert not [image for image in data.test.images if image.tobytes() in train]


def test_a_folder_of_csv_files(folder: Path, dataset: Dataset) -> None:
    found = open_source(folder)
    assert found.test is not None
    assert dataset.test is not None
    assert same(found.train, dataset.train)
    assert same(found.test, dataset.test)
    assert np.array_equal(found.train.known_labels(), dataset.train.known_labels())
    assert found.test.ids[[0, -1]].tolist() == ["1", "50"]
    assert found.template is not None
    assert found.template.header == ("ImageId", "Label")


def test_gzipped_files_and_a_zip_read_as_the_folder_does(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    expected = open_source(folder)
    zipped = tmp_path_factory.mktemp("zipped") / "competition.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("*.csv")):
            archive.write(path, f"inner/{path.name}")
    for path in list(folder.glob("*.csv")):
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for found in (open_source(folder), open_source(zipped)):
        assert found.test is not None
        assert expected.test is not None
        assert found.train.fingerprint == expected.train.fingerprint
        assert found.test.fingerprint == expected.test.fingerprint
        assert found.template == expected.template


@pytest.mark.parametrize("spelled", ["{}.0", "000{}"])
def test_ids_that_the_sample_submission_spells_differently_are_the_same_numbers(spelled: str, dataset: Dataset) -> None:
    assert dataset.test is not None
    expected = [spelled.format(id) for id in dataset.test.ids]
    template = SubmissionTemplate(("id", "label"), tuple(reversed(expected)))
    found = with_template(dataset, template, "sample_submission.csv")
    assert found.test is not None
    assert found.test.ids.tolist() == expected


@pytest.mark.parametrize("spelled", ["{}.0", "0{}"])
def test_labels_of_images_to_predict_are_the_training_labels_in_any_spelling(spelled: str) -> None:
    images = np.zeros((2, 1, 2, 2), np.uint8)
    train = RawImages("train.csv", images, np.array(["7", "3"]), None)
    test = RawImages("test.csv", images, np.array([spelled.format(7), "3"]), None)
    found = make_dataset("digits", train, test).test
    assert found is not None
    assert found.known_labels().tolist() == [1, 0]


def test_two_named_files(folder: Path) -> None:
    found = open_source(train=folder / "train.csv", test=folder / "test.csv")
    assert found.test is not None
    assert (len(found.train), len(found.test), found.name) == (300, 50, "train")


def test_a_labelled_csv_alone_has_nothing_to_predict(folder: Path) -> None:
    assert open_source(folder / "train.csv").test is None


def test_idx_files_gzipped_or_not(tmp_path: Path, dataset: Dataset) -> None:
    assert dataset.test is not None
    for name, split in (("train", dataset.train), ("t10k", dataset.test)):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(split.images[:, 0]))
        labels = gzip.compress(idx_bytes(split.known_labels().astype(np.uint8)))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(labels)
    found = open_source(tmp_path)
    assert found.test is not None
    assert same(found.train, dataset.train)
    assert np.array_equal(found.test.known_labels(), dataset.test.known_labels())


def test_images_need_not_be_square_digits(tmp_path: Path) -> None:
    path = tmp_path / "leaves.csv"
    path.write_text("species,p0,p1,p2,p3,p4,p5\noak,1,2,3,4,5,6\nelm,7,8,9,10,11,212\n")
    found = open_source(path, label="species", shape=(2, 3)).train
    assert found.image_shape == (1, 2, 3)
    assert found.classes == ("elm", "oak")
    assert found.images[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(InputError, match=r"not a square number.*--shape"):
        open_source(path, label="species")
    with pytest.raises(InputError, match="3x3 makes 9"):
        open_source(path, label="species", shape=(3, 3))


def test_ids_of_the_sample_submission_name_rows_that_have_none(folder: Path) -> None:
    lines = ["id,species", *(f"leaf{i},oak" for i in range(50))]
    (folder / "sample_submission.csv").write_text("\n".join(lines))
    test = open_source(folder).test
    assert test is not None
    assert test.ids[:2].tolist() == ["leaf0", "leaf1"]


def test_a_sample_submission_of_another_length_is_refused_before_training(folder: Path) -> None:
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    with pytest.raises(InputError, match="1 row for 50 test images"):
        open_source(folder)


def test_a_test_file_of_another_width_is_refused(folder: Path) -> None:
    (folder / "test.csv").write_text("pixel0,pixel1\n1,2\n")
    with pytest.raises(InputError, match="2 pixel columns, but the training images have 784"):
        open_source(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.zip", None, "no such file or folder"),
        ("page.zip", b"<html>", "not a zip file"),
        ("empty.csv", b"", "line 1"),
        ("unlabelled.csv", b"pixel0\n1\n", "no column 'label'.*--label"),
        ("blank.csv", b"label,pixel0\n1,2\n,3\n", "line 3: the label is blank"),
        ("ids.csv", b"id,label,pixel0\na,1,2\nb,1,3\na,1,3\n", "line 4: duplicate id 'a', after line 2"),
        ("ids.csv", b"id,label,pixel0\na,1,2\n,1,3\n", "line 3: the id is blank"),
        ("broken.csv.gz", gzip.compress(b"label,pixel0\n" + b"1,2\n" * 99, mtime=0)[:-12], "damaged or cut short"),
    ],
)
def test_a_wrong_source_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / name)


def test_a_folder_in_a_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(InputError, match=r"train\.csv: there are no pictures in it"):
        open_source(train=tmp_path / "train.csv")


def test_a_file_that_one_may_not_read_is_refused(folder: Path) -> None:
    (folder / "train.csv").chmod(0)
    user = os.geteuid()
    if user == 0:  # may read everything; be somebody else for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match=r"train\.csv: cannot be read: Permission denied"):
            open_source(train=folder / "train.csv")
    finally:
        os.seteuid(user)


def test_options_that_a_source_cannot_heed_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(InputError, match="The sample has its own labels"):
        open_source(label="species")
    with pytest.raises(InputError, match=r"its images are 28x28\. Leave out --shape"):
        open_source(shape=(20, 20))


def test_a_folder_without_training_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train\.csv in it"):
        open_source(tmp_path)


def test_a_zip_with_two_candidates_or_none_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a/train.csv", "")
        archive.writestr("b/train.csv", "")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(InputError, match=r"it holds 2 data sets: a, b\. Name one of them, such as .*two\.zip/a'"):
        open_source(tmp_path / "two.zip")
    with pytest.raises(InputError, match=r"no train\.csv in it .*It holds: readme\.txt"):
        open_source(tmp_path / "none.zip")


def test_a_source_and_named_files_exclude_each_other(folder: Path) -> None:
    with pytest.raises(InputError, match="not both"):
        open_source(folder, train=folder / "train.csv")
    with pytest.raises(InputError, match="--train must name"):
        open_source(test=folder / "test.csv")


def test_images_to_predict_come_from_csv_idx_or_the_test_split(folder: Path, dataset: Dataset) -> None:
    assert dataset.test is not None
    (folder / "images-idx3-ubyte").write_bytes(idx_bytes(dataset.test.images[:, 0]))
    for path in (folder, folder / "test.csv", folder / "images-idx3-ubyte"):
        assert same(read_images(path, image_shape=(1, 28, 28)), dataset.test)
    assert same(read_images(folder / "train.csv", image_shape=(1, 28, 28)), dataset.train)


def test_the_competitions_zip(competition: Path) -> None:
    data = open_source(competition)
    assert data.test is not None
    assert data.template is not None
    assert (len(data.train), len(data.test), len(data.template.ids)) == (42_000, 28_000, 28_000)
    assert data.train.classes == tuple("0123456789")


@pytest.mark.parametrize("label", ["", "-1", "?", "unknown"])
def test_a_label_that_stands_for_none_in_all_test_rows_is_left_aside(
    label: str, folder: Path, dataset: Dataset
) -> None:
    assert dataset.test is not None
    lines = (folder / "test.csv").read_text().splitlines()
    rows = [f"label,{lines[0]}", *(f"{label},{line}" for line in lines[1:])]
    (folder / "test.csv").write_text("\n".join(rows))
    found = open_source(folder)
    assert found.test is not None
    assert same(found.test, dataset.test)
    assert found.test.labels is None
    assert any("test.csv: the labels, which are all" in line for line in found.left_aside)
