from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.outputs.submission import score, write_submission


def ids(*names: str) -> np.ndarray:
    return np.array(names)


def test_a_submission_is_kaggles_format(tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.csv", ids("1", "2"), ["7", "a,b"])
    assert (tmp_path / "submission.csv").read_bytes() == b'ImageId,Label\n1,7\n2,"a,b"\n'


def test_every_id_needs_a_label(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_submission(tmp_path / "s.csv", ids("1", "2"), ["7"])
    assert not list(tmp_path.iterdir())


def test_the_samples_header_is_used(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", ids("x"), ["7"], header=("id", "species"), expected_ids=["x"])
    assert (tmp_path / "s.csv").read_text() == "id,species\nx,7\n"


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (("1", "1"), None, "Duplicate id '1'"),
        (("1", "2"), ["1", "2", "3"], "1 ids are missing, such as '3'"),
        (("1", "2"), ["1"], "1 ids are not expected, such as '2'"),
    ],
)
def test_wrong_ids_are_refused_and_nothing_is_written(
    found: tuple[str, ...], expected: list[str] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_submission(tmp_path / "s.csv", ids(*found), ["0"] * len(found), expected_ids=expected)
    assert not list(tmp_path.iterdir())


def test_a_score_is_the_share_of_right_labels_whatever_the_order(tmp_path: Path) -> None:
    (tmp_path / "submission.csv").write_text("ImageId,Label\n1,7\n2,8\n3,9\n4,0\n")
    (tmp_path / "solution.csv").write_text("ImageId,Label,Usage\n4,0,Public\n3,9,Public\n2,8,Private\n1,1,Private\n")
    found = score(tmp_path / "submission.csv", tmp_path / "solution.csv")
    assert (found.right, found.total) == (3, 4)


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ("ImageId,Label\n1,7\n", "1 ids are missing, such as '2'"),
        ("ImageId,Label\n1,7\n1,8\n", "line 3: duplicate id '1'"),
        ("ImageId,Label\n1\n", "line 2: expected 2 fields, found 1 field"),
        ("", "expected a header, but the file is empty"),
        ("ImageId,Label\n", "expected a header and at least one row below it"),
        ("ImageId\n1\n2\n", "line 1: expected 2 fields, found 1 field"),
        (None, "no such file"),
    ],
)
def test_a_submission_that_does_not_fit_has_no_score(submission: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "solution.csv").write_text("ImageId,Label\n1,7\n2,8\n")
    if submission is not None:
        (tmp_path / "submission.csv").write_text(submission)
    with pytest.raises(InputError, match=message):
        score(tmp_path / "submission.csv", tmp_path / "solution.csv")
