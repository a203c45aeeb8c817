"""The networks of an ONNX model in eight bits: weights, and the activations between them."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

CALIBRATION_BATCH = 128


def quantise(networks: "onnx.ModelProto", images: NDArray[np.uint8]) -> "onnx.ModelProto":
    """Turn weights and activations into integers of 8 bits; images (N, C, H, W) determine the activations' ranges.

    Weights keep 7 bits, so that processors without instructions for 8-bit products do not overflow (onnxruntime's
    documentation, "Quantize ONNX models"). The score of novelty stays as it is.
    """
    import onnx
    from onnxruntime import quantization

    batches = iter(np.split(images, range(CALIBRATION_BATCH, len(images), CALIBRATION_BATCH)))
    reader = SimpleNamespace(get_next=lambda: next(({"pixels": batch} for batch in batches), None))
    logging.disable(logging.WARNING)  # onnxruntime advises a preparation that changes nothing in these networks
    try:
        with TemporaryDirectory() as folder:
            whole, small = Path(folder, "networks.onnx"), Path(folder, "small.onnx")
            onnx.save(networks, whole)  # given the model itself, onnxruntime 1.20 loses its weights
            quantization.quantize_static(
                whole, small, reader, per_channel=True, reduce_range=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=[*_nodes_of_novelty(networks), *_nodes_of_probabilities(networks)],
            )  # fmt: skip
            return onnx.load(small)
    finally:
        logging.disable(logging.NOTSET)


def _nodes_of_probabilities(networks: "onnx.ModelProto") -> list[str]:
    """Return the names of the nodes from the softmax on, whose results would have steps of 1/255.

    tract 0.23.9 turns a softmax between values of eight bits into other numbers; see
    findings/tract-softmax-in-eight-bits.sh.
    """
    return [node.name for node in networks.graph.node if node.op_type in ("Softmax", "Unsqueeze", "Concat")]


def _nodes_of_novelty(networks: "onnx.ModelProto") -> list[str]:
    """Return the names of the nodes that serve the score of novelty alone."""
    needed: list[set[str]] = []
    for output in networks.graph.output:
        values = {output.name}
        for node in reversed(networks.graph.node):
            if not values.isdisjoint(node.output):
                values.update(node.input)
        needed.append(values)
    of_networks = needed[0]
    return [node.name for node in networks.graph.node if of_networks.isdisjoint(node.output)]
