"""Digits are grouped from components, without noise, frames and background, in reading order."""

import numpy as np
import pytest

from hitofude.inputs.photos import found_digits
from hitofude.inputs.photos.found_digits import Digit, find_digits

Box = tuple[int, int, int, int]


def boxes_of(*strokes: Box, shape: tuple[int, int] = (300, 400)) -> list[Box]:
    """Return the boxes of the digits found if these boxes are drawn, each as a ring."""
    mask = np.zeros(shape, dtype=bool)
    for top, left, bottom, right in strokes:
        mask[top:bottom, left:right] = True
        mask[top + 2 : bottom - 2, left + 2 : right - 2] = False
    return [digit.box for digit in find_digits(mask)]


def test_digits_are_read_along_lines_from_the_top() -> None:
    first = [(20, 20, 60, 45), (25, 70, 62, 90), (18, 120, 58, 150)]
    second = [(100, 10, 140, 30), (98, 60, 141, 95)]
    assert boxes_of(*second, *reversed(first)) == first + second


def test_a_line_may_rise() -> None:
    rising = [(200 - 22 * i, 20 + 40 * i, 240 - 22 * i, 45 + 40 * i) for i in range(8)]
    below = [(box[0] + 60, box[1], box[2] + 60, box[3]) for box in rising]
    assert boxes_of(*below, *rising) == rising + below


def test_a_fives_flag_is_joined_to_it() -> None:
    body, flag = (40, 40, 80, 70), (30, 55, 35, 80)
    assert boxes_of(body, flag, (38, 120, 80, 150)) == [(30, 40, 80, 80), (38, 120, 80, 150)]


def test_halves_of_a_broken_digit_are_joined() -> None:
    assert boxes_of((20, 20, 42, 50), (44, 22, 66, 52), (20, 80, 66, 110)) == [(20, 20, 66, 52), (20, 80, 66, 110)]


def test_neighbours_are_not_joined() -> None:
    neighbours = [(20, 20, 60, 40), (20, 43, 60, 63)]
    assert boxes_of(*neighbours) == neighbours


def test_slanted_neighbours_whose_boxes_overlap_are_not_joined() -> None:
    mask = np.zeros((100, 120), dtype=bool)
    for start in (20, 34):
        for row in range(60):
            mask[20 + row, start + (60 - row) // 2 :][:4] = True
    assert len(find_digits(mask)) == 2


def test_noise_commas_and_underlines_are_left_out() -> None:
    digits = [(20, 20, 60, 45), (20, 70, 60, 95)]
    noise = [(5, 5, 8, 8), (100, 200, 103, 203), (55, 52, 65, 60), (90, 20, 93, 95)]
    assert boxes_of(*digits, *noise) == digits


def test_noise_does_not_hide_the_digits() -> None:
    noise = [(100 + 8 * row, 8 * column, 103 + 8 * row, 8 * column + 3) for row in range(20) for column in range(1, 49)]
    assert boxes_of((20, 20, 60, 45), *noise) == [(20, 20, 60, 45)]


def test_a_frame_around_digits_is_left_out() -> None:
    digits = [(30, 30, 70, 50), (30, 70, 70, 90)]
    assert boxes_of((10, 10, 90, 110), *digits) == digits


def test_a_desk_at_the_edge_is_left_out() -> None:
    assert boxes_of((0, 0, 300, 30), (100, 100, 140, 125)) == [(100, 100, 140, 125)]


def test_a_digit_cropped_to_its_ink_is_found() -> None:
    assert boxes_of((0, 0, 40, 25), shape=(40, 25)) == [(0, 0, 40, 25)]


def test_a_line_cropped_to_its_ink_keeps_all_its_digits() -> None:
    line = [(0, 0, 40, 25), (3, 40, 37, 60), (0, 80, 38, 100)]
    assert boxes_of(*line, shape=(40, 100)) == line


def test_an_empty_mask_and_a_dot_have_no_digits() -> None:
    assert boxes_of() == []
    assert boxes_of((10, 10, 14, 14)) == [], "too low for a digit"


def test_the_mask_of_a_digit_holds_its_own_strokes_only() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[10:50, 10:13] = mask[47:50, 10:40] = True  # an L, and a bar inside its box
    mask[10:40, 30:34] = True
    first, second = find_digits(mask)
    assert isinstance(first, Digit)
    assert first.mask.sum() + second.mask.sum() == mask.sum()
    assert not first.mask[:, 20:][:30].any()


def test_a_sheet_full_of_dots_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_digits, "MAX_COMPONENTS", 50)
    mask = np.kron(np.ones((8, 8), dtype=bool), np.pad(np.ones((7, 7), dtype=bool), 2))
    assert len(find_digits(mask)) == 50
