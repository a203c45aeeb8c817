"""The accuracy of a submission."""

from pathlib import Path

from hitofude.cli.app import app


@app.command
def score(submission: Path, solution: Path, /) -> None:
    """Compare a submission with the true labels: accuracy and its 95 % interval.

    Both are CSV files with a header, the id in the first column and the label in
    the second.

    For example:
      hitofude score runs/sample-fast/submission.csv solution.csv
    """
    from hitofude.outputs.submission import score as score_submission

    print(f"accuracy {score_submission(submission, solution)}")
