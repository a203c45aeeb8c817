"""Kaggle's server on the loopback address, for Kaggle's own package, whose table of addresses is patched."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import loopback
from tests.loopback import Answer, Handler, Server, saying, status

SERVICE = "/v1/competitions.CompetitionApiService"
DOWNLOAD, START, CREATE = (
    f"{SERVICE}/DownloadDataFiles",
    f"{SERVICE}/StartSubmissionUpload",
    f"{SERVICE}/CreateSubmission",
)
STORED, UPLOAD = "/storage/digit-recognizer.zip", "/storage/upload"
TAKEN = {"message": "Successfully submitted to Digit Recognizer", "ref": 7}

leaving_connections_open = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
"""The package leaves sockets open."""


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train.csv", "label,pixel0\n" + "1,2\n" * 500_000)
    return content.getvalue()


ZIP = zipped()


def introspect(handler: Handler) -> None:
    is_ours = json.loads(handler.body) == {"token": "secret"}
    saying({"active": is_ours, "username": "ana" if is_ours else ""})(handler)


def stored(content: bytes, length: int | None = None) -> Answer:
    """Answer as Kaggle's storage does; each connection ends after `length` bytes."""
    about = {"Accept_Ranges": "bytes", "ETag": '"1"', "Last_Modified": "Mon, 02 Jan 2023 00:00:00 GMT"}
    return lambda handler: handler.wfile.write(handler.begin_part(content, **about)[:length]) and None


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the package to this address."""
    environment = pytest.importorskip("kagglesdk.kaggle_env")
    monkeypatch.setitem(environment._env_to_endpoint, environment.KaggleEnv.PROD, url)


@contextmanager
def serving_kaggle(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Start Kaggle's server, with an account whose token is `secret`."""
    (home / ".kaggle").mkdir(parents=True)
    for name, value in (("HOME", str(home)), ("KAGGLE_API_TOKEN", "secret"), ("NO_PROXY", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    with loopback.serving() as server:
        server.answers = {
            "/v1/security.OAuthService/IntrospectToken": introspect,
            DOWNLOAD: status(302, Location=server.url(STORED) + "?signed=1"),
            STORED: stored(ZIP),
            START: saying({"token": "blob", "createUrl": server.url(UPLOAD)}),
            UPLOAD: status(200),
            CREATE: saying(TAKEN),
        }
        point_to(server.url(""), monkeypatch)
        yield server
