"""Many recipes beside each other."""

from pathlib import Path

from hitofude.cli.app import app, parse_count, parse_workers
from hitofude.cli.logs import is_quiet


@app.command
def sweep(
    spec: Path,
    /,
    *,
    out: Path | None = None,
    device: str = "auto",
    workers: str = "auto",
    threads: str = "auto",
) -> None:
    """Train many recipes with the same seeds, and say which is best, and by how much more than chance.

    SPEC is a TOML file:
      source = "digit-recognizer.zip"  # left out: the embedded sample
      preset = "fast"          # all start from it: a preset or a recipe file
      seeds = [0, 1, 2]        # each recipe is made with each of them
      search = "grid"          # or random; or guided, by Optuna
      trials = 20              # so many recipes, where random or guided
      [settings]               # the same for all
      "schedule.epochs" = 5
      [vary]                   # choices, or, but for a grid, ranges
      "optimizer.learning_rate" = [0.02, 0.04]
      "augment.probability" = { from = 0.3, to = 0.9 }
      "optimizer.weight_decay" = { from = 1e-4, to = 0.1, log = true }

    It may also name train, test, label and shape, as of run; batch, how many recipes a guided search asks for at once;
    and search_seed, to draw others. A guided search needs pip install 'hitofude[sweep]'.

    Recipes are chosen and compared on out-of-fold rows alone. An unfinished sweep in the same folder is continued, and
    what is finished is only read. At the end: a table, the best against the next, sweep.csv, sweep.json, and
    best-recipe.toml for `hitofude run --preset`.

    For example:
      hitofude sweep learning-rates.toml
      hitofude sweep learning-rates.toml --out sweeps/second --workers 2 --threads 1
      hitofude sweep learning-rates.toml --workers tcp://scheduler:8786
      hitofude compare sweeps/learning-rates/runs/001-seed-0 sweeps/learning-rates/runs/002-seed-0

    Parameters
    ----------
    spec
        What is to be done.
    out
        The sweep's folder; by default sweeps/SPEC-NAME. Each recipe with each seed is a run in its runs/.
    device
        auto, cpu, cuda or mps.
    workers
        Where members are trained, as of run: auto, a number of processes, or a cluster. Members of several runs are
        made side by side.
    threads
        The threads of each member: auto or a number. A sweep is continued with those that it was begun with.
    """
    from hitofude.sweep.running import Resources
    from hitofude.sweep.running import sweep as make_sweep

    means = Resources(parse_workers(workers), parse_count(threads, "--threads"), device)
    print(make_sweep(spec, out=out, means=means, quiet=is_quiet()).describe())
