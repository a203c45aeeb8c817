"""The ground behind transparent pixels: white, or black if white would hide the ink; the same for all pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.look import WHITE

if TYPE_CHECKING:
    from PIL import Image

BLACK, OPAQUE = 0, 255
HIDING = 4
"""A ground hides a picture if the picture has this many times the contrast on the other one."""
MOST_HIDDEN = 0.02
"""The share of transparent pictures that the ground which suits the others may hide."""


def choose_ground(hidden_on: Sequence[tuple[int, ...] | None], name: str, wanted: int | None) -> int | None:
    """Return the grey to put behind all transparent pixels; None if there are none.

    hidden_on: the grounds that hide each picture, as put_on_ground finds them. name: the first picture, for messages.
    wanted: the ground of the training images. Raise InputError for pictures that would vanish on it, or, without it,
    of which some would vanish on either ground.
    """
    hidden = [grounds for grounds in hidden_on if grounds is not None]
    if not hidden:
        return None
    on_white, on_black = (sum(grounds == (ground,) for grounds in hidden) for ground in (WHITE, BLACK))
    if wanted is not None:
        if 2 * (on_white if wanted == WHITE else on_black) > len(hidden):
            ground = "white" if wanted == WHITE else "black"
            raise InputError(
                f"{name}: its ink cannot be seen on {ground}, which is behind the training images. Save the pictures "
                "to predict on an opaque ground like theirs."
            )
        return wanted
    if min(on_white, on_black) > MOST_HIDDEN * len(hidden):
        raise InputError(
            f"{name} and others: of {len(hidden):,} pictures with transparent pixels, {on_white:,} cannot be seen on "
            f"white and {on_black:,} cannot be seen on black. Save them on a ground that contrasts with their ink."
        )
    return BLACK if on_white > on_black else WHITE


def put_on_ground(picture: "Image.Image", behind: int) -> "tuple[Image.Image, tuple[int, ...] | None]":
    """Convert to grey or to RGB, eight bits a channel, and say which grounds, white or black, hide it.

    behind: the grey put behind transparent pixels. Return None for the grounds if there are no such pixels.
    """
    if not picture.has_transparency_data:
        return picture.convert("L" if picture.mode in ("1", "L") else "RGB"), None
    whole = picture.convert("RGBA")
    if int(np.asarray(whole)[:, :, 3].min()) == OPAQUE:
        return whole.convert("RGB"), None
    flat = {ground: _laid_on(whole, ground) for ground in (WHITE, BLACK)}
    contrast = {ground: int(np.ptp(np.asarray(seen), axis=(0, 1)).max()) for ground, seen in flat.items()}
    hidden_on = (ground for ground in flat if HIDING * contrast[ground] < contrast[WHITE - ground])
    return flat[behind], tuple(hidden_on)


def _laid_on(picture: "Image.Image", grey: int) -> "Image.Image":
    """Put a grey behind a picture in RGBA; return RGB."""
    from PIL import Image

    ground = Image.new("RGBA", picture.size, (grey, grey, grey, 255))
    ground.alpha_composite(picture)
    return ground.convert("RGB")
