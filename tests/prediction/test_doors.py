"""One image, one probability, through every door of one run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import hitofude
from hitofude.export.onnx_export import export_onnx
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.dataset import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.learning.networks import build_network
from hitofude.metrics.calibration import Cascade, Stage, join_members
from hitofude.metrics.whole_ensemble import prediction_sets
from hitofude.outputs.report import RunSummary, read_summary
from hitofude.prediction.bulk.run import predict_in_bulk
from hitofude.prediction.files import predict_files, predict_sets
from hitofude.prediction.model import Model, model_identity
from hitofude.recipe import TtaRecipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.known_kinds import load_novelty
from hitofude.runs.result import RunResult, load_result
from hitofude.storage import read_npz
from hitofude.web.settings import Settings
from tests.conftest import Call, write_csv
from tests.web.conftest import running

Probabilities = NDArray[np.float32]
SIX_DECIMALS, OF_ONNX, OF_BATCHES = 1e-6, 2e-6, 0.01


@pytest.fixture(scope="module")
def images(dataset: Dataset) -> NDArray[np.uint8]:
    assert dataset.test is not None
    return dataset.test.images


@pytest.fixture(scope="module")
def expected(finished: RunResult) -> Probabilities:
    """The mean of the members at the run's temperature, computed here."""
    assert finished.member_probabilities is not None
    mean = finished.member_probabilities.mean(axis=0).astype(np.float64)
    powers = mean ** (1 / finished.summary.calibration.temperature)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def in_float32(finished: RunResult, images: NDArray[np.uint8]) -> tuple[Probabilities, Probabilities]:
    """The run's own networks in float32, as an exported model computes: the mean and the members."""
    compute = choose_compute("cpu", "float32")
    model = Model.of_run(finished.folder, compute, finished.folder.load_temperature())
    members = model.predict_members(torch.tensor(images))
    return model.join(members), members


@pytest.fixture
def table(dataset: Dataset, tmp_path: Path) -> Path:
    assert dataset.test is not None
    return write_csv(tmp_path / "test.csv", dataset.test, label=None)


def columns(frame: pd.DataFrame) -> Probabilities:
    return frame.filter(like="probability_").to_numpy(dtype=np.float32)


def test_the_file_and_the_result_of_the_run(finished: RunResult, expected: Probabilities) -> None:
    in_file = read_npz(finished.folder.test_probabilities)["probabilities"]
    assert in_file == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(in_file, finished.test_probabilities)


def test_python(finished: RunResult, images: NDArray[np.uint8]) -> None:
    assert np.array_equal(hitofude.predict(finished.folder.path, images, device="cpu"), finished.test_probabilities)


def test_one_image_alone(finished: RunResult, images: NDArray[np.uint8]) -> None:
    alone = hitofude.predict(finished.folder.path, images[7:8], device="cpu")
    assert finished.test_probabilities is not None
    assert alone[0] == pytest.approx(finished.test_probabilities[7], abs=SIX_DECIMALS)


@pytest.mark.parametrize("ending", [".csv", ".npz", ".parquet"])
def test_files(ending: str, finished: RunResult, table: Path, call: Call, tmp_path: Path) -> None:
    path = tmp_path / f"p{ending}"
    assert call("predict", finished.folder.path, table, "--out", path, "--device", "cpu")[0] == 0
    read: dict[str, Callable[[], Probabilities]] = {
        ".csv": lambda: columns(pd.read_csv(path)),
        ".npz": lambda: read_npz(path)["probabilities"],
        ".parquet": lambda: columns(pd.read_parquet(path)),
    }
    assert read[ending]() == pytest.approx(finished.test_probabilities, rel=1e-7)


def test_bulk(finished: RunResult, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers"
    predict_in_bulk(finished.folder.path, [table], out, workers=1, threads=1, device="cpu", quiet=True)
    assert columns(pd.read_csv(out / "test.csv")) == pytest.approx(finished.test_probabilities, rel=1e-7)


def test_onnxruntime_alone(
    exported_file: Path, images: NDArray[np.uint8], in_float32: tuple[Probabilities, Probabilities]
) -> None:
    session = onnxruntime.InferenceSession(exported_file)
    outputs = ["probabilities", "members"]
    for found, expected in zip(session.run(outputs, {"pixels": images}), in_float32, strict=True):
        assert found == pytest.approx(expected, abs=OF_ONNX)


def test_the_server_of_the_page(
    exported: OnnxModel, images: NDArray[np.uint8], in_float32: tuple[Probabilities, Probabilities]
) -> None:
    with running(exported, Settings()) as server:
        answers = server.post("/api/predict", {"images": images.reshape(len(images), -1).tolist()}).json["predictions"]
    found = np.array([answer["probabilities"] for answer in answers])
    assert found == pytest.approx(in_float32[0], abs=OF_ONNX)
    sets = prediction_sets(in_float32[0], exported.description.set_thresholds["0.95"])
    assert [len(answer["set"]) for answer in answers] == sets.sum(axis=1).tolist()


def test_a_photo(finished: RunResult, images: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(255 - np.pad(np.kron(images[0, 0], np.ones((4, 4), dtype=np.uint8)), 20)).save(tmp_path / "p.png")
    read = predict_files(finished.folder.path, [tmp_path / "p.png"], device="cpu")
    assert np.array_equal(
        read.probabilities, hitofude.predict(finished.folder.path, read.photos[0].images, device="cpu")
    )


def test_the_training_rows(finished: RunResult) -> None:
    """Out of fold the file holds both, and the lists of hard images the calibrated one."""
    found = read_npz(finished.folder.out_of_fold)
    mean = found["raw_probabilities"].astype(np.float64)
    powers = mean ** (1 / finished.summary.calibration.out_of_fold_temperature)
    assert found["probabilities"] == pytest.approx(powers / powers.sum(axis=1, keepdims=True), rel=1e-5, abs=1e-9)
    assert np.array_equal(found["probabilities"], finished.out_of_fold_probabilities)
    hardest = pd.read_csv(finished.folder.hardest, dtype={"id": str})
    assert columns(hardest) == pytest.approx(found["probabilities"][hardest["id"].astype(int) - 1], abs=SIX_DECIMALS)


def test_raw_gives_what_the_networks_predict(
    finished: RunResult, images: NDArray[np.uint8], table: Path, call: Call, tmp_path: Path
) -> None:
    assert finished.member_probabilities is not None
    raw = finished.member_probabilities.mean(axis=0)
    assert np.array_equal(hitofude.predict(finished.folder.path, images, device="cpu", raw=True), raw)
    assert call("predict", finished.folder.path, table, "--raw", "--out", tmp_path / "p.csv", "--device", "cpu")[0] == 0
    assert columns(pd.read_csv(tmp_path / "p.csv")) == pytest.approx(raw, rel=1e-7)


def test_the_submission_is_the_likeliest_label_of_either(finished: RunResult) -> None:
    assert finished.test_probabilities is not None
    assert finished.member_probabilities is not None
    answers = pd.read_csv(finished.folder.submission, dtype=str)["Label"].tolist()
    for probabilities in (finished.test_probabilities, finished.member_probabilities.mean(axis=0)):
        assert np.asarray(finished.classes)[probabilities.argmax(axis=1)].tolist() == answers


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_sets_are_the_same_by_file_python_and_result(
    level: float, finished: RunResult, images: NDArray[np.uint8], table: Path, call: Call, tmp_path: Path
) -> None:
    sets = finished.test_sets(level)
    assert sets is not None
    assert np.array_equal(predict_sets(finished.folder.path, images, level, device="cpu"), sets)
    path = tmp_path / "p.csv"
    arguments = ["--sets", str(level), "--out", path, "--device", "cpu"]
    assert call("predict", finished.folder.path, table, *arguments)[0] == 0
    frame = pd.read_csv(path, dtype=str)
    assert frame.columns.tolist()[:3] == ["id", "label", "set"]
    assert [set(text.split("|")) for text in frame["set"]] == [set(np.asarray(finished.classes)[row]) for row in sets]
    assert all(label in text for label, text in zip(frame["label"], frame["set"], strict=True))


def test_sets_in_bulk_are_those_of_plain_predict(finished: RunResult, table: Path, call: Call, tmp_path: Path) -> None:
    plain, out = tmp_path / "plain.csv", tmp_path / "answers"
    assert call("predict", finished.folder.path, table, "--sets", "0.99", "--out", plain, "--device", "cpu")[0] == 0
    predict_in_bulk(finished.folder.path, [table], out, workers=1, threads=1, device="cpu", level=0.99, quiet=True)
    assert (out / "test.csv").read_bytes() == plain.read_bytes()


def test_the_score_of_novelty_is_the_same_in_the_exported_model(
    finished: RunResult, exported: OnnxModel, images: NDArray[np.uint8]
) -> None:
    novelty = load_novelty(finished.folder)
    assert novelty is not None
    model = Model.of_run(finished.folder, choose_compute("cpu", "float32"), None)
    _, expected = model.predict_with_novelty(torch.tensor(images))
    np.testing.assert_allclose(exported.answer(images).novelty, expected, atol=1e-4)
    assert exported.description.known_thresholds == novelty.thresholds()


def test_of_a_cascade_too(cascaded: RunResult, images: NDArray[np.uint8], tmp_path: Path) -> None:
    export_onnx(cascaded.folder.path, tmp_path / "model.onnx", images=100)
    model = Model.of_run(cascaded.folder, choose_compute("cpu", "float32"), None)
    _, expected = model.predict_with_novelty(torch.tensor(images))
    found = OnnxModel.load(tmp_path / "model.onnx").answer(images).novelty
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_thresholds_travel_with_the_model(finished: RunResult, exported: OnnxModel) -> None:
    assert exported.description.set_thresholds == {
        text: finished.set_threshold(float(text)) for text in ("0.9", "0.95", "0.99")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sets", "95"], "--sets 95: expected a share between 0 and 1, such as 0.95."),
        (["--sets", "0.9", "--raw"], "--sets needs calibrated probabilities. Leave --raw out."),
    ],
)
def test_sets_that_cannot_be_are_refused(
    arguments: list[str], message: str, finished: RunResult, table: Path, call: Call
) -> None:
    code, out, err = call("predict", finished.folder.path, table, *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_cascade_gives_the_first_members_answer_to_clear_images_alone(cascaded: RunResult) -> None:
    cascade, members = cascaded.summary.cascade, cascaded.member_probabilities
    assert cascade is not None
    assert members is not None
    (stage,) = cascade.stages
    clear = members[stage.member].max(axis=1) >= stage.threshold
    assert 0 < clear.sum() < len(clear)
    raw = np.where(clear[:, None], members[stage.member], members.mean(axis=0)).astype(np.float64)
    powers = raw ** (1 / cascaded.summary.calibration.temperature)
    assert cascaded.test_probabilities == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=SIX_DECIMALS)


def test_python_and_bulk_agree_about_a_cascade(
    cascaded: RunResult, images: NDArray[np.uint8], table: Path, tmp_path: Path
) -> None:
    """The others see fewer images at once than in the run, so the last digits may differ."""
    found = hitofude.predict(cascaded.folder.path, images, device="cpu")
    assert found == pytest.approx(cascaded.test_probabilities, abs=OF_BATCHES)
    predict_in_bulk(cascaded.folder.path, [table], tmp_path / "out", workers=1, threads=2, device="cpu", quiet=True)
    assert columns(pd.read_csv(tmp_path / "out" / "test.csv")) == pytest.approx(found, rel=1e-7)


def test_onnxruntime_and_the_server_agree_about_a_cascade(
    cascaded: RunResult, images: NDArray[np.uint8], dataset: Dataset, tmp_path: Path
) -> None:
    export = export_onnx(cascaded.folder.path, tmp_path / "model.onnx", source=dataset, images=100)
    assert (export.parity.changed, export.parity.border) == (0, 0)
    model = Model.of_run(cascaded.folder, choose_compute("cpu", "float32"), cascaded.folder.load_temperature())
    members = model.ask_members(torch.tensor(images))
    outputs = ["probabilities", "members"]
    found = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(outputs, {"pixels": images})
    for of_onnx, expected in zip(found, (model.join(members), members), strict=True):
        assert of_onnx == pytest.approx(expected, abs=OF_ONNX)
    with running(OnnxModel.load(tmp_path / "model.onnx"), Settings()) as server:
        answers = server.post("/api/predict", {"images": images.reshape(len(images), -1).tolist()}).json["predictions"]
    assert np.array([answer["probabilities"] for answer in answers]) == pytest.approx(found[0], abs=OF_ONNX)
    assert model.cascade is not None
    (stage,) = model.cascade.stages
    assert [answer["asked"] for answer in answers] == np.where(stage.is_clear(members[stage.member]), 1, 2).tolist()


def test_a_report_of_an_earlier_version_gives_the_same_answers(cascaded: RunResult, tmp_path: Path) -> None:
    report = json.loads(cascaded.folder.report.read_text())
    (stage,) = report["cascade"]["stages"]
    earlier = {"first": stage["member"], "threshold": stage["threshold"], "alone": stage["answered"]}
    report["cascade"] = earlier | {"changed": report["cascade"]["changed"]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert read_summary(tmp_path / "report.json", RunSummary) == cascaded.summary


@pytest.mark.parametrize("threads", [1, 2])
def test_members_are_asked_one_after_another_in_python(
    cascaded: RunResult, images: NDArray[np.uint8], threads: int
) -> None:
    """Of four members, some images are clear to one, some to two; those not asked have the mean of those asked."""
    compute, tta = choose_compute("cpu", "float32", threads), TtaRecipe(shift=1, threshold=0.5)
    networks = [build_network("cnn-lean", (1, 28, 28), 10, torch.Generator().manual_seed(seed)) for seed in range(4)]
    every = Model(networks, cascaded.classes, (1, 28, 28), compute, tta, None).predict_members(torch.tensor(images))
    first = np.quantile(every[2].max(axis=1), 2 / 3)
    second = np.quantile(every[[2, 0]].mean(axis=0).max(axis=1), 1 / 3)
    cascade = Cascade((Stage(2, float(first), 0.3), Stage(0, float(second), 0.3)), 0.0)
    model = Model(networks, cascaded.classes, (1, 28, 28), compute, tta, 0.8, cascade)
    found, asked = model.ask_members(torch.tensor(images)), cascade.count_asked(every)
    assert set(asked) == {1, 2, 4}
    for image, count in enumerate(asked):
        numbers = [2, 0, 1, 3][:count]
        expected = np.tile(every[numbers, image].mean(axis=0), (4, 1))
        expected[numbers] = every[numbers, image]
        assert found[:, image] == pytest.approx(expected, abs=1e-6)
    assert model.predict(torch.tensor(images)) == pytest.approx(join_members(every, 0.8, cascade), abs=1e-6)


def test_all_members_are_asked_by_a_run_of_few_rows_or_of_an_earlier_version(finished: RunResult) -> None:
    assert finished.summary.cascade is None
    assert "cascade" not in model_identity(finished.folder)


def test_a_loaded_run_is_the_same(finished: RunResult) -> None:
    again = load_result(finished.folder.path)
    assert again.set_threshold(0.9) == finished.set_threshold(0.9)
    assert Model.load(finished.folder.path).temperature == finished.summary.calibration.temperature
    assert RunFolder(finished.folder.path).load_temperature() == finished.summary.calibration.temperature
