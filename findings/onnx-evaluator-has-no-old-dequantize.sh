#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator quantises a model of opset 18, and cannot dequantise it.
#
# Source: onnx 1.23.2 from PyPI, onnx/reference/ops/op_dequantize_linear.py and op_quantize_linear.py. DequantizeLinear has a form
# of opset 10 and one of opset 13, which a model of opset 18 uses; static quantisation in onnxruntime writes it.
# Expected: a model that onnx.checker accepts is computed, as onnxruntime computes it.
# Found: "No implementation for operator 'DequantizeLinear'": the evaluator's forms begin with opset 19, those of QuantizeLinear
# with opset 10.
# Way out: write the model with opset 19, or bring it there by onnx.version_converter.
# Output seen (Python 3.11, onnx 1.23.2, onnxruntime 1.32.0):
#   onnxruntime: [0.0, 1.0, 2.5]
#   opset 18: No implementation for operator 'DequantizeLinear'
#   opset 19: [0.0, 1.0, 2.5]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/evaluator.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

steps = [numpy_helper.from_array(np.float32(0.5), "scale"), numpy_helper.from_array(np.uint8(0), "zero")]
nodes = [
    helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
    helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
]
ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"])] for name in "xy"]
graph = helper.make_graph(nodes, "there_and_back", *ends, steps)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
x = {"x": np.array([0, 1.1, 2.4], dtype=np.float32)}


def evaluated(model):
    try:
        return ReferenceEvaluator(model).run(None, x)[0].tolist()
    except RuntimeError as error:
        return str(error).partition(" domain")[0]


print("onnxruntime:", onnxruntime.InferenceSession(model.SerializeToString()).run(None, x)[0].tolist())
print("opset 18:", evaluated(model))
print("opset 19:", evaluated(version_converter.convert_version(model, 19)))
PYTHON
found=$("$folder/venv/bin/python" "$folder/evaluator.py")
echo "$found"
[ "$found" = "onnxruntime: [0.0, 1.0, 2.5]
opset 18: No implementation for operator 'DequantizeLinear'
opset 19: [0.0, 1.0, 2.5]" ]
