#!/usr/bin/env bash
# OpenVINO 2026.4.1: a model's own functions are not read; onnxruntime computes them.
#
# Source: openvino 2026.4.1 from PyPI, its frontend for ONNX. Functions of a model are part of ONNX since IR version 8 (2021);
# PyTorch's and onnxscript's exporters can write them.
# Expected: a node that calls a function of the model is read as the function's nodes, as onnxruntime does.
# Found: "No conversion rule found for operations", with the name of the function.
# Way out: onnx.inliner.inline_local_functions(model) puts the nodes in the place of the calls. Weights that are constants of a
# function then stand in the file once for each call.
# Output seen (Python 3.11, onnx 1.23.2, onnxruntime 1.32.0):
#   onnxruntime: [2.0, 4.0]
#   OpenVINO: No conversion rule found for operations: own.double
#   OpenVINO, inlined: [2.0, 4.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/functions.py" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, inliner

opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
double = helper.make_function("own", "double", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], opsets)
graph = helper.make_graph(
    [helper.make_node("double", ["x"], ["y"], domain="own")],
    "calls_its_own_function",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
)
model = helper.make_model(graph, opset_imports=opsets, functions=[double], ir_version=8)
onnx.checker.check_model(model, full_check=True)
x = np.array([1, 2], dtype=np.float32)


def by_openvino(model):
    path = f"{sys.argv[1]}/model.onnx"
    onnx.save(model, path)
    try:
        return openvino.Core().compile_model(path, "CPU")(x)[0].tolist()
    except RuntimeError as error:
        return next(line for line in str(error).splitlines() if "conversion rule" in line).removeprefix("-- ")


session = onnxruntime.InferenceSession(model.SerializeToString())
print("onnxruntime:", session.run(None, {"x": x})[0].tolist())
print("OpenVINO:", by_openvino(model))
print("OpenVINO, inlined:", by_openvino(inliner.inline_local_functions(model)))
PYTHON
found=$("$folder/venv/bin/python" "$folder/functions.py" "$folder")
echo "$found"
[ "$found" = "onnxruntime: [2.0, 4.0]
OpenVINO: No conversion rule found for operations: own.double
OpenVINO, inlined: [2.0, 4.0]" ]
