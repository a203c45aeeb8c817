"""A member's files: two states are kept, damaged ones are skipped, those of another network are refused."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from benchmarks.damage import run_trials
from safetensors.torch import load_file
from torch import nn

from hitofude.errors import RunFolderError
from hitofude.learning.checkpoint import MemberFolder, Networks
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.optimizers import UpdateCount

LOGS = [EpochLog(0, epoch, 0.5, 0.8, 0.4, 0.9, 1e-3, 1.5, 100.0) for epoch in (1, 2, 3)]
ORIGIN = {"member": 0, "recipe_sha256": "ab"}


def trained(seed: int) -> tuple[Networks, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.rand(5, 3)).square().sum().backward()
    optimizer.step()
    return {"network": network, "averaged": deepcopy(network)}, optimizer


def same_networks(first: Networks, second: Networks) -> bool:
    pairs = [(first[name].state_dict(), second[name].state_dict()) for name in first]
    return all(torch.equal(ours[name], theirs[name]) for ours, theirs in pairs for name in ours)


def test_a_state_brings_back_network_optimizer_and_epochs(tmp_path: Path) -> None:
    networks, optimizer = trained(0)
    MemberFolder(tmp_path).save_state(networks, optimizer, ORIGIN, LOGS)
    other, other_optimizer = trained(1)
    assert MemberFolder(tmp_path).restore_state(other, other_optimizer, ORIGIN) == LOGS
    assert same_networks(networks, other)
    ours, theirs = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert all(torch.equal(ours[i][name], theirs[i][name]) for i in ours for name in ours[i])


def test_a_state_without_the_count_of_its_average_is_of_an_earlier_version(tmp_path: Path) -> None:
    networks, optimizer = trained(0)
    MemberFolder(tmp_path).save_state(networks, optimizer, ORIGIN, LOGS)
    with pytest.raises(RunFolderError, match="was begun by an earlier hitofude, which averaged weights differently"):
        MemberFolder(tmp_path).restore_state(networks | {"average": UpdateCount()}, optimizer, ORIGIN)


def test_without_a_state_there_are_no_epochs(tmp_path: Path) -> None:
    assert MemberFolder(tmp_path / "none").restore_state(*trained(0), ORIGIN) == []


def test_the_last_two_states_are_kept(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        MemberFolder(tmp_path).save_state(*trained(count), ORIGIN, LOGS[:count])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"state-000{i}.{kind}" for i in (2, 3) for kind in ("json", "safetensors")]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "not-json", "other-figure"])
def test_a_damaged_newest_state_is_skipped_with_a_warning(damage: str, tmp_path: Path) -> None:
    earlier = trained(1)
    MemberFolder(tmp_path).save_state(*earlier, ORIGIN, LOGS[:1])
    MemberFolder(tmp_path).save_state(*trained(2), ORIGIN, LOGS[:2])
    newest = tmp_path / "state-0002.safetensors"
    content = newest.read_bytes()
    if damage == "truncate":
        newest.write_bytes(content[:-7])
    elif damage == "flip":
        newest.write_bytes(content[:-7] + bytes([content[-7] ^ 1]) + content[-6:])
    elif damage == "remove":
        newest.unlink()
    elif damage == "not-json":
        newest.with_suffix(".json").write_text("{")
    else:
        description = newest.with_suffix(".json")
        description.write_text(description.read_text().replace("0.8", "0.9"))
    networks, optimizer = trained(3)
    warnings: list[str] = []
    assert MemberFolder(tmp_path).epochs() == LOGS[:1]
    assert MemberFolder(tmp_path, warnings.append).restore_state(networks, optimizer, ORIGIN) == LOGS[:1]
    assert "state-0002 is damaged" in warnings[0]
    assert same_networks(networks, earlier[0])


def test_no_whole_state_is_an_error_and_deletes_nothing(tmp_path: Path) -> None:
    MemberFolder(tmp_path).save_state(*trained(1), ORIGIN, LOGS[:1])
    (tmp_path / "state-0001.safetensors").write_bytes(b"")
    with pytest.raises(RunFolderError, match="no saved state of this member is whole"):
        MemberFolder(tmp_path).restore_state(*trained(2), ORIGIN)
    assert len(list(tmp_path.iterdir())) == 2


def test_truncations_and_flipped_bits_never_load_anything_wrong() -> None:
    """A small version of benchmarks/damage.py."""
    endings = run_trials(trials=100, seed=1)
    assert set(endings) == {"refused", "nothing was lost", "the state before, with a warning"}


def test_a_state_of_another_origin_is_not_continued(tmp_path: Path) -> None:
    MemberFolder(tmp_path).save_state(*trained(1), ORIGIN, LOGS[:1])
    with pytest.raises(RunFolderError) as complaint:
        MemberFolder(tmp_path).restore_state(*trained(2), {"member": 2, "recipe_sha256": "cd"})
    assert str(complaint.value) == (
        f"{tmp_path} holds a member of another origin (there → here):\n  member: 0 → 2\n  "
        "recipe_sha256: ab → cd\nContinue it as it was begun, or run again into a new folder."
    )


def test_a_state_of_another_network_is_not_continued(tmp_path: Path) -> None:
    MemberFolder(tmp_path).save_state(*trained(1), ORIGIN, LOGS[:1])
    _, optimizer = trained(2)
    with pytest.raises(RunFolderError, match=rf"{tmp_path} holds another network's weights"):
        MemberFolder(tmp_path).restore_state({"network": nn.Linear(9, 9)}, optimizer, ORIGIN)


def test_the_optimizers_state_is_laid_out_as_its_parameters(tmp_path: Path) -> None:
    """A fused step walks both in storage order."""

    def convolution() -> tuple[Networks, torch.optim.Optimizer]:
        network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(network.parameters())
        network(torch.rand(2, 3, 5, 5)).square().sum().backward()
        optimizer.step()
        return {"network": network}, optimizer

    networks, optimizer = convolution()
    MemberFolder(tmp_path).save_state(networks, optimizer, ORIGIN, LOGS[:1])
    networks, other = convolution()
    MemberFolder(tmp_path).restore_state(networks, other, ORIGIN)
    restored = other.state[networks["network"].weight]
    assert restored["exp_avg"].stride() == networks["network"].weight.stride() == (27, 1, 9, 3)
    assert torch.equal(restored["exp_avg"], next(iter(optimizer.state.values()))["exp_avg"])


def test_the_epochs_of_a_finished_member_are_read_or_refused(tmp_path: Path) -> None:
    assert MemberFolder(tmp_path).epochs() == []
    MemberFolder(tmp_path).finish(trained(0)[0]["network"], ORIGIN, LOGS)
    assert MemberFolder(tmp_path).epochs() == LOGS
    (tmp_path / "member.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"member\.json is damaged"):
        MemberFolder(tmp_path).epochs()


def test_a_finished_member_of_another_origin_is_not_used(tmp_path: Path) -> None:
    network = trained(0)[0]["network"]
    MemberFolder(tmp_path).finish(network, ORIGIN, LOGS)
    with pytest.raises(RunFolderError, match=rf"{tmp_path} holds a member .*\n  member: 0 → 1"):
        MemberFolder(tmp_path).load_finished(network, ORIGIN | {"member": 1})


def test_a_finished_member_keeps_its_weights_and_epochs_only(tmp_path: Path) -> None:
    networks, optimizer = trained(0)
    folder = MemberFolder(tmp_path)
    folder.save_state(networks, optimizer, ORIGIN, LOGS[:2])
    assert folder.epochs() == LOGS[:2]
    assert not folder.is_finished
    folder.finish(networks["network"], ORIGIN, LOGS)
    assert folder.is_finished
    assert sorted(path.name for path in tmp_path.iterdir()) == ["member.json", "weights.safetensors"]
    others = trained(1)[0]
    assert folder.load_finished(others["network"]) == folder.epochs() == LOGS
    assert same_networks({"network": networks["network"]}, others)


def test_the_weights_have_the_networks_own_names(tmp_path: Path) -> None:
    network = trained(0)[0]["network"]
    MemberFolder(tmp_path).finish(network, ORIGIN, LOGS)
    found = load_file(tmp_path / "weights.safetensors")
    network.load_state_dict(found)
    assert found.keys() == network.state_dict().keys()


def test_damaged_weights_are_never_loaded(tmp_path: Path) -> None:
    network = trained(0)[0]["network"]
    MemberFolder(tmp_path).finish(network, ORIGIN, LOGS)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(RunFolderError, match="missing or damaged"):
        MemberFolder(tmp_path).load_finished(network)


def test_another_networks_weights_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    MemberFolder(tmp_path).finish(nn.Linear(3, 4), ORIGIN, LOGS)
    with pytest.raises(RunFolderError, match=r"weights\.safetensors holds .+ \(weight: \(4, 3\), expected \(4, 5\)\)"):
        MemberFolder(tmp_path).load_finished(nn.Linear(5, 4))
    with pytest.raises(RunFolderError, match="bias"):
        MemberFolder(tmp_path).load_finished(nn.Linear(3, 4, bias=False))
    with pytest.raises(RunFolderError, match=r"weights \(0\.bias; 0\.weight; 1\.bias\)"):
        MemberFolder(tmp_path).load_finished(nn.Sequential(nn.Linear(3, 4), nn.Linear(3, 4)))
