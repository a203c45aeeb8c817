"""An exported model, used as any program would use it: by onnxruntime alone, without PyTorch."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from hitofude.errors import InputError, WeightsError, first_line, install_command
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.look import LearnedLook, Look
from hitofude.inputs.rescaling import UNKNOWN, TrainedScale
from hitofude.metrics.calibration import Cascade

FORMAT_VERSION = "2"
BATCH_SIZE = 128


@dataclass(frozen=True)
class OnnxDescription(LearnedLook):
    """The model's metadata. In the file every value is text: JSON, except the format's version."""

    name: str
    """The run's name."""
    hitofude_version: str
    classes: tuple[str, ...]
    image_shape: ImageShape  # (C, H, W)
    networks: tuple[str, ...]
    """One for each member."""
    temperature: float
    """It calibrates the members' joint answer; 1 if it is unknown."""
    set_thresholds: dict[str, float]
    """By level, 0.9, 0.95 and 0.99: the least probability of a class in an image's prediction set, which holds the true
    label for this share of images, and always the likeliest class. Empty if the networks were imported."""
    weights: str
    """SHA-256 of all members' weights and everything else that decides a prediction: it identifies the run's model."""
    look: Look | None = None
    """The look of the training images, by which drawings and photos are made like them; earlier files do not say."""
    pixels: TrainedScale = UNKNOWN
    """The scale of the training images, on which pictures of their size are read."""
    cascade: Cascade | None = None
    """The members asked one after another, and their thresholds; None if all are asked about every image."""
    known_thresholds: dict[str, float] = field(default_factory=dict)
    """By level, 0.9, 0.95, 0.97 and 0.99: the score of novelty up to which an image counts as of a known kind, so that
    this share of the known ones does. Empty if the model has no such score."""

    def as_metadata(self) -> dict[str, str]:
        values = {name: json.dumps(value, ensure_ascii=False) for name, value in asdict(self).items()}
        return {"hitofude_format": FORMAT_VERSION, **values}

    @classmethod
    def of_metadata(cls, metadata: dict[str, str]) -> "OnnxDescription":
        """Raises KeyError or ValueError if hitofude did not write the metadata."""
        if metadata["hitofude_format"] != FORMAT_VERSION:
            raise ValueError("another format")
        names = [one.name for one in fields(cls) if one.name in metadata or one.name not in LATER]
        values = {name: json.loads(metadata[name]) for name in names}
        return TypeAdapter(cls).validate_python(values | {"cascade": Cascade.upgraded(values.get("cascade"))})


LATER = ("look", "pixels", "cascade", "known_thresholds")
"""Values that files of earlier versions lack."""


class OnnxAnswers(NamedTuple):
    """A model's answers to some images."""

    probabilities: NDArray[np.float32]  # (N, classes)
    members: NDArray[np.float32]  # (members, N, classes); of members that were not asked, the mean of those that were
    novelty: NDArray[np.float32]  # (N,) the score of images unlike anything learned; NaN if the model has none


class OnnxModel:
    """A model in memory, ready to predict; threads may share it."""

    def __init__(self, session: Any, description: OnnxDescription) -> None:
        self._session = session
        self.description = description
        self.name, self.classes = description.name, description.classes
        self.image_shape, self.networks = description.image_shape, description.networks

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> "OnnxModel":
        """Load a file that `hitofude export` wrote. threads: for one prediction.

        Raises InputError if the file does not exist or onnxruntime is not installed, WeightsError if the file is
        damaged or hitofude did not write it.
        """
        if not path.is_file():
            raise InputError(f"{path}: there is no such file. Make it with hitofude export RUN --onnx {path}.")
        return cls.of_bytes(path.read_bytes(), str(path), threads)

    @classmethod
    def of_bytes(cls, content: bytes, name: str, threads: int = 1) -> "OnnxModel":
        """Load a file's content. name: the file's name in messages."""
        session = _session(content, name, threads)
        try:
            description = OnnxDescription.of_metadata(session.get_modelmeta().custom_metadata_map)
        except (KeyError, ValueError):
            raise WeightsError(
                f"{name} is no model of this version of hitofude. Make one with hitofude export RUN --onnx model.onnx."
            ) from None
        return cls(session, description)

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, C, H, W) 0..255 → probabilities (N, classes), and those of each member (members, N, classes).

        Members that are not asked about an image have the mean probabilities of those that are.
        """
        return self.answer(images)[:2]

    def answer(self, images: NDArray[np.uint8]) -> OnnxAnswers:
        """(N, C, H, W) 0..255 → the probabilities of all members and of each, and the score of novelty."""
        is_uint8 = self._session.get_inputs()[0].type == "tensor(uint8)"
        pixels = images if is_uint8 else images.astype(np.float32)
        starts = range(0, max(len(pixels), 1), BATCH_SIZE)
        found = [self._session.run(None, {"pixels": pixels[start : start + BATCH_SIZE]}) for start in starts]
        mean, each, *scores = zip(*found, strict=True)
        novelty = np.concatenate(scores[0]) if scores else np.full(len(pixels), np.nan, dtype=np.float32)
        return OnnxAnswers(np.concatenate(mean), np.concatenate(each, axis=1), novelty)

    def count_asked(self, members: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) the number of members that were asked about each image. members: from `predict`."""
        cascade = self.description.cascade
        return np.full(members.shape[1], len(members)) if cascade is None else cascade.count_asked(members)


def _session(content: bytes, name: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise InputError(f"ONNX models need the package onnxruntime: {install_command('onnx')}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # errors are raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise WeightsError(f"{name} is no ONNX model, or is damaged ({first_line(error)}). Export it again.") from None
