"""hitofude card."""

from pathlib import Path

from hitofude.cli.app import app, tell


@app.command
def card(run: Path, /, *, out: Path | None = None) -> None:
    """Write a run's model card, as the Hugging Face Hub reads it.

    Markdown with YAML in front: the data and its fingerprint, how rows were held
    out, out-of-fold figures with their intervals, each class, known failures, the
    recipe and the cost of training. Intended use and licence are left to fill in.

    For example:
      hitofude card runs/sample-fast
      hitofude card runs/sample-fast --out model-card.md

    Parameters
    ----------
    run
        The folder of a finished run.
    out
        The file, by default README.md in the run's folder. A file that exists is left alone.
    """
    from hitofude.language.translation import say
    from hitofude.runs.model_card import write_model_card

    path = write_model_card(run, out)
    tell(say("{path}: fill in the intended use and the licence, marked “Fill in”", path=path))
