"""A judged sweep in words, as a table for other programs, and the best recipe as a file."""

import csv
import io
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import DivergedError
from hitofude.inputs.sources import Dataset
from hitofude.storage import write_json, write_text
from hitofude.sweep.folder import FORMAT_VERSION, SweepFolder
from hitofude.sweep.ranking import COMPARED, Candidate, PairedComparison, Ranking
from hitofude.sweep.spec import SweepSpec
from hitofude.sweep.trial import Failure, Trial, as_text, describe_settings

Row = Sequence[str]


def write_table(path: Path, spec: SweepSpec, found: Iterable[Trial | Failure]) -> None:
    """A CSV line for each run that has ended."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ["accuracy", "right", "rows", "expected_score", "training_seconds", "run", "failed"]
    writer.writerow(["recipe", *spec.vary, "seed", *figures])
    for item in found:
        run = item.run
        start = [run.number, *(as_text(run.settings[name]) for name in spec.vary), run.seed]
        if isinstance(item, Failure):
            writer.writerow([*start, "", "", "", "", "", "", item.reason])
        else:
            of_it, expected = item.accuracy, "" if item.expected is None else item.expected
            writer.writerow([*start, of_it.value, of_it.right, of_it.total, expected, item.seconds, item.path, ""])
    write_text(path, text.getvalue())


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep."""

    folder: SweepFolder
    spec: SweepSpec
    dataset: Dataset
    judgement: Ranking

    @classmethod
    def write(
        cls, folder: SweepFolder, spec: SweepSpec, dataset: Dataset, found: Sequence[Trial | Failure]
    ) -> "SweepResult":
        """Write the tables and the best recipe. Raises DivergedError where every recipe failed."""
        write_table(folder.table, spec, found)
        judgement = Ranking.of(found)
        result = cls(folder, spec, dataset, judgement)
        if not judgement.contenders:
            first = judgement.failures[0]
            raise DivergedError(f"Every recipe of the sweep failed, {first.run.name} among them: {first.reason}")
        judgement.best.outcomes[0].run.recipe.save(folder.best)
        write_json(folder.figures, result.to_json())
        return result

    def describe(self) -> str:
        """The table, the comparisons, and what to do with them."""
        parts = [self._table(), self._notes(), self._failed(), self._compared(), self._selection_bias(), self._files()]
        return "\n\n".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """All figures, as sweep.json has them."""
        judgement = self.judgement
        return {
            "format_version": FORMAT_VERSION,
            "source": self.dataset.name,
            "images": len(self.dataset.train),
            "spec": self.spec.model_dump(mode="json", by_alias=True),
            "recipes": [_figures(contender) for contender in judgement.contenders],
            "failed": [
                {"recipe": one.run.number, "settings": one.run.settings, "seed": one.run.seed, "reason": one.reason}
                for one in judgement.failures
            ],
            "comparisons": [_compared(comparison) for comparison in judgement.comparisons],
            "best": judgement.best.number,
            "flattery_of_the_choice": judgement.selection_bias,
        }

    def _table(self) -> str:
        several = len(self.spec.seeds) > 1
        head = ["recipe", *_short(list(self.spec.vary)), "accuracy", "95 % interval", *(["by seed"] if several else [])]
        rows = [
            [
                str(one.number),
                *(as_text(one.settings[name]) for name in self.spec.vary),
                f"{one.accuracy:.4f}",
                "{:.4f} to {:.4f}".format(*one.interval),
                *([_spread(one)] if several else []),
                "-" if one.expected is None else f"{one.expected:.4f}",
                f"{one.seconds:,.0f} s",
            ]
            for one in self.judgement.contenders
        ]
        return _align([[*head, "expected score", "training"], *rows])

    def _notes(self) -> str:
        seeds = ", ".join(map(str, self.spec.seeds))
        several = f", the mean of seeds {seeds}" if len(self.spec.seeds) > 1 else f", seed {seeds}"
        return (
            f"Accuracy: out of fold, each image by members that never saw it{several}; test images select nothing.\n"
            "95 % interval: Wilson's, of as many rows as there are images, which more seeds do not narrow.\n"
            "Training: all members and seeds together."
        )

    def _failed(self) -> str:
        lines = [
            f"  {one.run.name}: {describe_settings(one.run.settings)}: {one.reason}" for one in self.judgement.failures
        ]
        return "\n".join(["Failed, and not compared:", *lines]) if lines else ""

    def _compared(self) -> str:
        judgement = self.judgement
        if not judgement.comparisons:
            return ""
        rows = [["recipe", "difference, points", "better", "worse", "p"]] + [
            [
                str(one.second),
                f"{100 * one.difference:+.3f} ± {100 * one.standard_error:.3f}",
                str(one.better),
                str(one.worse),
                f"{one.probability:.3g}",
            ]
            for one in judgement.comparisons
        ]
        alike = [str(one.second) for one in judgement.comparisons if one.probability >= 0.05]
        verdict = "Each of them is worse by more than chance (p < 0.05)."
        if alike:
            between = f"{judgement.best.number} and {', '.join(alike)}"
            verdict = f"No difference beyond chance (p ≥ 0.05) between {between}: take what costs least."
        left_out = len(judgement.contenders) - 1 - COMPARED
        more = f" The {left_out} below are in sweep.csv." if left_out > 0 else ""
        return (
            f"Recipe {judgement.best.number} against each of the next, image by image:{more}\n{_align(rows)}\n"
            "± is a standard error. Better, worse: images that it has right with more, or with fewer, of the seeds.\n"
            f"p: the exact sign test of these, which is McNemar's where there is one seed.\n{verdict}"
        )

    def _selection_bias(self) -> str:
        selection_bias, best = self.judgement.selection_bias, self.judgement.best
        if selection_bias is None:
            return ""
        return (
            f"The best of {len(self.judgement.contenders)} was chosen on the same images that judge it, so its "
            f"{best.accuracy:.4f} flatters, by about {selection_bias:.4f}\n(bootstrap over the images). Its interval and p "
            "do not know of the choice."
        )

    def _files(self) -> str:
        words = ["hitofude", "run", *self.spec.source_arguments(), "--preset", str(self.folder.best)]
        command = shlex.join([*words, "--run", f"runs/{self.folder.path.name}-best"])
        facts = {
            "best recipe": f"{self.folder.best}, which is taken by\n             {command}",
            "table": self.folder.table,
            "figures": self.folder.figures,
            "runs": self.folder.runs,
        }
        return "\n".join(f"{name:<11}  {value}" for name, value in facts.items())


def _figures(contender: Candidate) -> dict[str, Any]:
    low, high = contender.interval
    return {
        "recipe": contender.number,
        "settings": contender.settings,
        "accuracy": contender.accuracy,
        "low": low,
        "high": high,
        "expected_score": contender.expected,
        "training_seconds": contender.seconds,
        "by_seed": [
            {"seed": one.run.seed, "accuracy": one.accuracy.value, "run": str(one.path)} for one in contender.outcomes
        ],
    }


def _compared(comparison: PairedComparison) -> dict[str, Any]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "difference": comparison.difference,
        "standard_error": comparison.standard_error,
        "better": comparison.better,
        "worse": comparison.worse,
        "p": comparison.probability,
    }


def _spread(contender: Candidate) -> str:
    values = [outcome.accuracy.value for outcome in contender.outcomes]
    return f"{min(values):.4f} to {max(values):.4f}"


def _short(names: Sequence[str]) -> Sequence[str]:
    """Settings without their stage, where they can be told without it."""
    short = [name.rpartition(".")[2] for name in names]
    return short if len(set(short)) == len(short) else names


def _align(rows: Sequence[Row]) -> str:
    """Columns, each as wide as its widest text, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)) for row in rows)
