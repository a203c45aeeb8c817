"""Numbers of boxes in a photo: above, unless there is writing, and never over each other or outside the picture."""

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.photos.label_places import Box, label_places

HEIGHT, WIDTH = 6, 8


def paper() -> NDArray[np.uint8]:
    return np.full((60, 80, 3), 230, dtype=np.uint8)


def write(picture: NDArray[np.uint8], box: Box) -> None:
    """Fill a box with strokes."""
    top, left, bottom, right = box
    picture[top:bottom:2, left:right] = 20


def test_a_number_stands_above_its_box_if_there_is_room() -> None:
    assert label_places(paper(), [(20, 30, 40, 50)], HEIGHT, [WIDTH]) == [(14, 30, 20, 38)]


def test_at_the_edge_of_the_picture_and_below_other_writing_it_stands_elsewhere() -> None:
    picture, boxes = paper(), [(2, 30, 20, 50), (22, 30, 40, 50)]
    for box in boxes:
        write(picture, box)
    written = picture.mean(axis=2) < 100
    for top, left, bottom, right in label_places(picture, boxes, HEIGHT, [WIDTH] * 2):
        assert 0 <= top < bottom <= 60
        assert 0 <= left < right <= 80
        assert not written[top:bottom, left:right].any()


def test_numbers_do_not_cover_each_other() -> None:
    covered = np.zeros((60, 80), dtype=int)
    for top, left, bottom, right in label_places(paper(), [(20, 30, 40, 50)] * 4, HEIGHT, [WIDTH] * 4):
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


def test_a_picture_without_room_still_has_its_numbers() -> None:
    assert len(label_places(paper()[:4, :4], [(0, 0, 4, 4)], HEIGHT, [WIDTH])) == 1
