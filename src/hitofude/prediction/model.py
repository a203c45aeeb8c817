"""A finished run as a model: its members' networks, ready to predict any number of times."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.errors import RunFolderError
from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.ensemble import load_members
from hitofude.learning.features import NoveltyScore
from hitofude.learning.predicting import Inspect, Predictor, predict_rows
from hitofude.metrics.calibration import Cascade, join_members
from hitofude.metrics.metrics import mean_of_members
from hitofude.metrics.novelty import Novelty
from hitofude.recipe import TtaRecipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.kept_plugins import check_plugins
from hitofude.runs.known_kinds import load_novelty
from hitofude.runs.result import load_result

logger = logging.getLogger(__name__)


class Model:
    """All members together, calibrated if a temperature is known."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        classes: Sequence[str],
        image_shape: ImageShape,
        compute: Compute,
        tta: TtaRecipe,
        temperature: float | None,
        cascade: Cascade | None = None,
        novelty: Novelty | None = None,
    ) -> None:
        """temperature: None leaves the probabilities uncalibrated. cascade: None asks all members about every image.

        novelty: its member is the place of its network among these; None if there is no score.
        """
        self.networks, self.classes, self.image_shape = tuple(networks), tuple(classes), image_shape
        self.compute, self.tta, self.temperature = compute, tta, temperature
        self.cascade, self.novelty = cascade, novelty
        scoring = None if novelty is None else novelty.member
        self._predictors = [
            Predictor(network, compute, tta=tta, inspect=self._inspect() if place == scoring else None)
            for place, network in enumerate(networks)
        ]

    @classmethod
    def load(cls, run: Path, *, device: str = "auto", threads: int | None = None, raw: bool = False) -> "Model":
        """Load a run with the precision of its recipe, at its temperature. raw: leave the probabilities uncalibrated.

        Imported networks have no temperature. Raises RunFolderError if the run is not finished, or a member is missing
        or damaged.
        """
        folder = RunFolder(run)
        recipe = folder.load_recipe()
        temperature = None if raw else folder.load_temperature()
        compute = choose_compute(device, recipe.precision, threads)
        if compute.note:
            logger.warning("%s", compute.note)
        return cls.of_run(folder, compute, temperature)

    @classmethod
    def of_run(cls, folder: RunFolder, compute: Compute, temperature: float | None) -> "Model":
        """Load the members of a run that predict.

        Raises RunFolderError if the run is not finished, or a member is not whole.
        """
        tta, data, names = folder.load_recipe().tta, folder.load_data(), folder.load_networks()
        check_plugins(folder)
        folders = {number: folder.member(number) for number in names}
        networks = load_members(folders, names, data.image_shape, len(data.classes), compute)
        cascade, novelty = folder.load_cascade(), load_novelty(folder)
        if novelty is not None:
            novelty = replace(novelty, member=[*names].index(novelty.member))
        return cls(networks, data.classes, data.image_shape, compute, tta, temperature, cascade, novelty)

    def with_tta(self, tta: TtaRecipe) -> "Model":
        """Return a model of the same networks with other test-time augmentation."""
        how = self.temperature, self.cascade, self.novelty
        return Model(self.networks, self.classes, self.image_shape, self.compute, tta, *how)

    def without_cascade(self) -> "Model":
        """Return a model of the same networks that asks all of them about every image."""
        how = self.temperature, None, self.novelty
        return Model(self.networks, self.classes, self.image_shape, self.compute, self.tta, *how)

    def predict(self, images: torch.Tensor) -> NDArray[np.float32]:
        """(N, C, H, W) uint8 → (N, classes) probabilities. Raises OutOfResourcesError if memory runs out."""
        return self.join(self.ask_members(images))

    def predict_with_novelty(self, images: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the same, and (N,) the score of novelty, NaN if the run has none."""
        members, novelty = self._ask(images)
        return self.join(members), novelty

    def predict_members(self, images: torch.Tensor) -> NDArray[np.float32]:
        """(N, C, H, W) uint8 → (members, N, classes) uncalibrated probabilities."""
        with self.compute.applied():
            return np.stack([predict(images) for predict in self._predictors])

    def ask_members(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Return the same, but members are asked about an image only until it is clear; the others have their mean."""
        return self._ask(images)[0]

    def _ask(self, images: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities of ask_members, and (N,) the score of novelty, NaN if the run has none."""
        novelty = np.full((len(images), 1), np.nan, dtype=np.float32)
        with self.compute.applied():
            if self.cascade is None:
                found = [predictor.inspected(images) for predictor in self._predictors]
                members = np.stack([probabilities for probabilities, _ in found])
                scores = [inspected for _, inspected in found]
            else:
                first, inspected = self._predictors[self.cascade.stages[0].member].inspected(images)
                members, scores = self._ask_in_turn(images, first, self.cascade), [inspected]
        return members, np.concatenate([*scores, novelty], axis=1)[:, 0]

    def _ask_in_turn(self, images: torch.Tensor, first: NDArray[np.float32], cascade: Cascade) -> NDArray[np.float32]:
        """first: (N, classes), the answers of the member that is asked first."""
        groups, threads = cascade.groups(len(self.networks)), self._threads
        members = np.repeat(first[None], len(self.networks), axis=0)
        rows, asked = np.arange(len(images)), groups[0]
        for stage, group in zip(cascade.stages, groups[1:], strict=True):
            mean = mean_of_members(members[asked[:, None], rows])
            others = np.setdiff1d(np.arange(len(members)), asked)
            members[others[:, None], rows] = mean
            rows, asked = rows[~stage.is_clear(mean)], np.concatenate([asked, group])
            if not len(rows):
                break
            predictors = [self._predictors[number] for number in group]
            members[group[:, None], rows] = predict_rows(predictors, images, rows, threads)
        return members

    def _inspect(self) -> Inspect | None:
        """Return the question for the score of novelty."""
        if self.novelty is None:
            return None
        return Inspect(NoveltyScore(self.novelty.familiar).to(self.compute.device), self.image_shape)

    @property
    def _threads(self) -> int:
        """The number of batches that are predicted at once."""
        return self.compute.threads if self.compute.device.type == "cpu" else 1

    def join(self, members: NDArray[np.float32]) -> NDArray[np.float32]:
        """(members, N, classes), of all or of those asked → (N, classes), calibrated."""
        return join_members(members, self.temperature, self.cascade)


def set_threshold_of(run: Path, level: float | None) -> float | None:
    """Return the threshold of a run's prediction sets; None for no level.

    Raises RecipeError if the level is not between 0 and 1, RunFolderError if the run is not finished, or was imported.
    """
    return None if level is None else load_result(run).set_threshold(level)


def model_identity(folder: RunFolder, *, raw: bool = False) -> dict[str, Any]:
    """Return everything that decides a finished run's predictions, ready for JSON. Raises as Model.load does."""
    recipe, data, networks = folder.load_recipe(), folder.load_data(), folder.load_networks()
    members = [MemberFolder(folder.member(number)) for number in networks]
    try:
        weights = [hashlib.sha256(member.weights_path.read_bytes()).hexdigest() for member in members]
    except FileNotFoundError as error:
        raise RunFolderError(f"{error.filename} is missing. Restore it, or run again into a new folder.") from None
    cascade = None if folder.is_imported else folder.load_cascade()
    stages = () if cascade is None else cascade.stages
    asked = {"cascade": [[stage.member, stage.threshold] for stage in stages]} if stages else {}
    novelty = {"novelty": hashlib.sha256(folder.novelty.read_bytes()).hexdigest()} if folder.novelty.exists() else {}
    scale = {} if data.pixels.scale.is_bytes else {"scale": [data.pixels.scale.low, data.pixels.scale.high]}
    return {
        "classes": list(data.classes),
        "image_shape": list(data.image_shape),
        "networks": list(networks.values()),
        "weights": weights,
        "tta": recipe.tta.model_dump(mode="json"),
        "precision": recipe.precision,
        "temperature": None if raw else folder.load_temperature(),
        **asked,
        **novelty,
        **scale,
    }
