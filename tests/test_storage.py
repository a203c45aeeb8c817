import errno
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import OutOfResourcesError, RunFolderError
from hitofude.storage import link, making_folder, read_json, read_npz, write_json, write_npz, write_text, writing


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "earlier")
    with pytest.raises(ZeroDivisionError), writing(path) as stream:
        stream.write(b"half" * (1 // 0))
    assert path.read_text() == "earlier"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_two_writers_of_one_file_do_not_meet_though_their_processes_have_one_number(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with writing(path) as replaced:
        replaced.write(b"first, and ")
        write_text(path, "second")
        replaced.write(b"last")
    assert path.read_text() == "first, and last"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_name_that_means_the_file_already_is_linked_again_without_a_trace(tmp_path: Path) -> None:
    write_text(tmp_path / "file.txt", "content")
    assert link(tmp_path / "file.txt", tmp_path / "other.txt")
    assert link(tmp_path / "file.txt", tmp_path / "other.txt")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file.txt", "other.txt"]


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


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    with pytest.raises(ZeroDivisionError), making_folder(folder) as partial:
        write_text(partial / "file.txt", "half" * (1 // 0))
    assert list(folder.parent.iterdir()) == []
    with making_folder(folder) as partial:
        write_text(partial / "file.txt", "whole")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["file.txt"]


def test_a_made_folder_replaces_nothing_but_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with making_folder(tmp_path / "folder") as partial:
        write_text(partial / "file.txt", "first")
    with pytest.raises(RunFolderError, match=r"not empty: it holds file\.txt"), making_folder(tmp_path / "folder"):
        pass
    with pytest.raises(RunFolderError, match="is a file"), making_folder(tmp_path / "folder" / "file.txt"):
        pass
    assert (tmp_path / "folder" / "file.txt").read_text() == "first"


def test_a_folder_that_somebody_fills_meanwhile_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(RunFolderError, match="cannot be written"), making_folder(folder):
        write_text(folder / "file.txt", "theirs")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (folder / "file.txt").read_text() == "theirs"


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
