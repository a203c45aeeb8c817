"""Photos and pictures are made like the training images of the run: its ground, its orientation, writing or not."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.photos import read_and_score
from benchmarks.written_digits import write_pictures
from PIL import Image

from hitofude.errors import InputError
from hitofude.export.onnx_export import describe_run
from hitofude.export.web_bundle import model_json
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.photos.photo import read_photo
from hitofude.prediction.files import predict, predict_files
from hitofude.runs.folder import RunFolder
from hitofude.runs.result import RunResult
from hitofude.web.photos import images_of_picture
from hitofude.web.settings import Limits
from tests.conftest import Call, copy_of, write_csv

Edited = Callable[..., Path]


@pytest.fixture
def edited(light_run: RunResult, tmp_path: Path) -> Edited:
    """Copy the run, and change what its data.json says."""

    def edit(**changes: Any) -> Path:
        folder = copy_of(light_run, tmp_path)
        content = json.loads(folder.data.read_text())
        content |= {"look": content["look"] | changes.pop("look", {}), **changes}
        folder.data.write_text(json.dumps(content))
        return folder.path

    return edit


@pytest.fixture
def light(digits: ImageSet) -> np.ndarray:
    """(N, 28, 28) twenty digits in dark ink on a light ground."""
    return 255 - digits.images[:20, 0]


@pytest.fixture
def folder(light: np.ndarray, tmp_path: Path) -> Path:
    """A folder of these pictures."""
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(light):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number:02}.png")
    return tmp_path / "pictures"


def test_a_run_of_dark_ink_on_a_light_ground_reads_photos(light_run: RunResult, tmp_path: Path) -> None:
    judged = read_and_score(light_run.folder.path, write_pictures(100, seed=200), tmp_path / "photo.png")
    assert judged.right.mean() >= 0.85
    assert judged.right[judged.probability >= 0.9].mean() >= 0.95


def test_a_training_picture_has_the_same_answer_alone_and_in_a_folder(light_run: RunResult, folder: Path) -> None:
    together = predict_files(light_run.folder.path, [folder])
    alone = predict_files(light_run.folder.path, sorted(folder.iterdir()))
    assert np.allclose(together.probabilities, alone.probabilities, atol=1e-6)


def test_the_api_and_the_page_read_pictures_as_the_command_does(
    light_run: RunResult, folder: Path, tmp_path: Path
) -> None:
    described, data = describe_run(light_run.folder), light_run.folder.load_data()
    write_pictures(3, seed=7)[0].image.save(tmp_path / "photo.png")
    for path in (tmp_path / "photo.png", folder / "03.png"):
        found = images_of_picture(path.read_bytes(), described, limits=Limits())
        assert np.array_equal(found.images, read_photo(path, (28, 28), data.known_look, trained=data.pixels).images)
        assert np.median(found.images) == 255
    black, things = io.BytesIO(), replace(described, look=replace(data.known_look, writing=False))
    Image.fromarray(np.zeros((28, 28), dtype=np.uint8)).save(black, "png")
    with pytest.raises(InputError, match=r"training images were dark on light\. Send it inverted\."):
        images_of_picture(black.getvalue(), things, limits=Limits())
    assert model_json(described)["look"] == {
        "ground": 255, "ink": 0, "box": 20 / 28, "writing": True, "edge": 0.9, "behind": 255
    }  # fmt: skip


def test_for_a_run_of_other_things_a_picture_is_resized_as_in_a_folder(
    edited: Edited, folder: Path, tmp_path: Path
) -> None:
    run = edited(look={"writing": False})
    large = tmp_path / "large.png"
    Image.open(folder / "00.png").resize((84, 84)).save(large)
    found = predict_files(run, [large, folder / "00.png"])
    assert found.ids.tolist() == [str(large), str(folder / "00.png")]
    assert not found.photos
    assert not found.photos
    expected = predict_files(run, [folder]).probabilities[0]
    assert np.allclose(found.probabilities[1], expected, atol=1e-6)
    assert found.probabilities[0].argmax() == expected.argmax()


def test_a_run_of_an_earlier_version_is_read_as_mnist(edited: Edited) -> None:
    path = edited()
    content = json.loads((path / "data.json").read_text())
    del content["look"], content["transposed"]
    (path / "data.json").write_text(json.dumps(content))
    data = RunFolder(path).load_data()
    assert data.known_look.ground == 0
    assert data.reads_writing
    assert not data.transposed


def test_a_run_of_transposed_images_reads_tables_so_and_pictures_upright(
    edited: Edited, light: np.ndarray, folder: Path, light_run: RunResult, tmp_path: Path, call: Call
) -> None:
    run, expected = edited(transposed=True), predict_files(light_run.folder.path, [folder]).probabilities
    sideways = ImageSet(np.ascontiguousarray(light.swapaxes(1, 2))[:, None], None, np.arange(20).astype(str), ())
    table = write_csv(tmp_path / "sideways.csv", sideways, label=None)
    upright = write_csv(tmp_path / "upright.csv", ImageSet(light[:, None], None, sideways.ids, ()), label=None)
    for found in (
        predict_files(run, [table]).probabilities,
        predict_files(run, [folder]).probabilities,
        predict_files(run, [upright], transpose=False).probabilities,
        predict(run, sideways.images),
        predict(run, light, transpose=False),
    ):
        assert np.allclose(found, expected, atol=1e-6)
    assert "rows and columns of the images are exchanged, as in the run's own files" in call("predict", run, table)[2]
    assert call("predict", run, folder / "00.png")[2] == ""


def test_a_file_named_emnist_is_read_upright_by_any_run(
    light_run: RunResult, light: np.ndarray, tmp_path: Path
) -> None:
    sideways = ImageSet(np.ascontiguousarray(light.swapaxes(1, 2))[:, None], None, np.arange(20).astype(str), ())
    found = predict_files(light_run.folder.path, [write_csv(tmp_path / "emnist-test.csv", sideways, label=None)])
    assert np.allclose(found.probabilities, predict(light_run.folder.path, light), atol=1e-6)


def test_images_of_the_opposite_ground_are_refused_with_a_remedy_that_works_as_typed(
    light_run: RunResult, light: np.ndarray, folder: Path, tmp_path: Path, call: Call
) -> None:
    run, expected = light_run.folder.path, predict(light_run.folder.path, light)
    table = write_csv(
        tmp_path / "dark.csv", ImageSet((255 - light)[:, None], None, np.arange(20).astype(str), ()), label=None
    )
    code, _, problem = call("predict", run, table)
    assert code == 2
    assert "these images are light on dark, but the training images were dark on light" in problem
    assert np.allclose(predict_files(run, [table], scale=(255, 0)).probabilities, expected, atol=1e-6)
    assert call("predict", run, table, "--scale", "255..0", "--out", tmp_path / "p.csv")[0] == 0
    with pytest.raises(InputError, match=r"Invert them: --scale 255\.\.0, in Python scale=\(255, 0\)"):
        predict(run, 255 - light)
    assert np.allclose(predict(run, 255 - light, scale=(255, 0)), expected, atol=1e-6)
