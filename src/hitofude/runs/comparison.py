"""Comparison of runs: which is better, whether that is chance, where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, UserError
from hitofude.metrics.metrics import accuracy, answered, mcnemar
from hitofude.runs.folder import RunFolder
from hitofude.runs.result import RunResult, describe_score, load_result
from hitofude.storage import write_rows

SHOWN = 10


@dataclass(frozen=True)
class RunPair:
    """Two runs on the rows that both predicted out of fold."""

    first: str
    second: str
    only_first: tuple[str, ...]
    """The ids of the images that only the first predicts correctly."""
    only_second: tuple[str, ...]
    differences: tuple[str, ...]
    """The settings that differ: `name: first → second`."""

    @property
    def probability(self) -> float:
        """The p-value of McNemar's exact test: of a split this uneven if both are equally good."""
        return mcnemar(len(self.only_first), len(self.only_second))

    def describe(self) -> str:
        first, second = len(self.only_first), len(self.only_second)
        better = self.first if first > second else self.second
        verdict = "no difference beyond chance" if self.probability >= 0.05 else f"{better} is better"
        lines = [
            f"{self.first} | {self.second}",
            f"  only the first right   {first:>5}  {_first_few(self.only_first)}",
            f"  only the second right  {second:>5}  {_first_few(self.only_second)}",
            f"  {verdict} (McNemar's exact test: p = {self.probability:.3g})",
            "  settings, first → second" if self.differences else "  the same settings",
            *(f"    {difference}" for difference in self.differences),
        ]
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Runs on the same training images, and their predictions."""

    names: tuple[str, ...]
    results: tuple[RunResult, ...]
    ids: NDArray[np.str_]  # (N,) the rows that every run predicted out of fold
    labels: NDArray[np.int64]  # (N,)
    answers: NDArray[np.int64]  # (runs, N)

    def pairs(self) -> list[RunPair]:
        right = self.answers == self.labels
        return [
            RunPair(
                self.names[first],
                self.names[second],
                tuple(self.ids[right[first] & ~right[second]].tolist()),
                tuple(self.ids[right[second] & ~right[first]].tolist()),
                tuple(self.results[first].recipe.difference(self.results[second].recipe)),
            )
            for first, second in combinations(range(len(self.names)), 2)
        ]

    def describe(self) -> str:
        width = max(map(len, self.names))
        table = [f"{'run':<{width}}  accuracy  95 % interval     wrong  expected score  training"]
        for name, result, answers in zip(self.names, self.results, self.answers, strict=True):
            found = accuracy(self.labels, answers)
            low, high = found.interval
            expected = "-" if result.estimate is None else f"{result.estimate.value:.4f}"
            wrong = found.total - found.right
            seconds, interval = f"{result.summary.training_seconds:,.0f} s", f"{low:.4f} to {high:.4f}"
            table.append(f"{name:<{width}}  {found.value:.4f}    {interval}  {wrong:>5}  {expected:>14}  {seconds:>8}")
        rows = f"On the {len(self.ids):,} training images that all of them predicted out of fold:"
        return "\n\n".join([f"{rows}\n" + "\n".join(table), *(pair.describe() for pair in self.pairs())])


def compare_runs(runs: Sequence[str | Path]) -> RunComparison:
    """Compare finished runs. Raises InputError for fewer than two runs, or runs on different training images."""
    if len(runs) < 2:
        raise InputError("Comparing needs two runs or more: hitofude compare RUN RUN.")
    results = [load_result(run) for run in runs]
    data = [result.folder.load_data() for result in results]
    for run, other in zip(runs, data, strict=True):
        if other.train_fingerprint != data[0].train_fingerprint:
            raise InputError(
                f"{run} learned from other images or labels than {runs[0]}; only runs on the same training data "
                "can be compared row by row."
            )
    by_run = [_answers_by_id(result) for result in results]
    common = [id for id in by_run[0] if all(id in answers for answers in by_run)]
    if not common:
        raise InputError("There is no training image that all of these runs predicted out of fold.")
    labels = dict(zip(results[0].ids.tolist(), results[0].labels.tolist(), strict=True))
    return RunComparison(
        tuple(map(str, runs)),
        tuple(results),
        np.asarray(common),
        np.asarray([labels[id] for id in common]),
        np.asarray([[answers[id] for id in common] for answers in by_run]),
    )


def write_differences(path: Path, comparison: RunComparison) -> int:
    """Write a CSV line for each image that only some runs predict correctly; return the number of lines."""
    right = comparison.answers == comparison.labels
    differing = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
    classes = comparison.results[0].classes
    rows = [
        [comparison.ids[row], *(classes[found] for found in (comparison.labels[row], *comparison.answers[:, row]))]
        for row in differing
    ]
    write_rows(path, [["id", "label", *comparison.names], *rows])
    return len(differing)


def list_runs(folder: Path) -> str:
    """List the run folders in or below a folder, with state and accuracy. Raises InputError if there are none."""
    found = sorted(path.parent for path in folder.rglob("recipe.toml") if RunFolder(path.parent).data.exists())
    if not found:
        raise InputError(f"{folder} holds no run. Start one with hitofude run, or name another folder.")
    width = max(len(str(path)) for path in found)
    return "\n".join(f"{path!s:<{width}}  {_state(RunFolder(path))}" for path in found)


def _state(folder: RunFolder) -> str:
    try:
        if folder.is_imported:
            imported = folder.load_import()
            members = _describe_members(imported.networks)
            return f"{imported.finished[:16]}  {imported.program}  {members}  imported, accuracy not known"
        if not folder.is_finished:
            epochs = len(folder.log.read_text(encoding="utf-8").splitlines()) if folder.log.exists() else 0
            return f"not finished, {epochs} epochs done; run its command again to continue"
        summary = folder.load_summary()
    except UserError as error:
        return str(error)
    expected_name = "expected" if summary.metric == "accuracy" else "expected accuracy"
    expected = "" if summary.estimate is None else f", {expected_name} {summary.estimate.value:.4f}"
    members, worst = _describe_members(summary.networks), summary.worst_class
    score = describe_score(summary) + expected + ("" if worst is None else f"; {worst}")
    return f"{summary.finished[:16]}  {summary.source}  {members}  {score}"


def _describe_members(networks: Sequence[str]) -> str:
    """`5 x cnn-medium`"""
    return f"{len(networks)} x {' '.join(dict.fromkeys(networks))}"


def _answers_by_id(result: RunResult) -> dict[str, int]:
    known = answered(result.out_of_fold_probabilities)
    answers = result.out_of_fold_probabilities[known].argmax(axis=1).tolist()
    return dict(zip(result.ids[known].tolist(), answers, strict=True))


def _first_few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
