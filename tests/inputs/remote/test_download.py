"""Downloads from a real server on the loopback address: every way in which a mirror fails, and what is left behind."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.remote.download import RemoteFile, cache_folder, fetch_all
from hitofude.inputs.remote.mirror import Limits, MirrorError, check_address
from tests import loopback
from tests.loopback import Server, cut_after, status, trickling, whole

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = bytes(len(CONTENT))
PATIENT = Limits(timeout=20, slowest=0, pause=0)
HURRIED = Limits(timeout=20, slowest=10_000_000, patience=0.1, pause=0)


@pytest.fixture
def server() -> Iterator[Server]:
    with loopback.serving() as server:
        yield server


def remote(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("data.gz", len(content), hashlib.sha256(content).hexdigest(), urls)


def fetch(folder: Path, *urls: str, limits: Limits = PATIENT) -> list[int]:
    """Fetch the file; the bytes that were reported."""
    reported: list[int] = []
    fetch_all([remote(*urls)], folder, limits=limits, reporting=lambda _: reported.append)
    return reported


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_file_is_fetched_whole_and_reported(server: Server, tmp_path: Path) -> None:
    reported = fetch(tmp_path / "new" / "cache", server.url("/a", whole(CONTENT)))
    assert (tmp_path / "new" / "cache" / "data.gz").read_bytes() == CONTENT
    assert names(tmp_path / "new" / "cache") == ["data.gz"]
    assert reported == sorted(reported)
    assert reported[-1] == len(CONTENT)


def test_what_is_cached_needs_no_connection(server: Server, tmp_path: Path) -> None:
    url = server.url("/a", whole(CONTENT))
    fetch(tmp_path, url)
    fetch(tmp_path, url)
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(OTHER)
    fetch(tmp_path, server.url("/a", whole(CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_taken(tmp_path: Path) -> None:
    (tmp_path / "data.gz").write_bytes(CONTENT)
    fetch(tmp_path, "http://127.0.0.1:1/nobody-listens")


def test_a_cut_connection_is_continued_with_the_rest_alone(server: Server, tmp_path: Path) -> None:
    fetch(tmp_path, server.url("/a", cut_after(120_000, CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert server.ranges("/a") == [None, "bytes=120000-", "bytes=240000-"]


def test_the_next_mirror_and_the_next_call_go_on_where_the_last_one_stopped(server: Server, tmp_path: Path) -> None:
    urls = server.url("/a", cut_after(10_000, CONTENT)), server.url("/b", cut_after(20_000, CONTENT))
    with pytest.raises(InputError, match="what has arrived is kept"):
        fetch(tmp_path, *urls)
    assert server.ranges("/b") == ["bytes=30000-", "bytes=50000-", "bytes=70000-"]
    assert (tmp_path / "data.gz.part").read_bytes() == CONTENT[:90_000]
    fetch(tmp_path, server.url("/c", whole(CONTENT)))
    assert server.ranges("/c") == ["bytes=90000-"]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(CONTENT[:1000])
    fetch(tmp_path, server.url("/a", loopback.without_ranges(CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


def test_a_beginning_of_another_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(OTHER[:1000])
    fetch(tmp_path, server.url("/a", whole(CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert server.ranges("/a") == ["bytes=1000-", None]


@pytest.mark.parametrize("part", [CONTENT, OTHER, CONTENT + b"more"], ids=["complete", "another", "too long"])
def test_a_part_that_is_no_beginning_does_no_harm(part: bytes, server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(part)
    fetch(tmp_path, server.url("/a", whole(CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert len(server.requests) == (part != CONTENT)


def test_a_wrong_checksum_leads_to_the_next_mirror_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    wrong = server.url("/a", whole(OTHER))
    fetch(tmp_path / "good", wrong, server.url("/b", whole(CONTENT)))
    assert (tmp_path / "good" / "data.gz").read_bytes() == CONTENT
    with pytest.raises(InputError, match="SHA-256 is not the published one"):
        fetch(tmp_path / "bad", wrong)
    assert names(tmp_path / "bad") == []


def test_a_slow_mirror_is_left_for_the_next_which_brings_the_rest(server: Server, tmp_path: Path) -> None:
    slow = server.url("/slow", trickling(CONTENT, 0.02, 100))
    fetch(tmp_path, slow, server.url("/b", whole(CONTENT)), limits=HURRIED)
    (asked,) = server.ranges("/b")
    assert asked is not None
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) < len(CONTENT) // 10


def test_a_slow_mirror_is_waited_for_where_no_other_has_the_file(server: Server, tmp_path: Path) -> None:
    slow = server.url("/slow", trickling(CONTENT, 0.07, 40_000))
    fetch(tmp_path, slow, server.url("/none"), limits=HURRIED)
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


def test_a_silent_mirror_is_left(server: Server, tmp_path: Path) -> None:
    started = time.monotonic()
    urls = server.url("/a", loopback.silent(20)), server.url("/b", whole(CONTENT))
    fetch(tmp_path, *urls, limits=Limits(timeout=0.5, pause=0))
    assert time.monotonic() - started < 10


def test_a_good_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    target = server.url("/b", whole(CONTENT))
    fetch(tmp_path, server.url("/a", status(302, Location=target)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "it answered 404"),
        (status(500), "it answered 500"),
        (status(204), "it answered 204"),
        (status(302, Location="http://example.org/data.gz"), "leads to http://example.org, and only https"),
        (status(302, Location="file:///etc/passwd"), "302"),
        (status(302, Location="ftp://127.0.0.1/data.gz"), "leads to ftp://127.0.0.1, and only https"),
        (status(302, Location="/a"), "redirect"),
        (loopback.endless, "it sends more than the file's 300,000 bytes"),
        (loopback.announcing(10**12), "it announces 1000000000000 bytes, expected 300000"),
        (status(206, Content_Range="bytes 5-9/300000"), "it answered with 'bytes 5-9/300000'"),
        (whole(b"<html>log in</html>"), "it announces 19 bytes"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "no answer"),
    ],
)
def test_a_mirror_that_misbehaves_is_named_with_its_reason(
    answer: loopback.Answer, reason: str, server: Server, tmp_path: Path
) -> None:
    url = server.url("/a", answer)
    with pytest.raises(InputError) as error:
        fetch(tmp_path, url)
    assert url in str(error.value)
    assert reason in str(error.value)
    assert not (tmp_path / "data.gz").exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= len(CONTENT), "nothing grows without end"


def test_all_mirrors_are_named_and_where_to_put_the_file_by_hand(server: Server, tmp_path: Path) -> None:
    nobody, missing = "http://127.0.0.1:1/data.gz", server.url("/a", status(404))
    with pytest.raises(InputError) as error:
        fetch(tmp_path, nobody, missing)
    for part in (f"{nobody}: no connection", f"{missing}: it answered 404", remote().sha256, f"into {tmp_path}"):
        assert part in str(error.value)


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///a", "a", "http://localhost/a"])
def test_only_https_is_spoken_and_http_with_this_machine(url: str) -> None:
    with pytest.raises(MirrorError, match="only https"):
        check_address(url, on_loopback=True)


def test_https_leads_to_no_service_of_this_machine() -> None:
    check_address("https://example.org/a", on_loopback=False)
    with pytest.raises(MirrorError, match="only https"):
        check_address("http://127.0.0.1/a", on_loopback=False)


KILLED = """
import sys
from pathlib import Path
from hitofude.inputs.remote.download import RemoteFile, fetch_all
_, url, size, sha256, folder = sys.argv
fetch_all([RemoteFile("data.gz", int(size), sha256, (url,))], Path(folder))
"""


def test_a_killed_process_is_continued_by_the_next(server: Server, tmp_path: Path) -> None:
    url = server.url("/a", trickling(CONTENT, 0.01, 1000))
    command = [sys.executable, "-c", KILLED, url, str(len(CONTENT)), remote().sha256, str(tmp_path)]
    part = tmp_path / "data.gz.part"
    with subprocess.Popen(command) as process:
        while not (part.exists() and part.stat().st_size > 20_000) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    have = part.stat().st_size
    assert 20_000 < have < len(CONTENT)
    fetch(tmp_path, server.url("/a", whole(CONTENT)))
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert server.ranges("/a") == [None, f"bytes={have}-"]


def test_two_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    url = server.url("/a", trickling(CONTENT, 0.001, 10_000))
    command = [sys.executable, "-c", KILLED, url, str(len(CONTENT)), remote().sha256, str(tmp_path)]
    with subprocess.Popen(command) as one, subprocess.Popen(command) as other:
        assert (one.wait(), other.wait()) == (0, 0)
    assert server.ranges("/a") == [None]


def test_a_cache_that_cannot_be_written_is_named_with_the_variable(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="HITOFUDE_CACHE"):
        fetch(tmp_path / "file", server.url("/a", whole(CONTENT)))


def test_the_cache_is_the_systems_or_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("HITOFUDE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "hitofude"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "hitofude"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "hitofude"
    monkeypatch.setenv("HITOFUDE_CACHE", f"~{os.sep}mine")
    assert cache_folder() == tmp_path / "mine"
