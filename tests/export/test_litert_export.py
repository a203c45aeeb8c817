"""A run becomes a file that LiteRT alone can run on a phone, or no file.

The converter is in no environment with all the others, so most of this needs pip install 'hitofude[litert]'.
"""

import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError, WeightsError
from hitofude.export import litert_export
from hitofude.export.litert_export import export_litert
from hitofude.export.litert_model import LiteRtModel, with_metadata
from hitofude.export.onnx_model import OnnxDescription
from hitofude.export.parity import predict_by
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.prediction.model import Model
from hitofude.runs.result import RunResult
from tests.conftest import Call

DESCRIPTION = OnnxDescription("一筆", "1.0", ("a", "é"), (1, 9, 8), ("cnn-lean",), 1.25, {"0.95": 0.1}, "abc")
NEEDS_LITERT = pytest.mark.skipif(importlib.util.find_spec("litert_torch") is None, reason="no litert-torch")


def test_every_zip_program_reads_the_labels_behind_the_model_which_stays_as_it_is() -> None:
    content = with_metadata(b"a model", DESCRIPTION)
    assert content.startswith(b"a model")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "a\né\n"
    assert with_metadata(b"a model", DESCRIPTION) == content


def test_without_the_converter_its_installation_is_shown(
    finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_export, "PACKAGES", ("no_such_package",))
    with pytest.raises(InputError, match=r"needs the package litert-torch: .*install.*litert"):
        export_litert(finished.folder.path, tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--litert", "m.tflite", "--int8"], "--int8 is for --onnx and --web"),
        (["--litert", "m.tflite", "--simple"], "--simple is for --onnx FILE"),
        (["--onnx", "m.onnx", "--views", "all"], "--views all is for --simple"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    finished: RunResult, call: Call, options: list[str], message: str
) -> None:
    code, _, error = call("export", finished.folder.path, *options)
    assert code == 2
    assert message in error


@NEEDS_LITERT
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("views", ["one", "all"])
def test_the_file_gives_the_runs_answers(
    finished: RunResult, dataset: Dataset, tmp_path: Path, views: litert_export.Views
) -> None:
    export = export_litert(finished.folder.path, tmp_path / "m.tflite", source=dataset, views=views, images=100)
    assert (export.parity.images, export.parity.changed) == (100, 0)
    assert export.simple is not None
    assert views == "one" or export.simple.changed == 0
    whole = Model.of_run(finished.folder, choose_compute("cpu", "float32"), export.description.temperature)
    model = litert_export.asking_simply(whole, views)
    found, members = LiteRtModel.load(tmp_path / "m.tflite").predict(dataset.train.images[:50])
    assert members.shape == (2, 50, 10)
    assert np.abs(found - predict_by(model, dataset.train.images[:50])[0]).max() < 1e-5


@NEEDS_LITERT
def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"no model", with_metadata(b"no model", DESCRIPTION)):
        (tmp_path / "m.tflite").write_bytes(content)
        with pytest.raises(WeightsError, match=r"m\.tflite is no LiteRT model"):
            LiteRtModel.load(tmp_path / "m.tflite")
