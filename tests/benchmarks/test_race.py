"""The speed run reads alone and repeats bit by bit; the race counts operations, continues and compares by target."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import race, speedrun
from benchmarks.race import Operations, Result, read_results, table
from torch.utils.flop_counter import FlopCounterMode

from hitofude.inputs.image_set import ImageSet

SOURCE = Path(speedrun.__file__).read_text(encoding="utf-8")
SMALL = speedrun.Settings((8, 8, 16), 200)


def trained(images: ImageSet, seed: int) -> torch.nn.Module:
    network = speedrun.build(SMALL, seed)
    pixels, labels = torch.from_numpy(images.images[:200]), torch.from_numpy(images.known_labels()[:200])
    speedrun.train(network, pixels, labels, SMALL, seed)
    return network


def result(name: str, seed: int, right: int, seconds: float, target: float = 99.0) -> Result:
    return Result("digits", name, target, 800, seed, 2, right, 1000, seconds, 2 * seconds, int(seconds * 1e12))


def test_the_speed_run_is_under_150_lines_and_needs_pytorch_and_numpy_alone() -> None:
    nodes = list(ast.walk(ast.parse(SOURCE)))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert len(SOURCE.splitlines()) < 150
    assert {name.split(".")[0] for name in imported} - sys.stdlib_module_names == {"numpy", "torch"}


def test_a_seed_gives_the_same_bits_twice_whatever_the_global_generator(digits: ImageSet) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second, other = (trained(digits, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_rows_are_held_out_or_trained_on_and_depend_on_the_seed() -> None:
    held_out, rest = speedrun.split(42_000, 0)
    assert len(held_out) == 8_000
    assert sorted(torch.cat([held_out, rest]).tolist()) == list(range(42_000))
    assert not torch.equal(held_out, speedrun.split(42_000, 1)[0])


def test_images_without_distortion_are_the_inner_squares(digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("ROTATION", "SHEAR", "TRANSLATION"):
        monkeypatch.setattr(speedrun, limit, 0.0)
    images = torch.from_numpy(digits.images[:20])
    found = speedrun.distorted(images, torch.Generator())
    torch.testing.assert_close(found, images[:, :, 2:26, 2:26].float() / 255, atol=1e-4, rtol=0)


def test_orthogonalised_filters_have_the_singular_vectors_of_the_matrix_and_values_near_one() -> None:
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(speedrun.orthogonalised(matrix))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ speedrun.orthogonalised(matrix) @ right.T
    torch.testing.assert_close(found, torch.diag(found.diagonal()), atol=1e-4, rtol=0)


def test_operations_are_those_of_pytorchs_counter_and_three_times_as_many_in_training() -> None:
    network, images = speedrun.build(SMALL, 0), torch.rand(5, 1, 24, 24)
    with FlopCounterMode(display=False) as counter:
        network(images)
    counted = Operations(network)
    network.train()(images)
    network.eval()(images[:2])
    assert counted.total == counter.get_total_flops() * (3 * 5 + 2) / 5


def test_the_table_compares_with_the_speed_run_of_the_same_target_and_seeds() -> None:
    ours = [result("speedrun", seed, 991 + seed, seconds) for seed, seconds in enumerate((2.0, 4.0, 30.0))]
    text = table([*ours, result("Adam", 0, 985, 6.0), result("Adam", 0, 999, 6.0, target=99.4)])
    _, speedrun_line, adam, _, other_target, _ = (line.split() for line in text.splitlines())
    assert speedrun_line[2:] == ["99.200", "±", "0.058", "3", "4.0", "8.0", "1.0", "12.00", "1.0"]
    assert adam[2:] == ["98.500", "1", "6.0", "12.0", "3.0", "6.00", "3.0", "*"], "against seed 0 alone"
    assert other_target[2:] == ["99.900", "1", "6.0", "12.0", "nan", "6.00", "nan"]
    assert max(map(len, text.splitlines())) <= 80


def test_a_line_that_a_kill_cut_off_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    race.append(path, result("speedrun", 0, 990, 1.0))
    path.write_text(path.read_text(encoding="utf-8") + '{"source": "digi', encoding="utf-8")
    assert [one.seed for one in read_results(path)] == [0]
    race.append(path, result("speedrun", 1, 990, 1.0))
    assert [one.seed for one in read_results(path)] == [0, 1]


@pytest.mark.parametrize("contestant", [race.adams_way(99.0, 256, 1), race.tutorials_way(99.0, 80, 1)])
def test_a_rival_trains_repeats_and_is_counted(contestant: race.Contestant, digits: ImageSet) -> None:
    few = digits.take(np.arange(100))
    found = [race.run(contestant, "digits", few, None, seed=0) for _ in range(2)]
    assert found[0].right == found[1].right
    assert found[0].rows == 20
    assert found[0].flops == found[1].flops > 0
    assert found[0].cpu_seconds > 0
