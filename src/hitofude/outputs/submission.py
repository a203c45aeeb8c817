"""Submissions as CSV, checked against the sample submission: a label for each image, or a probability a class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, agree, counted
from hitofude.inputs.dataset import SubmissionTemplate
from hitofude.inputs.spelling import Spellings
from hitofude.metrics.scores import NEED_PROBABILITIES, class_numbers
from hitofude.recipe import Metric
from hitofude.storage import write_rows

KAGGLE_HEADER = ("ImageId", "Label")


@dataclass(frozen=True)
class SubmissionFormat:
    """The columns of a submission."""

    header: tuple[str, ...]
    """The id's column, then the others."""
    classes: tuple[int, ...]
    """The class of each other column, which holds its probability; none if the other column holds the label."""
    ids: tuple[str, ...] | None = None
    """The ids of the sample submission, in any order."""

    @classmethod
    def choose(
        cls,
        metric: Metric,
        classes: Sequence[str],
        template: SubmissionTemplate | None = None,
        names: tuple[str | None, str | None] = (None, None),
    ) -> "SubmissionFormat":
        """Choose the columns of the sample submission, if they are of the metric's kind or one for each class.

        Otherwise a log loss and an AUC have `id` and a probability for each class, the other metrics a label. For two
        classes a sample submission may have a single column, of the second class's probability.

        names: of the id's column in the test file and of the label's in the training file, for the header without a
        sample submission; None for a column without a name, as in Digit Recognizer, for ImageId and Label. Raises
        InputError if the metric cannot judge these classes, or a sample submission has other columns.
        """
        if metric == "quadratic-kappa" and class_numbers(classes) is None:
            name = next(name for name in classes if class_numbers([name]) is None)
            raise InputError(
                f"--metric quadratic-kappa needs classes that are numbers, since it measures how far apart they are, "
                f"and there is a class '{name}'. Number the classes in the label column, such as 0 to "
                f"{len(classes) - 1}, or choose another metric, such as macro-f1."
            )
        needs_probabilities = metric in NEED_PROBABILITIES
        if template is None:
            id, label = names
            if needs_probabilities:
                return cls((id or "id", *classes), tuple(range(len(classes))))
            is_usual = label is None or (id is None and label.lower() == "label")
            return cls((id or KAGGLE_HEADER[0], KAGGLE_HEADER[1] if label is None or is_usual else label), ())
        columns = template.header[1:]
        if len(columns) > 1:
            return cls(template.header, _match(columns, classes), template.ids)
        if not needs_probabilities:
            return cls(template.header, (), template.ids)
        if len(classes) == 2:
            named = Spellings(classes).find(columns[0])
            return cls(template.header, (1 if named is None else list(classes).index(named),), template.ids)
        return cls((template.header[0], *classes), tuple(range(len(classes))), template.ids)

    def rows(
        self, ids: Sequence[str], probabilities: NDArray[np.float32], classes: Sequence[str]
    ) -> list[tuple[str, ...]]:
        """Return a row for each image. probabilities: (N, classes), written so that float32 loses nothing."""
        if not self.classes:
            labels = np.asarray(classes)[probabilities.argmax(axis=1)].tolist()
            return list(zip(ids, labels, strict=True))
        values = probabilities[:, self.classes].tolist()
        return [(id, *(f"{value:.9g}" for value in row)) for id, row in zip(ids, values, strict=True)]


def _match(columns: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Return the class of each column: called like the class, or so after a beginning that all columns share.

    Raises InputError if there are other columns.
    """
    spellings, index = Spellings(classes), {name: i for i, name in enumerate(classes)}
    shared = next((i for i, letters in enumerate(zip(*columns, strict=False)) if len(set(letters)) > 1), 0)
    for start in range(shared + 1):
        found = [spellings.find(name[start:].strip()) for name in columns]
        if None not in found and len(set(found)) == len(columns) == len(classes):
            return tuple(index[name] for name in found if name is not None)
    raise InputError(
        f"The sample submission has {counted(len(columns), 'column')} beside the id ({_listed(columns)}), but the "
        f"labels have {counted(len(classes), 'class')} ({_listed(classes)}). Expected one column of labels, or a "
        "column for each class, called like it."
    )


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def write_submission(
    path: Path,
    ids: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    format: SubmissionFormat | None = None,
) -> None:
    """Write one line for each image, in the order of ids; by default ImageId and Label.

    ids: (N,); probabilities: (N, classes). Raises InputError, and writes nothing, if an id is a duplicate or the ids
    are not the expected ones.
    """
    format = format or SubmissionFormat(KAGGLE_HEADER, ())
    check_ids(ids.tolist(), format.ids)
    write_rows(path, [format.header, *format.rows(ids.tolist(), probabilities, classes)])


def check_ids(ids: Sequence[str], expected: Sequence[str] | None) -> None:
    """Raise InputError naming the first id that is a duplicate, missing or unexpected."""
    if len(set(ids)) != len(ids):
        raise InputError(f"Duplicate id '{Counter(ids).most_common(1)[0][0]}'; each image needs its own.")
    if expected is None:
        return
    missing, unexpected = sorted(set(expected) - set(ids)), sorted(set(ids) - set(expected))
    for found, problem in ((missing, "missing"), (unexpected, "not expected")):
        if found:
            ids = f"{counted(len(found), 'id')} {agree(len(found), 'are')} {problem}"
            raise InputError(f"{ids}, such as '{found[0]}'. Is it of the same competition?")
