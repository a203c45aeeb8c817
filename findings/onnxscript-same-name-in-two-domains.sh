#!/usr/bin/env bash
# onnxscript 0.7.2: of two functions with one name in two domains, the model keeps the first alone.
#
# Source: onnxscript 0.7.2 from PyPI, onnxscript/_internal/irbuilder.py, which collects the called functions by their names.
# Expected: ONNX identifies a function by domain and name, so a model that calls first.twice and second.twice has both.
# Found: to_model_proto() writes both calls and only one of the functions. onnx.checker accepts the model, because the
# second call may be an operator of a domain that it does not know; ONNX Runtime cannot load it.
# Way out: a name of its own for each function, in whatever domain.
# Output seen (Python 3.11, onnx 1.23.2, onnxruntime 1.32.0):
#   calls: first.twice second.twice
#   functions: first.twice
#   onnx.checker: accepted
#   ONNX Runtime: second:twice(-1) is not a registered function/op
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0
cat > "$folder/model.py" <<'PYTHON'
import re

import onnx
import onnxruntime
from onnxscript import FLOAT, script
from onnxscript import opset18 as op
from onnxscript.values import Opset


@script(Opset("first", 1), default_opset=op)
def twice(x):
    return x + x


by_sum = twice


@script(Opset("second", 1), default_opset=op)
def twice(x):
    return x * op.Constant(value_float=2.0)


by_product = twice


@script(default_opset=op)
def four_times(x: FLOAT["N"]) -> FLOAT["N"]:
    return by_product(by_sum(x))


model = four_times.to_model_proto()
print("calls:", *(f"{node.domain}.{node.op_type}" for node in model.graph.node))
print("functions:", *(f"{function.domain}.{function.name}" for function in model.functions))
onnx.checker.check_model(model)
print("onnx.checker: accepted")
try:
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    print("ONNX Runtime: loaded")
except Exception as error:
    print("ONNX Runtime:", re.search(r"second:.*", str(error))[0])
PYTHON
found=$("$folder/venv/bin/python" "$folder/model.py")
echo "$found"
[ "$found" = "calls: first.twice second.twice
functions: first.twice
onnx.checker: accepted
ONNX Runtime: second:twice(-1) is not a registered function/op" ]
