"""The command `hitofude serve`: its address, token and exit, and its explanations of mistakes."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hitofude.errors import UserError
from hitofude.export.onnx_model import OnnxModel
from hitofude.runs.result import RunResult
from hitofude.web import starting
from hitofude.web.server import listening
from hitofude.web.settings import Settings, choose_token, url_of
from hitofude.web.starting import find_model_file, main, serve_model
from tests.conftest import Call, copy_of
from tests.web.conftest import PATIENCE, Running, wait_for


@contextmanager
def command(*arguments: str | Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start `hitofude serve`; return the process and the line that it prints."""
    words = [sys.executable, "-m", "hitofude", "serve", *map(str, arguments)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def asked(line: str) -> Running:
    """Return the server at the address in a line."""
    found = re.search(r"http://[^:]+:(\d+)/", line)
    assert found is not None, line
    return Running(int(found[1]), lambda: None)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_it_says_where_it_is_and_ends_well_when_it_is_asked_to(number: signal.Signals, model_file: Path) -> None:
    with command(model_file, "--port", "0") as (process, line):
        assert re.fullmatch(rf"Serving {re.escape(str(model_file))} at http://127\.0\.0\.1:\d+/\n", line)
        assert asked(line).get("/api/model").json["name"] == "tiny"
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", f"Loading {model_file} ...\n")


@pytest.mark.slow
def test_beyond_the_loopback_the_address_holds_a_token(model_file: Path, tmp_path: Path) -> None:
    with command(model_file, "--host", "0.0.0.0", "--port", "0", "--corrections", tmp_path) as (_, line):  # noqa: S104
        token = line.rstrip().partition("?token=")[2]
        assert len(token) == 32
        server = asked(line)
        assert server.get("/api/model").status == 401
        assert server.get("/api/model", {"Authorization": f"Bearer {token}"}).status == 200


@pytest.mark.slow
def test_of_a_run_the_model_is_made_in_its_folder(finished: RunResult, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path).path
    assert find_model_file(run) == run / "model.onnx"
    assert OnnxModel.load(run / "model.onnx").classes == finished.classes


def test_the_process_that_exports_ends_with_the_errors_code_and_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path) == 3
    assert f"{tmp_path} is not a run folder" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.onnx"], 2, "no such file"),
        (["text.onnx"], 3, "no ONNX model, or is damaged"),
        (["."], 3, "is not a run folder"),
        (["model.onnx", "--port", "70000"], 2, "from 0 to 65535"),
        (["model.onnx", "--host", "192.0.2.1", "--port", "0"], 2, "no address of this machine"),
        (["model.onnx", "--host", "a..b", "--port", "0"], 2, "no address of this machine"),
        (["model.onnx", "--token", "short"], 2, "16 to 200"),
        (["model.onnx", "--corrections", "text.onnx"], 3, "Name a folder"),
        ([], 2, "MODEL"),
    ],
)
def test_what_cannot_be_served_is_explained(
    arguments: list[str],
    code: int,
    said: str,
    model_file: Path,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(model_file, tmp_path)
    (tmp_path / "text.onnx").write_text("text")
    monkeypatch.chdir(tmp_path)
    found, out, err = call("serve", *arguments)
    assert (found, out) == (code, "")
    assert said in err


def test_a_port_in_use_is_named_with_another_way(call: Call, model_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = call("serve", model_file, "--port", str(port))
    assert code == 2
    assert f"Port {port} of 127.0.0.1 is in use" in err
    assert "--port 0" in err


def test_a_missing_package_is_named_with_its_extra(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PACKAGES", ("json", "no_such_package"))
    with pytest.raises(UserError, match=r"serve needs the package no-such-package: .*-m pip install .*\[serve\]"):
        serve_model(model_file, Settings(), print)


def test_the_token_can_come_by_the_environment(
    model_file: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("HITOFUDE_TOKEN", "of-the-environment-1")
    monkeypatch.setattr(
        starting, "serve_model", lambda model, settings, announce, plugins: given.update(settings=settings)
    )
    assert call("serve", model_file)[0] == 0
    assert given["settings"] == Settings(token="of-the-environment-1")  # noqa: S106
    assert "of-the-environment" not in repr(given["settings"])


def test_only_the_loopback_needs_no_token() -> None:
    assert [choose_token(host, None) for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost", "LOCALHOST")] == 5 * [
        None
    ]
    made = {choose_token(host, None) for host in ("0.0.0.0", "::", "192.0.2.1", "example.org")}  # noqa: S104
    assert len(made) == 4
    assert None not in made
    assert choose_token("127.0.0.1", "a-token-for-all-the-same") == "a-token-for-all-the-same"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/?token=t"), ("::1", "http://[::1]:80/?token=t"),
        ("0.0.0.0", "http://127.0.0.1:80/?token=t"), ("::", "http://[::1]:80/?token=t"),  # noqa: S104
    ],
)  # fmt: skip
def test_the_address_can_be_opened(host: str, url: str) -> None:
    assert url_of(host, 80, "t") == url


def test_it_listens_at_ipv6_too() -> None:
    try:
        with listening("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except UserError:
        pytest.skip("this machine has no IPv6")


def test_the_browser_is_opened_at_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "opened"
    monkeypatch.setenv("BROWSER", f"{sys.executable} -c \"import sys; open({str(note)!r}, 'w').write(sys.argv[1])\" %s")
    code = "import time; from hitofude.web.starting import open_browser; open_browser('http://a/'); time.sleep(9)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert wait_for(lambda: note.exists() and note.read_text() == "http://a/")
        process.kill()
