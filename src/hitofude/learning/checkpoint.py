"""The durable state of one member: checkpoints while it trains, its weights once it is finished.

    state-0007.safetensors   weights, buffers, averaged weights and optimizer state after epoch 7
    state-0007.json          its origin, the epochs so far, the SHA-256 of the file above and of itself;
                             written last, so a state counts only if both files are complete
    weights.safetensors      the finished network
    member.json              its description, in the same form; written last

The last two states are kept during training, none afterwards. Nothing is ever unpickled.
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

from hitofude.errors import RunFolderError, differences
from hitofude.learning.epoch_log import EpochLog as EpochLog  # pickled estimators of earlier versions look for it here
from hitofude.storage import link, to_json, write_bytes

logger = logging.getLogger(__name__)

KEPT_STATES = 2
FINISHED = "member"
FORMAT_VERSION = 1

Origin = Mapping[str, str | int]
"""Everything a member is made from, by name: recipe, data, rows, versions. Only states of the same origin continue."""

Networks = Mapping[str, nn.Module]
"""The modules that training changes: the network itself and, if there is one, its moving average and its count."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class SavedState:
    """A state or a finished member: the content of its two files, which can be sent to another folder."""

    name: str
    """The stem of the description's file: `state-0007` or `member`."""
    tensors: bytes
    description: bytes

    @classmethod
    def of(cls, name: str, tensors: Tensors, origin: Origin, epochs: list[EpochLog]) -> "SavedState":
        content = save(tensors)
        description = {
            "format_version": FORMAT_VERSION,
            "made_from": dict(origin),
            "epochs": [asdict(log) for log in epochs],
            "sha256": _sha256(content),
        }
        description["sha256_of_this"] = _sha256_of_description(description)
        return cls(name, content, to_json(description).encode())

    def parse(self, path: Path) -> "Checkpoint | None":
        """Return the content, or None if either file is damaged or they do not belong together.

        path: the description's, for errors. Raises RunFolderError if a newer hitofude wrote it.
        """
        description = _parse_description(self.description, path)
        with suppress(ValueError, KeyError, TypeError, SafetensorError):
            if description is not None and description["sha256"] == _sha256(self.tensors):
                return Checkpoint(load(self.tensors), description["made_from"], _epochs_of(description))
        return None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of an intact state or finished member."""

    tensors: Tensors
    origin: Origin
    epochs: list[EpochLog]


class MemberFolder:
    """The folder of one member.

    warn: receives a warning for each damaged state that is skipped. keeps_states: whether to save states in training.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda _: None, *, keeps_states: bool = True) -> None:
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
        """Save the state after the last of `epochs`, unless states are not kept."""
        if not self._keeps_states:
            return
        groups = {"optimizer": _state_of(optimizer)} | {name: _tensors_of(of) for name, of in networks.items()}
        tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        self._keep(SavedState.of(f"state-{len(epochs):04d}", tensors, origin, epochs))

    def restore_state(self, networks: Networks, optimizer: torch.optim.Optimizer, origin: Origin) -> list[EpochLog]:
        """Load the newest intact state into networks and optimizer; return its epochs, [] if there are no states.

        Raises RunFolderError if all states are damaged, or if the state has another origin.
        """
        state = self._newest_state()
        if state is None:
            return []
        _check_origin(state.origin, origin, self.path)
        self._check_average(networks, state)
        for name, network in networks.items():
            _load_network(network, _unprefixed(f"{name}.", state.tensors), self.path)
        _load_optimizer(optimizer, _unprefixed("optimizer.", state.tensors))
        logger.info("%s: continuing after epoch %d", self.path.name, len(state.epochs))
        return state.epochs

    def _check_average(self, networks: Networks, state: Checkpoint) -> None:
        """Raise RunFolderError if an earlier hitofude saved the state, which did not count the updates of averages."""
        missing = [name for name in networks if not _unprefixed(f"{name}.", state.tensors)]
        if missing:
            raise RunFolderError(
                f"{self.path} was begun by an earlier hitofude, which averaged weights differently. Remove that folder "
                "to train the member anew, or run again into a new folder."
            )

    def finish(self, network: nn.Module, origin: Origin, epochs: list[EpochLog]) -> None:
        """Save the finished weights with their description, and remove the states."""
        self._keep(SavedState.of(FINISHED, _tensors_of(network), origin, epochs))

    def load_finished(self, network: nn.Module, origin: Origin | None = None) -> list[EpochLog]:
        """Load the finished weights into `network`; return the epochs.

        Raises RunFolderError if they are missing, damaged or of another network, or not of the given origin.
        """
        finished = self._parse(self._read(FINISHED))
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
        """Return the epochs of the finished member, else of the state that training would continue from.

        Raises RunFolderError if all states are damaged, or the description of the finished member is.
        """
        if not self.is_finished:
            state = self._newest_state()
            return [] if state is None else state.epochs
        description = _parse_description(self.description_path.read_bytes(), self.description_path)
        if description is None:
            raise RunFolderError(f"{self.description_path} is damaged. Restore it, or run again into a new folder.")
        return _epochs_of(description)

    def names(self) -> list[str]:
        """Return the name of the finished member, else those of the states, newest first."""
        return [FINISHED] if self.is_finished else [path.stem for path in reversed(self._states())]

    def newest_saved(self) -> SavedState | None:
        """Return the finished member, else the state that training would continue from, else None."""
        return next((saved for saved in map(self._read, self.names()) if self._parse(saved)), None)

    def adopt(self, saved: SavedState) -> None:
        """Keep a state or finished member made in another folder. Raises RunFolderError if it is damaged."""
        is_known = re.fullmatch(rf"{FINISHED}|state-\d{{4,}}", saved.name)
        if not is_known or self._parse(saved) is None:
            raise RunFolderError(f"{self.path}: the {saved.name} that was sent here is damaged.")
        self._keep(saved)

    def adopt_from(self, folder: Path, name: str) -> bool:
        """Do the same with a folder on this disk, by links instead of copies.

        Return whether it is kept; a state that no longer exists is not, since a newer one will be announced.
        """
        other = MemberFolder(folder)
        exists = all(link(*paths) for paths in zip(other._paths(name), self._paths(name), strict=True))
        if name == FINISHED and not exists:
            raise RunFolderError(f"{folder}: the finished member is gone. Is that folder on this disk?")
        self._remove_old_states()
        return exists

    def _paths(self, name: str) -> tuple[Path, Path]:
        """Return the paths of the tensors and of the description."""
        description = self.path / f"{name}.json"
        return (self.weights_path if name == FINISHED else description.with_suffix(".safetensors")), description

    def _keep(self, saved: SavedState) -> None:
        """Write the tensors, then the description, which makes them count."""
        tensors, description = self._paths(saved.name)
        write_bytes(tensors, saved.tensors)
        logger.debug("%s/%s: %d bytes", self.path.name, tensors.name, len(saved.tensors))
        write_bytes(description, saved.description)
        self._remove_old_states()

    def _remove_old_states(self) -> None:
        """Keep the newest states, or none if the member is finished; descriptions go first, so no tensors lack one."""
        kept = {path.stem for path in ([] if self.is_finished else self._states()[-KEPT_STATES:])}
        for path in sorted(self.path.glob("state-*")):
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    def _states(self) -> list[Path]:
        """Return the descriptions of the states, oldest first."""
        return sorted(self.path.glob("state-*.json"))

    def _newest_state(self) -> Checkpoint | None:
        """Return the newest intact state, or None if there are no states; warn of damaged ones."""
        names = [path.stem for path in reversed(self._states())]
        for name in names:
            state = self._parse(self._read(name))
            if state is not None:
                return state
            self._warn(f"{self.path / name} is damaged or cut short; the state before it is used.")
        if names:
            raise RunFolderError(
                f"{self.path}: no saved state of this member is whole. Nothing was deleted; "
                "remove that folder to train the member anew."
            )
        return None

    def _read(self, name: str) -> SavedState | None:
        with suppress(OSError):
            return SavedState(name, *(path.read_bytes() for path in self._paths(name)))
        return None

    def _parse(self, saved: SavedState | None) -> Checkpoint | None:
        return None if saved is None else saved.parse(self._paths(saved.name)[1])


def _tensors_of(network: nn.Module) -> Tensors:
    """Return the state's tensors; tied ones, which safetensors refuses, as copies."""
    tensors, seen = Tensors(), set[int]()
    for name, tensor in network.state_dict().items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        tensors[name] = own.clone() if place in seen else own
        seen.add(place)
    return tensors


def _state_of(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return the optimizer's tensors, by the index of the parameter and their own name."""
    return {
        f"{index}.{name}": tensor.detach().cpu().contiguous()
        for index, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def _unprefixed(prefix: str, tensors: Tensors) -> Tensors:
    """Select the tensors with the prefix, and remove it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _epochs_of(description: dict[str, Any]) -> list[EpochLog]:
    return [EpochLog.from_json(log) for log in description["epochs"]]


def _load_network(network: nn.Module, found: Tensors, path: Path) -> None:
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ found.keys()) or [
        f"{name}: {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in expected
        if found[name].shape != expected[name].shape
    ]
    if wrong:
        raise RunFolderError(f"{path} holds another network's weights ({'; '.join(wrong[:3])}).")
    network.load_state_dict(found)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Load the state in the memory layout of its parameters, since a fused step walks both in storage order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        is_alike = tensor.shape == parameter.shape
        laid_out = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if is_alike else tensor
        state.setdefault(int(index), {})[name] = laid_out.detach()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check_origin(found: Origin, expected: Origin, path: Path) -> None:
    if different := differences(found, expected):
        listed = "\n  ".join(different)
        raise RunFolderError(
            f"{path} holds a member of another origin (there → here):\n  {listed}\n"
            "Continue it as it was begun, or run again into a new folder."
        )


def _parse_description(content: bytes, path: Path) -> dict[str, Any] | None:
    """Return a description, or None if its checksum is wrong. Raises RunFolderError if a newer hitofude wrote it."""
    try:
        description: dict[str, Any] = json.loads(content.decode("utf-8"))
        if description.pop("sha256_of_this") != _sha256_of_description(description):
            return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if description["format_version"] > FORMAT_VERSION:
        raise RunFolderError(f"{path} was written by a newer hitofude. Upgrade with pip install -U hitofude.")
    return description


def _sha256_of_description(description: dict[str, Any]) -> str:
    return _sha256(json.dumps(description, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
