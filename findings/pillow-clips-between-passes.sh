#!/usr/bin/env bash
# Pillow 13.0.0: a picture of bytes resized with BICUBIC is not the rounded result of the same picture in floats.
#
# Source: Pillow 13.0.0 from PyPI, src/libImaging/Resample.c.
# Expected: resizing mode "L" equals resizing mode "F", rounded and clipped to 0..255 at the end.
# Found: the picture is resized in two passes, across and then down. Between them the values of bytes are rounded and
# clipped, so what the cubic kernel overshoots at an edge in the first pass is lost to the second. A white square of 4x4
# in 12x12 pixels, enlarged to 64x64, differs by up to 15 of 255; floats clipped between two passes are the bytes again.
# A network that learned from pictures resized as bytes sees other corners in floats.
# Way out: one way of resizing for training and prediction; floats if the exact result of the kernel is meant.
# Output seen (Python 3.11, NumPy 2.4.6):
#   bytes against floats: up to 15
#   bytes against floats clipped between the passes: up to 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
found=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from PIL import Image

CUBIC = Image.Resampling.BICUBIC
square = np.pad(np.full((4, 4), 255, dtype=np.uint8), 4)


def resized(pixels, size):
    return np.asarray(Image.fromarray(pixels).resize(size, CUBIC))


bytes_at_once = resized(square, (64, 64)).astype(np.float64)
floats = resized(square.astype(np.float32), (64, 64)).clip(0, 255)
across = resized(square.astype(np.float32), (64, 12)).round().clip(0, 255)
in_two_passes = resized(across, (64, 64)).clip(0, 255)
print(f"bytes against floats: up to {np.abs(bytes_at_once - floats).max():.0f}")
print(f"bytes against floats clipped between the passes: up to {np.ceil(np.abs(bytes_at_once - in_two_passes).max()):.0f}")
PYTHON
)
echo "$found"
[ "$found" = "bytes against floats: up to 15
bytes against floats clipped between the passes: up to 1" ]
