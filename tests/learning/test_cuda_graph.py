"""On CUDA a recorded step equals the step itself; recording it, on any device, changes nothing."""

from pathlib import Path

import pytest
import torch

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import choose_compute
from hitofude.learning.cuda_graph import leaving_unchanged, record
from hitofude.learning.networks import build_network
from hitofude.learning.training import Trainer, TrainingData
from hitofude.recipe import Recipe
from tests.learning.test_training import Listener, plan_of, train

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA is not available")


def trainer_on(device: str, recipe: Recipe, digits: ImageSet) -> Trainer:
    compute = choose_compute(device, "float32")
    network = build_network(recipe.network.name, digits.image_shape, 10, torch.Generator().manual_seed(0))
    network = network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trainer(plan_of(recipe), TrainingData.on_device(digits, compute), compute, network)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_the_steps_of_a_recording_are_undone(steps_before: int, quick: Recipe, digits: ImageSet) -> None:
    """Training continues as without a recording, from the first step or from a later one."""
    plain, recorded = (trainer_on("cpu", quick, digits) for _ in range(2))
    batches = plain.draw_batches(1)
    for trainer in (plain, recorded):
        for batch in batches[:steps_before]:
            trainer.step(*batch)
    with leaving_unchanged(recorded.networks.values(), recorded.optimizer):
        recorded.step(*batches[2])
    for trainer in (plain, recorded):
        trainer.step(*batches[3])
    ours, theirs = plain.network.state_dict(), recorded.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@on_cuda
def test_a_recorded_step_changes_the_weights_as_the_step_does(quick: Recipe, digits: ImageSet) -> None:
    eager, graphed = (trainer_on("cuda", quick, digits) for _ in range(2))
    rows, maps = eager.draw_batches(1)[0]
    step = record(graphed.step, rows, maps, graphed.networks.values(), graphed.optimizer)
    for _ in range(3):
        assert torch.equal(eager.step(rows, maps)[0], step(rows, maps)[0])
    ours, theirs = eager.network.state_dict(), graphed.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@on_cuda
def test_an_interrupted_training_ends_with_the_same_bytes(quick: Recipe, digits: ImageSet, tmp_path: Path) -> None:
    compute = choose_compute("cuda")
    listener = Listener()
    train(quick, digits, compute, tmp_path / "whole", listener)
    assert not listener.warnings
    with pytest.raises(KeyboardInterrupt):
        train(quick, digits, compute, tmp_path / "broken", Listener(stop_after=250))
    train(quick, digits, compute, tmp_path / "broken", Listener())
    assert len({MemberFolder(tmp_path / name).weights_path.read_bytes() for name in ("whole", "broken")}) == 1
