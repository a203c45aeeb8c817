"""Submitting a finished run to Kaggle."""

from pathlib import Path

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.leaks import WHY_NOT_MNIST
from hitofude.inputs.remote.kaggle_client import SITE, submit_file
from hitofude.inputs.remote.public_data import PUBLIC_DATA
from hitofude.inputs.sample import SAMPLE
from hitofude.runs.folder import RunFolder


def submit_run(run: Path, message: str | None = None, competition: str | None = None) -> str:
    """Submit the run's submission.csv; what Kaggle says, and where to see the score.

    message: left out, what the run expects. competition: left out, the run's source, which has the competition's name
    when it is the zip that Kaggle hands out.

    Raises RunFolderError when the run is not finished or has no submission, InputError when its source is no
    competition's, and as submit_file does.
    """
    folder = RunFolder(run)
    folder.load_recipe()
    summary, source = folder.load_summary(), folder.load_data()["source"]
    if not folder.submission.exists():
        raise RunFolderError(f"{run} has no {folder.submission.name}: its source has no images to predict.")
    if source in (SAMPLE, *PUBLIC_DATA):
        raise InputError(
            f"{run} learned from '{source}', and predicted its test images: these are no competition's. "
            f"{WHY_NOT_MNIST if source in (SAMPLE, 'mnist') else 'Train on the files of the competition.'} "
            "They are fetched by: hitofude data kaggle"
        )
    name = competition or source
    expected = summary.out_of_fold if summary.estimate is None else summary.estimate
    said = submit_file(folder.submission, message or f"hitofude, {folder.path.name}: {expected}", name)
    return f"{said}\nThe score appears on {SITE}/competitions/{name}/submissions; expected: {expected}"
