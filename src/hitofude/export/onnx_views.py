"""Test-time augmentation as ONNX functions: an image is seen again, shifted up, down, left and right.

onnxscript writes them from the Python functions below, as in hitofude.export.onnx_graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hitofude.recipe import TtaRecipe

OPSET = 19
"""The middle of 2023; onnxruntime reads it from 1.15 on. ONNX's own evaluator knows eight bits
from this opset on (findings/onnx-evaluator-has-no-old-dequantize.sh)."""

DOMAIN = "hitofude"
"""Of the model's own functions."""


@dataclass(frozen=True)
class _Shifts:
    """The places of the shifted images within one that has margins of `shift` pixels on each side: rows, columns."""

    shift: int
    size: tuple[int, int]  # (H, W)

    @property
    def margins(self) -> list[int]:
        return [0, 0, self.shift, self.shift] * 2

    def place(self, rows: int, columns: int) -> tuple[list[int], list[int]]:
        """Return the start and the end of the image that is moved by -1, 0 or 1 shifts down and to the right."""
        start = [self.shift * (1 - rows), self.shift * (1 - columns)]
        return start, [first + length for first, length in zip(start, self.size, strict=True)]


def see_unclear_again(look: Any, image_shape: Sequence[int], sizes: tuple[int, int], tta: TtaRecipe) -> Any:
    """Return a function of pixels (N, C, H, W) and the networks' answers to them, (N, members, classes) → the same.

    An image that is unclear to any member is seen again, shifted up, down, left and right; the result of each member to
    which it is unclear is the mean of the five. look: the operator of the networks. sizes: members, classes.
    """
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    shifts, threshold = _Shifts(tta.shift, (image_shape[1], image_shape[2])), tta.threshold
    margins, sides = shifts.margins, [2, 3]
    (up, up_end), (down, down_end) = shifts.place(-1, 0), shifts.place(1, 0)
    (left, left_end), (right, right_end) = shifts.place(0, -1), shifts.place(0, 1)
    axis_of_shifts, axis_of_classes, all_but_images = [0], [2], [1, 2]
    by_shift = [4, -1, *sizes]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def see_again(pixels, first):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        is_unclear = op.ReduceMax(first, axis_of_classes) < threshold
        unclear_to_any = op.ReduceMax(op.Cast(is_unclear, to=7), all_but_images, keepdims=0)
        rows = op.Transpose(op.NonZero(unclear_to_any))
        if op.Size(rows) > 0:
            padded = op.Pad(op.GatherND(pixels, rows), margins)
            moved_up = op.Slice(padded, up, up_end, sides)
            moved_down = op.Slice(padded, down, down_end, sides)
            moved_left = op.Slice(padded, left, left_end, sides)
            moved_right = op.Slice(padded, right, right_end, sides)
            seen_again = look(op.Concat(moved_up, moved_down, moved_left, moved_right, axis=0))
            sum_of_four = op.ReduceSum(op.Reshape(seen_again, by_shift), axis_of_shifts, keepdims=0)
            before = op.GatherND(first, rows)
            after = op.Where(op.GatherND(is_unclear, rows), (before + sum_of_four) / 5.0, before)
            result = op.ScatterND(first, rows, after)
        else:
            result = op.Identity(first)
        return result

    return see_again


def see_all_again(look: Any, image_shape: Sequence[int], sizes: tuple[int, int], tta: TtaRecipe) -> Any:
    """Return that function without a branch: each image is seen five times, and clear ones keep the first result."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    shifts, threshold = _Shifts(tta.shift, (image_shape[1], image_shape[2])), tta.threshold
    margins, sides = shifts.margins, [2, 3]
    (up, up_end), (down, down_end) = shifts.place(-1, 0), shifts.place(1, 0)
    (left, left_end), (right, right_end) = shifts.place(0, -1), shifts.place(0, 1)
    axis_of_views, axis_of_classes = [0], [2]
    by_view = [4, -1, *sizes]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def see_again(pixels, first):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        padded = op.Pad(pixels, margins)
        moved_up = op.Slice(padded, up, up_end, sides)
        moved_down = op.Slice(padded, down, down_end, sides)
        moved_left = op.Slice(padded, left, left_end, sides)
        moved_right = op.Slice(padded, right, right_end, sides)
        seen_again = op.Reshape(look(op.Concat(moved_up, moved_down, moved_left, moved_right, axis=0)), by_view)
        mean = (first + op.ReduceSum(seen_again, axis_of_views, keepdims=0)) / 5.0
        return op.Where(op.ReduceMax(first, axis_of_classes) < threshold, mean, first)

    return see_again
