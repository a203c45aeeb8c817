"""Comparison of an exported model with the answers that its run wrote: the submission, else the out-of-fold answers.

The export computes in float32. A run that predicted with bfloat16, or on another device, has other last digits, and a
few images on the border between two classes get another label.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hitofude.errors import agree, counted
from hitofude.export.parity import Predict
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import Dataset, sample
from hitofude.metrics.metrics import answered
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import choose_rows
from hitofude.runs.result import RunResult, load_result


@dataclass(frozen=True)
class OwnAnswers:
    """The difference between an exported model's answers and those in the run's folder."""

    of: str
    """`submission` or `out-of-fold answers`."""
    images: int
    changed: int
    """Images with another label."""
    largest: float | None
    """The largest difference of a probability; None if only labels were compared."""
    arithmetic: str
    """The precision and device of the run."""

    def describe(self) -> str:
        """Describe the difference in a line or two."""
        if not self.images:
            return "answers   not compared: the run has none by the members on all rows, as it had no images to predict"
        labels = f"{counted(self.changed, 'label')} {agree(self.changed, 'differ')}"
        close = "" if self.largest is None else f", no probability by more than {self.largest:.1e}"
        lines = [f"answers   {labels} of {self.images:,} from the run's {self.of}{close}"]
        if self.changed:
            lines.append(f"          (the run predicted with {self.arithmetic}, this model with float32)")
        return "\n".join(lines)


def compare_own_answers(
    predict: Predict, asking_all: Callable[[], Predict], folder: RunFolder, source: Dataset | None, most: int
) -> OwnAnswers | None:
    """Predict up to `most` images of the run's source, and compare with the run's folder.

    asking_all: makes what asks all members about every image, as the out-of-fold answers need.
    source: the embedded sample if None. Return None if the run was trained on another source, or elsewhere. No images
    are compared if only members on all rows predict and the run had no images to predict.
    """
    if folder.is_imported:
        return None
    dataset = sample() if source is None else source
    if dataset.train.fingerprint != folder.load_data().train_fingerprint:
        return None
    result = load_result(folder)
    if dataset.test is not None and result.test_ids is not None and np.array_equal(dataset.test.ids, result.test_ids):
        return _compare_submission(predict, result, dataset.test, most)
    if result.recipe.ensemble.predict_by == "full-data":
        return OwnAnswers("submission", 0, 0, None, _arithmetic(result))
    return _compare_out_of_fold(asking_all(), result, choose_rows(dataset.train, result.recipe), most)


def _compare_submission(predict: Predict, result: RunResult, test: ImageSet, most: int) -> OwnAnswers | None:
    if result.test_probabilities is None:
        return None
    expected = result.test_probabilities[:most]
    found, _ = predict(test.images[:most])
    changed = int((found.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return OwnAnswers("submission", len(expected), changed, float(np.abs(found - expected).max()), _arithmetic(result))


def _compare_out_of_fold(predict: Predict, result: RunResult, train: ImageSet, most: int) -> OwnAnswers:
    rows = shuffled_evenly(train.known_labels(), 0)
    rows = rows[answered(result.out_of_fold_probabilities)[rows]][:most]
    _, members = predict(train.images[rows])
    found = (members * result.held_out[rows].T[:, :, None]).sum(axis=0).argmax(axis=1)
    changed = int((found != result.out_of_fold_probabilities[rows].argmax(axis=1)).sum())
    return OwnAnswers("out-of-fold answers", len(rows), changed, None, _arithmetic(result))


def _arithmetic(result: RunResult) -> str:
    """`bfloat16 on cpu`"""
    environment = result.summary.environment
    return f"{environment.get('precision')} on {environment.get('device')}"
