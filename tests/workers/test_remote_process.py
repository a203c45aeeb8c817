"""A worker process behind calls: requests and events, the machine's cache, and its end."""

import asyncio
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hitofude.workers.remote_process import Events, RemoteProcess, RemoteWorker, cache_folder
from hitofude.workers.worker import WorkerLostError

MODULE = "tests.workers.scripted_process"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The machine's folder for temporary files."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def process() -> Iterator[RemoteProcess]:
    process = RemoteProcess(MODULE, threads=1)
    yield process
    process.stop()


class DirectWorker(RemoteWorker):
    """A worker whose process is called directly."""

    def __init__(self, process: RemoteProcess) -> None:
        super().__init__("here")
        self.process = process
        self.calls: list[str] = []

    def call(self, method: Callable[..., Any], *arguments: object) -> Any:
        self.calls.append(method.__name__)
        return method(self.process, *arguments)

    def stop(self) -> None:
        self.process.stop()


def read_all(process: RemoteProcess) -> tuple[Events, str]:
    """Return all events until the end, and the reason of the end."""
    found: Events = []
    while True:
        events, end = process.read()
        if end is not None:
            return found, end
        found += events
        time.sleep(0.01)


def test_requests_arrive_and_events_are_read(process: RemoteProcess) -> None:
    process.send({"steps": ["progress", "fail"], "kind": None}, b"12345")
    events, end = read_all(process)
    assert [message["event"] for message, _ in events] == ["batch_finished", "failed"]
    assert events[0][1] == b"12345"
    assert "ended with code 1" in end


def test_cached_content_is_sent_to_a_machine_once(process: RemoteProcess) -> None:
    content = os.urandom(100_000)
    workers = [DirectWorker(process), DirectWorker(process)]
    for worker in workers:
        worker.send({"steps": ["finish"]}, content, cache=True)
        assert worker.receive()[1] == content
    assert [worker.calls.count("cache") for worker in workers] == [1, 0]
    assert process.has_cached(hashlib.sha256(content).hexdigest())


def test_the_end_of_a_remote_worker_is_explained(process: RemoteProcess) -> None:
    worker = DirectWorker(process)
    worker.keep_alive()
    worker.send({"steps": ["die"]})
    with pytest.raises(WorkerLostError, match="killed"):
        worker.receive()


def test_a_dask_worker_hosts_a_process_until_its_end() -> None:
    on_dask = pytest.importorskip("hitofude.workers.on_dask")

    def call(method: str, *arguments: object) -> Any:
        return asyncio.run(on_dask.call_process("it", method, *arguments))

    task = threading.Thread(target=on_dask.host_process, args=("it", MODULE, 1))
    task.start()
    while not asyncio.run(on_dask.has_process("it")):
        time.sleep(0.01)
    call("send", {"steps": ["finish"]}, b"12345")
    assert [content for _, content in call("read")[0]] == [b"12345"]
    call("stop")
    task.join()
    with pytest.raises(LookupError):
        call("read")


def test_cached_content_is_removed_after_a_day(process: RemoteProcess) -> None:
    process.cache(b"of yesterday")
    (old,) = [path for path in cache_folder().iterdir() if path.is_file()]
    os.utime(old, (time.time() - 90_000,) * 2)
    process.cache(b"of today")
    assert [path.read_bytes() for path in cache_folder().iterdir() if path.is_file()] == [b"of today"]


def test_an_abandoned_process_ends_and_leaves_nothing(folder: Path) -> None:
    process = RemoteProcess(MODULE, threads=1, patience=0.1)
    process.keep_alive()
    process.wait()
    assert "killed" in read_all(process)[1]
    assert not [path for path in cache_folder().iterdir() if path.name.startswith("scratch")]


def test_a_request_to_an_ended_process_is_ignored_and_the_end_is_read(process: RemoteProcess) -> None:
    process.stop()
    process.send({"steps": ["finish"]})
    assert "killed" in read_all(process)[1]


def test_a_cache_to_which_others_may_write_is_refused() -> None:
    cache_folder().chmod(0o777)
    with pytest.raises(PermissionError, match="TMPDIR"):
        cache_folder()
