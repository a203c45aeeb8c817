"""The frontier of recipes: errors out of fold against the operations of the training.

python -m benchmarks.frontier digit-recognizer.zip benchmarks/frontier.toml --out FOLDER --picture docs/frontier.png

A TOML file names the recipes, each a preset with settings on top. Each is a whole run in a folder of --out: a second
call continues what was interrupted and reads what is finished. --only trains a few of them; the table and the picture
show all that are finished. Test rows are predicted and never scored.
"""

import argparse
import platform
import tomllib
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

import hitofude
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import processor_name
from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.metrics import answered, cross_entropy
from hitofude.outputs.plots import BLUE, LINE, ORANGE
from hitofude.recipe import Recipe, choose_recipe, preset_names
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult, load_result

HEAD = """| recipe | networks | TFLOP | wrong | log loss | expected score | training, s |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Point:
    """A finished recipe."""

    name: str
    networks: str
    members: int
    tflop: float  # of the training, all members
    seconds: float  # of training, all members together
    wrong: int  # out of fold
    rows: int
    log_loss: float  # out of fold, at its best temperature
    expected: str

    @property
    def is_preset(self) -> bool:
        return self.name in preset_names()


def main() -> None:
    options = _parse()
    recipes = {
        name: choose_recipe(entry.get("preset", "fast"), entry.get("settings", {}))
        for name, entry in tomllib.loads(options.recipes.read_text(encoding="utf-8")).items()
    }
    dataset = open_source(options.source)
    for name in options.only or recipes:
        result = train(recipes[name], dataset, options.out / name)
        print(f"{name}: {result!r}", flush=True)
    points = [
        point(name, recipe, dataset, load_result(options.out / name))
        for name, recipe in recipes.items()
        if RunFolder(options.out / name).is_finished
    ]
    print(f"{processor_name()}, {platform.system()}")
    print(table(points))
    if options.picture and points:
        draw(points, options.picture)


def train(recipe: Recipe, dataset: Dataset, folder: Path) -> RunResult:
    """Train a recipe in its folder, continue it, or read it."""
    path = folder.with_suffix(".toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe.save(path)
    return hitofude.run(dataset, preset=path, run=folder, quiet=True)


def point(name: str, recipe: Recipe, dataset: Dataset, result: RunResult) -> Point:
    """Return the figures of a finished recipe."""
    summary, known = result.summary, answered(result.out_of_fold_probabilities)
    labels, probabilities = result.labels[known], result.raw_out_of_fold_probabilities[known]
    best = with_temperature(probabilities, fit_temperature(labels, probabilities))
    estimate = summary.estimate
    return Point(
        name=name,
        networks=", ".join(dict.fromkeys(summary.networks)),
        members=len(summary.members),
        tflop=RunPlan.prepare(recipe, dataset, "").training_flop() / 1e12,
        seconds=summary.training_seconds,
        wrong=summary.out_of_fold.total - summary.out_of_fold.right,
        rows=summary.out_of_fold.total,
        log_loss=float(cross_entropy(labels, best).mean()),
        expected="" if estimate is None else "{:.4f} ({:.4f} to {:.4f})".format(estimate.value, *estimate.interval),
    )


def table(points: list[Point]) -> str:
    """Return a line for each recipe, by operations. A star marks the frontier: none has fewer errors for less."""
    best = frontier(points)
    rows = (
        f"| {one.name}{' *' * (one in best)} | {one.members} {one.networks} | {one.tflop:.0f} "
        f"| {one.wrong} | {one.log_loss:.4f} | {one.expected} | {one.seconds:,.0f} |"
        for one in sorted(points, key=lambda one: one.tflop)
    )
    return "\n".join([HEAD, *rows])


def frontier(points: list[Point]) -> list[Point]:
    """Return the recipes with fewer errors than every cheaper one, from the cheapest on."""
    found: list[Point] = []
    for one in sorted(points, key=lambda one: (one.tflop, one.wrong)):
        if not found or one.wrong < found[-1].wrong:
            found.append(one)
    return found


def draw(points: list[Point], path: Path) -> None:
    """Draw errors against operations, the frontier as a line."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    best = frontier(points)
    axes.plot([one.tflop for one in best], [one.wrong for one in best], color=BLUE, drawstyle="steps-post", zorder=1)
    for one in points:
        axes.scatter(one.tflop, one.wrong, color=ORANGE if one.is_preset else BLUE, zorder=2)
        axes.annotate(one.name, (one.tflop, one.wrong), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.1)
    axes.grid(color=LINE)
    axes.set_axisbelow(True)
    axes.set(
        xlabel="operations of the training, TFLOP (logarithmic)", ylabel=f"wrong of {points[0].rows:,}, out of fold"
    )
    figure.savefig(path, dpi=120)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("recipes", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], metavar="RECIPE")
    parser.add_argument("--picture", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
