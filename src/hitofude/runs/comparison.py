"""Comparison of runs: which is better, whether that is chance, where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from hitofude.errors import InputError
from hitofude.inputs.direction import isolate
from hitofude.language.translation import say, translate
from hitofude.metrics.metrics import answered, mcnemar
from hitofude.metrics.scores import (
    LOWER_IS_BETTER,
    NAMES,
    Answers,
    PairedDifference,
    Score,
    is_better,
    paired_difference,
    score,
)
from hitofude.outputs.display.tables import Column, draw_table
from hitofude.recipe import Metric
from hitofude.runs.result import RunResult, load_result
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
    """The settings that differ, and groups, folds and weights: `name: first → second`."""
    metric: Metric = "accuracy"
    difference: PairedDifference | None = None
    """In the metric; None for accuracy of images that stand alone, or if the metric is not defined."""
    are_grouped: bool = False
    """Whether some images belong together, so that a right answer to one makes another likely."""

    @property
    def probability(self) -> float:
        """The p-value of a difference this large if both are equally good: by McNemar's exact test for accuracy, by a
        paired bootstrap for other metrics, and for images that belong together.
        """
        return (
            mcnemar(len(self.only_first), len(self.only_second))
            if self.difference is None
            else (self.difference.probability)
        )

    @property
    def better(self) -> str:
        if self.difference is None:
            return self.first if len(self.only_first) > len(self.only_second) else self.second
        return self.first if is_better(self.metric, self.difference.value, 0) else self.second

    def describe(self) -> str:
        right = {
            say("only the first right"): self.only_first,
            say("only the second right"): self.only_second,
        }
        width = max(map(cell_len, right))
        if self.probability >= 0.05:
            verdict = say("no difference beyond chance")
        else:
            verdict = say("{run} is better", run=self.better)
        settings = say("settings, first → second") if self.differences else say("the same settings")
        lines = [
            f"{self.first} | {self.second}",
            *(
                f"  {name}{' ' * (width - cell_len(name))}  {len(ids):>5}  {_first_few(ids)}"
                for name, ids in right.items()
            ),
            *self._describe_difference(),
            "  " + say("{verdict} ({test}: p = {p:.3g})", verdict=verdict, test=self._test, p=self.probability),
            f"  {settings}",
            *(f"    {translate(difference)}" for difference in self.differences),
        ]
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _test(self) -> str:
        if self.difference is None:
            return say("McNemar's exact test")
        return say("bootstrap, paired by group of images") if self.are_grouped else say("bootstrap, paired by image")

    def _describe_difference(self) -> list[str]:
        if self.difference is None:
            return []
        text = say(
            "{metric}, first less second  {difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f})",
            metric=say(NAMES[self.metric]), difference=self.difference.value, low=self.difference.low,
            high=self.difference.high,
        )  # fmt: skip
        return [f"  {text}"]


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Runs on the same training images, and their predictions."""

    names: tuple[str, ...]
    results: tuple[RunResult, ...]
    ids: NDArray[np.str_]  # (N,) the rows that every run predicted out of fold
    labels: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float32]  # (runs, N, classes)
    metric: Metric
    groups: NDArray[np.int64] | None = None  # (N,) of related rows; None if all rows stand alone

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """(runs, N)"""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(axis=2)
        return likeliest

    @cached_property
    def _scored(self) -> list[Answers]:
        return [Answers.of(self.labels, one, self.results[0].classes) for one in self.probabilities]

    def pairs(self) -> list[RunPair]:
        return [self._pair(first, second) for first, second in combinations(range(len(self.names)), 2)]

    def _pair(self, first: int, second: int) -> RunPair:
        right, difference = self.answers == self.labels, None
        settings = self.results[first].recipe.difference(self.results[second].recipe)
        data = [self.results[place].folder.load_data() for place in (first, second)]
        if self.metric != "accuracy" or self.groups is not None:
            difference = paired_difference(self.metric, [self._scored[first]], [self._scored[second]], self.groups)
        return RunPair(
            self.names[first],
            self.names[second],
            tuple(self.ids[right[first] & ~right[second]].tolist()),
            tuple(self.ids[right[second] & ~right[first]].tolist()),
            (*settings, *data[0].related_differences(data[1])),
            self.metric,
            difference,
            self.groups is not None,
        )

    def describe(self, width: int | None = None) -> str:
        """Describe the runs in a table, and each pair. width: of the terminal, which leaves out what does not fit."""
        found = [score(self.metric, answers, self.groups) for answers in self._scored]
        estimates = [result.estimate for result in self.results]
        column = say(NAMES[self.metric])
        columns = [
            Column(say("run"), self.names),
            Column(column, ["-" if one is None else f"{one.value:.4f}" for one in found]),
            Column(say("95 % interval"), ["-" if one is None else interval_text(one) for one in found], dispensable=2),
            Column(say("wrong"), [f"{(one.answers != self.labels).sum():,}" for one in self._scored], True, 1),
            Column(say("expected score"), ["-" if one is None else f"{one.value:.4f}" for one in estimates], True, 3),
            Column(say("training"), [f"{one.summary.training_seconds:,.0f} s" for one in self.results], True, 4),
        ]
        title = say("On the {images:,} training images that all of them predicted out of fold:", images=len(self.ids))
        if self.metric in LOWER_IS_BETTER:
            title = say(
                "On the {images:,} training images that all of them predicted out of fold; a lower {metric} is better:",
                images=len(self.ids), metric=column,
            )  # fmt: skip
        return "\n\n".join([f"{title}\n{draw_table(columns, width)}", *(pair.describe() for pair in self.pairs())])


def interval_text(found: Score) -> str:
    return say("{low:.4f} to {high:.4f}", low=found.low, high=found.high)


def compare_runs(runs: Sequence[str | Path], metric: Metric | None = None) -> RunComparison:
    """Compare finished runs, by default by the metric of the runs, or by accuracy if theirs differ.

    Raises InputError for fewer than two runs, or runs on different training images.
    """
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
    by_run = [_rows_by_id(result) for result in results]
    common = [id for id in by_run[0] if all(id in rows for rows in by_run)]
    if not common:
        raise InputError("There is no training image that all of these runs predicted out of fold.")
    labels = dict(zip(results[0].ids.tolist(), results[0].labels.tolist(), strict=True))
    metrics = {result.summary.metric for result in results}
    return RunComparison(
        tuple(map(str, runs)),
        tuple(results),
        np.asarray(common),
        np.asarray([labels[id] for id in common]),
        np.stack(
            [
                result.out_of_fold_probabilities[[rows[id] for id in common]]
                for result, rows in zip(results, by_run, strict=True)
            ]
        ),
        metric or (metrics.pop() if len(metrics) == 1 else "accuracy"),
        _groups(results[0], [by_run[0][id] for id in common]),
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


def _groups(result: RunResult, rows: Sequence[int]) -> NDArray[np.int64] | None:
    groups = result.groups[rows]
    return None if len(np.unique(groups)) == len(groups) else groups


def _rows_by_id(result: RunResult) -> dict[str, int]:
    """Return the rows that were answered, by their ids."""
    rows = np.flatnonzero(answered(result.out_of_fold_probabilities))
    return dict(zip(result.ids[rows].tolist(), rows.tolist(), strict=True))


def _first_few(ids: Sequence[str]) -> str:
    return ", ".join(map(isolate, ids[:SHOWN])) + (" …" if len(ids) > SHOWN else "")
