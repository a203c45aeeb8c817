#!/usr/bin/env bash
# tract 0.23.9: a softmax between values of eight bits turns into ones, without a word.
#
# Source: tract 0.23.9 from PyPI. onnxruntime's static quantisation writes a softmax so: DequantizeLinear, Softmax, QuantizeLinear.
# Expected: the probabilities that onnxruntime and ONNX's own evaluator compute, in steps of the scale.
# Found: all of them are 1. Without the QuantizeLinear behind it, or the DequantizeLinear before it, the softmax is right.
# Way out: leave softmaxes out of the quantisation (nodes_to_exclude), which keeps the probabilities more exact, too.
# Output seen (Python 3.11, onnx 1.23.2, onnxruntime 1.32.0):
#   onnxruntime [0.6431, 0.2353, 0.0863, 0.0314]
#   ONNX's evaluator [0.6431, 0.2353, 0.0863, 0.0314]
#   tract [1.0, 1.0, 1.0, 1.0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tract==0.23.9 onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/softmax.py" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

values = {"s": np.float32(0.05), "z": np.uint8(100), "s2": np.float32(1 / 255), "z2": np.uint8(0)}
nodes = [
    helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
    helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
    helper.make_node("Softmax", ["d"], ["p"], axis=1),
    helper.make_node("QuantizeLinear", ["p", "s2", "z2"], ["q2"]),
    helper.make_node("DequantizeLinear", ["q2", "s2", "z2"], ["y"]),
]
graph = helper.make_graph(
    nodes,
    "softmax_in_eight_bits",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
path = f"{sys.argv[1]}/model.onnx"
onnx.save(model, path)
x = np.array([[2, 1, 0, -1]], dtype=np.float32)
runnable = tract.onnx().load(path).into_model().into_runnable()
answers = {
    "onnxruntime": onnxruntime.InferenceSession(path).run(None, {"x": x})[0],
    "ONNX's evaluator": ReferenceEvaluator(model).run(None, {"x": x})[0],
    "tract": runnable.run([tract.Tensor.from_numpy(x)])[0].to_numpy(),
}
for name, answer in answers.items():
    print(name, np.asarray(answer)[0].round(4).astype(float).round(4).tolist())
PYTHON
found=$("$folder/venv/bin/python" "$folder/softmax.py" "$folder")
echo "$found"
[ "$found" = "onnxruntime [0.6431, 0.2353, 0.0863, 0.0314]
ONNX's evaluator [0.6431, 0.2353, 0.0863, 0.0314]
tract [1.0, 1.0, 1.0, 1.0]" ]
