"""ARFF, LIBSVM and Excel: the same content as their own libraries read."""

import io
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from scipy.io import arff
from sklearn.datasets import dump_svmlight_file

from hitofude.errors import InputError
from hitofude.inputs.formats import archive
from hitofude.inputs.sources import open_source

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 256, (12, 9)) * (RNG.random((12, 9)) < 0.7)
LABELS = np.array(list("abcabcabcabc"))
HEADER = "% made by Weka\n@RELATION 'small digits'\n\n"
ATTRIBUTES = "".join(f"@ATTRIBUTE pixel{i} real\n" for i in range(9)) + "@attribute 'kind' {a,b,c}\n"


def arff_text(quote: str = "") -> str:
    lines = [f"{','.join(map(str, row))},{quote}{label}{quote}" for row, label in zip(ROWS, LABELS, strict=True)]
    return f"{HEADER}{ATTRIBUTES}\n@DATA\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("quote", ["", "'"])
def test_arff_reads_as_scipy_reads_it(quote: str, tmp_path: Path) -> None:
    path = tmp_path / "digits.arff"
    path.write_text(arff_text(quote))
    expected, _ = arff.loadarff(io.StringIO(arff_text()))
    dataset = open_source(path)
    pixels = np.stack([expected[f"pixel{i}"] for i in range(9)], axis=1)
    assert np.array_equal(dataset.train.images.reshape(12, 9), pixels)
    found = [dataset.train.classes[label] for label in dataset.train.known_labels()]
    assert found == [label.decode() for label in expected["kind"]]
    assert dataset.reading == ("digits.arff: the label is the attribute 'kind', the only one of listed values",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + ATTRIBUTES, "no line @DATA"),
        (HEADER + ATTRIBUTES + "@data\n{1 5, 3 7}\n", "sparse ARFF"),
        (arff_text().replace("@DATA\n", "@DATA\n1,2\n"), "below @DATA, line 2: 2 fields"),
    ],
)
def test_wrong_arff_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.arff").write_text(text)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "wrong.arff")


def test_libsvm_is_what_scikit_learn_writes(tmp_path: Path) -> None:
    rows = ROWS.astype(float)
    rows[:, 7:] = 0
    dump_svmlight_file(rows, np.arange(12) % 2, str(tmp_path / "digits.svm"), zero_based=False)
    dataset = open_source(tmp_path / "digits.svm")
    assert np.array_equal(dataset.train.images.reshape(12, 9), rows)
    assert dataset.train.known_labels().tolist() == (np.arange(12) % 2).tolist()
    assert dataset.reading == ("digits.svm: the last index is 7, so pixels 8 to 9 are 0",)


def test_an_index_that_no_image_has_is_refused_before_it_is_made_room_for(tmp_path: Path) -> None:
    (tmp_path / "evil.svm").write_text("1 1:5\n0 99999999999:7\n")
    with pytest.raises(InputError, match=r"evil\.svm: .*(index|damaged)"):
        open_source(tmp_path / "evil.svm")


def test_the_first_sheet_of_a_workbook_is_a_table_and_the_others_are_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append([*(f"pixel{i}" for i in range(9)), "label"])
    for row, label in zip(ROWS.tolist(), LABELS.tolist(), strict=True):
        book.active.append([*row, label])
    book.create_sheet("Notes").append(["about"])
    book.save(tmp_path / "digits.xlsx")
    dataset = open_source(tmp_path / "digits.xlsx")
    assert np.array_equal(dataset.train.images.reshape(12, 9), ROWS)
    assert dataset.left_aside == ("digits.xlsx: the sheet 'Notes'",)


def test_a_workbook_that_grows_or_is_damaged_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bad.xlsx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", "<worksheet/>" + " " * 100_000)
    with pytest.raises(InputError, match=r"bad\.xlsx: the Excel file is damaged.*Save it as CSV"):
        open_source(tmp_path / "bad.xlsx")
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10)
    monkeypatch.setattr(archive, "GROWTH", 1)
    with pytest.raises(InputError, match="as a zip bomb does"):
        open_source(tmp_path / "bad.xlsx")
