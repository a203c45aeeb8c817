#!/usr/bin/env bash
# scikit-learn 1.9.1: `log_loss` warns of float32 softmax rows once they are read back as float64, and changes the value.
#
# Source: scikit-learn 1.9.1 from PyPI, sklearn/metrics/_classification.py.
# Expected: probabilities that a network wrote in float32 are probabilities in a CSV or NPZ file, too.
# Found: the tolerance for a row's sum is the square root of the dtype's epsilon. The same numbers pass as float32
# (3.5e-4) and are warned of as float64 (1.5e-8): "The y_prob values do not sum to one." Where warnings are errors, the
# score of a file fails.
# Way out: divide the float64 rows by their sums, or read the file as float32.
# Output seen (Python 3.11, NumPy 2.4.6):
#   float32: no warning
#   float64: The y_prob values do not sum to one. Make sure to pass probabilities.
#   float64, divided by its sums: no warning
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
found=$("$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
from sklearn.metrics import log_loss

logits = np.random.default_rng(0).normal(0, 3, (1000, 10)).astype(np.float32)
powers = np.exp(logits - logits.max(axis=1, keepdims=True))
rows = powers / powers.sum(axis=1, keepdims=True)
read_back = rows.astype(np.float64)
kinds = {
    "float32": rows,
    "float64": read_back,
    "float64, divided by its sums": read_back / read_back.sum(axis=1, keepdims=True),
}
for name, probabilities in kinds.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log_loss(np.arange(1000) % 10, probabilities)
    print(f"{name}: {caught[0].message if caught else 'no warning'}")
PYTHON
)
echo "$found"
[ "$found" = "float32: no warning
float64: The y_prob values do not sum to one. Make sure to pass probabilities.
float64, divided by its sums: no warning" ]
