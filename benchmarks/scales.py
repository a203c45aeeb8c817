"""Does a run answer images on every scale and ground, through every door, as it answers the canonical files?

python -m benchmarks.scales [--rows 600] [--images 200] [--out runs/scales]

Trains a small run on each of 7 scales and 2 grounds (light on dark, and inverted), from arrays of the sample, and asks
it for images of each scale: CSV, NPZ and a folder of pictures by hitofude predict, loose pictures, arrays in Python,
and JSON and pictures by the API. A cell holds the difference of its accuracy from that of the run's own test images, in
points; `refused`; or WRONG if it is more than a point lower. Exits with 1 if any is. Runs in --out that are finished
are read again.
"""

import argparse
import asyncio
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.preprocessing import StandardScaler

import hitofude
from hitofude.errors import InputError
from hitofude.export.onnx_export import describe_run
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import sample
from hitofude.prediction.files import predict_files
from hitofude.prediction.model import Model
from hitofude.runs.result import RunResult
from hitofude.web.app import create_app
from hitofude.web.settings import Limits, Settings

Numbers = NDArray[Any]
SAMPLE = sample()
SETTINGS = {"schedule.epochs": 8, "schedule.min_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 2}
ONE_POINT = 0.01
STANDARDISED = {
    inverted: StandardScaler().fit(np.abs(255 * inverted - SAMPLE.train.images.reshape(4000, -1).astype(float)))
    for inverted in (False, True)
}
SCALES: dict[str, Callable[[Numbers, bool], Numbers]] = {
    "0..255": lambda pixels, _: pixels,
    "0..1": lambda pixels, _: (pixels / 255).astype(np.float32),
    "0..16": lambda pixels, _: np.rint(pixels / 255 * 16).astype(np.uint8),
    "-1..1": lambda pixels, _: (pixels / 127.5 - 1).astype(np.float32),
    "0..4095": lambda pixels, _: np.rint(pixels / 255 * 4095).astype(np.uint16),
    "normalised": lambda pixels, _: ((pixels / 255 - 0.1307) / 0.3081).astype(np.float32),
    "standardised": lambda pixels, inverted: (
        STANDARDISED[inverted].transform(pixels.reshape(len(pixels), -1)).reshape(pixels.shape).astype(np.float32)
    ),
}
"""Bytes (N, 1, 28, 28), and whether they are inverted → numbers of the same shape."""
DOORS = ("CSV", "NPZ", "folder", "loose", "Python", "JSON", "picture")
Answers = NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs", "scales"))
    arguments = parser.parse_args()
    assert SAMPLE.test is not None
    test = SAMPLE.test.take(np.arange(arguments.images))
    kinds: Counter[str] = Counter()
    print(f"{'run':<14}{'ground':<10}{'asked in':<14}" + "".join(f"{name:>9}" for name in ("own", *DOORS)))
    for inverted in (False, True):
        for scale in SCALES:
            result = train(scale, arguments.rows, arguments.out, inverted=inverted)
            for asked in SCALES:
                cells = compare(result, scale, asked, test, inverted=inverted)
                kinds.update(cell.split()[0].strip("+-.0123456789") or "right" for cell in cells[1:])
                ground = "inverted" if inverted else "as is"
                print(f"{scale:<14}{ground:<10}{asked:<14}" + "".join(f"{cell:>9}" for cell in cells), flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    sys.exit(kinds["WRONG"] > 0)


def on_scale(images: NDArray[np.uint8], scale: str, *, inverted: bool) -> Numbers:
    """Bytes, light on dark → numbers on a scale and ground, (N, 1, 28, 28)."""
    return SCALES[scale](255 - images if inverted else images, inverted)


def train(scale: str, rows: int, out: Path, *, inverted: bool) -> RunResult:
    train = SAMPLE.train.take(np.arange(rows))
    source = on_scale(train.images, scale, inverted=inverted), train.known_labels()
    folder = out / f"{scale}{'-inverted' if inverted else ''}"
    return hitofude.run(source, run=folder, settings=SETTINGS, workers=1, threads=1, device="cpu", quiet=True)


def compare(result: RunResult, scale: str, asked: str, test: ImageSet, *, inverted: bool) -> list[str]:
    """Return the accuracy on images of the run's own scale, then a cell for each door."""
    labels = np.asarray(test.classes)[test.known_labels()]
    own = hitofude.predict(result.folder.path, on_scale(test.images, scale, inverted=inverted), device="cpu")
    least = float((np.asarray(test.classes)[own.argmax(axis=1)] == labels).mean())
    numbers = on_scale(test.images, asked, inverted=inverted)
    cells = [f"{least:.3f}"]
    with tempfile.TemporaryDirectory() as name:
        for door in DOORS:
            try:
                found = ask(door, result, numbers, Path(name))
            except InputError:
                cells.append("refused")
                continue
            difference = float((found == labels).mean()) - least
            cells.append("WRONG" if difference < -ONE_POINT else f"{100 * difference:+.1f}")
    return cells


def ask(door: str, result: RunResult, numbers: Numbers, folder: Path) -> Answers:
    """Return the run's answers (N,). Raises InputError if it refuses."""
    run = result.folder.path
    if door == "Python":
        probabilities = hitofude.predict(run, numbers, device="cpu")
        answers: Answers = np.asarray(result.summary.classes)[probabilities.argmax(axis=1)]
        return answers
    if door in ("JSON", "picture"):
        return asyncio.run(ask_api(door, result, numbers, folder))
    paths = {"CSV": write_csv, "NPZ": write_npz, "folder": write_folder, "loose": write_loose}[door](numbers, folder)
    found = predict_files(run, paths, device="cpu", sure=0)
    if door in ("CSV", "NPZ"):
        labels: Answers = found.labels
        return labels
    first: dict[int, np.str_] = {}  # a photo may hold several characters
    for id, label in zip(found.ids, found.labels, strict=True):
        first.setdefault(int(Path(str(id).partition("#")[0]).stem), label)
    return np.array([first[row] for row in range(len(numbers))])


def write_csv(numbers: Numbers, folder: Path) -> list[Path]:
    rows = numbers.reshape(len(numbers), -1)
    header = ",".join(f"pixel{i}" for i in range(rows.shape[1]))
    whole = rows.dtype.kind != "f"
    np.savetxt(folder / "test.csv", rows, "%d" if whole else "%.7g", ",", header=header, comments="")
    return [folder / "test.csv"]


def write_npz(numbers: Numbers, folder: Path) -> list[Path]:
    np.savez(folder / "test.npz", images=numbers)
    return [folder / "test.npz"]


def write_folder(numbers: Numbers, folder: Path) -> list[Path]:
    write_loose(numbers, folder)
    return [folder / "pictures"]


def write_loose(numbers: Numbers, folder: Path) -> list[Path]:
    """Write PNG of whole numbers, TIFF of others."""
    (folder / "pictures").mkdir(exist_ok=True)
    paths = []
    for row, image in enumerate(numbers[:, 0]):
        paths.append(folder / "pictures" / f"{row}.{'tiff' if image.dtype.kind == 'f' else 'png'}")
        Image.fromarray(image).save(paths[-1])
    return paths


class RunModel(OnnxModel):
    """A run as the server's model, computed by PyTorch, which needs no export."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(None, describe_run(result.folder))
        self._run = Model.load(result.folder.path, device="cpu", threads=1)

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import torch

        members = self._run.predict_members(torch.tensor(images))
        return self._run.join(members), members


async def ask_api(door: str, result: RunResult, numbers: Numbers, folder: Path) -> Answers:
    app = create_app(RunModel(result), Settings(corrections=folder / "kept", limits=Limits()))
    found: list[str] = []
    if door == "JSON":
        for start in range(0, len(numbers), 50):
            images = numbers[start : start + 50].reshape(-1, numbers[0].size).astype(float).tolist()
            body = json.dumps({"images": images}).encode()
            found += await post(app, body, "application/json")
        return np.array(found)
    for image in numbers[:, 0]:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "TIFF" if image.dtype.kind == "f" else "PNG")
        found += (await post(app, stream.getvalue(), "image/png"))[:1]
    return np.array(found)


async def post(app: Any, body: bytes, kind: str) -> list[str]:
    """Post to /api/predict; return the labels. Raises InputError for an answer of 422."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = {"host": "localhost", "content-type": kind, "content-length": str(len(body))}
    scope = {
        "type": "http", "method": "POST", "path": "/api/predict", "raw_path": b"/api/predict", "query_string": b"",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()], "http_version": "1.1",
        "scheme": "http", "client": ("127.0.0.1", 1), "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    content = json.loads(b"".join(message.get("body", b"") for message in sent))
    if sent[0]["status"] == 422:
        raise InputError(content["detail"])
    assert sent[0]["status"] == 200, content
    return [prediction["label"] for prediction in content["predictions"]]


if __name__ == "__main__":
    main()
