"""A model for phones, used as any program would use it: by LiteRT alone, one image at a time.

The file is a LiteRT model with a zip behind it, as the associated files of TensorFlow Lite's metadata are: LiteRT reads
the one, and every zip program the other, which has the metadata and the names of the classes.
"""

import contextlib
import io
import json
import logging
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.borrowed import environment_put_back, loggers_at
from hitofude.errors import InputError, WeightsError, first_line, install_command
from hitofude.export.onnx_model import OnnxDescription

METADATA, LABELS = "hitofude.json", "labels.txt"
THE_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""Of a zip's entries, so that two exports are the same bytes."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep LiteRT's notes from the terminal: Python's, and those that its C++ writes to the standard error."""
    with (
        environment_put_back(),
        loggers_at(logging.ERROR, ["torch.export", "absl", "jax"]),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123 - a device, not a file
    ):
        warnings.simplefilter("ignore")
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class LiteRtModel:
    """A model in memory, ready to predict."""

    def __init__(self, runner: Any, description: OnnxDescription) -> None:
        self._runner = runner
        self.description = description

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> "LiteRtModel":
        """Load a file that `hitofude export --litert` wrote. threads: for one prediction.

        Raises InputError if LiteRT is not installed, WeightsError if the file is damaged or hitofude did not write it.
        """
        return cls.of_bytes(path.read_bytes(), str(path), threads)

    @classmethod
    def of_bytes(cls, content: bytes, name: str, threads: int = 1) -> "LiteRtModel":
        """Load a file's content. name: the file's name in messages."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError:
            raise InputError(f"LiteRT models need the package ai-edge-litert: {install_command('litert')}") from None
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                description = OnnxDescription.of_metadata(json.loads(archive.read(METADATA)))
            with quiet():
                interpreter = Interpreter(model_content=content, num_threads=threads)
                interpreter.allocate_tensors()
                runner = interpreter.get_signature_runner()
        except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"{name} is no LiteRT model of this version of hitofude, or is damaged ({first_line(error)}). Make one "
                f"with hitofude export RUN --litert {name}."
            ) from None
        return cls(runner, description)

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, C, H, W) 0..255 → probabilities (N, classes), and those of each member (members, N, classes)."""
        last = images.transpose(0, 2, 3, 1)
        found = [self._runner(pixels=np.ascontiguousarray(image[None])) for image in last]
        return (
            np.concatenate([one["probabilities"] for one in found]),
            np.concatenate([one["members"] for one in found], axis=1),
        )


def with_metadata(model: bytes, description: OnnxDescription) -> bytes:
    """Return the model's file with the metadata behind it; always the same bytes."""
    metadata = description.as_metadata()
    return model + _zipped({METADATA: _as_json(metadata), LABELS: "\n".join(description.classes) + "\n"}, len(model))


def _as_json(metadata: Mapping[str, str]) -> str:
    return json.dumps(metadata, ensure_ascii=False, indent=1, sort_keys=True)


def _zipped(texts: Mapping[str, str], offset: int) -> bytes:
    """Return a zip for the end of a file. offset: the number of bytes before it, from which its places count."""
    stream = io.BytesIO(bytes(offset))
    with zipfile.ZipFile(stream, "a") as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, THE_FIRST_DATE), text)
    return stream.getvalue()[offset:]
