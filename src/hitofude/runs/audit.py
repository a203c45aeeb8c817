"""Audits without training: of a run's out-of-fold probabilities, of another program's, or of images alone."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.direction import isolate
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.image_set import classes_of, encode_labels
from hitofude.inputs.spelling import Spellings
from hitofude.language.translation import say, say_count, say_of
from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.label_issues import PROBABLE, LabelIssues, describe_issues, find_label_issues
from hitofude.metrics.metrics import answered
from hitofude.outputs.audit import (
    Hardness,
    LabelledRows,
    rank_hardness,
    write_duplicates,
    write_hardest,
    write_label_issues,
)
from hitofude.runs.result import load_result
from hitofude.storage import read_npz

SHOWN = 10
PREFIX = "probability_"


@dataclass(frozen=True, eq=False)
class LabelledPredictions:
    """Labelled rows, and probabilities by models that were not trained on them."""

    rows: LabelledRows
    probabilities: NDArray[np.float32]  # (N, classes), NaN if unknown
    disagreement: NDArray[np.float32]  # (N,); 0 for a single model
    is_calibrated: bool = True


def predictions_of_run(run: Path) -> LabelledPredictions:
    """Read a run's out-of-fold predictions. Raises RunFolderError if the run is not finished, or is damaged."""
    result = load_result(run)
    rows = LabelledRows(result.ids, result.labels, result.classes)
    return LabelledPredictions(rows, result.out_of_fold_probabilities, result.disagreement)


def predictions_of_files(labels: Path, probabilities: Path) -> LabelledPredictions:
    """Read labels and probabilities of the same ids, in any order.

    labels: a CSV with columns `id` and `label`. probabilities: a CSV with `id` and a column `probability_CLASS` for
    each class, as `hitofude predict` writes, or an .npz with ids, probabilities and classes. Raises InputError, with
    the line, if a file cannot be read or the two do not match.
    """
    ids, classes, values = _read_probabilities(probabilities)
    row_of, known_ids = {id: row for row, id in enumerate(ids)}, Spellings(ids)
    lines = read_text_table(labels).columns(["id", "label"])
    if not lines:
        raise InputError(f"{labels}: expected a row below the header.")
    own_ids = [known_ids.find(id) for _, (id, _) in lines]
    encoded = encode_labels(np.asarray([label for _, (_, label) in lines]), classes)
    order = []
    for (number, (id, label)), known, code in zip(lines, own_ids, encoded, strict=True):
        if known is None:
            raise InputError(f"{labels}, line {number}: {probabilities} has no probabilities for the id '{id}'.")
        if code < 0:
            raise InputError(f"{labels}, line {number}: {probabilities} has no probability of the label '{label}'.")
        order.append(row_of[known])
    rows = LabelledRows(np.asarray([id for _, (id, _) in lines]), encoded, classes)
    return LabelledPredictions(rows, values[order], np.zeros(len(order), dtype=np.float32), is_calibrated=False)


def write_lists(
    predictions: LabelledPredictions, calibrated: NDArray[np.float32], hardest: Path, label_issues: Path
) -> tuple[Hardness, LabelIssues]:
    """Rank the hard images, find label issues by the calibrated (N, classes) probabilities; write and return both."""
    rows = predictions.rows
    hardness, issues = rank_hardness(rows.labels, predictions.probabilities), find_label_issues(rows.labels, calibrated)
    write_hardest(hardest, rows, hardness, predictions.disagreement)
    write_label_issues(label_issues, rows, issues, calibrated)
    return hardness, issues


def audit_labels(predictions: LabelledPredictions, folder: Path) -> str:
    """Write hardest.csv and label_issues.csv, and describe the label issues."""
    rows, known = predictions.rows, answered(predictions.probabilities)
    if not known.any():
        raise InputError("No row has probabilities by a model that never saw it.")
    calibrated = predictions.probabilities
    if not predictions.is_calibrated:
        calibrated = with_temperature(calibrated, fit_temperature(rows.labels[known], calibrated[known]))
    hardest, label_issues = folder / "hardest.csv", folder / "label_issues.csv"
    _, issues = write_lists(predictions, calibrated, hardest, label_issues)
    shown = [
        "  "
        + say(
            "{id}: {label} → {suggested}  (wrong with a probability of {wrong:.2f})",
            id=isolate(rows.ids[row]),
            label=isolate(rows.label(row)),
            suggested=isolate(rows.classes[suggested]),
            wrong=wrong,
        )
        for row, suggested, wrong in zip(issues.rows[:SHOWN], issues.suggested, issues.wrong, strict=False)
        if wrong >= PROBABLE
    ]
    described = describe_issues(len(issues), issues.probable, issues.expected)
    found = say("of {labels:,} labels: {issues}", labels=int(known.sum()), issues=described)
    found += say(", such as") if shown else ""
    return "\n".join([found, *shown, say("written: {files}", files=f"{label_issues}, {hardest}")])


def audit_images(dataset: Dataset, folder: Path) -> str:
    """Write duplicates.csv, and describe the duplicates."""
    train, test, path = dataset.train, dataset.test, folder / "duplicates.csv"
    duplicates = dataset.copies(train).duplicates()
    write_duplicates(path, LabelledRows.of(train), None if test is None else test.ids, duplicates)
    same = sum(item.difference == 0 for item in duplicates)
    near, leaks = len(duplicates) - same, sum(item.is_leak for item in duplicates)
    found = say_of(
        same,
        "{images} repeats an earlier one,",
        "{images} repeat an earlier one,",
        images=say_count(same, "image"),
    )
    found += say_of(near, " {near} nearly does", " {near} nearly do", near=near)
    if leaks:
        found += say_of(
            leaks,
            "; {leaks} to predict resembles a training image: a score on them is too high",
            "; {leaks} to predict resemble a training image: a score on them is too high",
            leaks=leaks,
        )
    return f"{found}\n{say('written: {files}', files=path)}"


def _read_probabilities(path: Path) -> tuple[list[str], tuple[str, ...], NDArray[np.float32]]:
    """Return ids, classes, and (N, classes) probabilities."""
    if path.suffix == ".npz":
        return _read_arrays(path)
    table = read_text_table(path)
    columns = [name for name in table.header if name.startswith(PREFIX)]
    if len(columns) < 2:
        raise InputError(f"{path}, line 1: expected a column {PREFIX}CLASS for each class, found {len(columns)}.")
    classes = classes_of(np.asarray([name.removeprefix(PREFIX) for name in columns]))
    lines = table.columns(["id", *(PREFIX + name for name in classes)])
    values = [_parse_probabilities(fields[1:], f"{path}, line {number}") for number, fields in lines]
    return [fields[0] for _, fields in lines], classes, np.asarray(values, dtype=np.float32).reshape(-1, len(classes))


def _read_arrays(path: Path) -> tuple[list[str], tuple[str, ...], NDArray[np.float32]]:
    try:
        arrays = read_npz(path)
    except RunFolderError:
        raise InputError(f"{path} is missing, damaged, or not an .npz of plain arrays. Use numpy.savez.") from None
    missing = {"ids", "probabilities", "classes"} - arrays.keys()
    if missing:
        raise InputError(f"{path}: there is no array '{min(missing)}' in it; expected ids, probabilities, classes.")
    ids, classes, values = arrays["ids"].astype(str), arrays["classes"].astype(str), arrays["probabilities"]
    shape = len(ids), len(classes)
    if values.shape != shape or values.dtype.kind != "f" or (values < 0).any() or (values > 1).any():
        raise InputError(
            f"{path}: expected probabilities from 0 to 1, an id a row and a class a column: {shape}; "
            f"found {values.dtype} of {values.shape}."
        )
    return ids.tolist(), tuple(classes.tolist()), values.astype(np.float32)


def _parse_probabilities(fields: tuple[str, ...], location: str) -> list[float]:
    with suppress(ValueError):
        values = [float(field) for field in fields]
        if all(0 <= value <= 1 for value in values):
            return values
    raise InputError(f"{location}: expected probabilities from 0 to 1, found {', '.join(fields[:5])}.")
