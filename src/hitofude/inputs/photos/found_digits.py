"""Group the connected components of a mask into digits, without noise and frames, in reading order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MIN_DIGIT_HEIGHT = 6  # pixels
MAX_COMPONENTS = 3000  # only the highest ones are kept: each pair is compared
MAX_FRAMES = 50  # only the largest components are considered as frames
FRAMED_HEIGHT = 0.3  # a frame encloses a component of at least this share of its own height
# As shares of the digit height:
STROKE_HEIGHT = 0.4  # a lower component is a single stroke of a digit
NOISE_SIZE = 0.12  # a component smaller than this in both directions is noise
MAX_CUT_SIZE = 1.6  # a larger component that is cut by the picture's edge is background
STROKE_GAP = 0.25  # between a stroke and its digit, vertically
BREAK_GAP, BREAK_OVERLAP = 0.1, 0.3  # between two halves of a digit, vertically
# As shares of the smaller one's side:
MIN_COLUMN_OVERLAP = 0.4  # components of one digit overlap horizontally by at least this share of the width
MIN_LINE_OVERLAP = 0.4  # neighbours in a line overlap vertically by more than this share of the height

Boxes = NDArray[np.int64]  # (N, 4): top, left, bottom, right; bottom and right are exclusive


@dataclass(frozen=True, eq=False)
class Digit:
    """A digit's place in its picture and its strokes."""

    box: tuple[int, int, int, int]  # top, left, bottom, right, in pixels; bottom and right are exclusive
    mask: NDArray[np.bool_]  # within the box


def find_digits(mask: NDArray[np.bool_]) -> list[Digit]:
    """Return the digits of a mask (H, W) of ink in reading order: lines from the top, each from the left."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 0:
        return []
    boxes = np.array([(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)])
    kept = _without_noise(boxes, _without_frames_and_background(boxes, mask.shape))
    groups = _group_into_digits(boxes[kept])
    digits = [_digit(labels, kept[group] + 1, boxes[kept[group]]) for group in groups]
    high = [digit for digit in digits if digit.box[2] - digit.box[0] >= MIN_DIGIT_HEIGHT]
    return [high[number] for number in _reading_order(np.array([digit.box for digit in high]).reshape(-1, 4))]


def _without_frames_and_background(boxes: Boxes, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the rows of boxes that are neither frames around others nor large things cut by the picture's edge."""
    height, width = _sizes(boxes)
    rows = np.arange(len(boxes))
    largest = rows[np.argsort(-height * width)[:MAX_FRAMES]]
    frames = [row for row in largest if (height[_inside(boxes, row)] >= FRAMED_HEIGHT * height[row]).any()]
    rows = np.setdiff1d(rows, frames)
    is_cut = (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2:] == shape[:2]).any(axis=1)
    digit_height = _digit_height(boxes[rows[~is_cut[rows]]])
    if digit_height < MIN_DIGIT_HEIGHT:
        return rows
    is_background = is_cut & (np.maximum(height, width) > MAX_CUT_SIZE * digit_height)
    kept: NDArray[np.int64] = rows[~is_background[rows]]
    return kept


def _inside(boxes: Boxes, row: int) -> NDArray[np.bool_]:
    """(N,) whether each box lies inside the box of the row."""
    inside = np.concatenate([boxes[:, :2] > boxes[row, :2], boxes[:, 2:] < boxes[row, 2:]], axis=1)
    return np.asarray(inside.all(axis=1))


def _without_noise(boxes: Boxes, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.sort(rows[np.argsort(-_sizes(boxes[rows])[0], kind="stable")][:MAX_COMPONENTS])
    height, width = _sizes(boxes[rows])
    kept: NDArray[np.int64] = rows[np.maximum(height, width) >= max(NOISE_SIZE * _digit_height(boxes[rows]), 2)]
    return kept


def _digit_height(boxes: Boxes) -> float:
    """Return the median height weighted by the squared heights: a digit's, even if most components are noise."""
    if len(boxes) == 0:
        return 0.0
    height = np.sort(_sizes(boxes)[0]).astype(np.float64)
    weight = np.cumsum(height**2)
    return float(height[np.searchsorted(weight, weight[-1] / 2)])


def _sizes(boxes: Boxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Heights and widths, (N,) each."""
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def _group_into_digits(boxes: Boxes) -> list[NDArray[np.int64]]:
    """Return the rows of each digit. A stroke without a digit is left out."""
    digit_height = _digit_height(boxes)
    height, width = _sizes(boxes)
    is_stroke = height < STROKE_HEIGHT * digit_height
    parent = np.arange(len(boxes))
    shared = np.minimum(boxes[:, None, 3], boxes[None, :, 3]) - np.maximum(boxes[:, None, 1], boxes[None, :, 1])
    gap = np.maximum(boxes[:, None, 0], boxes[None, :, 0]) - np.minimum(boxes[:, None, 2], boxes[None, :, 2])
    overlap = shared >= MIN_COLUMN_OVERLAP * np.minimum(width[:, None], width[None, :])
    is_near = (gap <= BREAK_GAP * digit_height) & (gap >= -BREAK_OVERLAP * digit_height)
    halves = overlap & is_near & ~is_stroke[:, None] & ~is_stroke[None, :]
    for first, second in zip(*np.nonzero(np.triu(halves, 1)), strict=True):
        parent[parent == parent[second]] = parent[first]
    for stroke in np.flatnonzero(is_stroke):
        belongs = overlap[stroke] & ~is_stroke & (gap[stroke] <= STROKE_GAP * digit_height)
        distance = np.where(belongs, gap[stroke], np.inf)
        parent[stroke] = parent[distance.argmin()] if belongs.any() else -1
    return [np.flatnonzero(parent == root) for root in np.unique(parent[parent >= 0])]


def _digit(labels: NDArray[np.int32], numbers: NDArray[np.int64], boxes: Boxes) -> Digit:
    (top, left), (bottom, right) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    return Digit((top, left, bottom, right), np.isin(labels[top:bottom, left:right], numbers))


def _reading_order(boxes: Boxes) -> list[int]:
    """Add each digit to the line whose last digit is beside it, so that a line may rise or fall."""
    lines: list[list[int]] = []
    for row in np.argsort(boxes[:, 1], kind="stable").tolist():
        overlaps = [_line_overlap(boxes[row], boxes[line[-1]]) for line in lines]
        if max(overlaps, default=0) > MIN_LINE_OVERLAP:
            lines[int(np.argmax(overlaps))].append(row)
        else:
            lines.append([row])
    lines.sort(key=lambda line: float(np.mean([boxes[row, 0] + boxes[row, 2] for row in line])))
    return [row for line in lines for row in line]


def _line_overlap(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Return the vertical overlap of two boxes as a share of the lower one's height."""
    shared = min(first[2], second[2]) - max(first[0], second[0])
    return float(shared / min(first[2] - first[0], second[2] - second[0]))
