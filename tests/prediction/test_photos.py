"""Photos from the file to the answer: handwriting drawn by the test, read by a run trained in the test.

benchmarks/photos.py measures the same on many more digits, with the default run, which is better than this one.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.photos import read_and_score
from benchmarks.written_digits import write_pictures
from PIL import Image, ImageDraw

from hitofude.cli.predict import predict
from hitofude.errors import InputError, RecipeError
from hitofude.inputs.sources import Dataset, sample
from hitofude.metrics.calibration import SURE
from hitofude.outputs.predictions import NONE_OF_THESE, NOT_SURE, write_predictions
from hitofude.prediction.files import describe_answers, predict_files, show_photos
from hitofude.runs.pipeline import run as run_pipeline
from tests.conftest import Call, write_csv

SETTINGS = {
    "rows": 1000, "schedule.epochs": 6, "schedule.min_steps": 0, "ensemble.split": "holdout", "tta.shift": 0
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one member, trained on 900 digits for a few seconds."""
    folder = tmp_path_factory.mktemp("photos") / "run"
    run_pipeline(Dataset("digits", sample().train), run=folder, settings=SETTINGS, quiet=True)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The picture with the most digits among thirty."""
    path = tmp_path / "photo.png"
    pictures = write_pictures(30, seed=7)
    max(pictures, key=lambda picture: len(picture.digits)).image.save(path)
    return path


def test_of_digits_written_and_printed_nine_in_ten_are_right(trained: Path, tmp_path: Path) -> None:
    judged = read_and_score(trained, write_pictures(100, seed=200), tmp_path / "photo.png")
    assert len(judged.right) == 100
    assert judged.right.mean() >= 0.9
    assert judged.right[judged.probability >= 0.9].mean() >= 0.95


def test_photos_and_tables_are_predicted_side_by_side(
    trained: Path, photo: Path, dataset: Dataset, tmp_path: Path
) -> None:
    assert dataset.test is not None
    table = write_csv(tmp_path / "test.csv", dataset.test, label=None)
    both, alone = predict_files(trained, [table, photo]), predict_files(trained, [photo])
    calibrated = predict_files(trained, [table])
    assert both.ids.tolist() == calibrated.ids.tolist() + alone.ids.tolist()
    assert alone.ids[0] == f"{photo}#1"
    expected = [calibrated.probabilities, alone.probabilities]
    assert np.allclose(both.probabilities, np.concatenate(expected), atol=1e-5)
    assert NOT_SURE not in both.labels[: len(calibrated.ids)]


def test_an_image_of_a_table_is_not_sure_only_if_that_is_asked_for(
    trained: Path, dataset: Dataset, tmp_path: Path, call: Call
) -> None:
    assert dataset.test is not None
    table, out = write_csv(tmp_path / "test.csv", dataset.test, label=None), tmp_path / "answers.csv"
    plain, sure = predict_files(trained, [table]), predict_files(trained, [table], sure=0.9)
    low = plain.probabilities.max(axis=1) < 0.9
    assert 0 < low.sum() < len(low)
    assert sure.labels.tolist() == np.where(low, NOT_SURE, plain.labels).tolist()
    code, said, _ = call("predict", trained, table, "--sure", "0.9", "--out", out)
    assert (code, f"; {low.sum()} of 50 not sure" in said) == (0, True)
    assert pd.read_csv(out, dtype=str)["label"].tolist() == sure.labels.tolist()


def test_below_the_threshold_there_is_no_answer(trained: Path, photo: Path) -> None:
    always, sometimes = predict_files(trained, [photo], sure=0), predict_files(trained, [photo], sure=1)
    assert NOT_SURE not in always.labels
    assert (sometimes.labels == NOT_SURE).tolist() == (always.probabilities.max(axis=1) < 1).tolist()
    assert NOT_SURE in sometimes.labels
    with pytest.raises(RecipeError, match=r"--sure 90: expected a probability"):
        predict_files(trained, [photo], sure=90)


def test_without_a_threshold_what_is_unlike_the_training_images_is_none_of_these(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "scribble.png"
    generator = np.random.default_rng(0)
    drawing = Image.new("L", (200, 200), 255)
    corners = [tuple(point) for point in generator.integers(20, 180, (40, 2)).tolist()]
    ImageDraw.Draw(drawing).line(corners, 0, 6)
    drawing.save(path)
    assert predict_files(trained, [path]).labels.tolist() == [NONE_OF_THESE]
    assert predict_files(trained, [path], sure=0).labels.tolist() != [NONE_OF_THESE]


def test_the_help_names_the_default_threshold() -> None:
    assert f"by default {SURE};" in " ".join(str(predict.__doc__).split())


def test_the_answers_are_said_in_words(trained: Path, photo: Path, tmp_path: Path) -> None:
    found = predict_files(trained, [photo], sure=0.999)
    lines = describe_answers(found).splitlines()
    assert len(lines) == len(found.ids)
    for line, id, label in zip(lines, found.ids, found.labels, strict=True):
        assert line.startswith(id)
        assert f"  {label}  " in line
        assert (" or " in line) == (label == NOT_SURE)
    write_predictions(tmp_path / "p.csv", found.ids, found.probabilities, found.classes, found.labels)
    assert pd.read_csv(tmp_path / "p.csv", dtype=str)["label"].tolist() == found.labels.tolist()


def test_what_the_network_sees_is_drawn(trained: Path, photo: Path, tmp_path: Path) -> None:
    show_photos(tmp_path / "seen.png", predict_files(trained, [photo, photo]))
    with Image.open(tmp_path / "seen.png") as drawn:
        assert drawn.width > 1000
        assert drawn.height > 400


def test_there_is_nothing_to_draw_without_a_photo(trained: Path, dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    found = predict_files(trained, [write_csv(tmp_path / "test.csv", dataset.test, label=None)])
    with pytest.raises(InputError, match="there is none among the inputs"):
        show_photos(tmp_path / "seen.png", found)
