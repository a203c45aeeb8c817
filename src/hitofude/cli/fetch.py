"""What goes over the network: public data sets, Kaggle's data, submissions to Kaggle."""

from pathlib import Path

from hitofude.cli.app import app, data

KAGGLE_DEFAULT = "digit-recognizer"


@data.command
def mnist(*, out: Path | None = None) -> None:
    """Fetch MNIST: 60,000 handwritten digits to learn from, 10,000 to predict.

    Its files are checked by their SHA-256, and kept in the cache, so that they are fetched once.

    For example:
      hitofude data mnist
      hitofude data mnist --out my-mnist
      hitofude run mnist

    Parameters
    ----------
    out
        A folder that gets the four files, a source of run. Left out: the cache alone (HITOFUDE_CACHE names another).
    """
    _fetch_public("mnist", out)


@data.command
def fashion_mnist(*, out: Path | None = None) -> None:
    """Fetch Fashion-MNIST: 60,000 pictures of clothes to learn from, 10,000 to predict.

    Its files are checked by their SHA-256, and kept in the cache, so that they are fetched once.

    For example:
      hitofude data fashion-mnist
      hitofude data fashion-mnist --out clothes
      hitofude run fashion-mnist

    Parameters
    ----------
    out
        A folder that gets the four files, a source of run. Left out: the cache alone (HITOFUDE_CACHE names another).
    """
    _fetch_public("fashion-mnist", out)


@data.command
def kmnist(*, out: Path | None = None) -> None:
    """Fetch KMNIST: 60,000 cursive Japanese characters to learn from, 10,000 to predict.

    Its files are checked by their SHA-256, and kept in the cache, so that they are fetched once.

    For example:
      hitofude data kmnist
      hitofude data kmnist --out kuzushiji
      hitofude run kmnist

    Parameters
    ----------
    out
        A folder that gets the four files, a source of run. Left out: the cache alone (HITOFUDE_CACHE names another).
    """
    _fetch_public("kmnist", out)


@data.command
def kaggle(competition: str = KAGGLE_DEFAULT, /, *, out: Path = Path()) -> None:
    """Fetch a competition's files from Kaggle, as one zip, which is a source of run.

    Needs the package kaggle (pip install 'hitofude[kaggle]'), an account, and that you accepted the rules.

    For example:
      hitofude data kaggle
      hitofude data kaggle Kannada-MNIST --out data

    Parameters
    ----------
    competition
        The last part of the competition's address.
    out
        The folder that gets COMPETITION.zip.
    """
    from hitofude.inputs.remote.kaggle_client import fetch_competition

    path = fetch_competition(competition, out)
    print(f"{path}\nTrain on it with: hitofude run {path}")


@app.command
def submit(run: Path, /, *, message: str | None = None, competition: str | None = None) -> None:
    """Submit a finished run's predictions to Kaggle.

    Needs the package kaggle (pip install 'hitofude[kaggle]') and an account, as `hitofude data kaggle` does.

    For example:
      hitofude submit runs/digit-recognizer-fast --message "first try"
      hitofude submit runs/best --message "best preset" --competition digit-recognizer

    Parameters
    ----------
    run
        The folder of a finished run.
    message
        What Kaggle shows beside the submission; by default, what the run expects of it.
    competition
        The last part of the competition's address; by default, the name of the run's source.
    """
    from hitofude.runs.kaggle import submit_run

    print(submit_run(run, message, competition))


def _fetch_public(name: str, out: Path | None) -> None:
    from hitofude.inputs.remote.public_data import PUBLIC_DATA, copy_public, fetch_public

    if out is None:
        folder, source = fetch_public(name), name
    else:
        copy_public(name, out)
        folder, source = out, str(out)
    print(f"{PUBLIC_DATA[name].about}\nfiles  {folder}\nTrain on it with: hitofude run {source}")
