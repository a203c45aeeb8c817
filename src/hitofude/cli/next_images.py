"""`hitofude next`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hitofude.cli.app import Device, Plugins, app, check_device, tell
from hitofude.cli.logs import is_quiet
from hitofude.errors import InputError, RecipeError
from hitofude.language.translation import say, say_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hitofude.cli.run_again import RunAgain
    from hitofude.prediction.worth_labelling import Choice
    from hitofude.runs.result import RunResult


@app.command(name="next")
def next_images(
    run: Path,
    pool: Path,
    /,
    *,
    count: int = 200,
    out: Path = Path("to-label"),
    label: str | None = None,
    shape: str | None = None,
    scale: str | None = None,
    transpose: bool | None = None,
    device: Device = "auto",
    plugin: Plugins = (),
) -> None:
    """Choose from unlabelled images those worth labelling next.

    They are unclear to the run's networks, and not all of the same kind. Images
    that the run learned from are left out. The same run and pool give the same
    images. hitofude review labels them, and hitofude run --add trains on them
    beside the run's own.

    For example:
      hitofude next runs/my-folder-fast unlabelled.csv
      hitofude next runs/my-folder-fast pictures --shape 32x32 --count 50
      hitofude review to-label --open
      hitofude run my-folder --add to-label

    Parameters
    ----------
    run
        The folder of a finished run.
    pool
        The unlabelled images: a file, a folder of pictures, or the test images of a zip or another folder.
    count
        The number of images to choose, the one most worth a label first.
    out
        A new folder for the list, next.csv, and the images.
    label
        The name of a label column to ignore, if it is neither `label` nor that of the training files.
    shape
        As for predict.
    scale
        As for predict.
    transpose
        As for predict.
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    plugin
        As for predict.
    """
    from hitofude.inputs.layout import parse_shape
    from hitofude.inputs.scale import parse_scale
    from hitofude.inputs.to_label import FORMAT_VERSION, ToLabel, ToLabelDescription
    from hitofude.learning.plugins import load_plugins
    from hitofude.prediction.worth_labelling import choose_images
    from hitofude.runs.result import load_result

    if count < 1:
        raise RecipeError(f"--count {count}: expected a number from 1 up.")
    check_device(device)
    to_label, result = ToLabel(out), load_result(run)
    to_label.check_is_new()
    load_plugins(plugin)
    again, known = _source_of(result)
    how = {"label": label, "shape": parse_shape(shape), "scale": parse_scale(scale)}
    choice = choose_images(run, pool, count, known=known, device=device, transpose=transpose, **how)
    scale_of_run = result.folder.load_data().pixels.scale
    command = None if again is None else again.command("--add", str(out))
    to_label.write(
        choice.chosen, ToLabelDescription(FORMAT_VERSION, str(run), str(pool), result.classes, scale_of_run, command)
    )
    tell(_describe(choice, out))


def _source_of(result: "RunResult") -> "tuple[RunAgain, NDArray[np.uint8]] | tuple[None, None]":
    """Return how the run is made again, and its images; None, and say so, if its source cannot be read."""
    from hitofude.cli.run_again import run_again
    from hitofude.runs.review_queue import training_images

    try:
        again = run_again(result)
        return again, training_images(result, again.open()).images
    except InputError:
        if not is_quiet():
            text = say("the run's own images cannot be read here, so any that are in the pool may be chosen")
            tell(say("note: {text}", text=text), sys.stderr)
        return None, None


def _describe(choice: "Choice", out: Path) -> str:
    chosen = say_count(len(choice.chosen.ids), "image")
    text = say("{chosen} of {pool:,} chosen, written to {folder}", chosen=chosen, pool=choice.pool, folder=out)
    if choice.known or choice.copies:
        text += say(
            "; {known:,} known to the run and {copies:,} copies left out", known=choice.known, copies=choice.copies
        )
    return f"{text}\n{say('label them with')}\n  {shlex.join(['hitofude', 'review', str(out), '--open'])}"
