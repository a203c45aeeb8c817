"""Models are loaded without PyTorch, and files that hitofude did not write are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from hitofude.errors import InputError, WeightsError
from hitofude.export.onnx_model import BATCH_SIZE, OnnxDescription, OnnxModel
from hitofude.inputs.sources import Dataset

DESCRIPTION = OnnxDescription("一筆", "1.0", ("a", "é"), (1, 9, 8), ("cnn-lean",), 1.25, {"0.95": 0.1}, "abc")


def test_a_description_survives_as_metadata() -> None:
    assert OnnxDescription.of_metadata(DESCRIPTION.as_metadata()) == DESCRIPTION


def test_the_batches_make_no_difference(exported: OnnxModel, dataset: Dataset) -> None:
    images = np.resize(dataset.train.images, (BATCH_SIZE + 5, 1, 28, 28))
    together, members = exported.predict(images)
    assert (together.shape, members.shape) == ((BATCH_SIZE + 5, 10), (2, BATCH_SIZE + 5, 10))
    assert np.abs(together[BATCH_SIZE:] - exported.predict(images[BATCH_SIZE:])[0]).max() < 1e-6
    assert exported.predict(images[:0])[0].shape == (0, 10)


def test_a_damaged_file_is_refused(exported_file: Path, tmp_path: Path) -> None:
    for content in (b"", b"no model", exported_file.read_bytes()[:-1000]):
        (tmp_path / "m.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=r"m\.onnx is no (ONNX model|model of this version)"):
            OnnxModel.load(tmp_path / "m.onnx")


@pytest.mark.parametrize("change", [{}, {"hitofude_format": "0"}, {"classes": "["}, {"image_shape": "[28]"}])
def test_anybody_elses_model_is_refused(exported_file: Path, tmp_path: Path, change: dict[str, str]) -> None:
    model = onnx.load(exported_file)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**metadata, **change} if change else {})
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(WeightsError, match="no model of this version of hitofude"):
        OnnxModel.load(tmp_path / "m.onnx")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no such file\. Make it with hitofude export"):
        OnnxModel.load(tmp_path / "m.onnx")


def test_predicting_needs_no_torch(exported_file: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; import numpy as np\n"
        "from hitofude.export.onnx_model import OnnxModel\n"
        "print(OnnxModel.load(Path(sys.argv[1])).predict(np.zeros((1, 1, 28, 28), np.uint8))[0].shape)"
    )
    found = subprocess.run([sys.executable, "-c", code, exported_file], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "(1, 10)", found.stderr
