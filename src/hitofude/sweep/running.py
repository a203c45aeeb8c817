"""A sweep from its spec to its ranking: rounds of runs, trained side by side by one pool of workers."""

import math
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import DivergedError, InputError, RecipeError, RunFolderError, agree, counted
from hitofude.inputs.duplicates import check_no_leak
from hitofude.language.translation import line, say, say_count, translate
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.dispatch import open_worker_pool, share_of_gpu
from hitofude.learning.recipe_plugins import plugin_arguments
from hitofude.metrics.scores import LOWER_IS_BETTER
from hitofude.outputs.display import Display, choose_display
from hitofude.recipe import Recipe, as_asked
from hitofude.runs.claim import check_same_run, saved_epochs
from hitofude.runs.folder import RunFolder
from hitofude.runs.pipeline import finish_run
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import load_result
from hitofude.runs.trackers.tracker import choose_callbacks
from hitofude.storage import check_disk
from hitofude.sweep.folder import State, SweepFolder
from hitofude.sweep.progress import Planned, Progress, RunProgress
from hitofude.sweep.search import next_round, recipes_to_check, version_of_optuna
from hitofude.sweep.spec import Settings, SweepSpec
from hitofude.sweep.table import SweepResult, write_table
from hitofude.sweep.trial import Failure, Result, Run, Trial, describe_settings
from hitofude.workers.pool import WorkerPool

WORST_LOG_LOSS = -36.0
"""The negative log loss of a recipe that failed: worse than if every image were certainly wrong."""

REPEATABLE_ERRORS = (DivergedError, InputError, RecipeError)
"""They end a run and not the sweep: the run would fail again in the same way."""


@dataclass(frozen=True)
class Resources:
    """The workers that members are trained on, and the trackers of runs; see hitofude.runs.pipeline.run."""

    workers: int | str | None = None
    threads: int | None = None
    device: str = "auto"
    trackers: tuple[str, ...] = ()
    """The names of those that log each run, as it is trained."""
    command: str | None = None
    """The command line that continues the sweep, for `hitofude runs`."""


def sweep(
    path: Path, *, out: Path | None = None, resources: Resources | None = None, quiet: bool = False
) -> SweepResult:
    """Train every recipe of a spec with each of its seeds, and rank the recipes.

    out: the folder, by default sweeps/SPEC-NAME. An unfinished sweep in it is continued, a finished one is only read.

    Raise a hitofude.errors.UserError of the fitting kind; a run that diverges does not end the sweep.
    """
    spec, folder = SweepSpec.load(path), SweepFolder(out or Path("sweeps", path.stem))
    with explaining_memory_errors():
        running = _Sweep(spec, folder, resources or Resources(), choose_display(quiet=quiet))
        with folder.claimed(spec, running.base) as state, running:
            results = running.run(state)
        return SweepResult.write(folder, spec, running.dataset, results)


class _Sweep(ExitStack):
    """Trains round after round of recipes; its workers serve all rounds and are released when the block ends."""

    def __init__(self, spec: SweepSpec, folder: SweepFolder, resources: Resources, display: Display) -> None:
        """Read the data. Raise RecipeError or InputError if a recipe is invalid or does not fit the data."""
        super().__init__()
        self._spec, self._folder, self._resources, self._display = spec, folder, resources, display
        choose_callbacks(resources.trackers, display.warned)  # a missing package is told of at once
        self.base = spec.base()
        self.dataset = spec.open_source()
        check_no_leak(self.dataset.train, self.dataset.test)
        self._sources = self._check()
        self._recipes = spec.trials if spec.search == "tpe" else len(self._sources)
        self._progress = Progress(display, self._recipes * len(spec.seeds))
        self._state = State()
        self._pool: WorkerPool | None = None
        self._numbers: dict[str, int] = {}
        self._results: dict[Run, Result] = {}

    def _check(self) -> list[str]:
        """Return a line about the source for each different recipe that is known before training."""
        sources: dict[Recipe, str] = {}
        for settings in recipes_to_check(self._spec):
            try:
                recipe = self.base.with_settings(as_asked(settings))
                sources[recipe] = sources.get(recipe) or RunPlan.of_checked(recipe, self.dataset, "").describe_source()
            except (RecipeError, InputError) as error:
                raise type(error)(f"Invalid recipe with {describe_settings(settings)}: {error}") from None
        return list(sources.values())

    def run(self, state: State) -> list[Result]:
        """Return the result of each run, by recipe and seed. Raise RunFolderError if other threads were begun with."""
        if state.threads and self._resources.threads not in (None, state.threads):
            raise RunFolderError(
                f"The sweep in {self._folder.path} was begun with --threads {state.threads}, which change the results. "
                "Leave --threads out, or name another folder with --out."
            )
        self._state = state
        self._check_optuna(state)
        self._display.message(self._describe())
        tried: list[tuple[Settings, float]] = []
        while settings := self._next_round(tried):
            runs = [self._runs_of(one) for one in settings]
            self._finish(list(dict.fromkeys(run for of_recipe in runs for run in of_recipe)))
            tried += zip(settings, map(self._objective, runs), strict=True)
        return self._in_order()

    def _check_optuna(self, state: State) -> None:
        """Note the version that proposes recipes. Raise RunFolderError if the sweep was begun with another one."""
        version = version_of_optuna(self._spec)
        if state.optuna not in (None, version):
            raise RunFolderError(
                f"The sweep in {self._folder.path} was begun with Optuna {state.optuna}, and {version} proposes other "
                f"recipes. pip install optuna=={state.optuna}, or name another folder with --out."
            )
        state.optuna = version

    def _describe(self) -> str:
        spec, seeds = self._spec, len(self._spec.seeds)
        counts = [
            say_count(self._recipes, "recipe"),
            say_count(seeds, "seed"),
            say_count(self._recipes * seeds, "run"),
            *([say("{count} recipes at a time", count=spec.batch)] if spec.search == "tpe" else []),
        ]
        text = f"{self._folder.path}: {spec.search}, {say(', ').join(counts)}"
        return f"{self._sources[0]}\n{line('sweep', text)}"

    def _next_round(self, tried: Sequence[tuple[Settings, float]]) -> list[Settings]:
        """Return the recipes that were begun before an interruption, or new ones, which are saved first."""
        recipes = self._state.recipes
        if len(recipes) == len(tried) and (new := next_round(self._spec, tried)):
            recipes += new
            self._folder.save(self._state)
        return recipes[len(tried) :]

    def _runs_of(self, settings: Settings) -> list[Run]:
        """Return the recipe's run with each seed; they are the same runs if the recipe was tried before."""
        recipe, invalid = self.base, ""
        try:
            recipe = self.base.with_settings(as_asked(settings))
            RunPlan.of_checked(recipe, self.dataset, "")
        except (RecipeError, InputError) as error:  # TPE may propose settings that contradict each other
            invalid = str(error)
        key = describe_settings(settings) if invalid else recipe.to_toml()
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        runs = [Run(number, seed, settings, recipe.with_settings({"seed": seed})) for seed in self._spec.seeds]
        if invalid and runs[0] not in self._results:
            self._results |= {run: Failure(run, invalid) for run in runs}
            self._progress.skip(len(runs), line("invalid", f"{runs[0].name}: {invalid}"))
        return runs

    def _objective(self, runs: Sequence[Run]) -> float:
        """Return the mean of the metric over the seeds, negative if lower is better; the worst for a failed recipe."""
        results = [self._results[run] for run in runs]
        values = [result.value for result in results if isinstance(result, Trial)]
        sign = -1 if self.base.metric in LOWER_IS_BETTER else 1
        mean = sign * sum(values) / len(values) if len(values) == len(results) else math.nan
        return (WORST_LOG_LOSS if sign < 0 else 0.0) if math.isnan(mean) else mean

    def _in_order(self) -> list[Result]:
        order = {seed: index for index, seed in enumerate(self._spec.seeds)}
        return [self._results[run] for run in sorted(self._results, key=lambda run: (run.number, order[run.seed]))]

    def _folder_of(self, run: Run) -> RunFolder:
        return RunFolder(self._folder.runs / run.name)

    def _plan(self, run: Run) -> RunPlan:
        words = [*self._spec.source_arguments(), "--preset", str(self._folder_of(run).recipe)]
        words += plugin_arguments(run.recipe)
        return RunPlan.of_checked(run.recipe, self.dataset, shlex.join(["hitofude", "run", *words]))

    def _finish(self, runs: Sequence[Run]) -> None:
        """Read the runs that ended before, and train the others."""
        new = [run for run in runs if run not in self._results]
        left: list[Planned] = []
        for run in new:
            folder = self._folder_of(run)
            if run.name in self._state.failed:
                self._results[run] = Failure(run, self._state.failed[run.name])
            elif folder.is_finished:
                check_same_run(folder, run.recipe, self.dataset)
                self._results[run] = Trial.of(run, load_result(folder), self.dataset.train.ids)
            else:
                left.append(self._what_is_left(run))
        if ended := len(new) - len(left):
            text = say("{runs} finished or failed", runs=say_count(ended, "run"))
            self._progress.skip(ended, line("before", text))
        if left:
            needed = sum(planned.bytes for planned in left)
            check_disk(
                self._folder.path, needed, f"The {counted(len(left), 'run')} {agree(len(left), 'need')}", "--out"
            )
            self._train(left)

    def _what_is_left(self, run: Run) -> Planned:
        plan, folder = self._plan(run), self._folder_of(run)
        members = range(len(plan.members))
        return Planned(
            run,
            len(members),
            images=plan.images_left(saved_epochs(folder, members)),
            bytes=max(0, plan.bytes_needed(1) - folder.bytes_written()),
            parameters=max(plan.parameters().values()),
        )

    def _train(self, planned: Sequence[Planned]) -> None:
        """Train runs side by side. Raise what ends the sweep.

        Each has a thread of its own. There are threads for as many runs as give each worker a member, and for two more:
        one that is evaluated and one that waits for it.
        """
        pool = self._pool = self._pool or self._open_pool(planned)
        threads = math.ceil(max(1, pool.size()) / min(one.members for one in planned)) + 2
        with ThreadPoolExecutor(threads, "run") as executor, self._progress.training(planned) as displays:
            futures = [
                executor.submit(copy_context().run, self._train_one, run, pool, display)
                for run, display in displays.items()
            ]
            try:
                for future in as_completed(futures):
                    self._record(*future.result())
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                self.close()  # without the pool, the threads end
                raise

    def _open_pool(self, planned: Sequence[Planned]) -> WorkerPool:
        """Open the workers, with the number of threads that was begun with, else the one that suits these runs."""
        members, images = sum(one.members for one in planned), sum(one.images for one in planned)
        workers, device, threads = self._resources.workers, self._resources.device, self._resources.threads
        threads, gpus = threads or self._state.threads, share_of_gpu(max(one.parameters for one in planned))
        pool = self.enter_context(open_worker_pool(workers, members, images, device, threads, gpus=gpus))
        self._state.threads = pool.threads
        self._folder.save(self._state)
        text = say(
            "{machine}: {members} at a time, {threads} each",
            machine=translate(pool.cluster.name), members=say_count(pool.size(), "member"),
            threads=say_count(pool.threads, "thread"),
        )  # fmt: skip
        self._display.message(line("workers", text))
        return pool

    def _train_one(self, run: Run, pool: WorkerPool, display: RunProgress) -> tuple[Result, RunProgress]:
        device, ids = self._resources.device, self.dataset.train.ids
        try:
            with explaining_memory_errors():
                plan, folder = self._plan(run), self._folder_of(run)
                where: dict[str, Any] = {"workers": pool, "device": device, "threads": pool.threads}
                trackers, command = self._resources.trackers, self._resources.command
                result = finish_run(plan, folder, display, **where, callbacks=trackers, command=command)
                return Trial.of(run, result, ids), display
        except REPEATABLE_ERRORS as error:
            return Failure(run, str(error)), display

    def _record(self, result: Result, display: RunProgress) -> None:
        self._results[result.run] = result
        if isinstance(result, Failure):
            self._state.failed[result.run.name] = result.reason
            self._folder.save(self._state)
        write_table(self._folder.table, self._spec, self._in_order())
        display.finished(result)
