"""The plan of a run, settled and checked before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.inputs.dataset import Dataset
from hitofude.inputs.duplicates import Duplicate, check_no_leak
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.layout import describe_size
from hitofude.inputs.related import describe_related, related_rows
from hitofude.language.translation import line, say, say_count, say_of, translate
from hitofude.learning.checkpoint import KEPT_STATES
from hitofude.learning.class_balance import check_class_names
from hitofude.learning.ensemble import plan_members, settle
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network, count_parameters
from hitofude.learning.recipe_plugins import check_sources, sources_of
from hitofude.learning.speed import multiplications
from hitofude.learning.splits import can_hold_out
from hitofude.learning.training import MemberPlan
from hitofude.metrics.scores import NEED_PROBABILITIES
from hitofude.outputs.submission import SubmissionFormat
from hitofude.recipe import Recipe
from hitofude.runs.teacher import Teacher
from hitofude.stage import describe_settings

BYTES_A_ROW = 300  # for ids, labels and figures in the .npz and .csv files
BYTES_OF_PICTURES = 6_000_000


@dataclass(frozen=True, eq=False)
class RunPlan:
    """A recipe, its data, and the members that they lead to."""

    recipe: Recipe
    dataset: Dataset
    train: ImageSet
    """The training rows that the recipe uses."""
    members: list[MemberPlan]
    networks: dict[str, nn.Module]
    """An untrained network of each name."""
    command: str
    """The command that makes the run again."""
    groups: NDArray[np.int64] | None = None  # (N,) of the used rows; related ones, by copies too, have the same number
    asked_folds: int = 0
    """The number of folds in the recipe before it was reduced to what the rows allow."""
    teacher: Teacher | None = None
    """The run whose answers are learned in place of the labels, if the run is distilled."""

    @classmethod
    def prepare(cls, recipe: Recipe, dataset: Dataset, command: str) -> "RunPlan":
        """Plan a run. Raises RecipeError or InputError if recipe and data do not fit, or the test set leaks."""
        check_no_leak(dataset.train, dataset.test)
        return cls.of_checked(recipe, dataset, command)

    @classmethod
    def of_checked(cls, recipe: Recipe, dataset: Dataset, command: str) -> "RunPlan":
        """Plan a run of data that were checked for leaks before."""
        check_sources(recipe)
        train = choose_rows(dataset.train, recipe)
        for variant in recipe.in_turn():
            check_class_names(variant.optimizer.class_weights, train.classes)
        SubmissionFormat.choose(recipe.metric, train.classes, dataset.template, dataset.column_names)
        copies = dataset.copies(train) if recipe.ensemble.group_copies else None
        groups = None
        if copies is not None or train.groups is not None:
            groups = related_rows(train.groups, copies, len(train))
        if train.groups is None and not can_hold_out(train, groups, recipe.ensemble):
            groups = None  # hitofude.runs.sanity says so
        asked, recipe = recipe.ensemble.folds, settle(recipe, train, groups)
        unlabelled = 0 if dataset.test is None else len(dataset.test)
        members = plan_members(recipe, train, groups, unlabelled)
        names = dict.fromkeys(member.network for member in members)
        networks = {
            name: build_network(name, train.image_shape, len(train.classes), torch.Generator()) for name in names
        }
        return cls(recipe, dataset, train, members, networks, command, groups, asked)

    def taught_by(self, teacher: Teacher) -> "RunPlan":
        """Return the plan of a distilled run, whose members learn the teacher's answers, also to the images to predict.

        Raises InputError or RunFolderError if the teacher was trained on other images or held out other rows.
        """
        teacher.check_images(self.dataset.train, self.dataset.name)
        teacher.check_folds(self.members)
        rows, test = len(self.train), self.dataset.test
        others = np.arange(rows, rows + (0 if test is None else len(test)))
        members = [replace(one, train_rows=np.concatenate([one.train_rows, others])) for one in self.members]
        return replace(self, members=members, teacher=teacher)

    @property
    def submission_format(self) -> SubmissionFormat:
        dataset = self.dataset
        return SubmissionFormat.choose(self.recipe.metric, self.train.classes, dataset.template, dataset.column_names)

    def variant_of(self, member: MemberPlan) -> int | None:
        """Return the number of the member's variant, from 1; None if the recipe has no variants."""
        return self._variants.index(member.recipe) + 1 if self._variants else None

    @cached_property
    def _variants(self) -> list[Recipe]:
        return self.recipe.in_turn() if self.recipe.ensemble.variants else []

    def parameters(self) -> dict[str, int]:
        """Return the number of parameters of each network."""
        return {name: count_parameters(network) for name, network in self.networks.items()}

    def images_to_train(self) -> int:
        """Return the images that all members train on, counted each time."""
        return sum(member.images for member in self.members)

    def training_flop(self) -> float:
        """Return the floating-point operations to train all members: six for each multiplication of an image's forward
        pass.
        """
        shape, classes = self.train.image_shape, len(self.train.classes)
        return sum(6.0 * multiplications(member.network, shape, classes) * member.images for member in self.members)

    def longest_training(self) -> int:
        """Return the epochs of the member that has the most."""
        return max(member.epochs for member in self.members)

    def with_epochs(self, epochs: int) -> "RunPlan":
        """Return the plan with so many epochs in the longest training, and in proportion in the others.

        They replace the least number of steps. Each member keeps an epoch that augments, if it has one.
        """
        share, before = epochs / self.longest_training(), self.recipe.in_turn()

        def scaled(recipe: Recipe) -> dict[str, int]:
            own = max((member.epochs for member in self.members if member.recipe == recipe), default=1)
            fewest = 1 + recipe.augment.no_aug_epochs
            return {"schedule.epochs": max(fewest, round(share * own)), "schedule.min_steps": 0}

        variants = [settings | scaled(before[turn]) for turn, settings in enumerate(self.recipe.ensemble.variants)]
        recipe = self.recipe.with_settings({"ensemble.variants": variants} if variants else scaled(self.recipe))
        after = recipe.in_turn()
        members = [replace(member, recipe=after[before.index(member.recipe)]) for member in self.members]
        return replace(self, recipe=recipe, members=members)

    def images_left(self, logs: Iterable[EpochLog]) -> int:
        """Return the images that are left to train on after these epochs."""
        members = {member.member: member for member in self.members}
        return self.images_to_train() - sum(members[log.member].images_in(log.epoch) for log in logs)

    def bytes_needed(self, workers: int) -> int:
        """Estimate generously what a whole run writes: weights, the states of members in training, predictions."""
        weights = 4 * max(self.parameters().values())
        states = workers * (KEPT_STATES + 1) * 5 * weights
        classes, test = len(self.train.classes), self.dataset.test
        rows = len(self.train) + (0 if test is None else len(test) * len(self.members))
        images = len(self.train) + (0 if test is None else len(test))
        targets = 0 if self.teacher is None else 4 * len(self.members) * images * classes
        results = rows * (17 * classes + BYTES_A_ROW) + BYTES_OF_PICTURES
        return len(self.members) * weights + states + targets + results

    def held_out(self) -> NDArray[np.bool_]:
        """Return (N, members), whether a member holds a training row out."""
        held_out = np.zeros((len(self.train), len(self.members)), dtype=np.bool_)
        for place, member in enumerate(self.members):
            held_out[member.validation_rows, place] = True
        return held_out

    def predicting(self) -> list[int]:
        """Return the places of the members that predict other images."""
        places = range(len(self.members))
        if self.recipe.ensemble.predict_by == "all":
            return [*places]
        return [place for place in places if not len(self.members[place].validation_rows)]

    def duplicates(self) -> list[Duplicate]:
        """Return the duplicate images."""
        return self.dataset.copies(self.train).duplicates()

    def describe(self) -> str:
        """Describe source, networks and members in a line each."""
        networks = say(", ").join(
            say("{network} ({parameters:,} parameters)", network=name, parameters=parameters)
            for name, parameters in self.parameters().items()
        )
        lines = [
            self.describe_source(),
            *(line("read", translate(one)) for one in self.dataset.reading),
            *(line("aside", translate(one)) for one in self.dataset.left_aside),
            line("look", translate(self.dataset.look.describe())),
            *self._describe_scale(),
            line("network", networks),
            *(line("plugin", f"{source}, {source.sha256[:12]}") for source in sources_of(self.recipe)),
            line("members", self._describe_members()),
            *self._describe_variants(),
            *self._describe_taught(),
            *self._describe_teacher(),
        ]
        if self.submission_format.classes and self.recipe.metric not in NEED_PROBABILITIES:
            text = say(
                "a probability for each class, as sample_submission.csv asks; to judge the run by them, --metric "
                "log-loss or auc"
            )
            lines.append(line("submit", text))
        lines += describe_related(self.train, self.groups)
        return "\n".join([*lines, *(line("few", one) for one in self.describe_few_images())])

    def _describe_scale(self) -> list[str]:
        """Describe the scale of the pixels, unless they are bytes."""
        scale = self.dataset.scale
        if scale.is_bytes:
            return []
        text = say("{scale}; images to predict must be on it too", scale=translate(scale.describe()))
        return [line("scale", text)]

    def never_held_out(self) -> list[int]:
        """Return the classes that no member holds out: those of a single image, or of a single group."""
        held_out = np.concatenate([member.validation_rows for member in self.members])
        labels = self.train.known_labels()
        return [int(label) for label in np.setdiff1d(labels, labels[held_out])]

    def describe_few_images(self) -> list[str]:
        """Describe the consequences of classes with few images, a line each."""
        asked, folds, lines = self.asked_folds, self.recipe.ensemble.folds, list[str]()
        if self.train.folds is None and folds < asked:
            text = say(
                "{folds} folds in place of {asked}: no class has more images, or more groups of them",
                folds=folds,
                asked=asked,
            )
            lines.append(text)
        if missing := self.never_held_out():
            names = say(", ").join(f"'{self.train.classes[label]}'" for label in missing[:5])
            names += say(" and {count} more", count=len(missing) - 5) if len(missing) > 5 else ""
            lines.append(
                say(
                    "too few images to hold any out of {classes}; they are trained on, and not in the out-of-fold "
                    "accuracy",
                    classes=names,
                )
            )
        return lines

    def describe_source(self) -> str:
        """Describe the source in a line."""
        train, test = self.dataset.train, self.dataset.test
        text = say(
            "{source}: {images} of {size} in {classes} to learn from",
            source=self.dataset.name,
            images=say_count(len(train), "image"),
            size=describe_size(train.image_shape),
            classes=say_count(len(train.classes), "class"),
        )
        if self.train is not train:
            text += say(", {rows:,} of them used", rows=len(self.train))
        asked = say(", none to predict") if test is None else say(", {images:,} to predict", images=len(test))
        return line("source", text + asked)

    def _describe_members(self) -> str:
        """Describe the members: `8: 3 folds, 2 times over; 2 on all rows, without out-of-fold rows`."""
        ensemble, count = self.recipe.ensemble, self.recipe.ensemble.full_data_members
        parts = [say("{folds} folds", folds=ensemble.folds) if ensemble.split == "folds" else say("one part held out")]
        if ensemble.repeats > 1:
            parts.append(say(", {repeats} times over", repeats=ensemble.repeats))
            parts += [] if ensemble.resplit else [say(", each time the same")]
        if count:
            parts.append(say("; {count} on all rows, without out-of-fold rows", count=count))
        return say("{members}: {parts}", members=len(self.members), parts="".join(parts))

    def pseudo_labelled(self) -> int:
        """Return the number of images to predict that members learn from, without their labels."""
        test, rows = self.dataset.test, len(self.train)
        are_learned = any((member.train_rows >= rows).any() for member in self.members)
        return len(test) if test is not None and are_learned else 0

    def _describe_taught(self) -> list[str]:
        """Describe the members that learn the answers of others, if the recipe asks for it."""
        ensemble, count = self.recipe.ensemble, self.pseudo_labelled()
        if not ensemble.soft_labels and ensemble.pseudo_labels == "none":
            return []
        if taught := sum(bool(member.teachers) for member in self.members):
            of_training = [say("the training images, in place of their labels")] if ensemble.soft_labels else []
            of_test = [say("the {images} to predict", images=say_count(count, "image"))] if count else []
            text = say_of(
                taught,
                "{members} learns others' answers to {images}",
                "{members} learn others' answers to {images}",
                members=say_count(taught, "member"), images=say(" and ").join([*of_training, *of_test]),
            )  # fmt: skip
            return [line("taught", text)]
        name = "soft_labels" if ensemble.soft_labels else "pseudo_labels"
        if ensemble.repeats > ensemble.teaching_repeats:
            text = say("ensemble.{name} changes nothing here: there are no images to predict", name=name)
        else:
            text = say("ensemble.{name} changes nothing here: no repeat comes after those that teach", name=name)
        return [line("taught", text)]

    def _describe_teacher(self) -> list[str]:
        """Describe the teacher of a distilled run."""
        if self.teacher is None:
            return []
        taught = [(len(self.teacher.teachers_of(one)), len(one.validation_rows)) for one in self.members]
        of_fold = next((count for count, held_out in taught if held_out), 0)
        text = say("{run}, in place of the labels", run=self.teacher.folder.path)
        text += say(", the images to predict too") if self.pseudo_labelled() else ""
        text += say(": {count} of its members for each fold", count=of_fold)
        text += say(", {count} for all rows", count=taught[-1][0]) if not taught[-1][1] else ""
        return [line("teacher", text)]

    def _describe_variants(self) -> list[str]:
        """Describe the settings of the variants, which the repeats and the members on all rows take in turn."""
        return [
            line("variant", f"{number}: {describe_settings(settings) or say('the recipe as it is')}")
            for number, settings in enumerate(self.recipe.ensemble.variants, 1)
        ]


def choose_rows(train: ImageSet, recipe: Recipe) -> ImageSet:
    """Return all training rows, or the recipe's seeded sample of them."""
    if recipe.rows is None or recipe.rows >= len(train):
        return train
    return train.take(shuffled_evenly(train.known_labels(), recipe.seed)[: recipe.rows])
