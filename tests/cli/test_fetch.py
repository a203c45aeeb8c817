"""The commands that use the network, as a user calls them, with servers on the loopback address."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hitofude.inputs.sources import Dataset
from tests.conftest import Call
from tests.kaggle_server import DOWNLOAD, ZIP, leaving_connections_open
from tests.loopback import Server, saying
from tests.public_data_server import serving_mnist

pytestmark = leaving_connections_open


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the commands in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def mnist(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving_mnist(dataset, tmp_path / "cache", monkeypatch) as server:
        yield server


def test_a_public_data_set_is_fetched_and_can_be_named_as_a_source(mnist: Server, call: Call) -> None:
    code, out, err = call("data", "mnist")
    assert (code, err) == (0, "")
    assert "Train on it with: hitofude run mnist" in out
    assert "300 in 10 classes" in call("data", "check", "mnist")[1]
    assert len(mnist.requests) == 4


def test_out_names_a_folder_for_the_files(mnist: Server, call: Call) -> None:
    code, out, _ = call("data", "mnist", "--out", "mine")
    assert code == 0
    assert "hitofude run mine" in out
    assert "300 in 10 classes" in call("data", "check", "mine")[1]


def test_failing_mirrors_are_named_and_the_exit_code_is_2(mnist: Server, call: Call) -> None:
    mnist.answers.clear()
    code, out, err = call("data", "mnist")
    assert (code, out) == (2, "")
    assert "it answered 404" in err
    assert "Traceback" not in err


def test_kaggles_zip_is_fetched_into_the_current_folder(kaggle: Server, call: Call) -> None:
    code, out, err = call("data", "kaggle")
    assert (code, err) == (0, "")
    assert out == "digit-recognizer.zip\nTrain on it with: hitofude run digit-recognizer.zip\n"
    assert Path("digit-recognizer.zip").read_bytes() == ZIP


def test_unaccepted_rules_exit_with_2_and_their_address(kaggle: Server, call: Call) -> None:
    kaggle.answers[DOWNLOAD] = saying({"code": 403, "message": "You must accept the rules."}, 403)
    code, _, err = call("data", "kaggle", "Kannada-MNIST", "--out", "deep/er")
    assert code == 2
    assert "https://www.kaggle.com/competitions/Kannada-MNIST/rules" in err
    assert not list(Path().iterdir())
