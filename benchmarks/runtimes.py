"""Which runtimes read an exported model, do they answer as onnxruntime does, and how fast are they?

python -m benchmarks.runtimes RUN SOURCE [--images 1000] [--also PYTHON …] [--onnxruntime-web FILE.tgz] [--out FOLDER]
    [--one]

Exports RUN as `hitofude export` does, with --simple, both in eight bits, and as a LiteRT file with one view. Each
runtime that is installed here predicts SOURCE's first images to predict with each form that it reads, on one thread, in
batches of 128, or one at a time if it takes no more. Prints for each form the labels that differ from onnxruntime's,
the largest difference of a probability, and the images/s beside onnxruntime's of the same form, in turn; a LiteRT file
is compared with the simple form. --also names the Python of another environment, such as one with an older onnxruntime;
runtimes that are not installed are named. onnx's own evaluator predicts the first 16 images only. --one asks those of
this process about one image at a time, as a phone does.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.runtime_adapters import (
    ADAPTERS,
    Adapter,
    Form,
    NotInstalledError,
    NotReadError,
    Predict,
    one_at_a_time,
    other_python,
    web_browser,
)
from hitofude.errors import UserError, first_line
from hitofude.export.litert_export import export_litert
from hitofude.export.onnx_export import export_onnx
from hitofude.inputs.sources import Dataset, open_source

ROUNDS = 3


@dataclass(frozen=True)
class Answers:
    """A runtime's probabilities of one form, and its speed."""

    probabilities: NDArray[np.float32]
    images_per_second: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source")
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="PYTHON")
    parser.add_argument("--onnxruntime-web", type=Path, metavar="FILE.tgz")
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--out", type=Path, help="keep the exported files here, and take those that lie there")
    arguments = parser.parse_args()
    dataset = open_source(arguments.source)
    images = (dataset.train if dataset.test is None else dataset.test).images[: arguments.images]
    adapters = [*ADAPTERS, *map(other_python, arguments.also)]
    if arguments.onnxruntime_web is not None:
        adapters.append(web_browser(arguments.onnxruntime_web))
    with TemporaryDirectory() as place:
        forms = export_forms(arguments.run, dataset, arguments.out or Path(place))
        print(f"{arguments.run.name}: {', '.join(f'{one.name} {one.bytes:,} bytes' for one in forms)}", flush=True)
        for line in compare(adapters, forms, images, one_by_one=arguments.one):
            print(line, flush=True)


def export_forms(run: Path, dataset: Dataset, folder: Path) -> list[Form]:
    """Export the run in every form that can be made here."""
    folder.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[Path], object]] = {
        "default.onnx": lambda path: export_onnx(run, path, images=100),
        "simple.onnx": lambda path: export_onnx(run, path, simple="one", images=100),
        "simple-float32.onnx": lambda path: export_onnx(run, path, simple="one", pixels="float32", images=100),
        "default-int8.onnx": lambda path: export_onnx(run, path, source=dataset, int8=True, images=100),
        "simple-int8.onnx": lambda path: export_onnx(run, path, source=dataset, simple="one", int8=True, images=100),
        "one-view.tflite": lambda path: export_litert(run, path, views="one", images=100),
    }
    forms = []
    for name, make in makers.items():
        try:
            if not (folder / name).exists():
                make(folder / name)
            forms.append(Form(folder / name))
        except UserError as error:
            print(f"{name}: {first_line(error)}", flush=True)
    return forms


def compare(
    adapters: list[Adapter], forms: list[Form], images: NDArray[np.uint8], *, one_by_one: bool = False
) -> Iterator[str]:
    """Return the lines of the table, a runtime after the other; the first adapter is that of onnxruntime."""
    if one_by_one:
        adapters = [replace(adapter, load=alone(adapter.load)) for adapter in adapters if adapter.found is None]
    reference = adapters[0]
    for adapter in adapters:
        try:
            version = adapter.version()
        except NotInstalledError as missing:
            yield f"{adapter.name}: not installed here ({missing})"
            continue
        yield f"{adapter.name} {version}"
        some = images[: adapter.most]
        for form in forms:
            if not adapter.takes(form):
                continue
            beside = Form(form.path.with_name("simple.onnx")) if form.path.suffix == ".tflite" else form
            yield f"  {form.name:<20} {describe(adapter, form, reference, beside, some)}"


def alone(load: Callable[[Path], Predict]) -> Callable[[Path], Predict]:
    """Return the same for one image at a time."""
    return lambda path: one_at_a_time(load(path))


def describe(adapter: Adapter, form: Form, reference: Adapter, beside: Form, images: NDArray[np.uint8]) -> str:
    try:
        found, expected = in_turn(adapter.open(form), reference.open(beside), images)
    except NotReadError as error:
        return f"not read: {error}"
    if found.probabilities.shape != expected.probabilities.shape:
        return f"read, but its answers are {found.probabilities.shape} in place of {expected.probabilities.shape}"
    changed = int((found.probabilities.argmax(axis=1) != expected.probabilities.argmax(axis=1)).sum())
    largest = float(np.abs(found.probabilities - expected.probabilities).max())
    return (
        f"{changed} labels of {len(images):,} differ, no probability by more than {largest:.1e}; "
        f"{found.images_per_second:,.0f} images/s, {found.images_per_second / expected.images_per_second:.2f} times "
        "onnxruntime's"
    )


def in_turn(one: Callable[..., NDArray[np.float32]], other: Callable[..., NDArray[np.float32]],
            images: NDArray[np.uint8]) -> tuple[Answers, Answers]:  # fmt: skip
    """Predict with both in turn, three times; the speeds are the medians."""
    seconds: tuple[list[float], list[float]] = ([], [])
    answers: list[NDArray[np.float32]] = []
    for predict in (one, other):
        predict(images[:8])
    for _ in range(ROUNDS):
        answers = []
        for predict, taken in zip((one, other), seconds, strict=True):
            started = time.perf_counter()
            answers.append(predict(images))
            taken.append(getattr(predict, "seconds", time.perf_counter() - started))
    rates = [len(images) / float(np.median(taken)) for taken in seconds]
    return Answers(answers[0], rates[0]), Answers(answers[1], rates[1])


if __name__ == "__main__":
    main()
