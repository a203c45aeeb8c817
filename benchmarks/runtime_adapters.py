"""Runtimes for exported models, each as a function of images that returns probabilities, for `benchmarks.runtimes`."""

import importlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.export.litert_model import LiteRtModel
from hitofude.export.onnx_model import OnnxModel

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (N, C, H, W) → (N, classes)
BATCH = 128
SLOW = 16
"""The images that a slow runtime predicts."""


class NotInstalledError(Exception):
    """A runtime is not here."""


class NotReadError(Exception):
    """A runtime does not read a form."""


@dataclass(frozen=True)
class Form:
    """An exported file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True)
class Adapter:
    """A runtime."""

    name: str
    package: str
    load: Callable[[Path], Predict]
    suffix: str = ".onnx"
    float32: bool = False
    """Whether it takes pixels as float32 only."""
    most: int | None = None
    """The images that it predicts; None for all."""
    found: Callable[[], str] | None = None
    """Its version, if it is no package of this environment."""

    def version(self) -> str:
        """Raises NotInstalledError."""
        if self.found is not None:
            return self.found()
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            raise NotInstalledError(f"pip install {self.package}") from None

    def takes(self, form: Form) -> bool:
        is_float32 = "float32" in form.name
        return form.path.suffix == self.suffix and is_float32 == self.float32

    def open(self, form: Form) -> Predict:
        """Raises NotReadError."""
        try:
            predict = self.load(form.path)
            if not self.float32:
                return predict
            return lambda images: predict(images.astype(np.float32))
        except Exception as error:  # each runtime has errors of its own
            lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise NotReadError(next((line for line in lines if "rule" in line), lines[0])[:160]) from error


def in_batches(predict: Callable[[Any], Any], size: int = BATCH) -> Predict:
    return lambda images: np.concatenate(
        [np.asarray(predict(images[start : start + size])) for start in range(0, len(images), size)]
    )


def one_at_a_time(predict: Predict) -> Predict:
    return lambda images: np.concatenate([predict(images[place : place + 1]) for place in range(len(images))])


def by_onnxruntime(path: Path) -> Predict:
    model = OnnxModel.load(path)
    return lambda images: model.predict(images)[0]


def by_openvino(path: Path) -> Predict:
    openvino = importlib.import_module("openvino")
    one_thread = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(str(path), "CPU", one_thread)
    return in_batches(lambda batch: compiled(batch)[0])


def by_tract(path: Path) -> Predict:
    tract = importlib.import_module("tract")
    runnable = tract.onnx().load(str(path)).into_model().into_runnable()
    return in_batches(lambda batch: runnable.run([tract.Tensor.from_numpy(np.ascontiguousarray(batch))])[0].to_numpy())


def by_onnx(path: Path) -> Predict:
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(str(path))
    return in_batches(lambda batch: evaluator.run(None, {"pixels": batch})[0])


def by_ncnn(path: Path) -> Predict:
    ncnn, pnnx = importlib.import_module("ncnn"), importlib.import_module("pnnx")
    about = OnnxModel.load(path).description.image_shape
    folder = Path(mkdtemp())
    shutil.copy(path, folder / "model.onnx")
    shape = f"inputshape=[1,{','.join(map(str, about))}]f32"
    command = [pnnx.EXEC_PATH, "model.onnx", shape, "fp16=0"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    network = ncnn.Net()
    network.opt.num_threads = 1
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    network.opt.use_bf16_storage = False
    network.load_param(str(folder / "model.ncnn.param"))
    network.load_model(str(folder / "model.ncnn.bin"))

    def predict_one(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(batch[0])).clone())
        return np.asarray(extractor.extract("out0")[1]).reshape(1, -1).copy()

    return in_batches(predict_one, 1)


def by_litert(path: Path) -> Predict:
    model = LiteRtModel.load(path)
    return lambda images: model.predict(images)[0]


ADAPTERS = [
    Adapter("onnxruntime", "onnxruntime", by_onnxruntime),
    Adapter("OpenVINO", "openvino", by_openvino),
    Adapter("tract", "tract", by_tract),
    Adapter("onnx's reference evaluator", "onnx", by_onnx, most=SLOW),
    Adapter("ncnn, converted by pnnx", "ncnn", by_ncnn, float32=True),
    Adapter("LiteRT", "ai-edge-litert", by_litert, suffix=".tflite"),
]

ELSEWHERE = """
import sys, time, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
images = numpy.load(sys.argv[2])
starts = range(0, len(images), 128)
session.run(None, {"pixels": images[:8]})
began = time.perf_counter()
found = [session.run(None, {"pixels": images[start : start + 128]})[0] for start in starts]
print(time.perf_counter() - began)
numpy.concatenate(found).tofile(sys.argv[3])
"""

IN_NODE = """
import fs from "node:fs";
const [runtime, model, pixels, shape, out] = process.argv.slice(2);
const ort = await import(runtime);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(fs.readFileSync(model), { executionProviders: ["wasm"] });
const [count, ...sizes] = JSON.parse(shape);
const file = fs.readFileSync(pixels), each = sizes.reduce((a, b) => a * b), found = [];
const bytes = new Uint8Array(file.subarray(file.length - count * each)); // behind the header of NPY
await session.run({ pixels: new ort.Tensor("uint8", bytes.slice(0, each), [1, ...sizes]) });
const began = performance.now();
for (let start = 0; start < count; start += 128) {
  const end = Math.min(start + 128, count);
  const batch = new ort.Tensor("uint8", bytes.slice(start * each, end * each), [end - start, ...sizes]);
  found.push(...(await session.run({ pixels: batch })).probabilities.data);
}
console.log((performance.now() - began) / 1000);
fs.writeFileSync(out, new Float32Array(found));
"""


class Elsewhere:
    """A prediction in a process of its own, which prints its seconds without the start."""

    def __init__(self, command: Callable[[Path, str, Path], list[str | Path]]) -> None:
        """command: of the file of the images, their shape as JSON, and the file of the answers."""
        self._command = command
        self.seconds = 0.0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raises NotReadError."""
        with TemporaryDirectory() as place:
            given, answers = Path(place, "images.npy"), Path(place, "answers.bin")
            np.save(given, images)
            command = self._command(given, json.dumps(images.shape), answers)
            called = subprocess.run(command, capture_output=True, text=True, check=False)
            if called.returncode != 0:
                raise NotReadError(called.stderr.strip().rpartition("\n")[2][:160] or f"exit code {called.returncode}")
            self.seconds = float(called.stdout.split()[-1])
            return np.fromfile(answers, dtype=np.float32).reshape(len(images), -1)


def other_python(python: Path) -> Adapter:
    """Onnxruntime of another environment."""

    def version() -> str:
        asked: list[str | Path] = [python, "-c", "import onnxruntime; print(onnxruntime.__version__)"]
        if shutil.which(python) is None:
            raise NotInstalledError(f"no program {python}")
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise NotInstalledError(found.stderr.strip().rpartition("\n")[2])
        return str(found.stdout).strip()

    def load(path: Path) -> Predict:
        return Elsewhere(lambda given, _, answers: [python, "-c", ELSEWHERE, path, given, answers])

    return Adapter("onnxruntime elsewhere", "onnxruntime", load, found=version)


def web_browser(package: Path) -> Adapter:
    """onnxruntime-web in Node, by WebAssembly. package: npm's file."""
    folder = Path(mkdtemp())
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    script, runtime = folder / "predict.mjs", folder / "package" / "dist" / "ort.wasm.min.mjs"
    script.write_text(IN_NODE, encoding="utf-8")

    def version() -> str:
        if shutil.which("node") is None:
            raise NotInstalledError("Node.js")
        return str(json.loads((folder / "package" / "package.json").read_text(encoding="utf-8"))["version"])

    def load(path: Path) -> Predict:
        return Elsewhere(lambda given, shape, answers: ["node", script, runtime, path.resolve(), given, shape, answers])

    return Adapter("onnxruntime-web", "onnxruntime-web", load, found=version)
