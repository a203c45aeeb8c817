from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.outputs.submission import write_submission


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
