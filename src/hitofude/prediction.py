"""Predicting with a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.inputs.arrays import part_of_arrays
from hitofude.inputs.layout import Expected, Shape
from hitofude.inputs.sources import Images, read_images
from hitofude.learning.calibration import with_temperature
from hitofude.learning.engine import choose_engine
from hitofude.learning.ensemble import load_members, mean_of_members
from hitofude.learning.predicting import predict_probabilities
from hitofude.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of some images."""

    ids: NDArray[np.str_]  # (N,)
    probabilities: NDArray[np.float32]  # (N, classes)
    classes: tuple[str, ...]


def predict(run: str | Path, images: Images, *, device: str = "auto", calibrated: bool = False) -> NDArray[np.float32]:
    """(N, classes) probabilities by all members of a finished run, their mean.

    images: integers 0..255 of the run's size, (N, C, H, W), (N, H, W), (N, H, W, 3) or (N, pixels), or a data frame
    with the columns of a CSV file. calibrated: at the temperature that fits the run's out-of-fold probabilities, so
    that of the images with 0.9 nine in ten are right; the answers stay. Raises InputError for another size or type,
    RunFolderError when the run is not finished, a member is missing or damaged, or an imported run is to be calibrated.
    """
    folder = RunFolder(Path(run))
    recipe, data, names = folder.load_recipe(), folder.load_data(), folder.load_networks()
    temperature = folder.load_summary().calibration.temperature if calibrated else None
    image_shape = data["image_shape"]
    pixels = torch.tensor(part_of_arrays(images, None, "images", Expected(like=image_shape)).images)
    engine = choose_engine(device, recipe.precision)
    folders = [folder.member(number) for number in range(len(names))]
    networks = load_members(folders, names, image_shape, len(data["classes"]), engine)
    with engine.computing():
        members = [predict_probabilities(network, pixels, engine, views=recipe.views) for network in networks]
    mean = mean_of_members(np.stack(members))
    return mean if temperature is None else with_temperature(mean, temperature)


def predict_files(
    run: str | Path,
    inputs: Sequence[Path],
    *,
    label: str | None = None,
    shape: Shape | None = None,
    device: str = "auto",
    calibrated: bool = False,
) -> Prediction:
    """Predict the images of some files, one after the other; see hitofude.inputs.sources.read_images."""
    folder = RunFolder(Path(run))
    data = folder.load_data()
    image_shape, classes = data["image_shape"], data["classes"]
    sets = [read_images(path, image_shape=image_shape, label=label, shape=shape) for path in inputs]
    images = np.concatenate([found.images for found in sets])
    probabilities = predict(run, images, device=device, calibrated=calibrated)
    return Prediction(np.concatenate([found.ids for found in sets]), probabilities, tuple(classes))
