"""A finished run as a model: its members' networks, ready to predict any number of times."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.ensemble import load_members
from hitofude.learning.predicting import Predictor, images_at_once
from hitofude.metrics.calibration import with_temperature
from hitofude.metrics.metrics import mean_of_members
from hitofude.recipe import TtaRecipe
from hitofude.runs.folder import RunFolder


class Model:
    """The mean of all members, calibrated where that is asked for."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        classes: Sequence[str],
        image_shape: ImageShape,
        compute: Compute,
        tta: TtaRecipe,
        temperature: float | None,
    ) -> None:
        """temperature: None leaves the probabilities as they are."""
        self.classes, self.image_shape, self.compute = tuple(classes), image_shape, compute
        self._members = [Predictor(network, compute, tta=tta) for network in networks]
        self._temperature = temperature

    @classmethod
    def load(cls, run: Path, *, device: str = "auto", threads: int | None = None, calibrated: bool = False) -> "Model":
        """Raises RunFolderError where the run is not finished, a member is missing or damaged, or where an imported run
        is to be calibrated.
        """
        folder = RunFolder(run)
        recipe, data = folder.load_recipe(), folder.load_data()
        temperature = folder.load_summary().calibration.temperature if calibrated else None
        compute = choose_compute(device, recipe.precision, threads)
        networks = load_ensemble(folder, compute)
        return cls(networks, data["classes"], data["image_shape"], compute, recipe.tta, temperature)

    def predict(self, images: torch.Tensor) -> NDArray[np.float32]:
        """(N, C, H, W) uint8 → (N, classes). Raises OutOfResourcesError where memory runs out."""
        with self.compute.applied():
            members = [predict(images) for predict in self._members]
        mean = mean_of_members(np.stack(members))
        if self._temperature is None:
            return mean
        together = range(images_at_once(self.image_shape), len(mean), images_at_once(self.image_shape))
        return np.concatenate([with_temperature(part, self._temperature) for part in np.split(mean, together)])


def load_ensemble(folder: RunFolder, compute: Compute) -> list[nn.Module]:
    """All members' networks of a finished run. Raises RunFolderError where it is not finished, or one is not whole."""
    data, names = folder.load_data(), folder.load_networks()
    folders = [folder.member(number) for number in range(len(names))]
    return load_members(folders, names, data["image_shape"], len(data["classes"]), compute)


def model_identity(folder: RunFolder, *, calibrated: bool = False) -> dict[str, Any]:
    """Everything of a finished run that decides what it answers, as JSON has it. Raises as Model.load does."""
    recipe, data, networks = folder.load_recipe(), folder.load_data(), folder.load_networks()
    weights = [MemberFolder(folder.member(number)).weights_path for number in range(len(networks))]
    return {
        "classes": list(data["classes"]),
        "image_shape": list(data["image_shape"]),
        "networks": list(networks),
        "weights": [_sha256(path) if path.exists() else None for path in weights],
        "tta": recipe.tta.model_dump(mode="json"),
        "precision": recipe.precision,
        "temperature": folder.load_summary().calibration.temperature if calibrated else None,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
