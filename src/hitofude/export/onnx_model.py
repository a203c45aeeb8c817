"""An exported model, as any program would use it: onnxruntime alone, no PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, WeightsError
from hitofude.inputs.layout import ImageShape

FORMAT_VERSION = "1"
BATCH_SIZE = 128


@dataclass(frozen=True)
class OnnxDescription:
    """What stands in the model's metadata; there every value is text, and all but the version JSON."""

    name: str
    """Of the run."""
    hitofude_version: str
    classes: tuple[str, ...]
    image_shape: ImageShape  # (C, H, W)
    networks: tuple[str, ...]
    """Of each member."""
    temperature: float
    """At which the mean of the members was found to be calibrated; 1 where that is not known."""
    weights: str
    """The SHA-256 of all members' weights, which tells whether it is the model of a run."""

    def as_metadata(self) -> dict[str, str]:
        values = {name: json.dumps(value, ensure_ascii=False) for name, value in vars(self).items()}
        return {"hitofude_format": FORMAT_VERSION, **values}

    @classmethod
    def of_metadata(cls, metadata: dict[str, str]) -> "OnnxDescription":
        """Raises KeyError, TypeError or ValueError where it is not ours."""
        if metadata["hitofude_format"] != FORMAT_VERSION:
            raise ValueError("another format")
        values = {name: json.loads(metadata[name]) for name in cls.__dataclass_fields__}
        channels, height, width = map(int, values.pop("image_shape"))
        classes, networks = (tuple(map(str, values.pop(name))) for name in ("classes", "networks"))
        return cls(**values, classes=classes, networks=networks, image_shape=(channels, height, width))


class OnnxModel:
    """A model in memory, ready to predict; threads may share it."""

    def __init__(self, session: Any, description: OnnxDescription) -> None:
        self._session = session
        self.description = description
        self.name, self.classes = description.name, description.classes
        self.image_shape, self.networks = description.image_shape, description.networks

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> "OnnxModel":
        """The model in a file that `hitofude export` wrote.

        threads: of one prediction. Raises InputError where the file is not there or onnxruntime is not installed,
        WeightsError where it is damaged or not one of ours.
        """
        if not path.is_file():
            raise InputError(f"{path}: there is no such file. Make it with hitofude export RUN --onnx {path}.")
        return cls.of_bytes(path.read_bytes(), str(path), threads)

    @classmethod
    def of_bytes(cls, content: bytes, name: str, threads: int = 1) -> "OnnxModel":
        """The same of a file's content; name: how messages call it."""
        session = _session(content, name, threads)
        try:
            description = OnnxDescription.of_metadata(session.get_modelmeta().custom_metadata_map)
        except (KeyError, TypeError, ValueError):
            raise WeightsError(
                f"{name} is no model of this version of hitofude. Make one with hitofude export RUN --onnx model.onnx."
            ) from None
        return cls(session, description)

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, classes) probabilities, and (members, N, classes) what each member says.

        images: (N, C, H, W) 0..255.
        """
        pixels = images.astype(self._type, copy=False)
        starts = range(0, max(len(pixels), 1), BATCH_SIZE)
        found = [self._session.run(None, {"pixels": pixels[start : start + BATCH_SIZE]}) for start in starts]
        return np.concatenate([mean for mean, _ in found]), np.concatenate([each for _, each in found], axis=1)

    @property
    def _type(self) -> type[np.generic]:
        return np.uint8 if self._session.get_inputs()[0].type == "tensor(uint8)" else np.float32


def _session(content: bytes, name: str, threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what is wrong is said by us
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class of their own
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name} is no ONNX model, or is damaged ({reason}). Export it again.") from None


def import_onnxruntime() -> Any:
    """The package. Raises InputError naming the extra where it is missing."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise InputError("ONNX models need the package onnxruntime: pip install 'hitofude[onnx]'") from None
    return onnxruntime
