"""The frontier of accuracy and operations, and the point of it that ends within a time limit.

The epochs are settled before the training, and not on the way: so the same command, killed and continued on any
machine, ends with the same bytes.
"""

import logging
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from hitofude.errors import RecipeError
from hitofude.inputs.dataset import Dataset
from hitofude.language.translation import line, say, say_count
from hitofude.learning.speed_meter import SpeedMeter
from hitofude.outputs.display import Display
from hitofude.recipe import FRONTIER, Recipe
from hitofude.runs.cost import CostModel
from hitofude.runs.plan import RunPlan
from hitofude.runs.time_limit import TimeLimit, about, duration
from hitofude.stage import Stage, TomlFile, flat
from hitofude.workers.pool import WorkerPool

logger = logging.getLogger(__name__)

AIM = 0.83
"""The share of the limit that is planned for: the speed of a machine changes by this much from minute to minute."""
MOST_TIMES = 8
"""A point's epochs are scaled up at most so much; before that, the next point is reached."""

AS_EXPECTED = 0.8, 1.25
"""The least and the largest ratio of the true to the expected time that need no explanation."""

Planner = Callable[[Recipe], RunPlan]


class Point(Stage):
    """A recipe of the frontier."""

    preset: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """On top of the preset, by dotted name."""
    least_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of its epochs below which the point before is more accurate in the same time."""

    @field_validator("settings", mode="before")
    @classmethod
    def _by_dotted_name(cls, settings: Any) -> Any:
        return flat(settings) if isinstance(settings, Mapping) else settings

    def recipe(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the point's recipe with the user's settings on top. Raises RecipeError if they contradict it."""
        return Recipe.preset(self.preset).with_settings(self.settings).with_settings(settings)

    @property
    def is_of_all_rows(self) -> bool:
        return "rows" not in self.settings


class Frontier(TomlFile):
    """Points from the fewest operations to the most."""

    noun = "frontier"

    points: Annotated[tuple[Point, ...], Field(min_length=1, strict=False)]


@dataclass(frozen=True)
class Fit:
    """A plan for a point of the frontier, and whether it ends in time."""

    plan: RunPlan
    seconds: float
    """From the planning to the end of the command."""
    is_in_time: bool


@dataclass(frozen=True)
class Choice:
    """The plan that a time limit leads to."""

    limit: TimeLimit
    spent: float
    """The seconds from the start to the choice."""
    chosen: Fit
    larger: Fit | None
    """The next point, which does not end in time; None if there is none."""

    @property
    def plan(self) -> RunPlan:
        return self.chosen.plan

    @property
    def expected(self) -> float:
        """The seconds of the whole command."""
        return self.spent + self.chosen.seconds

    def describe(self) -> str:
        """Describe the time, the choice and its reason in a line each."""
        expected = say("{limit}; this run will end after about {time}", limit=self.limit, time=about(self.expected))
        members, flop = describe_members(self.plan), tera(self.plan.training_flop())
        if self._is_reduced:
            members = say("{members} on {rows:,} rows", members=members, rows=len(self.plan.train))
        choice = say("{members}, {flop} TFLOP", members=members, flop=flop)
        return "\n".join([line("limit", expected), line("choice", choice), line("because", self._reason())])

    def describe_end(self, seconds: float) -> str:
        """Describe how much of the limit was used, and the reason if that was not expected. seconds: of the command."""
        text = line("time", say("{time} of {limit}", time=about(seconds), limit=self.limit))
        if AS_EXPECTED[0] <= seconds / self.expected <= AS_EXPECTED[1]:
            return text
        if seconds < self.expected:
            why = say(
                ", in place of {time}: this machine became faster after it was measured", time=about(self.expected)
            )
        else:
            why = say(
                ", in place of {time}: this machine became slower after it was measured", time=about(self.expected)
            )
        return text + why

    def _reason(self) -> str:
        if self.larger is None:
            return say("this is the largest recipe there is")
        time = about(self.spent + self.larger.seconds)
        if self._is_reduced:
            return say("all rows would take {time} here", time=time)
        return say(
            "{members}, would take {time} here", members=describe_members(self.larger.plan, is_least=True), time=time
        )

    @property
    def _is_reduced(self) -> bool:
        """Whether the rows are a part of those of the next point."""
        return self.larger is not None and len(self.plan.train) < len(self.larger.plan.train)


def describe_members(plan: RunPlan, *, is_least: bool = False) -> str:
    """`vgg-32, 4 members of 12 epochs`. is_least: whether there may be more epochs."""
    epochs = sorted({member.epochs for member in plan.members})
    first, last = epochs[0], epochs[-1]
    span = say("{first} to {last}", first=first, last=last) if last > first else str(first)
    span = say("at least {epochs}", epochs=span) if is_least else span
    networks = dict.fromkeys(member.recipe.network.name for member in plan.members)
    count = say_count(len(plan.members), "member")
    return say("{networks}, {members} of {epochs} epochs", networks=", ".join(networks), members=count, epochs=span)


def tera(flop: float) -> str:
    """Return operations in units of 10¹²: `0.42`, `20`, `1,300`."""
    number = flop / 1e12
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def choose_plan(limit: TimeLimit, settings: Mapping[str, Any], planner: Planner, costs: CostModel) -> Choice:
    """Choose the last point of the frontier that ends in time, and as many epochs as do.

    settings: the user's, on top of each point; if they contain schedule.epochs, the epochs are not scaled. planner:
    plans a recipe with the data. Raises RecipeError if no point ends in time, or if the settings contradict all points.
    """
    search = _Search(limit, {**settings, "chosen_for": str(limit)}, planner, costs)
    return search.choose(Frontier.load(FRONTIER).points)


@dataclass(frozen=True)
class _Search:
    """The search for a point and its epochs. See choose_plan."""

    limit: TimeLimit
    settings: Mapping[str, Any]
    planner: Planner
    costs: CostModel

    def choose(self, points: Sequence[Point]) -> Choice:
        """Go up from the first point of all rows to the last that ends in time; if none does, go down from there."""
        usable = self._usable(points)
        of_all_rows = [point for point in usable if point.is_of_all_rows]
        of_fewer = [point for point in usable if not point.is_of_all_rows]
        chosen = larger = None
        for point in of_all_rows:
            fit = self._fit(point, is_last=point is of_all_rows[-1])
            if not fit.is_in_time:
                larger = fit
                break
            chosen = fit
        while chosen is None and of_fewer:
            smallest = self._fit(of_fewer.pop())
            chosen = smallest if smallest.is_in_time else None
        if chosen is None:
            raise self._too_short(smallest)
        return Choice(self.limit, self.limit.spent(), chosen, larger)

    def _usable(self, points: Sequence[Point]) -> list[Point]:
        """Return the points that the settings do not contradict."""
        found = []
        for point in points:
            try:
                point.recipe(self.settings)
                found.append(point)
            except RecipeError as error:
                contradiction = error
        if not found:
            raise contradiction
        return found

    def _fit(self, point: Point, *, is_last: bool = False) -> Fit:
        """Fit as many epochs as end in time, at least the fewest that the point allows."""
        plan = self.planner(point.recipe(self.settings))
        own = plan.longest_training()
        if "schedule.epochs" in self.settings:
            return self._with_epochs(plan, own)
        fewest, most = math.ceil(point.least_share * own), own if is_last else MOST_TIMES * own
        choices = range(fewest, most + 1)
        in_time = bisect_left(choices, True, key=lambda epochs: not self._with_epochs(plan, epochs).is_in_time)
        return self._with_epochs(plan, choices[max(in_time - 1, 0)])

    def _with_epochs(self, plan: RunPlan, epochs: int) -> Fit:
        scaled = plan if epochs == plan.longest_training() else plan.with_epochs(epochs)
        seconds = self.costs.seconds(scaled)
        total = self.limit.spent() + seconds
        logger.debug("%s would end after %.1f s", describe_members(scaled), total)
        return Fit(scaled, seconds, total <= AIM * self.limit.seconds)

    def _too_short(self, smallest: Fit) -> RecipeError:
        spent = self.limit.spent()
        needed = spent + smallest.seconds
        enough = duration(10 * math.ceil(1.2 * needed / AIM / 10)).replace(" ", "")
        return RecipeError(
            f"--time-limit {self.limit} is too short: to read the images and to measure this machine took "
            f"{about(spent)}, and the smallest recipe takes about {about(smallest.seconds)} more; "
            f"{100 * (1 - AIM):.0f} % of the limit is left in case the machine slows down. Use --time-limit {enough}. "
            "If this machine was busy, try again."
        )


def check_choosable(preset: str | Path | None, *, debug: bool) -> None:
    """Raise RecipeError if a time limit cannot be combined with these."""
    if preset is not None:
        raise RecipeError(
            f"--time-limit chooses the recipe, and --preset {preset} gives it. Leave one out; `hitofude presets` tells "
            "how long a preset takes here."
        )
    if debug:
        raise RecipeError("--time-limit chooses the recipe, and so does --debug. Leave one out.")


def choose_in_time(
    limit: TimeLimit,
    settings: Mapping[str, Any],
    dataset: Dataset,
    display: Display,
    *,
    device: str,
    workers: int | str | WorkerPool | None,
    threads: int | None,
) -> Choice:
    """Measure this machine, choose as choose_plan does, and display the choice.

    Raises as choose_plan does, and RecipeError if the members are to be made on a cluster.
    """
    if not isinstance(workers, int | None):
        raise RecipeError(
            "--time-limit measures this machine, and --workers names another one. Choose a recipe by --preset; "
            "`hitofude presets` tells the operations of each. A run that was begun here may be continued there."
        )
    display.message(line("measure", say("the speed of this machine, for some seconds")))
    with SpeedMeter(dataset.train) as meter:
        costs = CostModel(meter, device, workers, threads)
        choice = choose_plan(limit, settings, lambda recipe: RunPlan.prepare(recipe, dataset, ""), costs)
    display.message(choice.describe())
    return choice
