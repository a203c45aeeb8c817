"""hitofude import-chainer."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import app, tell, this_command


@app.command
def import_chainer(
    models: Annotated[tuple[Path, ...], Parameter(negative=())], /, *, run: Path, shape: str | None = None
) -> None:
    """Make a run folder from the Chainer tutorial's own files, to predict with.

    Reads the tutorial's network, CNNMedium, as written by save_npz, alone or in an
    L.Classifier, or in a trainer's snapshot (snapshot_iter_N). Several files make
    an ensemble. The probabilities are the same as Chainer's. Chainer is not needed,
    and nothing in the files is executed.

    The accuracy of the networks is not known: such a folder has no report, and
    nothing to audit, compare or calibrate by.

    For example:
      hitofude import-chainer cnn_model.npz --run runs/tutorial
      hitofude import-chainer result/snapshot_iter_42000 --run runs/tutorial
      hitofude import-chainer fold_*.npz --run runs/folds
      hitofude predict runs/folds test.csv --out predictions.csv

    Parameters
    ----------
    models
        The files, one for each member.
    run
        A new or empty folder.
    shape
        HEIGHTxWIDTH of the networks' images, if it is not 28x28.
    """
    from hitofude.inputs.layout import parse_shape
    from hitofude.runs.chainer_import import describe_import
    from hitofude.runs.chainer_import import import_chainer as import_files

    summary = import_files(models, run, shape=parse_shape(shape), command=this_command())
    tell(describe_import(summary, run))
