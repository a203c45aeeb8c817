"""Heat maps point at what decides: planted cues, and other weights give another map."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import hitofude
from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.image_set import ImageSet, row_numbers
from hitofude.learning.compute import choose_compute
from hitofude.learning.networks import build_network
from hitofude.prediction.explanation import Squares, drawn, explain_images, predict_by
from hitofude.prediction.model import Model
from hitofude.recipe import TtaRecipe
from hitofude.runs.result import RunResult
from tests.conftest import Call, write_csv

SIDE = 5
UPRIGHT = np.tile(np.arange(SIDE) == SIDE // 2, (SIDE, 1))
CUES = np.stack([np.eye(SIDE), np.eye(SIDE)[::-1], UPRIGHT])
"""A line from the upper left, one from the lower left, an upright one."""


def planted(count: int, seed: int) -> tuple[ImageSet, NDArray[np.int64]]:
    """Images of noise with a cue, by which alone the class is told, and a spot as bright, which tells nothing.

    Also return the places of the cues, (N, 2).
    """
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, 1, 28, 28)).astype(np.uint8)
    labels, places = np.arange(count) % len(CUES), generator.integers(0, 28 - SIDE + 1, (count, 2))
    away = generator.integers(9, 16, (count, 2))  # the spot's distance, around the edges
    for image, label, cue, spot in zip(images, labels, places, (places + away) % (28 - SIDE), strict=True):
        for (top, left), shape in ((spot, np.ones((SIDE, SIDE))), (cue, CUES[label])):
            image[0, top : top + SIDE, left : left + SIDE] = 255 * shape
    return ImageSet(images, labels, row_numbers(count), ("falling", "rising", "upright")), places


@pytest.fixture(scope="module")
def cue_run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run that learned the cues."""
    settings = {
        "network.name": "cnn-lean", "schedule.epochs": 12, "schedule.min_steps": 0, "schedule.epoch_share": 1.0,
        "ensemble.folds": 2, "augment.probability": 0.0, "optimizer.batch_size": 32,
    }  # fmt: skip
    dataset = Dataset("cues", planted(900, seed=0)[0])
    folder = tmp_path_factory.mktemp("cues") / "run"
    return hitofude.run(dataset, run=folder, settings=settings, device="cpu", quiet=True)


def test_the_hottest_pixel_lies_in_the_planted_cue(cue_run: RunResult) -> None:
    """The pointing game (J. Zhang et al. 2016, arXiv:1608.00507)."""
    images, places = planted(60, seed=1)
    assert cue_run.accuracy.value > 0.95
    heat = hitofude.explain(cue_run.folder.path, images.images, device="cpu")
    hottest = np.stack(np.unravel_index(heat.reshape(len(heat), -1).argmax(axis=1), (28, 28)), axis=1)
    hits = ((hottest >= places) & (hottest < places + SIDE)).all(axis=1)
    assert hits.mean() >= 0.9


def test_random_weights_give_another_map(cue_run: RunResult) -> None:
    """The sanity check of J. Adebayo et al. 2018, arXiv:1810.03292."""
    images, _ = planted(12, seed=2)
    compute = choose_compute("cpu", "float32")
    network = build_network("cnn-lean", (1, 28, 28), 3, torch.Generator().manual_seed(5))
    random = Model([network], cue_run.classes, (1, 28, 28), compute, TtaRecipe(), None)
    trained = hitofude.explain(cue_run.folder.path, images.images, device="cpu")
    untrained = explain_images(predict_by(random), images.images, 0)
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(trained, untrained, strict=True)]
    assert np.median(alike) < 0.5


def test_a_linear_models_map_is_the_mean_of_what_its_squares_hide() -> None:
    """For a probability of sigmoid(weights · image) the log-odds fall by what is hidden."""
    generator = np.random.default_rng(3)
    weights, image = generator.normal(size=(12, 12)) / 2000, generator.integers(0, 256, (1, 1, 12, 12)).astype(np.uint8)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        odds = (images[:, 0] * weights).sum(axis=(1, 2))
        found = 1 / (1 + np.exp(-odds))
        return np.stack([1 - found, found], axis=1).astype(np.float32)

    squares = Squares.over(12, 12)
    masks = squares.masks()
    hidden = (masks * image[0, 0] * weights).sum(axis=(1, 2))
    expected = np.tensordot(hidden, masks, axes=1) / masks.sum(axis=0)
    found = explain_images(predict, image, 0, np.array([1]))
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (4, 30), (64, 48)])
def test_every_pixel_is_hidden_by_some_square_and_not_by_all(size: tuple[int, int]) -> None:
    covered = Squares.over(*size).masks()
    assert covered.any(axis=0).all()
    assert not covered.all(axis=0).any()


def test_the_map_may_explain_another_class(finished: RunResult, dataset: Dataset) -> None:
    assert dataset.test is not None
    images, classes = dataset.test.images[:2], finished.classes
    answers = hitofude.predict(finished.folder.path, images, device="cpu")
    likeliest = [classes[best] for best in answers.argmax(axis=1)]
    second = [classes[row.argsort()[-2]] for row in answers]
    own = hitofude.explain(finished.folder.path, images, device="cpu")
    assert np.array_equal(own, hitofude.explain(finished.folder.path, images, likeliest, device="cpu"))
    assert not np.array_equal(own, hitofude.explain(finished.folder.path, images, second, device="cpu"))
    with pytest.raises(InputError, match="'x' is no class of the run"):
        hitofude.explain(finished.folder.path, images, ["x", "0"], device="cpu")


def test_evidence_is_red_and_evidence_against_blue() -> None:
    heat = np.array([[1.0, -1.0, 0.0]], dtype=np.float32)
    red, green, blue = drawn(np.zeros((1, 1, 3), dtype=np.uint8), heat, is_dark=True)[:, 0]
    assert red[0] > blue[0]
    assert blue[1] > red[1]
    assert red[2] == green[2] == blue[2] == 255


def test_the_command_draws_a_picture(finished: RunResult, dataset: Dataset, call: Call, tmp_path: Path) -> None:
    assert dataset.test is not None
    table, png = write_csv(tmp_path / "test.csv", dataset.test.take(np.arange(6)), label=None), tmp_path / "why.png"
    code, _, said = call("predict", finished.folder.path, table, "--explain", png, "--device", "cpu")
    assert code == 0
    assert f"6 images explained in {png}" in said
    pixels = np.asarray(Image.open(png).convert("RGB")).astype(int)
    assert (pixels[..., 0] - pixels[..., 2] > 100).any()


def test_the_hardest_images_are_explained_by_networks_that_never_saw_them(call: Call, tmp_path: Path) -> None:
    run, png = tmp_path / "run", tmp_path / "why.png"
    settings = ["network.name=cnn-lean", "rows=400", "schedule.epochs=2", "schedule.min_steps=0", "ensemble.folds=2"]
    options = [word for setting in settings for word in ("--set", setting)]
    assert call("run", "sample", "--run", run, *options, "--device", "cpu")[0] == 0
    code, said, _ = call("audit", run, "--explain", png)
    assert code == 0
    assert f"50 images explained in {png}" in said
    pixels = np.asarray(Image.open(png).convert("RGB")).astype(int)
    assert (pixels[..., 0] - pixels[..., 2] > 100).any()


def test_without_a_run_there_is_nothing_to_explain(call: Call, tmp_path: Path) -> None:
    code, _, said = call("audit", "--source", "sample", "--explain", tmp_path / "why.png")
    assert code == 2
    assert "Name the run." in said
