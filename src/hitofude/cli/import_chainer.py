"""What was trained elsewhere."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import app, parse_shape, this_command


@app.command
def import_chainer(
    models: Annotated[tuple[Path, ...], Parameter(negative=())], /, *, run: Path, shape: str | None = None
) -> None:
    """Make a run folder from the Chainer tutorial's own files, to predict with.

    Takes the tutorial's network, CNNMedium, as save_npz wrote it, by itself or in
    an L.Classifier, or a trainer's snapshot (snapshot_iter_N). Several files make
    an ensemble of that many members. The probabilities are Chainer's. Chainer is
    not needed, and nothing in the files is executed.

    How good the networks are is not known here: such a folder has no report, and
    nothing to audit or to compare.

    For example:
      hitofude import-chainer cnn_model.npz --run runs/tutorial
      hitofude import-chainer result/snapshot_iter_42000 --run runs/tutorial
      hitofude import-chainer fold_*.npz --run runs/folds
      hitofude predict runs/folds test.csv --out predictions.csv

    Parameters
    ----------
    models
        The files; each is a member.
    run
        A new or empty folder.
    shape
        HEIGHTxWIDTH of the images that the networks take, where that is not 28x28.
    """
    from hitofude.runs.chainer_import import describe_import
    from hitofude.runs.chainer_import import import_chainer as import_files

    summary = import_files(models, run, shape=parse_shape(shape), command=this_command())
    print(describe_import(summary, run))
