"""Strokes become digits: parts joined, specks and frames left out, in reading order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMALLEST = 6
"""Pixels; what is less high is no digit."""
PART = 0.4
"""What is lower than this share of the digits' height is only a part of one."""
SPECK = 0.12
"""What is smaller than this share of it, in both directions, is not even that."""
FLAG_GAP, BREAK_GAP, BREAK_OVERLAP = 0.25, 0.1, 0.3
"""How far a part may be below or above its digit, how far two halves apart, and how far they may reach past each
other, as shares of the digits' height."""
OVER = 0.4
"""Parts of a digit stand over each other by at least this share of the narrower one's width."""
OTHER_SIZE = 1.6
"""What is cut off by the picture's edge is a digit unless it is so many times larger than those that are not."""
ENCLOSED = 0.3
"""A frame is what holds something of at least this share of its height."""
MOST_PARTS = 3000
"""So many of the highest are looked at; joining compares each with each."""
SAME_LINE = 0.4
"""Neighbours in a line overlap by this share of the lower one's height."""

Boxes = NDArray[np.int64]  # (N, 4): top, left, bottom, right; the end is not part of it


@dataclass(frozen=True, eq=False)
class Digit:
    """Where a digit is in its picture, and its strokes."""

    box: tuple[int, int, int, int]
    """Top, left, bottom, right, in pixels; the end is not part of it."""
    mask: NDArray[np.bool_]
    """Within the box."""


def find_digits(mask: NDArray[np.bool_]) -> list[Digit]:
    """mask: (H, W) where strokes are. In reading order: lines from the top, each from the left."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 0:
        return []
    boxes = np.array([(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)])
    kept = _without_specks(boxes, _candidates(boxes, mask.shape))
    groups = _joined(boxes[kept], _usual_height(boxes[kept]))
    digits = [_digit(labels, kept[group] + 1, boxes[kept[group]]) for group in groups]
    high = [digit for digit in digits if digit.box[2] - digit.box[0] >= SMALLEST]
    return [high[number] for number in _reading_order(np.array([digit.box for digit in high]).reshape(-1, 4))]


def _candidates(boxes: Boxes, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Without frames around something, and without what reaches in from outside the picture."""
    height, width = _sizes(boxes)
    rows = np.arange(len(boxes))
    largest = rows[np.argsort(-height * width)[:50]]
    frames = [row for row in largest if (height[_within(boxes, row)] >= ENCLOSED * height[row]).any()]
    rows = np.setdiff1d(rows, frames)
    cut = (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2:] == shape[:2]).any(axis=1)
    whole = rows[~cut[rows]]
    usual = _usual_height(boxes[whole])
    if usual < SMALLEST:
        return rows
    alien = cut & (np.maximum(height, width) > OTHER_SIZE * usual)
    kept: NDArray[np.int64] = rows[~alien[rows]]
    return kept


def _within(boxes: Boxes, row: int) -> NDArray[np.bool_]:
    """(N,) which boxes lie inside that of the row."""
    inside = np.concatenate([boxes[:, :2] > boxes[row, :2], boxes[:, 2:] < boxes[row, 2:]], axis=1)
    return np.asarray(inside.all(axis=1))


def _without_specks(boxes: Boxes, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.sort(rows[np.argsort(-_sizes(boxes[rows])[0], kind="stable")][:MOST_PARTS])
    height, width = _sizes(boxes[rows])
    kept: NDArray[np.int64] = rows[np.maximum(height, width) >= max(SPECK * _usual_height(boxes[rows]), 2)]
    return kept


def _usual_height(boxes: Boxes) -> float:
    """The median, where each has the weight of its height squared: that of a digit, however many specks there are."""
    if len(boxes) == 0:
        return 0.0
    height = np.sort(_sizes(boxes)[0]).astype(np.float64)
    weight = np.cumsum(height**2)
    return float(height[np.searchsorted(weight, weight[-1] / 2)])


def _sizes(boxes: Boxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Heights and widths, (N,) each."""
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def _joined(boxes: Boxes, usual: float) -> list[NDArray[np.int64]]:
    """Rows that make a digit together. A part alone is none, and left out."""
    height, width = _sizes(boxes)
    is_part = height < PART * usual
    parent = np.arange(len(boxes))
    across = np.minimum(boxes[:, None, 3], boxes[None, :, 3]) - np.maximum(boxes[:, None, 1], boxes[None, :, 1])
    gap = np.maximum(boxes[:, None, 0], boxes[None, :, 0]) - np.minimum(boxes[:, None, 2], boxes[None, :, 2])
    over = across >= OVER * np.minimum(width[:, None], width[None, :])
    near = (gap <= BREAK_GAP * usual) & (gap >= -BREAK_OVERLAP * usual)
    halves = over & near & ~is_part[:, None] & ~is_part[None, :]
    for first, second in zip(*np.nonzero(np.triu(halves, 1)), strict=True):
        parent[parent == parent[second]] = parent[first]
    for part in np.flatnonzero(is_part):
        distance = np.where(over[part] & ~is_part & (gap[part] <= FLAG_GAP * usual), gap[part], np.inf)
        parent[part] = parent[distance.argmin()] if np.isfinite(distance).any() else -1
    return [np.flatnonzero(parent == root) for root in np.unique(parent[parent >= 0])]


def _digit(labels: NDArray[np.int32], numbers: NDArray[np.int64], boxes: Boxes) -> Digit:
    (top, left), (bottom, right) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    return Digit((top, left, bottom, right), np.isin(labels[top:bottom, left:right], numbers))


def _reading_order(boxes: Boxes) -> list[int]:
    """Each joins the line whose last digit stands beside it, so that a line may rise or fall."""
    lines: list[list[int]] = []
    height, _ = _sizes(boxes)
    for row in np.argsort(boxes[:, 1], kind="stable").tolist():
        best, most = None, SAME_LINE
        for line in lines:
            last = line[-1]
            shared = min(boxes[row, 2], boxes[last, 2]) - max(boxes[row, 0], boxes[last, 0])
            share = shared / min(height[row], height[last])
            if share > most:
                best, most = line, share
        if best is None:
            lines.append([row])
        else:
            best.append(row)
    lines.sort(key=lambda line: float(np.mean([boxes[row, 0] + boxes[row, 2] for row in line])))
    return [row for line in lines for row in line]
