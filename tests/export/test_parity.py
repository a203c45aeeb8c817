"""A model is compared with the networks themselves, and one that differs is detected."""

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.errors import WeightsError
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.parity import BORDER, images_to_compare, is_on_border, measure_parity
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import Compute
from hitofude.prediction.model import Model
from hitofude.recipe import TtaRecipe
from hitofude.runs.result import RunResult


@pytest.fixture
def ensemble(finished: RunResult, compute: Compute) -> Model:
    return Model.of_run(finished.folder, compute, finished.summary.calibration.temperature)


def test_the_models_answers_are_the_runs(exported: OnnxModel, ensemble: Model, dataset: Dataset) -> None:
    parity = measure_parity(exported.predict, ensemble, images_to_compare(dataset, (1, 28, 28), 500))
    parity.check()
    assert (parity.images, parity.changed, parity.border) == (500, 0, 0)
    assert 0 < parity.largest < 1e-5
    assert min(parity.images_per_second, parity.images_per_second_of_pytorch) > 0


def test_a_network_that_is_slightly_another_is_found_out(
    exported: OnnxModel, ensemble: Model, dataset: Dataset
) -> None:
    last = [module for module in ensemble.networks[1].modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias[3] += 0.01
    parity = measure_parity(exported.predict, ensemble.with_tta(ensemble.tta), dataset.train.images)
    assert 1e-4 < parity.largest < 5e-2
    with pytest.raises(WeightsError, match="No file was written"):
        parity.check()


def test_an_image_on_the_border_of_looking_again_is_left_out(
    exported: OnnxModel, ensemble: Model, dataset: Dataset
) -> None:
    images = dataset.train.images[:50]
    once = ensemble.with_tta(TtaRecipe())
    likeliest = once.predict_members(torch.tensor(images))[0].max(axis=1)
    first = float(likeliest[np.abs(likeliest - 0.8).argmin()])
    for step in (BORDER / 2, -BORDER / 2):
        assert is_on_border(ensemble.with_tta(TtaRecipe(shift=1, threshold=first + step)), images).sum() == 1
    assert not is_on_border(once, images).any()


def test_there_are_as_many_images_as_asked_for_whatever_the_source_has(dataset: Dataset) -> None:
    images = images_to_compare(dataset, (1, 28, 28), 1000)
    assert images.shape == (1000, 1, 28, 28)
    assert len(np.unique(images.reshape(1000, -1), axis=0)) > 990
    assert images_to_compare(None, (3, 40, 20), 10).shape == (10, 3, 40, 20)
