"""A ranked sweep in words, as tables for other programs, and its best recipe as a file."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import DivergedError
from hitofude.inputs.dataset import Dataset
from hitofude.language.translation import line, say, translate
from hitofude.learning.recipe_plugins import plugin_arguments
from hitofude.metrics.scores import LOWER_IS_BETTER, NAMES
from hitofude.outputs.display.tables import Column, draw_table
from hitofude.storage import write_json, write_rows
from hitofude.sweep.folder import SweepFolder
from hitofude.sweep.ranking import COMPARED, Candidate, Ranking
from hitofude.sweep.spec import SweepSpec
from hitofude.sweep.trial import Failure, Result, as_text, describe_settings

WIDTH = 13
"""The columns of a label and the spaces behind it in the last lines."""


def write_table(path: Path, spec: SweepSpec, results: Iterable[Result]) -> None:
    """Write a CSV line for each run that has ended."""
    figures = ["metric", "value", "accuracy", "right", "rows", "expected_score", "training_seconds", "run", "failed"]
    rows: list[list[object]] = [["recipe", *spec.vary, "seed", *figures]]
    for result in results:
        run = result.run
        row = [run.number, *(as_text(run.settings[name]) for name in spec.vary), run.seed]
        if isinstance(result, Failure):
            row += [None] * 8 + [result.reason]
        else:
            right, score = result.accuracy, result.expected_score
            row += [
                result.metric,
                result.value,
                right.value,
                right.right,
                right.total,
                score,
                result.seconds,
                result.path,
                None,
            ]
        rows.append(row)
    write_rows(path, rows)


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep."""

    folder: SweepFolder
    spec: SweepSpec
    dataset: Dataset
    ranking: Ranking

    @classmethod
    def write(cls, folder: SweepFolder, spec: SweepSpec, dataset: Dataset, results: Sequence[Result]) -> "SweepResult":
        """Write the tables and the best recipe. Raise DivergedError if every recipe failed."""
        write_table(folder.table, spec, results)
        ranking = Ranking.of(results)
        if not ranking.candidates:
            first = ranking.failures[0]
            raise DivergedError(f"Every recipe of the sweep failed, for example {first.run.name}: {first.reason}")
        ranking.best.trials[0].run.recipe.save(folder.best)
        result = cls(folder, spec, dataset, ranking)
        write_json(folder.figures, result.to_json())
        return result

    def describe(self, width: int | None = None) -> str:
        """Return the table, the comparisons, and what can be done with them.

        width: of the terminal, which leaves out what does not fit.
        """
        parts = [self._table(width), self._notes(), self._failed(), self._comparisons(), self._bias(), self._files()]
        return "\n\n".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Return all figures, the content of sweep.json."""
        ranking = self.ranking
        return {
            "format_version": 1,
            "source": self.dataset.name,
            "images": len(self.dataset.train),
            "metric": ranking.best.metric,
            "spec": self.spec.model_dump(mode="json", by_alias=True),
            "recipes": [_figures(candidate) for candidate in ranking.candidates],
            "failed": [
                {"recipe": one.run.number, "settings": one.run.settings, "seed": one.run.seed, "reason": one.reason}
                for one in ranking.failures
            ],
            "comparisons": [asdict(one) | {"p": one.probability} for one in ranking.comparisons],
            "best": ranking.best.number,
            "selection_bias": ranking.selection_bias,
        }

    def _table(self, width: int | None) -> str:
        names = [name.rpartition(".")[2] for name in self.spec.vary]
        names = names if len(set(names)) == len(names) else list(self.spec.vary)
        candidates = self.ranking.candidates
        spreads = [[trial.value for trial in one.trials] for one in candidates if len(self.spec.seeds) > 1]

        def column(title: str, cells: Iterable[str], dispensable: int = 0) -> Column:
            return Column(title, [*cells], right=True, dispensable=dispensable)

        scores = [one.expected_score for one in candidates]
        columns = [
            column(say("recipe"), (str(one.number) for one in candidates)),
            *(
                column(name, (as_text(one.settings[setting]) for one in candidates))
                for name, setting in zip(names, self.spec.vary, strict=True)
            ),
            column(say(NAMES[self.ranking.best.metric]), (f"{one.value:.4f}" for one in candidates)),
            column(say("95 % interval"), (_interval(*one.interval) for one in candidates), 1),
            *(
                [column(say("by seed"), (_interval(min(values), max(values)) for values in spreads), 4)]
                if spreads
                else []
            ),
            column(say("expected score"), ("-" if score is None else f"{score:.4f}" for score in scores), 2),
            column(say("training"), (f"{one.seconds:,.0f} s" for one in candidates), 3),
        ]
        return draw_table(columns, width)

    def _notes(self) -> str:
        metric, seeds = self.ranking.best.metric, ", ".join(map(str, self.spec.seeds))
        name = say(NAMES[metric])
        name = name[0].upper() + name[1:] + (say(" (lower is better)") if metric in LOWER_IS_BETTER else "")
        if len(self.spec.seeds) > 1:
            over = say(
                "{metric}: out of fold, each image by members that never saw it, mean of seeds {seeds}; test images "
                "select nothing.",
                metric=name, seeds=seeds,
            )  # fmt: skip
        else:
            over = say(
                "{metric}: out of fold, each image by members that never saw it, seed {seed}; test images select "
                "nothing.",
                metric=name, seed=seeds,
            )  # fmt: skip
        if metric == "accuracy":
            interval = say(
                "95 % interval: Wilson's, with as many rows as there are images; more seeds do not narrow it."
            )
        else:
            interval = say(
                "95 % interval: by bootstrap over the images, the mean of the seeds'; more seeds do not narrow it."
            )
        return "\n".join([over, interval, say("Training: all members and seeds together.")])

    def _failed(self) -> str:
        failures = [(one.run, one.reason) for one in self.ranking.failures]
        lines = [f"  {run.name}: {translate(describe_settings(run.settings))}: {reason}" for run, reason in failures]
        return "\n".join([say("Failed, and not compared:"), *lines]) if lines else ""

    def _comparisons(self) -> str:
        ranking, best = self.ranking, self.ranking.best.number
        if not ranking.comparisons:
            return ""
        left_out = len(ranking.candidates) - 1 - COMPARED
        title = say("Recipe {best} against the runners-up, image by image:", best=best)
        title += say(" The other {count} are in sweep.csv.", count=left_out) if left_out > 0 else ""
        better = say("± is a standard error. Better, worse: images that it has right with more or with fewer seeds.")
        return "\n".join([title, self._compared(), better, f"p: {self._test()}", self._verdict()])

    def _compared(self) -> str:
        """Return the table of the comparisons."""
        is_accuracy, rows = self.ranking.best.metric == "accuracy", []
        difference = say("difference, points") if is_accuracy else say("difference")
        titles = [say("recipe"), difference, say("better"), say("worse"), "p"]
        for one in self.ranking.comparisons:
            difference = f"{one.difference:+.4f} ± {one.standard_error:.4f}"
            if is_accuracy:
                difference = f"{100 * one.difference:+.3f} ± {100 * one.standard_error:.3f}"
            rows.append([str(one.second), difference, str(one.better), str(one.worse), f"{one.probability:.3g}"])
        cells = zip(*rows, strict=True)
        return draw_table([Column(title, own, right=True) for title, own in zip(titles, cells, strict=True)])

    def _test(self) -> str:
        best = self.ranking.best
        if best.metric == "accuracy" and not best.are_grouped:
            return say("the exact sign test, which is McNemar's test if there is one seed.")
        name = say(NAMES[best.metric])
        if best.are_grouped:
            return say("a bootstrap of the difference in {metric}, paired by group of images.", metric=name)
        return say("a bootstrap of the difference in {metric}, paired by image.", metric=name)

    def _verdict(self) -> str:
        alike = [str(one.second) for one in self.ranking.comparisons if one.probability >= 0.05]
        if not alike:
            return say("Each of them is worse by more than chance (p < 0.05).")
        return say(
            "No difference beyond chance (p ≥ 0.05) between {best} and {others}: use the cheapest.",
            best=self.ranking.best.number, others=", ".join(alike),
        )  # fmt: skip

    def _bias(self) -> str:
        bias, best = self.ranking.selection_bias, self.ranking.best
        if bias is None:
            return ""
        values: dict[str, Any] = {"count": len(self.ranking.candidates), "metric": say(NAMES[best.metric])}
        values |= {"value": best.value, "bias": bias}
        if best.metric in LOWER_IS_BETTER:
            return say(
                "Selection bias: the best of {count} was chosen on the images that measure its {metric}, so "
                "{value:.4f} "
                "is too low by about {bias:.4f} (bootstrap over the images). Interval and p do not correct for it.",
                **values,
            )
        return say(
            "Selection bias: the best of {count} was chosen on the images that measure its {metric}, so {value:.4f} "
            "is too high by about {bias:.4f} (bootstrap over the images). Interval and p do not correct for it.",
            **values,
        )

    def _files(self) -> str:
        words = ["hitofude", "run", *self.spec.source_arguments(), "--preset", str(self.folder.best)]
        words += plugin_arguments(self.ranking.best.trials[0].run.recipe)
        command = shlex.join([*words, "--run", f"runs/{self.folder.path.name}-best"])
        best = say("{file}, to train by", file=self.folder.best)
        lines = [
            line("best recipe", best, WIDTH),
            " " * WIDTH + command,
            line("table", str(self.folder.table), WIDTH),
            line("figures", str(self.folder.figures), WIDTH),
            line("runs", str(self.folder.runs), WIDTH),
        ]
        return "\n".join(lines)


def _figures(candidate: Candidate) -> dict[str, Any]:
    low, high = candidate.interval
    return {
        "recipe": candidate.number,
        "settings": candidate.settings,
        "value": candidate.value,
        "accuracy": candidate.accuracy,
        "low": low,
        "high": high,
        "expected_score": candidate.expected_score,
        "training_seconds": candidate.seconds,
        "by_seed": [
            {"seed": one.run.seed, "value": one.value, "accuracy": one.accuracy.value, "run": str(one.path)}
            for one in candidate.trials
        ],
    }


def _interval(low: float, high: float) -> str:
    return say("{low:.4f} to {high:.4f}", low=low, high=high)
