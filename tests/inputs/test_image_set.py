import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet, classes_of, encode_labels, shuffled_evenly


def test_a_label_with_and_without_zero_decimals_is_one_class() -> None:
    labels = np.array(["10", "9.0", "9", "2.50", "1.0"])
    assert classes_of(labels) == ("1.0", "2.50", "9", "10")
    assert encode_labels(labels, classes_of(labels)).tolist() == [3, 2, 2, 1, 0]


def test_whole_numbers_are_called_without_decimals() -> None:
    assert classes_of(np.array(["10.0", "9.0", "-1.0"])) == ("-1", "9", "10")
    assert classes_of(np.array(["v9.0", "9.0"])) == ("9.0", "v9.0")


def test_integer_labels_are_ordered_by_number_and_others_by_text() -> None:
    assert classes_of(np.array(["10", "9", "-1", "9"])) == ("-1", "9", "10")
    assert classes_of(np.array(["b", "10", "a"])) == ("10", "a", "b")


def test_labels_are_encoded_as_places_among_the_classes() -> None:
    assert encode_labels(np.array(["10", "9", "10"]), ("9", "10")).tolist() == [1, 0, 1]


def test_the_fingerprint_sees_one_pixel_and_one_label(digits: ImageSet) -> None:
    pixel = digits.images.copy()
    pixel[7, 0, 3, 3] ^= 1
    label = digits.known_labels().copy()
    label[7] = (label[7] + 1) % 10
    sets = [digits, ImageSet(pixel, label, digits.ids, digits.classes)]
    sets += [ImageSet(pixel, digits.labels, digits.ids, digits.classes)]
    assert len({images.fingerprint for images in sets}) == 3
    assert digits.take(np.arange(len(digits))).fingerprint == digits.fingerprint


def test_any_first_part_of_an_even_shuffle_has_even_classes() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 4])
    rows = shuffled_evenly(labels, seed=1)
    assert sorted(rows.tolist()) == list(range(84))
    assert np.bincount(labels[rows[:12]]).tolist() == [4, 4, 4]
    assert rows.tolist() != shuffled_evenly(labels, seed=2).tolist()


def test_images_without_labels_cannot_be_trained_on(digits: ImageSet) -> None:
    with pytest.raises(InputError, match="no labels"):
        ImageSet(digits.images, None, digits.ids, ()).known_labels()
