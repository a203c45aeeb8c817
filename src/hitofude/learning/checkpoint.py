"""The durable state of one member: its epochs while it trains, its weights when it is done.

    state-0007.safetensors   weights, buffers, averaged weights and the optimiser's state after epoch 7
    state-0007.json          what it was made from, the epochs so far, the SHA-256 of the file above and of
                             itself; written last, so that a state counts only when both are whole
    weights.safetensors      the finished network
    member.json              the same of the finished network; written last

The last two states are kept while training, none when the member is done. Nothing is ever unpickled.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hitofude.errors import RunFolderError
from hitofude.learning.epoch_log import EpochLog as EpochLog  # pickled estimators of earlier versions look for it here
from hitofude.storage import link, write_bytes, write_json

logger = logging.getLogger(__name__)

KEPT_STATES = 2
FINISHED = "member"
FORMAT_VERSION = 1

Origin = Mapping[str, str | int]
"""What a member is made from, by name: recipe, data, rows, versions. A state of another origin is not continued."""

Networks = Mapping[str, nn.Module]
"""What a training changes: the network, and its average where there is one."""


@dataclass(frozen=True, eq=False)
class SavedState:
    """A state, or a finished member, as its two files have it: to be sent to another folder of the member."""

    name: str
    """Of the description's file, without its ending: `state-0007` or `member`."""
    tensors: bytes
    description: bytes

    @property
    def is_whole(self) -> bool:
        """Whether both are as they were written, and belong together."""
        description = _parse_description(self.description)
        return description is not None and description["sha256"] == _sha256(self.tensors)

    def pack(self) -> bytes:
        return self.tensors + self.description

    @classmethod
    def unpack(cls, name: str, tensors: int, content: bytes) -> "SavedState":
        """tensors: how many of the bytes they are."""
        return cls(name, content[:tensors], content[tensors:])


def ignore(_warning: str) -> None:
    """For who does not want to know."""


class MemberFolder:
    """Where one member keeps itself.

    warn: who is told of a damaged state that was passed over. keeps_states: whether it leaves states while it trains.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = ignore, *, keeps_states: bool = True) -> None:
        self.path = path
        self._warn = warn
        self._keeps_states = keeps_states

    @property
    def weights_path(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def description_path(self) -> Path:
        return self.path / f"{FINISHED}.json"

    @property
    def is_finished(self) -> bool:
        return self.description_path.exists()

    def save_state(
        self, networks: Networks, optimizer: torch.optim.Optimizer, origin: Origin, epochs: list[EpochLog]
    ) -> None:
        """Keep the state after the last of `epochs`, where states are kept."""
        if not self._keeps_states:
            return
        tensors = _prefixed("optimizer.", _state_of(optimizer))
        for name, network in networks.items():
            tensors |= _prefixed(f"{name}.", _tensors_of(network))
        content = save(tensors)
        state = self.path / f"state-{len(epochs):04d}"
        _write_pair(state.with_suffix(".safetensors"), state.with_suffix(".json"), content, origin, epochs)
        self._tidy()

    def restore_state(self, networks: Networks, optimizer: torch.optim.Optimizer, origin: Origin) -> list[EpochLog]:
        """Put the newest whole state into networks and optimizer; its epochs, or [] when there is no state.

        Raises RunFolderError when there are states and none is whole, or when they are of another origin.
        """
        state = self._newest_state(self._warn)
        if state is None:
            return []
        _check_origin(state.origin, origin, self.path)
        for name, network in networks.items():
            _load_network(network, _unprefixed(f"{name}.", state.tensors), self.path)
        _load_optimizer(optimizer, _unprefixed("optimizer.", state.tensors))
        logger.info("%s: continuing after epoch %d", self.path.name, len(state.epochs))
        return state.epochs

    def finish(self, network: nn.Module, origin: Origin, epochs: list[EpochLog]) -> None:
        """Keep the weights and what they are; the states are no longer needed."""
        _write_pair(self.weights_path, self.description_path, save(_tensors_of(network)), origin, epochs)
        self._tidy()

    def load_finished(self, network: nn.Module, origin: Origin | None = None) -> list[EpochLog]:
        """Put the finished weights into `network`; its epochs.

        Raises RunFolderError when they are missing, damaged, of another network, or, where one is given, of
        another origin.
        """
        finished = _read_whole(self.weights_path, self.description_path)
        if finished is None:
            raise RunFolderError(
                f"{self.weights_path} or its {self.description_path.name} is missing or damaged. "
                "Restore it, or run again into a new folder."
            )
        if origin is not None:
            _check_origin(finished.origin, origin, self.path)
        _load_network(network, finished.tensors, self.weights_path)
        return finished.epochs

    def epochs(self) -> list[EpochLog]:
        """The epochs so far: of the finished member, else of the state that it would continue from.

        Raises RunFolderError when there are states and none is whole, or the finished member is damaged.
        """
        if self.is_finished:
            description = _read_description(self.description_path)
            if description is None:
                raise RunFolderError(f"{self.description_path} is damaged. Restore it, or run again into a new folder.")
            return _epochs_of(description)
        state = self._newest_state(ignore)
        return [] if state is None else state.epochs

    def names(self) -> list[str]:
        """Of what is kept here: the finished member, or the states, the newest first."""
        return [FINISHED] if self.is_finished else [path.stem for path in reversed(self._states())]

    def newest_saved(self) -> SavedState | None:
        """What a training would go on from, or the finished member; None when there is nothing."""
        for name in self.names():
            tensors, description = self._paths(name)
            with suppress(OSError):
                pair = SavedState(name, tensors.read_bytes(), description.read_bytes())
                if pair.is_whole:
                    return pair
        return None

    def adopt(self, pair: SavedState) -> None:
        """Keep what was made elsewhere, as if it were made here. Raises RunFolderError when it did not arrive whole."""
        if not (pair.is_whole and re.fullmatch(rf"{FINISHED}|state-\d{{4,}}", pair.name)):
            raise RunFolderError(f"{self.path}: the {pair.name} that was sent here did not arrive whole.")
        tensors, description = self._paths(pair.name)
        write_bytes(tensors, pair.tensors)
        write_bytes(description, pair.description)
        self._tidy()

    def adopt_from(self, folder: Path, name: str) -> None:
        """The same, where the other folder is on this disk: the files are not copied.

        A state that is no longer there has a newer one, which is told of next.
        """
        other = MemberFolder(folder)
        is_there = all(link(*paths) for paths in zip(other._paths(name), self._paths(name), strict=True))
        if name == FINISHED and not is_there:
            raise RunFolderError(f"{folder}: the finished member is gone. Is that folder on this disk?")
        self._tidy()

    def _paths(self, name: str) -> tuple[Path, Path]:
        """The tensors' and the description's."""
        description = self.path / f"{name}.json"
        return (self.weights_path if name == FINISHED else description.with_suffix(".safetensors")), description

    def _tidy(self) -> None:
        """Remove the states that are no longer needed."""
        self._remove_states(but=[] if self.is_finished else self._states()[-KEPT_STATES:])

    def _states(self) -> list[Path]:
        return sorted(self.path.glob("state-*.json"))

    def _remove_states(self, but: list[Path]) -> None:
        """Remove all others, descriptions first: tensors without one do not count."""
        kept = {path.stem for path in but}
        for path in sorted(self.path.glob("state-*")):
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    def _newest_state(self, warn: Callable[[str], None]) -> "_Saved | None":
        """The newest state that is whole; None when there are none at all."""
        states = self._states()
        for state in reversed(states):
            saved = _read_whole(state.with_suffix(".safetensors"), state)
            if saved is not None:
                return saved
            warn(f"{state.with_suffix('')} is damaged or cut short; the state before it is used.")
        if states:
            raise RunFolderError(
                f"{self.path}: no saved state of this member is whole. Nothing was deleted; "
                "remove that folder to train the member anew."
            )
        return None


@dataclass(frozen=True, eq=False)
class _Saved:
    """A pair of files whose checksums are right."""

    tensors: dict[str, Tensor]
    origin: Origin
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


def _check_origin(found: Origin, expected: Origin, path: Path) -> None:
    different = [
        f"{name}: {found.get(name)} → {expected[name]}" for name in expected if found.get(name) != expected[name]
    ]
    if different:
        listed = "\n  ".join(different)
        raise RunFolderError(
            f"{path} holds a member that was made otherwise (there → here):\n  {listed}\n"
            "Continue it as it was begun, or run again into a new folder."
        )


def _write_pair(
    tensors_path: Path, description_path: Path, content: bytes, origin: Origin, epochs: list[EpochLog]
) -> None:
    """Write the tensors, then their description, which makes the pair count."""
    write_bytes(tensors_path, content)
    logger.debug("%s/%s: %d bytes", tensors_path.parent.name, tensors_path.name, len(content))
    description = {
        "format_version": FORMAT_VERSION,
        "made_from": dict(origin),
        "epochs": [asdict(log) for log in epochs],
        "sha256": _sha256(content),
    }
    write_json(description_path, description | {"sha256_of_this": _sha256_of_description(description)})


def _read_whole(tensors_path: Path, description_path: Path) -> _Saved | None:
    """The pair's content, or None when either file is missing, damaged, or not of the other."""
    description = _read_description(description_path)
    if description is None:
        return None
    try:
        content = tensors_path.read_bytes()
        if description["sha256"] != _sha256(content):
            return None
        return _Saved(load(content), description["made_from"], _epochs_of(description))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _read_description(path: Path) -> dict[str, Any] | None:
    """A description whose checksum is right, else None. Raises RunFolderError when a newer hitofude wrote it."""
    try:
        description = _parse_description(path.read_bytes())
    except OSError:
        return None
    if description is not None and description["format_version"] > FORMAT_VERSION:
        raise RunFolderError(f"{path} was written by a newer hitofude. Upgrade with pip install -U hitofude.")
    return description


def _parse_description(content: bytes) -> dict[str, Any] | None:
    """A description whose checksum is right, else None."""
    try:
        description = json.loads(content.decode("utf-8"))
        if description.pop("sha256_of_this") != _sha256_of_description(description):
            return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return dict(description)


def _sha256_of_description(description: dict[str, Any]) -> str:
    return _sha256(json.dumps(description, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
