"""Recipes against each other: a fixed split, and standard errors of paired differences."""

import numpy as np
import pytest
from benchmarks.ablation import Outcome, split_rows, table

from hitofude.inputs.image_set import ImageSet


def outcome(right: np.ndarray) -> Outcome:
    labels = np.zeros(len(right), dtype=np.int64)
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.2, 0.8]).astype(np.float32)
    return Outcome(probabilities, labels, seconds=2.0, flops=3e12)


def test_the_split_is_fixed_disjoint_and_covers_every_row(digits: ImageSet) -> None:
    train, validated, aside = split_rows(digits)
    assert sorted([*train, *validated, *aside]) == list(range(300))
    assert (len(train), len(validated), len(aside)) == (160, 80, 60)
    assert all(np.array_equal(a, b) for a, b in zip(split_rows(digits), (train, validated, aside), strict=True))


def test_differences_are_paired_row_by_row() -> None:
    """Two variants that err on the same rows differ by nothing, for certain; on others, by nothing on average."""
    first = np.arange(1000) >= 10
    same, elsewhere = table({"a": [outcome(first)], "b": [outcome(first)]}), first[::-1]
    assert same.splitlines()[2].split()[4:7] == ["0.000", "±", "0.000"]
    other = table({"a": [outcome(first)], "b": [outcome(elsewhere)]}).splitlines()[2].split()
    assert float(other[4]) == 0
    assert float(other[6]) == pytest.approx(100 * np.sqrt(20 / 1000) / np.sqrt(1000), abs=1e-3)


def test_seeds_are_averaged_and_their_probabilities_joined() -> None:
    right = np.arange(1000) >= 10
    line = table({"a": [outcome(right), outcome(np.ones(1000, dtype=bool))]}).splitlines()[1].split()
    assert float(line[1]) == pytest.approx(99.5)
    assert float(line[8]) == pytest.approx(100.0), "0.9 and 0.2 make 0.55"
