"""Kaggle's own client (package kaggle, version 2), with errors that name the next step.

Importing the package authenticates, prints and may call exit(); this module contains all of that. The client connects
to api.kaggle.com and to the storage that Kaggle names.
"""

import io
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from hitofude.errors import InputError, install_command
from hitofude.inputs.formats.archive import list_members, reading
from hitofude.storage import explaining_os_errors

SITE = "https://www.kaggle.com"
TOKEN = (
    f"on {SITE}/settings/api click 'Generate New Token', and put it into the file {{file}} "
    "(or into the variable KAGGLE_API_TOKEN). An older kaggle.json works, too."
)
REFUSALS = {
    401: f"Kaggle does not accept your token. Make a new one: {TOKEN}",
    403: "Kaggle forbids it ({reason}). Open {site}/competitions/{name}/rules, accept the rules, and run this command "
    "again. If you have accepted them, check that '{name}' is the right name, that the competition is open, and that "
    "Kaggle does not ask for your phone number.",
    404: "Kaggle has no competition '{name}' ({reason}). The name is the last part of the address, as in "
    "{site}/competitions/digit-recognizer",
    429: "Kaggle has received too many requests ({reason}). Wait, and run this command again.",
}

logger = logging.getLogger(__name__)


def fetch_competition(competition: str, folder: Path) -> Path:
    """Return COMPETITION.zip in the folder, downloaded if it is missing; it appears complete or not at all.

    An interrupted download stays in a hidden folder beside it and is resumed by the next call.

    Raises InputError if the package, the credentials, the accepted rules, the competition or the network is missing, or
    if the download is not a zip file.
    """
    _check_name(competition)
    path = folder / f"{competition}.zip"
    if path.exists():
        _check_zip(path)
        return path
    unfinished = folder / f".{competition}.download"
    with explaining_os_errors(unfinished), _kaggle_client(competition) as client:
        client.competition_download_files(competition, path=str(unfinished), quiet=not sys.stderr.isatty())
    try:
        _check_zip(unfinished / path.name)
    except InputError:
        shutil.rmtree(unfinished)
        raise
    with explaining_os_errors(path):
        (unfinished / path.name).replace(path)
        shutil.rmtree(unfinished)
    return path


def submit_file(path: Path, message: str, competition: str) -> str:
    """Submit a CSV and return Kaggle's answer.

    Raises InputError as fetch_competition does, and if Kaggle does not accept the submission.
    """
    _check_name(competition)
    with _kaggle_client(competition) as client, redirect_stdout(io.StringIO()) as output:
        answer = client.competition_submit(str(path), message, competition, quiet=True)
    if answer.message == client.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
        reason = _without_queries(output.getvalue().strip()) or "Kaggle's storage did not accept it"
        raise InputError(f"{path} could not be uploaded: {reason}. Run this command again.")
    if not answer.ref and not str(answer.message).startswith("Successfully"):
        raise InputError(f"Kaggle did not accept the submission: {answer.message or 'it gives no reason'}.")
    return str(answer.message)


def _check_name(competition: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", competition):
        raise InputError(
            f"'{competition}' is not a competition's name. It is the last part of the address, as digit-recognizer in "
            f"{SITE}/competitions/digit-recognizer"
        )


def _check_zip(path: Path) -> None:
    """Raise InputError if the path does not hold a readable zip file."""
    if not path.is_file():
        raise InputError(f"{path}: Kaggle did not send a zip file. Does your network require a log-in page?")
    with reading(str(path)):
        list_members(path)


@contextmanager
def _kaggle_client(competition: str) -> Iterator[Any]:
    """Open the package's client (it has no types), authenticated and kept from printing to the standard output.

    Raises InputError for each of its failures.
    """
    client = _import_client()
    from requests.exceptions import HTTPError, RequestException

    try:
        with redirect_stdout(io.StringIO()):
            client.authenticate()
            yield client
    except SystemExit:  # without credentials
        raise InputError(f"Kaggle needs your token: {TOKEN.format(file=_token_file())}") from None
    except HTTPError as error:
        raise InputError(_explain_refusal(error, competition)) from None
    except RequestException as error:
        raise InputError(
            f"Kaggle cannot be reached ({_without_queries(error)}). Check your connection to the internet."
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"Kaggle's answer has an unexpected form ({error}). Run this command again.") from None


def _import_client() -> Any:
    """Return an unauthenticated client. Raises InputError if the package is missing or cannot be used."""
    try:
        with redirect_stdout(io.StringIO()):
            from kaggle.api.kaggle_api_extended import KaggleApi

            return KaggleApi()
    except ImportError as error:
        raise InputError(f"The package kaggle is needed ({error}): {install_command('kaggle')}") from None
    except OSError as error:
        raise InputError(
            f"The package kaggle cannot write its folder: {error}. Name one with KAGGLE_CONFIG_DIR."
        ) from None


def _token_file() -> Path:
    return Path.home() / ".kaggle" / "access_token"


def _explain_refusal(error: Any, competition: str) -> str:
    """error: the package's HTTPError."""
    code = 0 if error.response is None else error.response.status_code
    reason = _without_queries(error).rstrip(".")
    logger.info("Kaggle answered %s: %s", code, reason)
    message = REFUSALS.get(code, "Kaggle refused it with {code}: {reason}")
    return message.format(code=code, reason=reason, name=competition, site=SITE, file=_token_file())


def _without_queries(text: object) -> str:
    """Cut addresses at their question mark: a signature that gives access to Kaggle's storage may follow."""
    return re.sub(r"\?[^\s'\")]+", "?…", str(text))
