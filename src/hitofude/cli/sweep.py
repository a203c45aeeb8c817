"""`hitofude sweep`."""

from pathlib import Path

from hitofude.cli.app import (
    Device,
    Plugins,
    Trackers,
    app,
    check_device,
    parse_count,
    parse_workers,
    tell,
    this_command,
)
from hitofude.cli.logs import is_quiet


@app.command
def sweep(
    spec: Path,
    /,
    *,
    out: Path | None = None,
    device: Device = "auto",
    workers: str = "auto",
    threads: str = "auto",
    plugin: Plugins = (),
    log: Trackers = (),
) -> None:
    """Train many recipes with the same seeds: which is best, and is that chance?

    SPEC is a TOML file:
      source = "digit-recognizer.zip"  # by default the embedded sample
      preset = "fast"          # the base of all recipes: a preset or a recipe file
      seeds = [0, 1, 2]        # each recipe is trained with each seed
      search = "grid"          # or random; or tpe, by Optuna
      trials = 20              # the number of recipes, for random and tpe
      [settings]               # the same for all recipes
      "schedule.epochs" = 5
      [vary]                   # choices or, except for a grid, ranges
      "optimizer.learning_rate" = [0.02, 0.04]
      "augment.probability" = { from = 0.3, to = 0.9 }
      "optimizer.weight_decay" = { from = 1e-4, to = 0.1, log = true }

    Further keys are train, test, label and shape, as for run; batch, the number of
    recipes that tpe proposes at once; and search_seed, to draw other recipes. tpe
    needs pip install 'hitofude[sweep]'.

    Recipes are chosen and compared on out-of-fold rows alone. An unfinished sweep
    in the same folder is continued; its finished runs are only read. The result is
    a table, the best recipe against the next, sweep.csv, sweep.json, and
    best-recipe.toml for `hitofude run --preset`.

    For example:
      hitofude sweep learning-rates.toml
      hitofude sweep learning-rates.toml --out sweeps/second --workers 2 --threads 1
      hitofude sweep learning-rates.toml --workers tcp://scheduler:8786
      hitofude compare sweeps/learning-rates/runs/*-seed-0

    Parameters
    ----------
    spec
        The sweep's file.
    out
        The sweep's folder, by default sweeps/SPEC-NAME; the run of each recipe with each seed is in its runs/.
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    workers
        As for run: auto, a number of processes, or a cluster. Members of several runs are trained side by side.
    threads
        The threads of each member: auto or a number. A sweep is continued with the threads that it was begun with.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    log
        As for run: each run has its curves.
    """
    from hitofude.learning.plugins import load_plugins
    from hitofude.outputs.display.wrapping import terminal_width
    from hitofude.sweep.running import Resources
    from hitofude.sweep.running import sweep as run_sweep

    load_plugins(plugin)
    workers_given = parse_workers(workers)
    check_device(device, workers_given)
    resources = Resources(workers_given, parse_count(threads, "--threads"), device, log, this_command())
    tell(run_sweep(spec, out=out, resources=resources, quiet=is_quiet()).describe(terminal_width()))
