"""What a run is to do, settled and checked before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from hitofude.inputs.duplicates import Duplicate, find_duplicates
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.layout import describe_size
from hitofude.inputs.leaks import check_no_leak
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import KEPT_STATES
from hitofude.learning.ensemble import plan_members
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network, count_parameters
from hitofude.learning.schedule import count_epochs
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe

BYTES_A_ROW = 300  # ids, labels and figures in the .npz and .csv files
BYTES_OF_PICTURES = 6_000_000


@dataclass(frozen=True, eq=False)
class RunPlan:
    """A recipe, its data, and the members that come of them."""

    recipe: Recipe
    dataset: Dataset
    train: ImageSet
    """The rows that the recipe takes."""
    plans: list[MemberPlan]
    networks: dict[str, nn.Module]
    """One of each name, untrained."""
    command: str
    """It makes the run again."""

    @classmethod
    def prepare(cls, recipe: Recipe, dataset: Dataset, command: str) -> "RunPlan":
        """Raises RecipeError or InputError where recipe and data do not fit, or the data would flatter."""
        check_no_leak(dataset.train, dataset.test)
        return cls.of_checked(recipe, dataset, command)

    @classmethod
    def of_checked(cls, recipe: Recipe, dataset: Dataset, command: str) -> "RunPlan":
        """The same, of data in which leaks have been looked for."""
        train = choose_rows(dataset.train, recipe)
        plans = plan_members(recipe, train)
        names = dict.fromkeys(plan.network for plan in plans)
        networks = {
            name: build_network(name, train.image_shape, len(train.classes), torch.Generator()) for name in names
        }
        return cls(recipe, dataset, train, plans, networks, command)

    def epochs(self, plan: MemberPlan) -> int:
        return count_epochs(self.recipe.schedule, self.recipe.optimizer.batch_size, len(plan.train_rows))

    def parameters(self) -> dict[str, int]:
        """Of each network."""
        return {name: count_parameters(network) for name, network in self.networks.items()}

    def images_to_train(self) -> int:
        """Over all members, counted once an epoch."""
        return sum(self.epochs(plan) * len(plan.train_rows) for plan in self.plans)

    def images_left(self, logs: Iterable[EpochLog]) -> int:
        """Of them, those that are still to be trained on after these epochs."""
        rows = {plan.member: len(plan.train_rows) for plan in self.plans}
        return self.images_to_train() - sum(rows[log.member] for log in logs)

    def bytes_needed(self, workers: int) -> int:
        """What a whole run writes, somewhat more than less: weights, the states of members in training, predictions."""
        weights = 4 * max(self.parameters().values())
        states = workers * (KEPT_STATES + 1) * 5 * weights
        classes, test = len(self.train.classes), self.dataset.test
        rows = len(self.train) + (0 if test is None else len(test) * len(self.plans))
        return len(self.plans) * weights + states + rows * (13 * classes + BYTES_A_ROW) + BYTES_OF_PICTURES

    def duplicates(self) -> list[Duplicate]:
        """Images that are there twice; of all rows they are looked for once, however many jobs ask."""
        if self.train is self.dataset.train:
            return self.dataset.duplicates
        return find_duplicates(self.train, self.dataset.test)

    def describe(self) -> str:
        """Source, networks and members, a line each."""
        networks = ", ".join(f"{name} ({parameters:,} parameters)" for name, parameters in self.parameters().items())
        return f"{self.describe_source()}\nnetwork  {networks}\nmembers  {self._describe_members()}"

    def describe_source(self) -> str:
        """In a line."""
        train, test = self.dataset.train, self.dataset.test
        size = describe_size(train.image_shape)
        to_predict = "none" if test is None else f"{len(test):,}"
        rows = "" if self.train is train else f", {len(self.train):,} of them used"
        return (
            f"source   {self.dataset.name}: {len(train):,} images of {size} in {len(train.classes)} classes "
            f"to learn from{rows}, {to_predict} to predict"
        )

    def _describe_members(self) -> str:
        """How many, and from which rows: `8: 3 folds, 2 times over; 2 on all rows, without out-of-fold rows`."""
        ensemble = self.recipe.ensemble
        parts = f"{ensemble.folds} folds" if ensemble.split == "folds" else "one part held out"
        repeats = f", {ensemble.repeats} times over" if ensemble.repeats > 1 else ""
        on_all = (
            f"; {ensemble.full_data_members} on all rows, without out-of-fold rows"
            if ensemble.full_data_members
            else ""
        )
        return f"{len(self.plans)}: {parts}{repeats}{on_all}"


def choose_rows(train: ImageSet, recipe: Recipe) -> ImageSet:
    """All training rows, or the recipe's seeded sample of them."""
    if recipe.rows is None or recipe.rows >= len(train):
        return train
    return train.take(shuffled_evenly(train.known_labels(), recipe.seed)[: recipe.rows])
