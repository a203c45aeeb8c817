"""Measure the server: single drawings a second, and the latency of each.

python -m benchmarks.serve --run runs/sample-fast [--seconds 30] [--clients 16] [--hostile 20]

Starts `hitofude serve` with a run, or an exported model, in a process, and sends requests from another: 16 clients,
each on one connection, each sending its next request, with one real digit, when it has its answer. Then the same beside
20 hostile clients that send slowly, send 2 MB, or do not read, each again half a second after it was refused or cut
off. Prints requests/s, the median and the 99th percentile of the latency, errors, and the server's memory before,
between and after these rounds. Ends with 1 if a request got a wrong answer.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.sources import sample

WARM_UP_SECONDS = 2.0
DRAWINGS = 500
LARGE = 2_000_000
HOSTILE_PAUSE = 0.5
"""Seconds after a refusal or cut."""
HEAD = "POST /api/predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
Client = Callable[["Target"], Coroutine[Any, Any, str]]


@dataclass(frozen=True)
class Target:
    """The address of a running server."""

    host: str
    port: int

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass
class Round:
    """The latencies of the good answers, and the numbers of errors by kind."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def describe(self, name: str, duration: float) -> str:
        median, slowest = 1000 * np.quantile(self.seconds or [np.nan], [0.5, 0.99])
        count = sum(self.errors.values())
        kinds = f" ({', '.join(f'{kind}: {number}' for kind, number in self.errors.items())})" if count else ""
        return (
            f"{name:<28} {len(self.seconds) / duration:>8.0f} requests/s   p50 {median:>6.1f} ms   "
            f"p99 {slowest:>6.1f} ms   {count} errors{kinds}"
        )


def main() -> int:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder, serving(arguments.run, Path(folder)) as (process, target):
        model = OnnxModel.load(_model_in(Path(folder)))
        bodies = _bodies(model.image_shape)
        print(f"{model.name}: {len(model.networks)} networks; {platform.machine()}, {os.cpu_count()} processors")
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            pool.submit(ask, target, bodies, arguments.clients, WARM_UP_SECONDS).result()
            memory = [_resident(process.pid)]
            alone = pool.submit(ask, target, bodies, arguments.clients, arguments.seconds).result()
            print(alone.describe(f"{arguments.clients} clients", arguments.seconds), flush=True)
            memory.append(_resident(process.pid))
            ends = pool.submit(harass, target, arguments.hostile, arguments.seconds)
            beside = pool.submit(ask, target, bodies, arguments.clients, arguments.seconds).result()
            memory.append(_resident(process.pid))
            print(beside.describe(f"  beside {arguments.hostile} hostile", arguments.seconds))
            print(f"  hostile clients: {', '.join(f'{end} {count}' for end, count in sorted(ends.result().items()))}")
        print(f"memory: {', '.join(f'{megabytes:.0f} MB' for megabytes in memory)}")
    print(f"ended with {process.returncode}")
    return 1 if alone.errors or beside.errors or process.returncode else 0


@contextlib.contextmanager
def serving(run: Path, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Target]]:
    """Run `hitofude serve` on a copy, so that nothing is written into the run."""
    copy = Path(shutil.copytree(run, folder / "run")) if run.is_dir() else Path(shutil.copy(run, folder / "model.onnx"))
    command = [sys.executable, "-m", "hitofude", "serve", copy, "--port", "0", "--corrections", folder / "corrections"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://([^:/]+):(\d+)/", process.stdout.readline())
        if found is None:
            raise SystemExit("The server did not start.")
        yield process, Target(found[1], int(found[2]))
    finally:
        process.terminate()
        process.wait(30)


def ask(target: Target, bodies: Sequence[bytes], clients: int, duration: float) -> Round:
    """Run clients, each of which sends its next request when it has its answer."""
    found = Round()

    async def client(number: int) -> None:
        own = itertools.islice(itertools.cycle(bodies), number * 31, None)
        end = time.perf_counter() + duration
        async with target.connected() as (reader, writer):
            for body in own:
                started = time.perf_counter()
                if started >= end:
                    return
                writer.write(body)
                status, answer = await _answer(reader)
                if status == 200 and b'"label"' in answer:
                    found.seconds.append(time.perf_counter() - started)
                else:
                    found.errors[str(status)] += 1

    async def all_clients() -> None:
        for end in await asyncio.gather(*(client(number) for number in range(clients)), return_exceptions=True):
            if end is not None:
                found.errors[type(end).__name__] += 1

    asyncio.run(all_clients())
    return found


def harass(target: Target, clients: int, duration: float) -> Counter[str]:
    """Run hostile clients again and again; count how the server ended each."""
    ends: Counter[str] = Counter()

    async def again(act: Client) -> None:
        end = time.perf_counter() + duration
        while (left := end - time.perf_counter()) > 0:
            try:
                async with asyncio.timeout(left):
                    ends[f"{act.__name__}: {await act(target)}"] += 1
            except TimeoutError:
                ends[f"{act.__name__}: not ended yet"] += 1
            except (OSError, asyncio.IncompleteReadError):
                ends[f"{act.__name__}: cut"] += 1
            await asyncio.sleep(HOSTILE_PAUSE)

    async def all_clients() -> None:
        kinds = (slow_head, slow_body, too_large, too_large_in_chunks, never_reads)
        await asyncio.gather(*(again(kinds[number % len(kinds)]) for number in range(clients)))

    asyncio.run(all_clients())
    return ends


async def slow_head(target: Target) -> str:
    return await _trickle(target, HEAD.format(host=target.name).encode())


async def slow_body(target: Target) -> str:
    head = f"{HEAD.format(host=target.name)}Content-Length: 1000\r\n\r\n".encode()
    return await _trickle(target, bytes(1000), at_once=head)


async def too_large(target: Target) -> str:
    async with target.connected() as (reader, writer):
        writer.write(f"{HEAD.format(host=target.name)}Content-Length: {LARGE}\r\n\r\n".encode() + bytes(LARGE))
        return str((await _answer(reader))[0])


async def too_large_in_chunks(target: Target) -> str:
    async with target.connected() as (reader, writer):
        writer.write(f"{HEAD.format(host=target.name)}Transfer-Encoding: chunked\r\n\r\n".encode())
        writer.write(b"".join(b"10000\r\n" + bytes(0x10000) + b"\r\n" for _ in range(LARGE // 0x10000)))
        return str((await _answer(reader))[0])


async def never_reads(target: Target) -> str:
    async with target.connected() as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        try:
            while True:
                writer.write(f"GET /openapi.json HTTP/1.1\r\nHost: {target.name}\r\n\r\n".encode() * 100)
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            return "cut"


async def _trickle(target: Target, content: bytes, at_once: bytes = b"") -> str:
    """Send a byte a second; return the status of an answer before the end."""
    async with target.connected() as (reader, writer):
        writer.write(at_once)
        answer = asyncio.ensure_future(_answer(reader))
        try:
            for byte in content:
                writer.write(bytes([byte]))
                done, _ = await asyncio.wait([answer], timeout=1)
                if done:
                    return str(answer.result()[0])
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
    return "never"


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read status and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return int(head[9:12]), await reader.readexactly(int(length[1]) if length else 0)


def _bodies(image_shape: ImageShape) -> list[bytes]:
    """Return whole requests, each with one digit of the sample, or with noise for a model of another size."""
    images = sample().train.images[:: max(1, len(sample().train) // DRAWINGS)]
    if image_shape != images.shape[1:]:
        images = np.random.default_rng(0).integers(0, 256, (DRAWINGS, *image_shape), dtype=np.uint8)
    bodies = [json.dumps({"images": [image.ravel().tolist()]}, separators=(",", ":")).encode() for image in images]
    head = HEAD.format(host="localhost")
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def _model_in(folder: Path) -> Path:
    return next(path for path in (folder / "run" / "model.onnx", folder / "model.onnx") if path.exists())


def _resident(pid: int) -> float:
    """Return the resident memory in megabytes."""
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)], text=True)) / 1024  # noqa: S607


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run, or an exported model")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--hostile", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
