import errno
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import OutOfResourcesError, RunFolderError
from hitofude.storage import read_json, read_npz, write_json, write_npz, write_text, writing


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "earlier")
    with pytest.raises(ZeroDivisionError), writing(path) as stream:
        stream.write(b"half" * (1 // 0))
    assert path.read_text() == "earlier"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfResourcesError, match="No space left"), writing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_really_full_device_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    from hitofude.storage import explaining_os_errors

    with pytest.raises(OutOfResourcesError), explaining_os_errors(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_text(tmp_path / "file" / "below", "")


def test_json_survives(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "一筆"})
    assert read_json(tmp_path / "a.json") == {"name": "一筆"}


def test_missing_and_damaged_json_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is missing"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_json(tmp_path / "a.json")


def test_arrays_survive(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", ids=np.array(["1", "二"]), values=np.arange(3))
    arrays = read_npz(tmp_path / "a.npz")
    assert arrays["ids"].tolist() == ["1", "二"]
    assert arrays["values"].tolist() == [0, 1, 2]


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.array([{}], dtype=object))
    with pytest.raises(RunFolderError, match="damaged"):
        read_npz(tmp_path / "a.npz")
