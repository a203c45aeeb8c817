"""A run becomes a file that onnxruntime alone can run, or no file."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

import hitofude
from hitofude.errors import InputError, RunFolderError
from hitofude.export import parity
from hitofude.export.onnx_export import describe_run, export_onnx, model_of_run
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.outcome import describe_export
from hitofude.inputs.sources import Dataset, sample
from hitofude.learning.compute import choose_compute
from hitofude.prediction.model import Model
from hitofude.runs.result import RunResult
from tests.conftest import Call, copy_of


def test_plain_onnxruntime_answers_as_predict_does(exported_file: Path, finished: RunResult, dataset: Dataset) -> None:
    session = onnxruntime.InferenceSession(exported_file, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"pixels": dataset.train.images})
    temperature = finished.summary.calibration.temperature
    model = Model.of_run(finished.folder, choose_compute("cpu", "float32"), temperature)
    expected = model.predict(torch.from_numpy(dataset.train.images))
    assert np.abs(found - expected).max() < 1e-4
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_the_metadata_say_what_it_is(exported_file: Path, finished: RunResult) -> None:
    model = onnx.load(exported_file)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == list("0123456789")
    assert json.loads(metadata["image_shape"]) == [1, 28, 28]
    assert json.loads(metadata["networks"]) == ["cnn-lean", "cnn-lean"]
    assert json.loads(metadata["temperature"]) == pytest.approx(finished.summary.calibration.temperature)
    assert (model.producer_name, model.producer_version) == ("hitofude", hitofude.__version__)


@pytest.mark.slow
def test_where_the_answers_differ_there_is_no_file(
    finished: RunResult, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 0.0)
    code, out, error = call("export", finished.folder.path, "--onnx", tmp_path / "m.onnx", "--images", "50")
    assert (code, out, list(tmp_path.iterdir())) == (3, "", [])
    assert "does not predict as the run does" in error


def test_the_command_prints_what_was_compared_and_measured(
    finished: RunResult, files: Path, tmp_path: Path, call: Call
) -> None:
    target = tmp_path / "small.onnx"
    code, out, error = call("export", finished.folder.path, files, "--onnx", target, "--int8", "--images", "400")
    assert (code, error) == (0, "")
    assert f"{target}: {target.stat().st_size:,} bytes, 2 members, pixels (N, 1, 28, 28)" in out
    assert "0 labels differ of 400" in out
    assert "answers   0 labels differ of 50 from the run's submission, no probability by more than" in out
    assert "times PyTorch's" in out
    assert "out-of-fold accuracy" in out


def test_eight_bits_are_half_of_the_size_and_hardly_less_accurate(
    exported_file: Path, finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    export = export_onnx(finished.folder.path, tmp_path / "m.onnx", source=dataset, int8=True, images=300)
    assert export.bytes < exported_file.stat().st_size / 2  # the score of novelty stays as it is
    assert export.cost is not None
    assert export.cost.images == len(dataset.train)
    assert export.cost.accuracy_before == pytest.approx(finished.accuracy.value, abs=0.005)
    assert export.cost.accuracy == pytest.approx(export.cost.accuracy_before, abs=0.02)
    probabilities, _ = OnnxModel.load(tmp_path / "m.onnx").predict(dataset.train.images)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_simple_file_says_what_asking_simply_costs(
    finished: RunResult, files: Path, tmp_path: Path, call: Call
) -> None:
    target = tmp_path / "simple.onnx"
    code, out, error = call("export", finished.folder.path, files, "--onnx", target, "--simple", "--images", "100")
    assert (code, error) == (0, "")
    assert "parity    0 labels differ of 100" in out
    assert "simple    out-of-fold accuracy" in out
    assert OnnxModel.load(target).description.weights != describe_run(finished.folder).weights
    model = onnx.load(target)
    assert (len(model.functions), model.graph.input[0].name) == (0, "pixels")
    refused = call("export", finished.folder.path, "--onnx", target, "--views", "all")
    assert refused[::2] == (2, "hitofude: --views all is for --simple and --litert: add one, or leave --views out.\n")


def test_seen_as_often_as_the_run_sees_unclear_images_a_simple_file_gives_the_runs_labels(
    finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    export = export_onnx(finished.folder.path, tmp_path / "m.onnx", source=dataset, simple="all", images=100)
    assert export.simple is not None
    assert (export.simple.changed, export.simple.accuracy) == (0, export.simple.accuracy_before)
    once = export_onnx(finished.folder.path, tmp_path / "m.onnx", source=dataset, simple="one", images=400)
    assert once.simple is not None
    assert once.simple.changed > 0


@pytest.mark.slow
def test_two_installations_write_the_same_bytes_and_name_no_path(finished: RunResult, tmp_path: Path) -> None:
    """Two copies of the sources, each with a copy of the run, at paths of other lengths and with other hashes."""
    contents = []
    for seed, place in enumerate(("here", "elsewhere/deeper")):
        home = tmp_path / place
        shutil.copytree(Path(hitofude.__file__).parent, home / "lib" / "hitofude")
        shutil.copytree(finished.folder.path, home / "run")
        environment = {**os.environ, "PYTHONPATH": str(home / "lib"), "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-m", "hitofude", "export", "run", "--onnx", "m.onnx", "--images", "20"]
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=home)
        contents.append((home / "m.onnx").read_bytes())
    assert contents[0] == contents[1]
    assert not [place for place in (str(tmp_path), sys.prefix, "site-packages") if place.encode() in contents[0]]


def test_of_a_distilled_run_one_network_is_exported_and_its_training_images_show_no_accuracy(
    distilled: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    export = export_onnx(distilled.folder.path, tmp_path / "m.onnx", source=dataset, int8=True, images=100)
    assert len(export.description.networks) == 1
    assert export.own is not None
    assert (export.own.of, export.own.images, export.own.changed) == ("submission", 50, 0)
    assert export.cost is not None
    assert (export.cost.images, export.cost.accuracy) == (100, None)
    assert "of 100 training images, which it learned from" in describe_export(export)
    own = export_onnx(distilled.folder.path, tmp_path / "m.onnx", source=replace(dataset, test=None), images=100).own
    assert own is not None
    assert "had no images to predict" in own.describe()


def test_the_cost_of_eight_bits_is_measured_on_the_runs_own_images(finished: RunResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Name the source that the run in .* was trained on"):
        export_onnx(finished.folder.path, tmp_path / "m.onnx", int8=True)
    with pytest.raises(InputError, match=r"sample is not the source that the run in .* was trained on"):
        export_onnx(finished.folder.path, tmp_path / "m.onnx", source=sample(), int8=True)


def test_images_of_another_size_are_refused(finished: RunResult, tmp_path: Path) -> None:
    source = hitofude.open_source(pd.DataFrame(np.zeros((4, 9), np.uint8)).assign(label=["a", "b"] * 2))
    with pytest.raises(InputError, match=r"the images are 1x3x3 .*, those of the run 1x28x28"):
        export_onnx(finished.folder.path, tmp_path / "m.onnx", source=source)


def test_a_run_keeps_the_model_that_it_serves(finished: RunResult, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    export_onnx(folder.path, folder.model, images=50)
    written = folder.model.stat().st_mtime_ns
    first = model_of_run(folder.path).description
    assert folder.model.stat().st_mtime_ns == written
    recipe = folder.recipe.read_text(encoding="utf-8")
    folder.recipe.write_text(recipe.replace("threshold = 0.85", "threshold = 0.8"), encoding="utf-8")
    assert model_of_run(folder.path).description.weights != first.weights


def test_what_is_no_finished_run_is_refused(tmp_path: Path, call: Call) -> None:
    code, _, error = call("export", tmp_path, "--onnx", tmp_path / "m.onnx")
    assert code == 3
    assert "is not a run folder" in error


def test_a_call_that_asks_for_nothing_is_explained(finished: RunResult, call: Call) -> None:
    assert call("export", finished.folder.path)[::2] == (
        2, "hitofude: Nothing to export. Name a file with --onnx or --litert, or a folder with --web.\n"
    )  # fmt: skip
    assert "--images 0: expected" in call("export", finished.folder.path, "--onnx", "m.onnx", "--images", "0")[2]


def test_a_member_that_is_missing_is_named(finished: RunResult, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    (folder.member(1) / "weights.safetensors").unlink()
    with pytest.raises(RunFolderError, match=r"weights\.safetensors is missing"):
        export_onnx(folder.path, tmp_path / "m.onnx")
