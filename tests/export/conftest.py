"""PyTorch's exporter takes seconds for a run's networks; all tests of a session share its result."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import pytest
from filelock import FileLock
from torch import nn

from hitofude.export import onnx_export
from hitofude.export.onnx_graph import Pixels, Scored, networks_model
from hitofude.inputs.layout import ImageShape


@pytest.fixture(scope="session", autouse=True)
def networks_exported_once(common: Path) -> Iterator[None]:
    def cached(
        networks: Sequence[nn.Module], image_shape: ImageShape, pixels: Pixels, scored: Scored | None = None
    ) -> onnx.ModelProto:
        parts = [*networks, *([] if scored is None else [scored.score])]
        weights = b"".join(value.numpy().tobytes() for part in parts for value in part.state_dict().values())
        path = common / f"networks-{hashlib.sha256(weights).hexdigest()}-{pixels}.onnx"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                onnx.save(networks_model(networks, image_shape, pixels, scored), path)
            return onnx.load(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "networks_model", cached)
        yield
