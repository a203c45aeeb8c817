"""A sweep from its spec to its judgement: rounds of runs, made side by side by one crew."""

import math
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hitofude.errors import DivergedError, InputError, OutOfResourcesError, RecipeError, RunFolderError
from hitofude.inputs.leaks import check_no_leak
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.dispatch import open_worker_pool, share_of_gpu
from hitofude.outputs.display import Display, SilentDisplay, choose_display
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.pipeline import finish_run
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import load_result
from hitofude.storage import free_bytes
from hitofude.sweep.folder import State, SweepFolder
from hitofude.sweep.progress import Planned, Progress, RunProgress
from hitofude.sweep.search import check_tpe, first_round, next_tpe, outermost
from hitofude.sweep.spec import Settings, SweepSpec
from hitofude.sweep.table import SweepResult, write_table
from hitofude.sweep.trial import Failure, Run, Trial, describe_settings
from hitofude.workers.pool import WorkerPool

FAILS_ALIKE = (DivergedError, InputError, RecipeError)
"""What ends a run and not the sweep: it would fail so again."""


@dataclass(frozen=True)
class Resources:
    """Where members are made, as it was asked for; see hitofude.runs.pipeline.run."""

    workers: int | str | None = None
    threads: int | None = None
    device: str = "auto"


def sweep(path: Path, *, out: Path | None = None, means: Resources | None = None, quiet: bool = False) -> SweepResult:
    """Make every recipe of a spec with each of its seeds, or what is missing of them, and judge them.

    out: the folder, by default sweeps/SPEC-NAME. An unfinished sweep there is continued, a finished one is only read.

    Raises hitofude.errors.UserError, of the kind that fits; a run that diverges ends none but itself.
    """
    display = SilentDisplay() if quiet else choose_display()
    spec, folder, means = SweepSpec.load(path), SweepFolder(out or Path("sweeps", path.stem)), means or Resources()
    with explaining_memory_errors():
        base = spec.base()
        dataset = spec.open_source()
        check_no_leak(dataset.train, dataset.test)
        planner = _Planner(spec, base, dataset)
        planner.check_all()
        with folder.claimed(spec, base) as state:
            found = _Sweep(planner, folder, state, means, display).run()
        return SweepResult.write(folder, spec, dataset, found)


class _Planner:
    """What the recipes of a spec come to, before anything is made."""

    def __init__(self, spec: SweepSpec, base: Recipe, dataset: Dataset) -> None:
        self.spec, self.base, self.dataset = spec, base, dataset
        self._sizes: dict[Recipe, _Size] = {}

    def check_all(self) -> None:
        """Raises RecipeError or InputError, with the values that lead to it, where a recipe cannot be."""
        if self.spec.search == "guided":
            check_tpe()
        for settings in outermost(self.spec) if self.spec.search == "guided" else first_round(self.spec):
            try:
                self.size(self.base.with_settings(settings))
            except (RecipeError, InputError) as error:
                raise type(error)(f"The recipe with {describe_settings(settings)} cannot be: {error}") from None

    def size(self, recipe: Recipe) -> "_Size":
        """Of a run, nearly the same with every seed. Raises RecipeError or InputError where it cannot be."""
        recipe = recipe.with_settings({"seed": self.spec.seeds[0]})
        if recipe not in self._sizes:
            job = self.job(recipe)
            self._sizes[recipe] = _Size(
                rows=tuple(len(plan.train_rows) for plan in job.plans),
                images=job.images_to_train(),
                bytes=job.bytes_needed(1),
                parameters=max(job.parameters().values()),
                source=job.describe_source(),
            )
        return self._sizes[recipe]

    @property
    def source(self) -> str:
        """In a line, once a recipe was looked at."""
        return next(iter(self._sizes.values())).source

    def job(self, recipe: Recipe, place: Path | None = None) -> RunPlan:
        """place: the run's recipe file, by which its command names it."""
        words = ["hitofude", "run", *self.spec.source_arguments(), "--preset", str(place or "recipe.toml")]
        return RunPlan.of_checked(recipe, self.dataset, shlex.join(words))

    def planned(self, run: Run, folder: RunFolder) -> Planned:
        """What is left of it. Raises as `size` does."""
        size = self.size(run.recipe)
        done = sum(size.rows[log.member] for log in folder.epochs(range(len(size.rows))))
        return Planned(run, len(size.rows), size.images - done)

    def check_disk(self, runs: Sequence[tuple[Run, Path]], folder: Path) -> None:
        """Raises OutOfResourcesError when the disk has no room for what is left of these runs."""
        needed = sum(max(0, self.size(run.recipe).bytes - _bytes_in(place)) for run, place in runs)
        if (free := free_bytes(folder)) < needed:
            raise OutOfResourcesError(
                f"The {len(runs)} runs need about {needed:,} bytes more on the disk of {folder}; {free:,} are free. "
                "Free some space, or name a folder on another disk with --out."
            )


@dataclass(frozen=True)
class _Size:
    """What a run comes to."""

    rows: tuple[int, ...]
    """That each member trains on."""
    images: int
    """To be trained on, counted once an epoch."""
    bytes: int
    parameters: int
    source: str


class _Sweep:
    """Round after round until there is nothing more to ask for."""

    def __init__(
        self, planner: _Planner, folder: SweepFolder, state: State, means: Resources, display: Display
    ) -> None:
        """Raises RunFolderError where the members were begun with other threads."""
        self._planner, self._spec, self._folder, self._state = planner, planner.spec, folder, state
        self._means = replace(means, threads=means.threads or state.threads)
        if state.threads not in (None, self._means.threads):
            raise RunFolderError(
                f"The sweep in {folder.path} was begun with --threads {state.threads}, which are part of a result. "
                "Leave --threads out, or name another folder with --out."
            )
        self._runs: dict[str, list[Run]] = {}
        """Of each recipe, one a seed."""
        self._found: dict[Run, Trial | Failure] = {}
        self._progress = Progress(display, self._recipes_in_all() * len(self._spec.seeds))
        self._crew: tuple[WorkerPool, ThreadPoolExecutor] | None = None

    def run(self) -> list[Trial | Failure]:
        """What became of each run, by recipe and seed."""
        self._progress.message(self._describe())
        answered: list[tuple[Settings, float]] = []
        with ExitStack() as stack:
            while settings := self._next(answered):
                runs = [run for one in settings for run in self._runs_of(one)]
                self._make_missing([run for run in dict.fromkeys(runs) if run not in self._found], stack)
                answered += [(one, self._accuracy(one)) for one in settings]
        return self._in_order()

    def _recipes_in_all(self) -> int:
        if self._spec.search == "guided":
            return self._spec.trials
        return len({self._planner.base.with_settings(settings) for settings in first_round(self._spec)})

    def _describe(self) -> str:
        recipes, seeds = self._recipes_in_all(), len(self._spec.seeds)
        rounds = f", {self._spec.batch} recipes at a time" if self._spec.search == "guided" else ""
        return (
            f"{self._planner.source}\n"
            f"sweep    {self._folder.path}: {self._spec.search}, {_count(recipes, 'recipe')} with "
            f"{_count(seeds, 'seed')}, {_count(recipes * seeds, 'run')}{rounds}"
        )

    def _next(self, answered: Sequence[tuple[Settings, float]]) -> list[Settings]:
        """The next round: as it was asked for before, or else asked for now, and kept."""
        asked, guided = self._state.asked, self._spec.search == "guided"
        known = asked[len(answered) :][: self._spec.batch if guided else None]
        if known or (answered and not guided):
            return known
        new = next_tpe(self._spec, answered) if guided else first_round(self._spec)
        if new:
            asked += new
            self._folder.save(self._state)
        return new

    def _runs_of(self, settings: Settings) -> list[Run]:
        """One a seed. A recipe that was asked for before has its number, and is made once."""
        try:
            recipe = self._planner.base.with_settings(settings)
            self._planner.size(recipe)
        except (RecipeError, InputError) as error:  # of a guided search: values that contradict each other
            runs, are_new = self._number(describe_settings(settings), settings, self._planner.base)
            if are_new:
                self._found |= {run: Failure(run, str(error)) for run in runs}
                self._progress.skip(len(runs), f"{runs[0].name} cannot be: {error}")
            return runs
        return self._number(recipe.to_toml(), settings, recipe)[0]

    def _number(self, key: str, settings: Settings, recipe: Recipe) -> tuple[list[Run], bool]:
        """The recipe's runs, and whether it was not asked for before."""
        if key in self._runs:
            return self._runs[key], False
        number, seeds = len(self._runs) + 1, self._spec.seeds
        self._runs[key] = [Run(number, seed, settings, recipe.with_settings({"seed": seed})) for seed in seeds]
        return self._runs[key], True

    def _accuracy(self, settings: Settings) -> float:
        """The mean over the seeds; a recipe that fails is worth nothing."""
        found = [self._found[run] for run in self._runs_of(settings)]
        values = [outcome.accuracy.value for outcome in found if isinstance(outcome, Trial)]
        return sum(values) / len(values) if len(values) == len(found) else 0.0

    def _in_order(self) -> list[Trial | Failure]:
        runs = (run for runs in self._runs.values() for run in runs)
        return [self._found[run] for run in runs if run in self._found]

    def _make_missing(self, runs: Sequence[Run], stack: ExitStack) -> None:
        """Read those that are finished, and make the others."""
        left: list[Run] = []
        for run in runs:
            folder = self._folder_of(run)
            if run.name in self._state.failed:
                self._found[run] = Failure(run, self._state.failed[run.name])
            elif folder.is_finished:
                folder.check_same(run.recipe, self._planner.dataset)
                self._found[run] = Trial.of(run, load_result(folder), self._planner.dataset.train.ids)
            else:
                left.append(run)
        if done := len(runs) - len(left):
            self._progress.skip(done, f"there    {_count(done, 'run')} that ended before")
        if left:
            self._planner.check_disk([(run, self._folder_of(run).path) for run in left], self._folder.path)
            self._make([self._planner.planned(run, self._folder_of(run)) for run in left], stack)

    def _folder_of(self, run: Run) -> RunFolder:
        return RunFolder(self._folder.runs / run.name)

    def _make(self, planned: Sequence[Planned], stack: ExitStack) -> None:
        """Side by side. Raises what ends the sweep."""
        members, images = sum(one.members for one in planned), sum(one.images for one in planned)
        of_them = f"{_count(members, 'member')}, {images:,} images counted once an epoch"
        self._progress.message(f"to make  {_count(len(planned), 'run')}, {of_them}")
        crew, pool = self._crew = self._crew or self._gather(planned, stack)
        with self._progress.making(planned) as views:
            waiting = {pool.submit(self._make_one, run, crew, view): view for run, view in views.items()}
            try:
                for future in as_completed(waiting):
                    self._keep(future.result(), waiting[future])
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    def _gather(self, planned: Sequence[Planned], stack: ExitStack) -> tuple[WorkerPool, ThreadPoolExecutor]:
        """Those who make members, for all rounds, and threads that each see to one run."""
        parameters = max(self._planner.size(one.run.recipe).parameters for one in planned)
        crew, pool = stack.enter_context(_gather(self._means, planned, parameters))
        self._state.threads = crew.threads
        self._folder.save(self._state)
        at_once = _count(crew.size(), "member")
        self._progress.message(
            f"workers  {crew.workers.name}: {at_once} at a time, {_count(crew.threads, 'thread')} each"
        )
        return crew, pool

    def _make_one(self, run: Run, crew: WorkerPool, view: RunProgress) -> Trial | Failure:
        """In a thread of its own."""
        folder = self._folder_of(run)
        try:
            with explaining_memory_errors():
                job = self._planner.job(run.recipe, folder.recipe)
                result = finish_run(job, folder, view, workers=crew, device=self._means.device, threads=crew.threads)
                return Trial.of(run, result, self._planner.dataset.train.ids)
        except FAILS_ALIKE as error:
            return Failure(run, str(error))

    def _keep(self, found: Trial | Failure, view: RunProgress) -> None:
        self._found[found.run] = found
        if isinstance(found, Failure):
            self._state.failed[found.run.name] = found.reason
            self._folder.save(self._state)
        write_table(self._folder.table, self._spec, self._in_order())
        self._progress.ended(view, found)


@contextmanager
def _gather(
    means: Resources, planned: Sequence[Planned], parameters: int
) -> Iterator[tuple[WorkerPool, ThreadPoolExecutor]]:
    """A crew, and as many threads as runs are needed at once to give each of its seats a member.

    Two runs more, for one that is being judged and one that waits for it. parameters: of the largest network.
    """
    members, images = (sum(counts) for counts in zip(*((one.members, one.images) for one in planned), strict=True))
    share = share_of_gpu(parameters)
    gathered = open_worker_pool(means.workers, members, images, means.device, means.threads, gpus=share)
    with ExitStack() as last, gathered as crew:
        runs = math.ceil(max(1, crew.size()) / min(one.members for one in planned)) + 2
        yield crew, last.enter_context(ThreadPoolExecutor(runs, "run"))


def _count(number: int, what: str) -> str:
    """`1 run`, `1,200 runs`"""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
