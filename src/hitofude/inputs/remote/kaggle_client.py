"""Kaggle's own client (package kaggle, version 2), with errors that say what to click and where to put the file.

Importing the package authenticates, prints, and calls exit(); all of that is kept inside here. It speaks with
api.kaggle.com, and with the storage that Kaggle names.
"""

import io
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from hitofude.errors import InputError
from hitofude.inputs.formats.archive import list_members, reading
from hitofude.storage import explaining_os_errors, sync_folder

SITE = "https://www.kaggle.com"
REFUSED = {
    401: "Kaggle does not accept your token. Make a new one: {token}",
    403: "Kaggle forbids it ({said}). Open {site}/competitions/{name}/rules, accept the rules, and run this command "
    "again. If you have: is '{name}' its name, is it closed, does Kaggle want your phone number?",
    404: "Kaggle has no competition '{name}' ({said}). Its name is the last part of its address, as in "
    "{site}/competitions/digit-recognizer",
    429: "Kaggle has had enough requests for now ({said}). Wait, and run this command again.",
}
TOKEN = (
    f"on {SITE}/settings/api click 'Generate New Token', and put it into the file {{file}} "
    "(or into the variable KAGGLE_API_TOKEN). A kaggle.json of older days works, too."
)

logger = logging.getLogger(__name__)


def fetch_competition(competition: str, folder: Path) -> Path:
    """COMPETITION.zip in the folder, fetched where it is not there yet; it appears there whole or not at all.

    What has arrived of a download that was cut off is kept in a hidden folder beside it, and continued.

    Raises InputError where the package, the credentials, the acceptance of the rules, the competition or the network is
    missing, and when what arrives is no zip.
    """
    _check_name(competition)
    path = folder / f"{competition}.zip"
    if path.exists():
        _check_zip(path)
        return path
    unfinished = folder / f".{competition}.download"
    with explaining_os_errors(unfinished), _speaking_with_kaggle(competition) as client:
        client.competition_download_files(competition, path=str(unfinished), quiet=not sys.stderr.isatty())
    try:
        _check_zip(unfinished / path.name)
    except InputError:
        shutil.rmtree(unfinished)
        raise
    with explaining_os_errors(path):
        with (unfinished / path.name).open("ab") as stream:
            os.fsync(stream.fileno())
        (unfinished / path.name).replace(path)
        sync_folder(folder)
        shutil.rmtree(unfinished)
    return path


def submit_file(path: Path, message: str, competition: str) -> str:
    """Submit a CSV; what Kaggle says of it.

    Raises InputError as fetch_competition does, and when Kaggle does not take it.
    """
    _check_name(competition)
    with _speaking_with_kaggle(competition) as client:
        said = io.StringIO()
        with redirect_stdout(said):
            answer = client.competition_submit(str(path), message, competition, quiet=True)
    if answer.message == client.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        why = _without_queries(said.getvalue().strip()) or "Kaggle's storage did not take it"
        raise InputError(f"{path} could not be uploaded: {why}. Run this command again.")
    if not answer.ref and not str(answer.message).startswith("Successfully"):
        raise InputError(f"Kaggle did not take the submission: {answer.message or 'it does not say why'}.")
    return str(answer.message)


def _check_name(competition: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", competition):
        raise InputError(
            f"'{competition}' is no competition's name. It is the last part of the address, as digit-recognizer in "
            f"{SITE}/competitions/digit-recognizer"
        )


def _check_zip(path: Path) -> None:
    """Raises InputError when it is no zip that may be read."""
    if not path.is_file():
        raise InputError(f"{path}: what Kaggle sent is not a zip file. Is there a log-in page between you and it?")
    with reading(str(path)):
        list_members(path)


@contextmanager
def _speaking_with_kaggle(competition: str) -> Iterator[Any]:
    """The package's client, authenticated; what it prints is kept from the standard output.

    Any, for the package has no types. Raises InputError for every way in which it fails.
    """
    client = _import_client()
    from requests.exceptions import HTTPError, RequestException

    try:
        with redirect_stdout(io.StringIO()):
            _authenticate(client)
            yield client
    except HTTPError as error:
        raise InputError(_explain_refusal(error, competition)) from None
    except RequestException as error:
        raise InputError(
            f"Kaggle cannot be reached ({_without_queries(error)}). Are you connected to the internet?"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"Kaggle's answer is not what was expected ({error}). Run this command again.") from None


def _import_client() -> Any:
    """An unauthenticated client. Raises InputError when the package is not there or cannot be used."""
    try:
        with redirect_stdout(io.StringIO()):
            from kaggle.api.kaggle_api_extended import KaggleApi

            return KaggleApi()
    except ImportError as error:
        raise InputError(f"The package kaggle is needed ({error}): pip install 'hitofude[kaggle]'") from None
    except OSError as error:
        raise InputError(
            f"The package kaggle cannot write its folder: {error}. Name one with KAGGLE_CONFIG_DIR."
        ) from None


def _authenticate(client: Any) -> None:
    try:
        client.authenticate()
    except SystemExit:
        raise InputError(f"Kaggle must know who you are: {_how_to_get_a_token()}") from None


def _how_to_get_a_token() -> str:
    return TOKEN.format(file=Path.home() / ".kaggle" / "access_token")


def _explain_refusal(error: Any, competition: str) -> str:
    """error: the package's HTTPError."""
    code = 0 if error.response is None else error.response.status_code
    said = _without_queries(error).rstrip(".")
    logger.info("Kaggle answered %s: %s", code, said)
    known = REFUSED.get(code, "Kaggle refused it with {code}: {said}")
    return known.format(code=code, said=said, name=competition, site=SITE, token=_how_to_get_a_token())


def _without_queries(text: object) -> str:
    """Addresses cut at their question mark: what follows may be a signature that opens Kaggle's storage."""
    return re.sub(r"\?[^\s'\")]+", "?…", str(text))
