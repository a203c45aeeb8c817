"""Submissions: ids and labels as CSV, checked against the sample submission."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.storage import write_rows

KAGGLE_HEADER = ("ImageId", "Label")


def write_submission(
    path: Path,
    ids: NDArray[np.str_],
    labels: Sequence[str],
    header: tuple[str, str] = KAGGLE_HEADER,
    expected_ids: Sequence[str] | None = None,
) -> None:
    """Write one line for each image, in the order of ids.

    ids: (N,); labels: N predicted labels as text; expected_ids: the ids of the sample submission, in any order.
    Raises InputError, and writes nothing, if an id is a duplicate or the ids are not the expected ones.
    """
    check_ids(ids.tolist(), expected_ids)
    write_rows(path, [header, *zip(ids.tolist(), labels, strict=True)])


def check_ids(ids: Sequence[str], expected: Sequence[str] | None) -> None:
    """Raise InputError naming the first id that is a duplicate, missing or unexpected."""
    if len(set(ids)) != len(ids):
        raise InputError(f"Duplicate id '{Counter(ids).most_common(1)[0][0]}'; each image needs its own.")
    if expected is None:
        return
    missing, unexpected = sorted(set(expected) - set(ids)), sorted(set(ids) - set(expected))
    if missing:
        raise InputError(f"{len(missing)} ids are missing, such as '{missing[0]}'. Is it of the same competition?")
    if unexpected:
        raise InputError(
            f"{len(unexpected)} ids are not expected, such as '{unexpected[0]}'. Is it of the same competition?"
        )
