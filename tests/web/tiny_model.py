"""A small model in a file, as `hitofude export` would write it; its answer is the place of the ink in the image."""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import hitofude
from hitofude.export.onnx_model import FORMAT_VERSION
from hitofude.inputs.layout import ImageShape

DIGITS = tuple("0123456789")
GRAPH = """\
<ir_version: 8, opset_import: ["" : 18]>
tiny (uint8[N, {sizes}] pixels) => (float[N, {classes}] probabilities, float[2, N, {classes}] members)
{{
  values = Cast <to = 1> (pixels)
  flat = Reshape (values, row)
  logits = MatMul (flat, weights)
  probabilities = Softmax <axis = 1> (logits)
  alone = Unsqueeze (probabilities, first)
  members = Concat <axis = 0> (alone, alone)
}}
"""


def write_tiny_model(
    path: Path,
    classes: tuple[str, ...] = DIGITS,
    image_shape: ImageShape = (1, 28, 28),
    name: str = "tiny",
    *,
    ink_is_novel: bool = False,
) -> Path:
    """Write two members that agree. The answer is class k of K if the k-th K-th of the pixels is the brightest.

    ink_is_novel: the model has a score of novelty, the share of ink, and more than a half is of no known kind.
    """
    sizes = ", ".join(map(str, image_shape))
    model = onnx.parser.parse_model(GRAPH.format(sizes=sizes, classes=len(classes)))
    if ink_is_novel:
        whole = onnx.helper.make_node("ReduceMean", ["flat", "last"], ["ink"], keepdims=0)
        model.graph.node.extend([whole, onnx.helper.make_node("Div", ["ink", "full"], ["novelty"])])
        model.graph.output.append(onnx.helper.make_tensor_value_info("novelty", onnx.TensorProto.FLOAT, ["N"]))
    weights = np.zeros((int(np.prod(image_shape)), len(classes)), dtype=np.float32)
    for label, rows in enumerate(np.array_split(np.arange(len(weights)), len(classes))):
        weights[rows, label] = 20 / 255 / len(rows)
    constants = {"weights": weights, "row": np.array([-1, len(weights)]), "first": np.array([0])}
    constants |= {"last": np.array([1]), "full": np.array(255, dtype=np.float32)} if ink_is_novel else {}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, key) for key, array in constants.items())
    metadata = {
        "name": name, "hitofude_version": hitofude.__version__, "classes": classes, "image_shape": image_shape,
        "networks": ("cnn-lean", "cnn-lean"), "temperature": 1.0, "weights": "",
        "set_thresholds": {"0.9": 0.3, "0.95": 0.1, "0.99": 0.01},
        "known_thresholds": {"0.9": 0.3, "0.95": 0.4, "0.97": 0.5, "0.99": 0.6} if ink_is_novel else {},
    }  # fmt: skip
    onnx.helper.set_model_props(
        model, {"hitofude_format": FORMAT_VERSION} | {k: json.dumps(v) for k, v in metadata.items()}
    )
    onnx.save(model, path)
    return path


def drawing_of(label: int, classes: int = 10, image_shape: ImageShape = (1, 28, 28)) -> NDArray[np.uint8]:
    """Return (C, H, W), which the tiny model takes for the class of this number."""
    pixels = np.zeros(int(np.prod(image_shape)), dtype=np.uint8)
    pixels[np.array_split(np.arange(len(pixels)), classes)[label]] = 255
    return pixels.reshape(image_shape)
