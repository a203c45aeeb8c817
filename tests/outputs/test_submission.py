from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import SubmissionTemplate
from hitofude.outputs.submission import KAGGLE_HEADER, SubmissionFormat, write_submission
from hitofude.recipe import Metric

PROBABILITIES = np.array([[0.25, 0.75], [0.9999999, 0.0000001]], dtype=np.float32)


def ids(*names: str) -> NDArray[np.str_]:
    return np.array(names)


def template(*header: str) -> SubmissionTemplate:
    return SubmissionTemplate(header, ("1", "2"))


def written(path: Path, metric: Metric, classes: tuple[str, ...], sample: SubmissionTemplate | None = None) -> str:
    """The submission for two images, of the first of which the second class is the likeliest."""
    probabilities = np.eye(len(classes), dtype=np.float32)[[1, 0]]
    write_submission(path, ids("1", "2"), probabilities, classes, SubmissionFormat.choose(metric, classes, sample))
    return path.read_text()


def test_a_submission_is_kaggles_format(tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.csv", ids("1", "2"), PROBABILITIES, ["7", "a,b"])
    assert (tmp_path / "submission.csv").read_bytes() == b'ImageId,Label\n1,"a,b"\n2,7\n'


def test_every_id_needs_a_label(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_submission(tmp_path / "s.csv", ids("1", "2", "3"), PROBABILITIES, ["7", "8"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy", "macro-f1", "quadratic-kappa"])
def test_a_metric_of_answers_ends_with_labels_and_the_samples_header(metric: Metric, tmp_path: Path) -> None:
    assert written(tmp_path / "s.csv", metric, ("7", "8")) == "ImageId,Label\n1,8\n2,7\n"
    found = written(tmp_path / "s.csv", metric, ("7", "8"), template("id", "species"))
    assert found == "id,species\n1,8\n2,7\n"


@pytest.mark.parametrize("metric", ["log-loss", "auc"])
def test_a_metric_of_probabilities_ends_with_a_probability_for_each_class(metric: Metric, tmp_path: Path) -> None:
    expected = "id,cat,dog,owl\n1,0,1,0\n2,1,0,0\n"
    assert written(tmp_path / "s.csv", metric, ("cat", "dog", "owl")) == expected
    assert written(tmp_path / "s.csv", metric, ("cat", "dog", "owl"), template("id", "label")) == expected


def test_columns_are_those_of_the_sample_in_their_order(tmp_path: Path) -> None:
    sample = template("file", "Class_2", "Class_0", "Class_1")
    assert written(tmp_path / "s.csv", "log-loss", ("0", "1", "2"), sample) == (
        "file,Class_2,Class_0,Class_1\n1,0,0,1\n2,0,1,0\n"
    )


def test_a_sample_with_a_column_for_each_class_asks_for_probabilities_whatever_the_metric(tmp_path: Path) -> None:
    assert written(tmp_path / "s.csv", "accuracy", ("a", "b"), template("id", "a", "b")) == "id,a,b\n1,0,1\n2,1,0\n"


def test_one_column_for_two_classes_holds_the_probability_of_the_second(tmp_path: Path) -> None:
    assert written(tmp_path / "s.csv", "auc", ("0", "1"), template("id", "target")) == "id,target\n1,1\n2,0\n"
    assert written(tmp_path / "s.csv", "auc", ("cat", "dog"), template("id", "cat")) == "id,cat\n1,0\n2,1\n"


def test_probabilities_are_read_back_to_the_last_bit(tmp_path: Path) -> None:
    form = SubmissionFormat.choose("log-loss", ("a", "b"))
    write_submission(tmp_path / "s.csv", ids("1", "2"), PROBABILITIES, ("a", "b"), form)
    found = np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1, usecols=(1, 2), dtype=np.float32)
    assert np.array_equal(found, PROBABILITIES)


def test_a_sample_with_columns_of_other_classes_is_refused_by_their_names() -> None:
    with pytest.raises(InputError, match=r"3 columns beside the id \(a, b, x\).*3 classes \(a, b, c\)"):
        SubmissionFormat.choose("log-loss", ("a", "b", "c"), template("id", "a", "b", "x"))


def test_a_kappa_of_classes_without_numbers_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs classes that are numbers.*class 'mild'.*such as macro-f1"):
        SubmissionFormat.choose("quadratic-kappa", ("0", "mild", "2"))


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (("1", "1"), None, "Duplicate id '1'"),
        (("1", "2"), ("1", "2", "3"), "1 id is missing, such as '3'"),
        (("1", "2"), ("1",), "1 id is not expected, such as '2'"),
    ],
)
def test_wrong_ids_are_refused_and_nothing_is_written(
    found: tuple[str, ...], expected: tuple[str, ...] | None, message: str, tmp_path: Path
) -> None:
    form = SubmissionFormat(KAGGLE_HEADER, (), expected)
    with pytest.raises(InputError, match=message):
        write_submission(tmp_path / "s.csv", ids(*found), PROBABILITIES, ("7", "8"), form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metric", "names", "header"),
    [
        ("accuracy", (None, "label"), ("ImageId", "Label")),  # Digit Recognizer
        ("accuracy", (None, None), ("ImageId", "Label")),
        ("accuracy", ("id", "label"), ("id", "label")),  # Kannada MNIST
        ("accuracy", ("image_id", "species"), ("image_id", "species")),
        ("accuracy", (None, "emotion"), ("ImageId", "emotion")),
        ("accuracy", ("id", None), ("id", "Label")),
        ("log-loss", ("image_id", "label"), ("image_id", "a", "b")),
        ("log-loss", (None, "label"), ("id", "a", "b")),
    ],
)
def test_without_a_sample_the_files_name_the_columns(
    metric: Metric, names: tuple[str | None, str | None], header: tuple[str, ...]
) -> None:
    assert SubmissionFormat.choose(metric, ["a", "b"], names=names).header == header
