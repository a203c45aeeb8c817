"""The durable state of one member: its epochs while it trains, its weights when it is done.

    state-0007.safetensors   weights, buffers and the optimiser's state after epoch 7
    state-0007.json          the epochs so far, and the SHA-256 of the file above; written last, so that a
                             state counts only when both are whole
    weights.safetensors      the finished network
    member.json              what it was trained on, its epochs, and the SHA-256 of the weights; written last

The last two states are kept while training, none when the member is done. Nothing is ever unpickled.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hitofude.errors import RunFolderError
from hitofude.storage import read_json, write_bytes, write_json

KEPT_STATES = 2


@dataclass(frozen=True)
class EpochLog:
    """What is known after one epoch of one member; a line of log.jsonl."""

    member: int
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "EpochLog":
        return cls(**{field.name: content[field.name] for field in fields(cls)})


class MemberFolder:
    """Where one member keeps itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def weights_path(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def description_path(self) -> Path:
        return self.path / "member.json"

    @property
    def is_finished(self) -> bool:
        return self.description_path.exists()

    def save_state(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: list[EpochLog]) -> None:
        """Keep the state after the last of `epochs`."""
        content = save(_prefixed("network.", _tensors_of(network)) | _prefixed("optimizer.", _state_of(optimizer)))
        name = self.path / f"state-{len(epochs):04d}"
        write_bytes(name.with_suffix(".safetensors"), content)
        write_json(name.with_suffix(".json"), {"sha256": _sha256(content), "epochs": [asdict(log) for log in epochs]})
        for old in self._states()[:-KEPT_STATES]:
            _remove_state(old)

    def restore_state(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[EpochLog]:
        """Put the newest whole state into network and optimizer; its epochs, or [] when there is no state.

        Raises RunFolderError when there are states and none is whole.
        """
        state = self._newest_state()
        if state is None:
            return []
        _load_network(network, _unprefixed("network.", state.tensors), self.path)
        _load_optimizer(optimizer, _unprefixed("optimizer.", state.tensors))
        return state.epochs

    def finish(self, network: nn.Module, description: dict[str, Any], epochs: list[EpochLog]) -> None:
        """Keep the weights and what they are; the states are no longer needed."""
        content = save(_tensors_of(network))
        write_bytes(self.weights_path, content)
        logs = [asdict(log) for log in epochs]
        write_json(self.description_path, description | {"sha256": _sha256(content), "epochs": logs})
        for state in self._states():
            _remove_state(state)

    def load_finished(self, network: nn.Module) -> list[EpochLog]:
        """Put the finished weights into `network`; its epochs.

        Raises RunFolderError when they are missing, damaged, or of another network.
        """
        finished = _read_whole(self.weights_path, self.description_path)
        if finished is None:
            raise RunFolderError(
                f"{self.weights_path} is missing or damaged. Restore it, or run again into a new folder."
            )
        _load_network(network, finished.tensors, self.weights_path)
        return finished.epochs

    def epochs(self) -> list[EpochLog]:
        """The epochs so far: of the finished member, else of the state that it would continue from.

        Raises RunFolderError when there are states and none is whole.
        """
        if self.is_finished:
            return _epochs_of(read_json(self.description_path))
        state = self._newest_state()
        return [] if state is None else state.epochs

    def _states(self) -> list[Path]:
        return sorted(self.path.glob("state-*.json"))

    def _newest_state(self) -> "_Saved | None":
        """The newest state that is whole; None when there are none at all."""
        states = self._states()
        whole = (_read_whole(state.with_suffix(".safetensors"), state) for state in reversed(states))
        newest = next((state for state in whole if state is not None), None)
        if states and newest is None:
            raise RunFolderError(
                f"{self.path}: no saved state of this member is whole. Nothing was deleted; "
                "remove that folder to train the member anew."
            )
        return newest


@dataclass(frozen=True, eq=False)
class _Saved:
    """A pair of files whose checksum is right."""

    tensors: dict[str, Tensor]
    epochs: list[EpochLog]


def _tensors_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}


def _state_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors, by the number of the parameter and their own name."""
    return {
        f"{index}.{name}": tensor.detach().cpu().contiguous()
        for index, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those that have the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _epochs_of(description: dict[str, Any]) -> list[EpochLog]:
    return [EpochLog.from_json(log) for log in description["epochs"]]


def _load_network(network: nn.Module, found: dict[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ found.keys()) or [
        f"{name}: {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in expected
        if found[name].shape != expected[name].shape
    ]
    if wrong:
        raise RunFolderError(f"{path} holds another network's weights ({'; '.join(wrong[:3])}).")
    network.load_state_dict(found)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load the state in the memory layout of its parameters: a fused step goes through both in storage order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        is_alike = tensor.shape == parameter.shape
        laid_out = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if is_alike else tensor
        state.setdefault(int(index), {})[name] = laid_out.detach()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _read_whole(tensors_path: Path, description_path: Path) -> _Saved | None:
    """Tensors and epochs, or None when either file is missing, damaged, or not of the other."""
    try:
        content = tensors_path.read_bytes()
        description = json.loads(description_path.read_text(encoding="utf-8"))
        if description["sha256"] != _sha256(content):
            return None
        return _Saved(load(content), _epochs_of(description))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _remove_state(description_path: Path) -> None:
    description_path.unlink(missing_ok=True)
    description_path.with_suffix(".safetensors").unlink(missing_ok=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
