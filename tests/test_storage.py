"""Durable files and folders."""

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import OutOfResourcesError, RunFolderError
from hitofude.storage import (
    check_disk,
    explaining_os_errors,
    link,
    making_folder,
    owning,
    read_json,
    read_npz,
    validated,
    write_json,
    write_npz,
    write_text,
    writing,
)


def test_a_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "earlier")
    with pytest.raises(ZeroDivisionError), writing(path) as stream:
        stream.write(b"half" * (1 // 0))
    assert path.read_text() == "earlier"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_two_writers_with_the_same_process_id_have_different_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with writing(path) as replaced:
        replaced.write(b"first, and ")
        write_text(path, "second")
        replaced.write(b"last")
    assert path.read_text() == "first, and last"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_linking_twice_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_text(tmp_path / "file.txt", "content")
    assert link(tmp_path / "file.txt", tmp_path / "other.txt")
    assert link(tmp_path / "file.txt", tmp_path / "other.txt")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file.txt", "other.txt"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfResourcesError, match="No space left"), writing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_device_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OutOfResourcesError), explaining_os_errors(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_text(tmp_path / "file" / "below", "")


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    with pytest.raises(ZeroDivisionError), making_folder(folder) as partial:
        write_text(partial / "file.txt", "half" * (1 // 0))
    assert list(folder.parent.iterdir()) == []
    with making_folder(folder) as partial:
        write_text(partial / "file.txt", "whole")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["file.txt"]


def test_a_made_folder_replaces_only_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with making_folder(tmp_path / "folder") as partial:
        write_text(partial / "file.txt", "first")
    with pytest.raises(RunFolderError, match=r"not empty: it holds file\.txt"), making_folder(tmp_path / "folder"):
        pass
    with pytest.raises(RunFolderError, match="is a file"), making_folder(tmp_path / "folder" / "file.txt"):
        pass
    assert (tmp_path / "folder" / "file.txt").read_text() == "first"


def test_a_folder_filled_by_another_process_meanwhile_is_not_changed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(RunFolderError, match="cannot be written"), making_folder(folder):
        write_text(folder / "file.txt", "theirs")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (folder / "file.txt").read_text() == "theirs"


def test_json_survives(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "一筆"})
    assert read_json(tmp_path / "a.json") == {"name": "一筆"}


def test_missing_and_damaged_json_have_different_errors(tmp_path: Path) -> None:
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


@dataclass
class Content:
    name: str
    count: int


@pytest.mark.parametrize(("content", "key"), [({"name": "a", "count": "many"}, "count"), ([], "its beginning")])
def test_json_of_the_wrong_type_is_named(content: object, key: str) -> None:
    with pytest.raises(RunFolderError, match=rf"a\.json is damaged at {key}"):
        validated(Content, content, Path("a.json"))


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with owning(tmp_path / "folder") as first, owning(tmp_path / "folder") as second:
        assert (first, second) == (True, False)
    with owning(tmp_path / "folder") as again:
        assert again


def test_too_little_room_on_the_disk_is_told_in_bytes(tmp_path: Path) -> None:
    check_disk(tmp_path / "new", 1, "The run needs", "--run")
    with pytest.raises(OutOfResourcesError, match=r"^The run needs about 1,000,000,000,000,000,000 bytes more .*"):
        check_disk(tmp_path / "new", 10**18, "The run needs", "--run")
