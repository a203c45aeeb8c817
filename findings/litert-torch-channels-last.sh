#!/usr/bin/env bash
# litert-torch 0.10.0: of two convolutions whose weights are in channels-last order, the second gets wrong weights, without a word.
#
# Source: litert-torch 0.10.0 and ai-edge-litert 2.3.0 from PyPI, with torch 2.13.0. channels_last is PyTorch's own memory format
# for images; a tensor has the same values in any of its orders.
# Expected: the converted model computes what the module computes, whatever the order of its weights.
# Found: with contiguous weights it does; in channels_last order the first convolution is right, and the second is not.
# Way out: clone all parameters and buffers with memory_format=torch.contiguous_format before the conversion.
# Output seen (Python 3.11):
#   contiguous: [True, True]
#   channels_last: [True, False]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 litert-torch==0.10.0 ai-edge-litert==2.3.0
cat > "$folder/order.py" <<'PYTHON'
import sys

import litert_torch
import torch
from torch import nn


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(8, 8, 3, bias=False) for _ in range(2))

    def forward(self, images):
        return self.first(images), self.second(images)


torch.manual_seed(0)
images = torch.randn(1, 8, 6, 6)
for name, order in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
    both = Both().eval().to(memory_format=order)
    with torch.no_grad():
        expected = both(images)
    found = litert_torch.convert(both, (images,))(images)
    close = [bool(abs(one - other.numpy()).max() < 1e-4) for one, other in zip(found, expected)]
    print(f"{name}: {close}", file=sys.stderr)
PYTHON
"$folder/venv/bin/python" "$folder/order.py" > /dev/null 2> "$folder/log"
found=$(grep -E "^(contiguous|channels_last): " "$folder/log")
echo "$found"
[ "$found" = "contiguous: [True, True]
channels_last: [True, False]" ]
