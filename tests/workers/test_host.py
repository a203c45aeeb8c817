"""A process that a cluster's worker hosts: bytes in and out, what is kept on the machine, and the end of it all."""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hitofude.workers.host import HostedProcess, kept_folder
from hitofude.workers.messages import pack, receive

MODULE = "tests.workers.told_process"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The machine's folder for temporary files."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def host() -> Iterator[HostedProcess]:
    host = HostedProcess(MODULE, threads=1)
    yield host
    host.end()


def read_all(host: HostedProcess) -> tuple[bytes, str]:
    """Everything until its end, and why it ended."""
    told = b""
    while True:
        content, ended = host.read()
        if ended is not None:
            return told, ended
        told += content
        time.sleep(0.01)


def test_what_is_written_arrives_and_what_is_told_is_read(host: HostedProcess) -> None:
    host.write(pack({"steps": ["say", "fail"], "kind": None}, b"12345") + b"12345")
    told, ended = read_all(host)
    stream = io.BytesIO(told)
    assert [receive(stream) is not None for _ in range(3)] == [True, True, False]
    assert b"12345" in told
    assert "ended with code 1" in ended


def test_what_is_kept_is_sent_once_and_written_from_there(host: HostedProcess) -> None:
    content = os.urandom(100_000)
    sha256 = hashlib.sha256(content).hexdigest()
    assert not host.has(sha256)
    host.keep(content)
    assert HostedProcess(MODULE, threads=1).has(sha256)
    host.write(pack({"steps": ["say", "die"], "kind": None}, content))
    host.write_kept(sha256)
    told, ended = read_all(host)
    _, found = receive(io.BytesIO(told)) or ({}, b"")
    assert found == content
    assert "killed" in ended


def test_what_was_kept_for_a_day_goes(host: HostedProcess) -> None:
    host.keep(b"of yesterday")
    (old,) = [path for path in kept_folder().iterdir() if path.is_file()]
    os.utime(old, (time.time() - 90_000,) * 2)
    host.keep(b"of today")
    assert [path.read_bytes() for path in kept_folder().iterdir() if path.is_file()] == [b"of today"]


def test_a_process_that_nobody_asks_ends_and_leaves_nothing(folder: Path) -> None:
    host = HostedProcess(MODULE, threads=1, patience=0.5)
    host.stay()
    host.wait()
    assert "killed" in read_all(host)[1]
    assert not [path for path in kept_folder().iterdir() if path.name.startswith("scratch")]


def test_the_end_is_heard_of_even_by_who_writes(host: HostedProcess) -> None:
    host.end()
    host.write(b"nobody reads this")
    assert "killed" in read_all(host)[1]


def test_a_folder_that_others_may_write_to_is_not_trusted() -> None:
    kept_folder().chmod(0o777)
    with pytest.raises(PermissionError, match="TMPDIR"):
        kept_folder()
