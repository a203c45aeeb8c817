"""Places for the numbers of boxes in a photo, where they cover no writing."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Top, left, bottom, right, in pixels."""
PLAIN = 0.05
"""A place is plain if its pixels differ from their median by less than this share of the brightness, on average."""


def label_places(picture: NDArray[np.uint8], boxes: Sequence[Box], height: int, widths: Sequence[int]) -> list[Box]:
    """Return for each box the place of its label: the first plain one around it, else the one that covers least.

    picture: (H, W, 3) uint8; height: of all labels, in pixels; widths: of each.
    No label covers an earlier one if there is another place in the picture.
    """
    grey = picture.mean(axis=2) / 255
    taken = np.zeros(grey.shape, dtype=bool)
    places: list[Box] = []
    for box, width in zip(boxes, widths, strict=True):
        costs: dict[Box, float] = {}
        for top, left in _around(box, height, width):
            place = top, left, top + height, left + width
            if top < 0 or left < 0 or place[2] > grey.shape[0] or place[3] > grey.shape[1]:
                continue
            region, free = grey[top : place[2], left : place[3]], not taken[top : place[2], left : place[3]].any()
            costs[place] = float(np.abs(region - np.median(region)).mean()) + (0 if free else 1)
        plain = (place for place, cost in costs.items() if cost < PLAIN)
        above = box[0] - height, box[1], box[0], box[1] + width
        best = next(plain, min(costs, key=costs.__getitem__, default=above))
        taken[max(best[0], 0) : best[2], best[1] : best[3]] = True
        places.append(best)
    return places


def _around(box: Box, height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the top and the left of a label above, below, beside and in the corners of a box."""
    top, left, bottom, right = box
    for start in (left, right - width):
        yield top - height, start
    for start in (left, right - width):
        yield bottom, start
    for start in (left - width, right):
        yield top, start
        yield bottom - height, start
    for start in (left, right - width):
        yield top, start
        yield bottom - height, start
