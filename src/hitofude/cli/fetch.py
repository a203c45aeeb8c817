"""Commands that use the network: fetch public data sets and Kaggle's data, submit to Kaggle."""

from pathlib import Path

from hitofude.cli.app import app, data, tell

KAGGLE_DEFAULT = "digit-recognizer"


def _add_public(name: str, contents: str) -> None:
    """Add a command that fetches a public data set."""

    def fetch(*, out: Path | None = None) -> None:
        from hitofude.inputs.remote.public_data import PUBLIC_DATA, copy_public, fetch_public

        if out is None:
            folder, source = fetch_public(name), name
        else:
            copy_public(name, out)
            folder, source = out, str(out)
        tell(f"{PUBLIC_DATA[name].about}\nfiles  {folder}\nTrain on it with: hitofude run {source}")

    fetch.__doc__ = f"""Fetch {contents} to train on, 10,000 to predict.

    The files are checked by their SHA-256 and cached, so they are fetched once.

    For example:
      hitofude data {name}
      hitofude data {name} --out my-{name}
      hitofude run {name}

    Parameters
    ----------
    out
        A folder for the four files, a source of run. By default only the cache (HITOFUDE_CACHE names another).
    """
    data.command(fetch, name=name)


_add_public("mnist", "MNIST: 60,000 handwritten digits")
_add_public("fashion-mnist", "Fashion-MNIST: 60,000 pictures of clothes")
_add_public("kmnist", "KMNIST: 60,000 cursive Japanese characters")


@data.command
def kaggle(competition: str = KAGGLE_DEFAULT, /, *, out: Path = Path()) -> None:
    """Fetch a competition's files from Kaggle as one zip file, a source of run.

    Needs the package kaggle (pip install 'hitofude[kaggle]'), an account, and that
    you have accepted the rules.

    For example:
      hitofude data kaggle
      hitofude data kaggle Kannada-MNIST --out data

    Parameters
    ----------
    competition
        The last part of the competition's address.
    out
        The folder for COMPETITION.zip.
    """
    from hitofude.inputs.remote.kaggle_client import fetch_competition

    path = fetch_competition(competition, out)
    tell(f"{path}\nTrain on it with: hitofude run {path}")


@app.command
def submit(run: Path, /, *, message: str | None = None, competition: str | None = None) -> None:
    """Submit a finished run's predictions to Kaggle.

    Needs the package kaggle (pip install 'hitofude[kaggle]') and an account, as
    `hitofude data kaggle` does.

    For example:
      hitofude submit runs/digit-recognizer-fast --message "first try"
      hitofude submit runs/best --message "best" --competition digit-recognizer

    Parameters
    ----------
    run
        The folder of a finished run.
    message
        The description that Kaggle shows beside the submission; by default, the run's expected score.
    competition
        The last part of the competition's address; by default, the name of the run's source.
    """
    from hitofude.runs.kaggle import submit_run

    tell(submit_run(run, message, competition))
