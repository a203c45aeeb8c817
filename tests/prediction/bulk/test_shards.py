"""The files that are shards, and the names of their predictions."""

from pathlib import Path

import pytest

from hitofude.errors import InputError, RecipeError
from hitofude.prediction.bulk.shards import find_shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files; nothing is read to find them."""
    names = ("b.parquet", "a.csv", "c.csv.gz", "d.npz", "deep/e.parquet", "notes.md", "_old.parquet", ".hidden.csv")
    for name in names:
        (tmp_path / "shards" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shards" / name).touch()
    return tmp_path / "shards"


def names(*inputs: Path, format: str | None = None) -> list[str]:
    return [shard.output for shard in find_shards(inputs, Path("out"), format)]


def test_a_folder_means_its_files_of_the_usual_endings(folder: Path) -> None:
    assert names(folder) == ["a.csv", "b.parquet", "c.csv", "d.csv"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", ["_old.parquet", "b.parquet"]),
        ("**/*.parquet", ["_old.parquet", "b.parquet", "e.parquet"]),
        ("[ab].*", ["a.csv", "b.parquet"]),
    ],
)
def test_a_pattern_means_the_files_that_fit_it(pattern: str, expected: list[str], folder: Path) -> None:
    assert names(folder / pattern) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "x[1].csv").touch()
    assert names(folder / "x[1].csv") == ["x[1].csv"]


def test_a_file_that_is_named_twice_is_one_shard(folder: Path) -> None:
    assert names(folder, folder / "a.csv", folder / "deep" / ".." / "a.csv") == names(folder)


def test_a_link_is_called_by_its_own_name(folder: Path) -> None:
    (folder / "link.csv").symlink_to(folder / "a.csv")
    assert names(folder / "link.csv") == ["link.csv"]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_all_predictions_may_have_one_format(format: str, folder: Path) -> None:
    assert {Path(name).suffix for name in names(folder, format=format)} == {f".{format}"}


def test_two_shards_whose_predictions_would_have_one_name_are_refused(folder: Path) -> None:
    (folder / "deep" / "a.csv").touch()
    with pytest.raises(InputError, match=r"a\.csv and .*deep/a\.csv would both be predicted into a\.csv"):
        names(folder, folder / "deep")


@pytest.mark.parametrize(
    ("given", "message"), [("*.x", "no file matches"), ("none.csv", "no such file"), ("empty", "no file in it")]
)
def test_an_argument_without_files_is_refused(given: str, message: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        names(folder / given)


@pytest.mark.parametrize("out", [".", "..", "deep/.."])
def test_predictions_among_the_shards_are_refused(out: str, folder: Path) -> None:
    with pytest.raises(RecipeError, match="Name a folder for the predictions alone"):
        find_shards([folder], folder / out)
