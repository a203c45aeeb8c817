"""Kaggle's own package, with a server on the loopback address that answers as Kaggle's does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.remote.kaggle_client import fetch_competition, submit_file
from tests import loopback
from tests.kaggle_server import (
    CREATE,
    DOWNLOAD,
    START,
    STORED,
    TAKEN,
    UPLOAD,
    ZIP,
    leaving_connections_open,
    point_to,
    stored,
)
from tests.loopback import Answer, Handler, Server, saying, status

pytestmark = leaving_connections_open
RULES = {"code": 403, "message": "You must accept this competition's rules before you'll be able to download files."}
MIB = 1 << 20  # the package writes that much at once


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    path.write_text("ImageId,Label\n1,7\n")
    return path


def test_a_competitions_zip_is_fetched_once_and_nothing_else_is_left(kaggle: Server, tmp_path: Path) -> None:
    path = fetch_competition("digit-recognizer", tmp_path / "out")
    assert path.read_bytes() == ZIP
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["digit-recognizer.zip"]
    asked = len(kaggle.requests)
    assert fetch_competition("digit-recognizer", tmp_path / "out") == path
    assert len(kaggle.requests) == asked


def test_an_interrupted_download_is_resumed(kaggle: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the package waits for minutes in all
    first, then = stored(ZIP, MIB + 1000), status(503)
    kaggle.answers[STORED] = lambda handler: (then if handler.asked_from() else first)(handler)
    with pytest.raises(InputError, match="503") as error:
        fetch_competition("digit-recognizer", tmp_path)
    assert "signed" not in str(error.value), "signatures are not shown"
    assert not (tmp_path / "digit-recognizer.zip").exists()
    kaggle.answers[STORED] = stored(ZIP)
    assert fetch_competition("digit-recognizer", tmp_path).read_bytes() == ZIP
    assert kaggle.ranges(STORED)[-1] == f"bytes={MIB}-"


def test_a_page_instead_of_a_zip_is_deleted(kaggle: Server, tmp_path: Path) -> None:
    kaggle.answers[STORED] = stored(b"<html>log in</html>")
    with pytest.raises(InputError, match="not a zip"):
        fetch_competition("digit-recognizer", tmp_path)
    kaggle.answers[DOWNLOAD] = stored(b"<html>log in</html>")
    with pytest.raises(InputError, match="did not send a zip file"):
        fetch_competition("digit-recognizer", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]


def test_a_damaged_zip_in_the_folder_is_named(kaggle: Server, tmp_path: Path) -> None:
    path = tmp_path / "digit-recognizer.zip"
    path.write_bytes(ZIP[:-30])
    with pytest.raises(InputError, match=r"digit-recognizer\.zip.*not a zip file"):
        fetch_competition("digit-recognizer", tmp_path)
    path.write_bytes(ZIP[-22:])
    with pytest.raises(InputError, match="damaged"):
        fetch_competition("digit-recognizer", tmp_path)


def test_a_submission_is_uploaded_with_its_message(kaggle: Server, submission: Path) -> None:
    received: dict[str, bytes] = {}

    def taken(handler: Handler) -> None:
        received[handler.path] = handler.body
        status(200)(handler)

    def created(handler: Handler) -> None:
        received[handler.path] = handler.body
        saying(TAKEN)(handler)

    kaggle.answers |= {UPLOAD: taken, CREATE: created}
    assert submit_file(submission, "first try", "digit-recognizer") == TAKEN["message"]
    assert received[UPLOAD] == submission.read_bytes()
    assert json.loads(received[CREATE]) == {
        "competitionName": "digit-recognizer", "blobFileTokens": "blob", "submissionDescription": "first try",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (saying(RULES, 403), "kaggle.com/competitions/digit-recognizer/rules"),
        (saying({"code": 404, "message": "Not found"}, 404), "no competition 'digit-recognizer'"),
        (
            saying({"code": 401, "message": "Unauthenticated"}, 401),
            "Make a new one: on https://www.kaggle.com/settings/api",
        ),
        (saying({"code": 429, "message": "Too many requests"}, 429), "Wait, and run"),
        (status(503), "503"),
    ],
)
def test_a_refusal_is_explained_with_the_page_to_open(
    answer: Answer, message: str, kaggle: Server, submission: Path, tmp_path: Path
) -> None:
    kaggle.answers |= {DOWNLOAD: answer, START: answer}
    with pytest.raises(InputError) as of_download:
        fetch_competition("digit-recognizer", tmp_path)
    with pytest.raises(InputError) as of_submission:
        submit_file(submission, "", "digit-recognizer")
    assert message in str(of_download.value)
    assert message in str(of_submission.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({CREATE: saying({"code": 400, "message": "used its daily Submission allowance (5)"}, 400)}, "allowance"),
        ({CREATE: saying({"message": "You have no submissions left today", "ref": 0})}, "no submissions left today"),
        ({UPLOAD: status(500)}, "could not be uploaded"),
        ({START: loopback.without_ranges(b"<html>")}, "unexpected form"),
    ],
)
def test_a_submission_that_is_not_accepted_is_an_error(
    changed: dict[str, Answer], message: str, kaggle: Server, submission: Path
) -> None:
    kaggle.answers |= changed
    with pytest.raises(InputError, match=message):
        submit_file(submission, "", "digit-recognizer")


@pytest.mark.parametrize("token", [None, "of-somebody-else"])
def test_without_a_valid_token_the_error_says_how_to_get_one(
    token: str | None,
    kaggle: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN") if token is None else monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    with pytest.raises(InputError, match=r"Generate New Token.*\.kaggle/access_token"):
        fetch_competition("digit-recognizer", tmp_path)
    assert capsys.readouterr().out == ""


def test_a_token_in_its_file_is_used(kaggle: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (tmp_path / "home" / ".kaggle" / "access_token").write_text("secret\n")
    assert fetch_competition("digit-recognizer", tmp_path).exists()


def test_without_network_the_error_says_so(kaggle: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to("http://127.0.0.1:1", monkeypatch)
    with pytest.raises(InputError, match="cannot be reached"):
        fetch_competition("digit-recognizer", tmp_path)


@pytest.mark.parametrize("name", ["../up", "", "a/b", "https://www.kaggle.com/competitions/digit-recognizer"])
def test_an_invalid_name_is_refused_before_any_request(name: str, kaggle: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="last part of the address"):
        fetch_competition(name, tmp_path)
    assert kaggle.requests == []


def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['kaggle'] = None\n"
        "from pathlib import Path; from hitofude.inputs.remote.kaggle_client import fetch_competition\n"
        "fetch_competition('digit-recognizer', Path(sys.argv[1]))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert re.search(r"-m pip install .*\[kaggle\]", found.stderr)
    assert not list(tmp_path.iterdir())
