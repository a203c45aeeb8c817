from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats.text_table import read_text_table


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_are_found_by_name_with_the_line_of_each_row(tmp_path: Path) -> None:
    table = read_text_table(written(tmp_path, '\ufeffid,label,"a,b"\n1,cat,x\n\n2, dog ,"y\nz"\n3,cat,w\n'))
    assert table.columns(["label", "id"]) == [(2, ("cat", "1")), (5, ("dog", "2")), (6, ("cat", "3"))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("id,label\n1\n", "line 2: expected 2 fields, found 1 field"),
        ("id,label\n1,2\n1,2,3\n", "line 3: expected 2 fields, found 3 fields"),
        (b"id,label\n\xff,2\n", "cannot be read as CSV"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_text_table(written(tmp_path, content))


def test_a_missing_column_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'label'\. Did you mean 'labels'"):
        read_text_table(written(tmp_path, "id,labels\n1,2\n")).columns(["label"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_text_table(tmp_path / "no.csv")
