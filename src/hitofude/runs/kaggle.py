"""Submitting a finished run to Kaggle."""

from pathlib import Path

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.duplicates import WHY_NOT_MNIST
from hitofude.inputs.remote.kaggle_client import SITE, submit_file
from hitofude.inputs.remote.public_data import PUBLIC_DATA
from hitofude.inputs.sources import SAMPLE
from hitofude.runs.folder import RunFolder


def submit_run(run: Path, message: str | None = None, competition: str | None = None) -> str:
    """Submit the run's submission.csv; return Kaggle's answer, and the page that shows the score.

    message: None for the expected score. competition: None for the run's source, which is named after the competition
    if it is the zip from Kaggle.

    Raises RunFolderError if the run is not finished or has no submission, InputError if its source does not belong to a
    competition, and everything that submit_file raises.
    """
    folder = RunFolder(run)
    folder.load_recipe()
    summary, source = folder.load_summary(), folder.load_data().source
    if not folder.submission.exists():
        raise RunFolderError(f"{run} has no {folder.submission.name}: its source has no images to predict.")
    if source in (SAMPLE, *PUBLIC_DATA):
        raise InputError(
            f"{run} learned from '{source}', and predicted its test images, which do not belong to a competition. "
            f"{WHY_NOT_MNIST if source in (SAMPLE, 'mnist') else 'Train on the files of the competition.'} "
            "Fetch them with: hitofude data kaggle"
        )
    name = competition or source
    expected = summary.out_of_fold if summary.estimate is None else summary.estimate
    answer = submit_file(folder.submission, message or f"hitofude, {folder.path.name}: {expected}", name)
    return f"{answer}\nThe score appears on {SITE}/competitions/{name}/submissions; expected: {expected}"
