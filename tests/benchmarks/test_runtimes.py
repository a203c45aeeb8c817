"""Runtimes are compared with onnxruntime, image by image; one that is missing or cannot read a file is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.runtime_adapters import ADAPTERS, Adapter, Form, by_onnxruntime, other_python
from benchmarks.runtimes import compare

from hitofude.inputs.sources import Dataset

ONNXRUNTIME = ADAPTERS[0]
EVALUATOR = next(adapter for adapter in ADAPTERS if adapter.package == "onnx")


def lines(adapter: Adapter, file: Path, dataset: Dataset) -> list[str]:
    return list(compare([ONNXRUNTIME, adapter], [Form(file)], dataset.train.images[:40]))[2:]


def test_onnxs_own_evaluator_answers_as_onnxruntime_does(exported_file: Path, dataset: Dataset) -> None:
    name, of_file = lines(EVALUATOR, exported_file, dataset)
    assert name.startswith("onnx's reference evaluator 1.")
    assert "0 labels of 16 differ" in of_file


@pytest.mark.parametrize("package", ["openvino", "tract", "ncnn"])
def test_a_runtime_is_named_if_it_is_not_installed(package: str, exported_file: Path, dataset: Dataset) -> None:
    missing = replace(EVALUATOR, name=package, package=f"{package}-that-nobody-has")
    assert lines(missing, exported_file, dataset) == [
        f"{package}: not installed here (pip install {package}-that-nobody-has)"
    ]


def test_labels_of_a_runtime_that_answers_otherwise_are_counted(exported_file: Path, dataset: Dataset) -> None:
    def wrong(path: Path):  # type: ignore[no-untyped-def]
        right = by_onnxruntime(path)
        return lambda images: np.concatenate([np.roll(right(images[:3]), 1, axis=1), right(images[3:])])

    _, of_file = lines(replace(ONNXRUNTIME, name="other", load=wrong), exported_file, dataset)
    assert "3 labels of 40 differ" in of_file


def test_a_file_that_a_runtime_does_not_read_has_its_reason(exported_file: Path, dataset: Dataset) -> None:
    def fails(path: Path):  # type: ignore[no-untyped-def]
        raise RuntimeError("Exception from core.cpp:\n-- No conversion rule found for operations: hitofude.ensemble")

    _, of_file = lines(replace(ONNXRUNTIME, name="other", load=fails), exported_file, dataset)
    assert of_file.endswith("not read: No conversion rule found for operations: hitofude.ensemble")


def test_a_python_that_is_not_there_has_no_onnxruntime(exported_file: Path, dataset: Dataset, tmp_path: Path) -> None:
    (line,) = lines(other_python(tmp_path / "python"), exported_file, dataset)
    assert "not installed here" in line
