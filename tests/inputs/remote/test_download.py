"""Downloads from a real server on the loopback address: every kind of failure, and the files left behind."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.remote import download
from hitofude.inputs.remote.download import MirrorError, RemoteFile, cache_folder, check_address, fetch_all
from tests import loopback
from tests.loopback import Server, cut_after, status, trickling, whole

CONTENT = np.random.default_rng(0).bytes(100_000)
OTHER = bytes(len(CONTENT))
UNREACHABLE = "http://127.0.0.1:1/data.gz"
FILE = RemoteFile("data.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), ())


@pytest.fixture
def server() -> Iterator[Server]:
    with loopback.serving() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0.25)
    monkeypatch.setattr(download, "MIN_SPEED", 200_000)


def fetch(folder: Path, *urls: str) -> bytes:
    """Fetch the file from these mirrors and return its content."""
    fetch_all([RemoteFile(FILE.name, FILE.size, FILE.sha256, urls)], folder)
    return (folder / FILE.name).read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_file_is_fetched_once_into_a_new_folder(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, folder = server.url("/a", whole(CONTENT)), tmp_path / "new" / "cache"
    assert fetch(folder, url) == fetch(folder, url) == CONTENT
    assert names(folder) == ["data.gz"]
    assert len(server.requests) == 1
    assert capfd.readouterr() == ("", ""), "the bar is for terminals"


def test_a_terminal_shows_a_bar(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fetch(tmp_path, server.url("/a", whole(CONTENT)))
    assert "fetching data.gz" in capsys.readouterr().err


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(OTHER)
    assert fetch(tmp_path, server.url("/a", whole(CONTENT))) == CONTENT


def test_a_file_put_into_the_cache_by_hand_is_used(tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(CONTENT)
    assert fetch(tmp_path, UNREACHABLE) == CONTENT


def test_a_wrong_checksum_leads_to_the_next_mirror_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    wrong = server.url("/a", whole(OTHER))
    assert fetch(tmp_path / "good", wrong, server.url("/b", whole(CONTENT))) == CONTENT
    with pytest.raises(InputError, match="SHA-256 is not the published one"):
        fetch(tmp_path / "bad", wrong)
    assert names(tmp_path / "bad") == []


def test_a_cut_connection_leads_to_the_next_mirror_then_back(server: Server, tmp_path: Path) -> None:
    answers = iter([cut_after(40_000, CONTENT), whole(CONTENT)])
    cut = server.url("/a", lambda handler: next(answers)(handler))
    assert fetch(tmp_path, cut, server.url("/none")) == CONTENT
    assert [path for path, _ in server.requests] == ["/a", "/none", "/a"]


@pytest.mark.usefixtures("impatient")
def test_a_slow_mirror_is_left_for_the_next_and_waited_for_if_no_other_delivers(server: Server, tmp_path: Path) -> None:
    slow = server.url("/slow", trickling(CONTENT, 0.3, 20_000))
    assert fetch(tmp_path / "left", slow, server.url("/b", whole(CONTENT))) == CONTENT
    assert fetch(tmp_path / "waited", slow, server.url("/none")) == CONTENT
    assert [path for path, _ in server.requests] == ["/slow", "/b", "/slow", "/none", "/slow"]


def test_a_silent_mirror_is_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    started = time.monotonic()
    assert fetch(tmp_path, server.url("/a", loopback.silent(2)), server.url("/b", whole(CONTENT))) == CONTENT
    assert time.monotonic() - started < 1.5


def test_a_good_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    target = server.url("/b", whole(CONTENT))
    assert fetch(tmp_path, server.url("/a", status(302, Location=target))) == CONTENT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "it answered 404"),
        (status(500), "it answered 500"),
        (status(204), "it answered 204"),
        (status(302, Location="http://example.org/data.gz"), "leads to http://example.org, and only https"),
        (status(302, Location="file:///etc/passwd"), "leads to file://, and only https"),
        (status(302, Location="/a"), "redirects"),
        (loopback.endless, "its Content-Length is missing, expected 100000"),
        (loopback.announcing(10**12), "its Content-Length is 1000000000000, expected 100000"),
        (whole(b"<html>log in</html>"), "its Content-Length is 19, expected 100000"),
        (cut_after(40_000, CONTENT), "the connection failed"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "the connection failed"),
    ],
)
def test_a_mirror_that_misbehaves_is_named_with_its_reason_beside_the_others(
    answer: loopback.Answer, reason: str, server: Server, tmp_path: Path
) -> None:
    url = server.url("/a", answer)
    with pytest.raises(InputError) as error:
        fetch(tmp_path, url, UNREACHABLE)
    message = str(error.value)
    assert reason in next(line for line in message.splitlines() if url in line)
    assert f"{UNREACHABLE}: the connection failed" in message
    assert f"(100,000 bytes, SHA-256 {FILE.sha256}) by hand into {tmp_path}" in message
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///a", "a", "http://localhost/a"])
def test_only_https_is_allowed_and_http_to_this_machine(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only https"):
        fetch(tmp_path, url)


def test_https_does_not_redirect_to_this_machine() -> None:
    check_address("https://example.org/a", allow_loopback=False)
    with pytest.raises(MirrorError, match="only https"):
        check_address("http://127.0.0.1/a", allow_loopback=False)


def test_two_fetches_at_once_ask_the_mirror_once(server: Server, tmp_path: Path) -> None:
    url = server.url("/a", trickling(CONTENT, 0.02, 20_000))
    with ThreadPoolExecutor() as threads:
        assert list(threads.map(lambda _: fetch(tmp_path, url), range(2))) == [CONTENT] * 2
    assert len(server.requests) == 1


KILLED = """
import sys
from pathlib import Path
from hitofude.inputs.remote.download import RemoteFile, fetch_all
fetch_all([RemoteFile("data.gz", int(sys.argv[1]), sys.argv[2], (sys.argv[3],))], Path(sys.argv[4]))
"""


def size_of(path: Path) -> int:
    """A file's size; 0 if it is gone: pooch tries with one of its own whether the folder can be written."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_killed_process_leaves_nothing_that_the_next_one_keeps(server: Server, tmp_path: Path) -> None:
    url = server.url("/a", trickling(CONTENT, 0.05, 5_000))
    command = [sys.executable, "-c", KILLED, str(FILE.size), FILE.sha256, url, str(tmp_path)]
    with subprocess.Popen(command) as process:
        while not any(map(size_of, tmp_path.glob("tmp*"))) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    assert names(tmp_path) not in ([], ["data.gz"])
    assert fetch(tmp_path, server.url("/a", whole(CONTENT))) == CONTENT
    assert names(tmp_path) == ["data.gz"]


def test_a_cache_that_cannot_be_written_is_named_with_the_variable(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="HITOFUDE_CACHE"):
        fetch(tmp_path / "file", server.url("/a", whole(CONTENT)))


def test_a_file_in_the_cache_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.gz").write_bytes(CONTENT)
    monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(InputError, match=r"data\.gz: cannot be read: Permission denied"):
        fetch(tmp_path, UNREACHABLE)


def test_the_cache_is_the_systems_or_the_folder_in_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HITOFUDE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "hitofude"
    monkeypatch.setenv("HITOFUDE_CACHE", f"~{os.sep}mine")
    assert cache_folder() == tmp_path / "mine"


def test_reading_sources_loads_neither_pooch_nor_requests() -> None:
    code = "import hitofude.inputs.sources, sys; print(sys.modules.keys() & {'pooch', 'requests', 'kaggle'})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_loopback_address_needs_no_proxy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch(tmp_path, server.url("/a", whole(CONTENT))) == CONTENT
