#!/usr/bin/env bash
# onnxscript 0.7.2: the opset imports of a function leave out domains that are used within an If only.
#
# Source: onnxscript 0.7.2 from PyPI, onnxscript/_internal/irbuilder.py, which notes the domain of each node that is
# appended to a function itself, not to the graph of a branch.
# Expected: to_function_proto() imports every domain that the function's nodes use, in branches too.
# Found: a call of another domain in a branch is written without its import. onnx.checker refuses the function.
# Way out: add the missing import to the FunctionProto's opset_import.
# Output seen (Python 3.11, onnx 1.23.2):
#   at_top imports: inner
#   onnx.checker: accepted
#   in_branch imports: ai.onnx
#   onnx.checker: No opset import for domain 'inner'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxscript==0.7.2 onnx==1.23.2
cat > "$folder/functions.py" <<'PYTHON'
import onnx
from onnxscript import opset18 as op
from onnxscript import script
from onnxscript.values import Opset

inner, outer = Opset("inner", 1), Opset("outer", 1)


@script(inner, default_opset=op)
def twice(x):
    return x + x


@script(outer, default_opset=op)
def at_top(x):
    return twice(x)


@script(outer, default_opset=op)
def in_branch(x):
    if op.ReduceMax(x, keepdims=0) > 0.0:
        y = twice(x)
    else:
        y = op.Identity(x)
    return y


context = onnx.checker.C.CheckerContext()
context.ir_version, context.opset_imports = 10, {"": 18, "inner": 1, "outer": 1}
for function in (at_top, in_branch):
    proto = function.to_function_proto()
    print(f"{function.name} imports:", *sorted(one.domain or "ai.onnx" for one in proto.opset_import))
    try:
        onnx.checker.check_function(proto, context)
        print("onnx.checker: accepted")
    except onnx.checker.ValidationError as error:
        print("onnx.checker:", str(error).split("\n")[0])
PYTHON
found=$("$folder/venv/bin/python" "$folder/functions.py")
echo "$found"
[ "$found" = "at_top imports: inner
onnx.checker: accepted
in_branch imports: ai.onnx
onnx.checker: No opset import for domain 'inner'" ]
