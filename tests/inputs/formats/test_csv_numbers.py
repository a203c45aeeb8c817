"""Numbers in CSV that are no bytes: whole ones spelled as floats, fractions, numbers of other ranges, and faults."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.formats import csv_lines
from hitofude.inputs.formats.csv_table import stream_csv

ROWS = 200
VALUES = np.arange(ROWS * 4).reshape(ROWS, 4) % 256


def table(rows: Sequence[Sequence[str]]) -> bytes:
    lines = [f"{number % 5},{','.join(row)}" for number, row in enumerate(rows)]
    return "\n".join(["label,pixel0,pixel1,pixel2,pixel3", *lines]).encode()


def read(content: bytes) -> NDArray[Any]:
    return np.concatenate([piece.pixels for piece in stream_csv(io.BytesIO(content), "mine.csv")])


@pytest.mark.parametrize("form", ["{:.1f}", "{:.2f}", "{:.18e}", "{:+d}", "{:05d}", " {:d} "])
@pytest.mark.parametrize("block_bytes", [100, 1 << 17])
def test_whole_numbers_are_bytes_however_they_are_spelled(
    form: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", block_bytes)
    pixels = read(table([[form.format(value) for value in row] for row in VALUES.tolist()]))
    assert (pixels.dtype, pixels.tolist()) == (np.uint8, VALUES.tolist())


@pytest.mark.parametrize(
    "values",
    [VALUES / 255, VALUES / 127.5 - 1, VALUES * 16, VALUES * 257, (VALUES - 33.1) / 78.6, VALUES * 1e-30],
    ids=["0..1", "-1..1", "12 bits", "16 bits", "standardised", "tiny"],
)
@pytest.mark.parametrize("block_bytes", [100, 1 << 17])
def test_other_numbers_stay_as_they_are(
    values: NDArray[np.float64], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", block_bytes)
    pixels = read(table([[repr(value) for value in row] for row in values.tolist()]))
    assert np.array_equal(pixels, values.astype(np.float32))


def test_a_class_of_black_images_before_the_others_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 100)
    values = np.where(np.arange(ROWS)[:, None] < 150, 0, VALUES / 255)
    assert np.array_equal(read(table([[repr(v) for v in row] for row in values.tolist()])), values.astype(np.float32))


@pytest.mark.parametrize("fault", ["", "x", "nan", "NaN", "inf", "1e400", "0x10", "１", "1 2", "--", "1,5"])
def test_a_fault_among_other_numbers_is_listed(fault: str) -> None:
    rows = [[repr(value) for value in row] for row in (VALUES / 255).tolist()]
    rows[120][2] = f'"{fault}"' if "," in fault else fault
    with pytest.raises(InputError) as refused:
        read(table(rows))
    assert str(refused.value).startswith(f"mine.csv, line 122, column 'pixel2': found '{fault}', expected a number.")


def test_few_numbers_among_bytes_are_faults_and_many_are_not() -> None:
    rows = [[str(value) for value in row] for row in VALUES.tolist()]
    for number in range(0, ROWS, 11):
        rows[number][1] = "300"
    with pytest.raises(InputError, match=r"line 2, column 'pixel1': found '300', expected an integer.*19 values"):
        read(table(rows))
    for number in range(0, ROWS, 9):
        rows[number][1] = "300"
    assert read(table(rows)).max() == 300


def test_a_text_with_zero_decimals_stays_as_it_is() -> None:
    [piece] = stream_csv(io.BytesIO(b"id,label,pixel0\n1.0,v2.0,7.0\n2.0,v3.0,8.0\n"), "mine.csv")
    assert piece.ids is not None
    assert piece.labels is not None
    assert (piece.ids.tolist(), piece.labels.tolist(), piece.pixels.tolist()) == (
        ["1.0", "2.0"],
        ["v2.0", "v3.0"],
        [[7], [8]],
    )


def test_all_pixels_may_be_in_one_column() -> None:
    text = b'emotion,pixels,Usage\n3,"0 12 255 7",Training\n4,1 2 3 4,PublicTest\n'
    [piece] = stream_csv(io.BytesIO(text), "mine.csv")
    assert piece.pixels.tolist() == [[0, 12, 255, 7], [1, 2, 3, 4]]
    assert piece.usage is not None
    assert piece.usage.tolist() == ["Training", "PublicTest"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("4,1 2 300 x", r"line 3, column 'pixels', number '4': found 'x', expected a number"),
        ("4,1 2 3", r"line 3: 3 numbers in the column 'pixels', expected 4 as in the first row"),
    ],
)
def test_a_fault_in_a_column_of_all_pixels_has_its_place(row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(f"emotion,pixels\n3,0 12 255 7\n{row}\n".encode())
