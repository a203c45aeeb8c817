#!/usr/bin/env bash
# pnnx 20261020: the mean over one axis that is an input, as in ONNX since opset 18, loses its axis in ncnn's file, without a word.
#
# Source: pnnx 20261020 and ncnn 1.0.20261020 from PyPI. ReduceMean has its axes as an input since opset 18, as an attribute before.
# Expected: images (1, 4, 5, 5), their mean over the rows (axis 2): 4 channels of 5 numbers.
# Found: with the axis as an attribute so; as an input "Reduction" is written with an empty list of axes, and ncnn returns every
# number as it was. Two axes as an input are kept.
# Way out: add an axis of length 1 and take the mean over both, or write the model with opset 13.
# Output seen (Python 3.11, onnx 1.23.2):
#   opset 13, axis 2: 20 numbers
#   opset 18, axis 2: 100 numbers
#   opset 18, axes 2 and 3: 4 numbers
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pnnx==20261020 ncnn==1.0.20261020 onnx==1.23.2
cat > "$folder/mean.py" <<'PYTHON'
import subprocess
import sys

import ncnn
import numpy as np
import onnx
import pnnx
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]


def count(opset, axes):
    kernel = numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "kernel")
    values, inputs, attributes = [kernel], ["features"], {"axes": axes}
    if opset == 18:
        values, inputs, attributes = [kernel, numpy_helper.from_array(np.array(axes), "axes")], ["features", "axes"], {}
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["features"]),
        helper.make_node("ReduceMean", inputs, ["y"], keepdims=0, **attributes),
    ]
    ends = [[helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]]
    model = helper.make_model(
        helper.make_graph(nodes, "mean", *ends, values), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    onnx.save(model, f"{folder}/model.onnx")
    command = [pnnx.EXEC_PATH, "model.onnx", "inputshape=[1,4,5,5]f32"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    network = ncnn.Net()
    network.load_param(f"{folder}/model.ncnn.param")
    network.load_model(f"{folder}/model.ncnn.bin")
    extractor = network.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ones((4, 5, 5), np.float32)).clone())
    return np.asarray(extractor.extract("out0")[1]).size


print("opset 13, axis 2:", count(13, [2]), "numbers")
print("opset 18, axis 2:", count(18, [2]), "numbers")
print("opset 18, axes 2 and 3:", count(18, [2, 3]), "numbers")
PYTHON
found=$("$folder/venv/bin/python" "$folder/mean.py" "$folder")
echo "$found"
[ "$found" = "opset 13, axis 2: 20 numbers
opset 18, axis 2: 100 numbers
opset 18, axes 2 and 3: 4 numbers" ]
