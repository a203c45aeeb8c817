"""Submitting a run: only a finished one, only to a competition, and with its expected score."""

import json
import sys
from pathlib import Path

import pytest

from hitofude.cli import main
from hitofude.errors import InputError, RunFolderError
from hitofude.runs.folder import RunFolder
from hitofude.runs.kaggle import submit_run
from hitofude.runs.result import RunResult
from tests.conftest import copy_of
from tests.kaggle_server import CREATE, START, TAKEN, leaving_connections_open
from tests.loopback import Handler, Server, saying

pytestmark = leaving_connections_open


@pytest.fixture
def run(finished: RunResult, tmp_path: Path) -> Path:
    """A run of the competition's zip."""
    folder = copy_of(finished, tmp_path).path
    named(folder, "digit-recognizer")
    return folder


def named(folder: Path, source: str) -> None:
    """Pretend that the run was made from another source."""
    path = RunFolder(folder).data
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source": source}))


def test_a_run_is_submitted_to_the_competition_it_learned_from(run: Path, kaggle: Server) -> None:
    received: list[dict[str, str]] = []

    def created(handler: Handler) -> None:
        received.append(json.loads(handler.body))
        saying(TAKEN)(handler)

    kaggle.answers[CREATE] = created
    answer = submit_run(run)
    assert received[0]["competitionName"] == "digit-recognizer"
    assert received[0]["submissionDescription"].startswith("hitofude, copy: 0.")
    assert answer.startswith("Successfully submitted to Digit Recognizer\n")
    assert "kaggle.com/competitions/digit-recognizer/submissions; expected: 0." in answer


def test_message_and_competition_can_be_named(run: Path, kaggle: Server) -> None:
    received: list[dict[str, str]] = []

    def started(handler: Handler) -> None:
        received.append(json.loads(handler.body))
        saying({"code": 404, "message": "Not found"}, 404)(handler)

    kaggle.answers[START] = started
    with pytest.raises(InputError, match="no competition 'other'"):
        submit_run(run, "a message", "other")
    assert received[0]["competitionName"] == "other"
    assert received[0]["fileName"] == "submission.csv"


def test_nothing_is_sent_of_a_run_that_is_not_finished_or_has_no_submission(
    run: Path, kaggle: Server, tmp_path: Path
) -> None:
    with pytest.raises(RunFolderError, match="no such folder"):
        submit_run(tmp_path / "none")
    hidden = run / "hidden"
    for name, message in (("report.json", "is not finished"), ("submission.csv", r"has no submission\.csv")):
        (run / name).rename(hidden)
        with pytest.raises(RunFolderError, match=message):
            submit_run(run)
        hidden.rename(run / name)
    assert kaggle.requests == []


@pytest.mark.parametrize("source", ["mnist", "sample", "kmnist"])
def test_a_run_of_public_data_is_no_competitions(source: str, run: Path, kaggle: Server) -> None:
    named(run, source)
    with pytest.raises(InputError, match="do not belong to a competition") as error:
        submit_run(run, competition="digit-recognizer")
    named(run, "digit-recognizer")
    assert ("MNIST contains the labels" in str(error.value)) == (source != "kmnist")
    assert kaggle.requests == []


def test_the_command_prints_what_kaggle_says(
    run: Path, kaggle: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hitofude", "submit", str(run), "--message", "first try"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out.startswith(str(TAKEN["message"]))
