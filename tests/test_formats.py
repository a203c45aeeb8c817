"""The whole command with other data than digits: letters of any script, colour, every file format."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

import hitofude
from hitofude.inputs.image_set import ImageSet, encode_labels, row_numbers
from hitofude.inputs.sources import Dataset
from hitofude.runs.result import RunResult
from tests.conftest import SMALL, Call, write_csv

QUICK = SMALL | {"schedule.min_steps": 0, "optimizer.batch_size": 32}
LETTERS = "αβγδεζηθλξπσφψωбджзилцчщюя"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono")
COLOURS = {"red": (220, 50, 40), "green": (40, 180, 60), "blue": (40, 70, 220)}


def settings(**more: int) -> list[str]:
    named = QUICK | {name.replace("__", "."): value for name, value in more.items()}
    one_thread = ["--workers", "1", "--threads", "1"]  # beside other programs many threads wait for each other
    return [*one_thread, *(part for name, value in named.items() for part in ("--set", f"{name}={value}"))]


def letters(count: int, seed: int) -> ImageSet:
    """Letters of 40×40 pixels in several fonts, sizes and positions, `count` of each."""
    rng = np.random.default_rng(seed)
    places = find_spec("matplotlib").submodule_search_locations  # type: ignore[union-attr]
    fonts = [str(Path(places[0], "mpl-data", "fonts", "ttf", f"{name}.ttf")) for name in FONTS]  # type: ignore[index]
    labels = np.repeat(list(LETTERS), count)
    images = np.zeros((len(labels), 1, 40, 40), dtype=np.uint8)
    for row, label in enumerate(labels):
        picture = Image.new("L", (40, 40))
        font = ImageFont.truetype(fonts[row % len(fonts)], int(rng.integers(24, 33)))
        place = tuple((20 + rng.integers(-3, 4, 2)).tolist())
        ImageDraw.Draw(picture).text(place, str(label), 255, font, anchor="mm")
        images[row, 0] = np.asarray(picture)
    return ImageSet(images, encode_labels(labels, sorted(LETTERS)), row_numbers(len(labels)), tuple(sorted(LETTERS)))


def discs(count: int, seed: int) -> ImageSet:
    """Discs of three colours on 20×24 pixels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 30, (count, 3, 20, 24)).astype(np.uint8)
    across, down = np.meshgrid(np.arange(24), np.arange(20))
    for row, label in enumerate(labels):
        x, y, radius = rng.integers(9, 15), rng.integers(8, 12), rng.integers(4, 8)
        is_within = (across - x) ** 2 + (down - y) ** 2 <= radius**2
        images[row][:, is_within] = np.array(list(COLOURS.values())[label])[:, None]
    return ImageSet(images, labels, row_numbers(count), tuple(COLOURS))


def write_pictures(folder: Path, images: ImageSet) -> Path:
    for row, image in enumerate(images.images):
        path = folder / images.classes[images.known_labels()[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(path)
    return folder


@pytest.mark.slow
def test_letters_go_all_the_way_without_a_word_about_digits(call: Call, tmp_path: Path) -> None:
    """Labels as text, 40×40 pixels, 26 classes: run, predict, audit, report."""
    train, test = letters(6, seed=0), letters(2, seed=1)
    write_csv(tmp_path / "train.csv", train)
    write_csv(tmp_path / "test.csv", test, label=None)
    run = tmp_path / "run"
    calls = [
        call("data", "check", tmp_path),
        call("run", tmp_path, "--run", run, *settings(schedule__epochs=6)),
        call("predict", run, tmp_path / "test.csv", "--out", tmp_path / "out.csv"),
        call("audit", run, "--source", tmp_path, "--out", tmp_path / "audit"),
        call("runs", tmp_path),
    ]
    assert [code for code, _, _ in calls] == [0] * 5
    found = pd.read_csv(tmp_path / "out.csv")["label"]
    assert (found == np.array(test.classes)[test.known_labels()]).mean() > 0.3, "chance is 0.04"
    said = [out + err for _, out, err in calls]
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [text for text in said + written if re.search(r"\bdigits?\b", text, re.IGNORECASE)]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert all(f">{letter}<" in page for letter in LETTERS)


def test_colour_goes_all_the_way(call: Call, tmp_path: Path) -> None:
    write_pictures(tmp_path / "discs" / "train", discs(90, seed=0))
    test = write_pictures(tmp_path / "discs" / "test", discs(15, seed=1))
    run = tmp_path / "run"
    code, out, _ = call("run", tmp_path / "discs", "--run", run, *settings(schedule__epochs=8))
    assert code == 0
    assert "90 images of 20x24x3 in 3 classes" in out
    assert call("predict", run, test, "--out", tmp_path / "found.parquet")[0] == 0
    found = pd.read_parquet(tmp_path / "found.parquet")
    assert (found["label"] == found["id"].str.split("/").str[0]).mean() > 0.9, "the colour is all that differs"
    assert call("audit", run, "--source", tmp_path / "discs", "--out", tmp_path)[0] == 0
    assert '<body id="top" class="colour"' in (run / "report.html").read_text(encoding="utf-8")
    with Image.open(run / "hardest.png") as drawn:
        values = np.asarray(drawn.convert("RGB")).astype(int)
    assert (np.ptp(values, axis=2) > 100).any(), "the pictures are drawn in colour"


def test_the_same_images_are_predicted_alike_whatever_they_come_in(
    finished: RunResult, dataset: Dataset, call: Call, tmp_path: Path
) -> None:
    assert dataset.test is not None
    run, images = finished.folder.path, dataset.test.images
    flat = pd.DataFrame(images.reshape(50, -1), columns=[f"pixel{i}" for i in range(784)])
    expected = hitofude.predict(run, images, device="cpu")
    for same in (images[:, 0], images.transpose(0, 2, 3, 1), images.reshape(50, 784), flat):
        assert np.array_equal(hitofude.predict(run, same, device="cpu"), expected)
    flat.to_parquet(tmp_path / "test.parquet")
    np.savez(tmp_path / "test.npz", images=images)
    for path in (tmp_path / "test.parquet", tmp_path / "test.npz", write_csv(tmp_path / "test.csv", dataset.test)):
        assert call("predict", run, path, "--out", tmp_path / "found.npz", "--device", "cpu")[0] == 0
        with np.load(tmp_path / "found.npz") as found:
            assert np.array_equal(found["probabilities"], expected)


def test_an_ending_that_cannot_be_written_is_refused_before_anything_is_read(finished: RunResult, call: Call) -> None:
    code, _, err = call("predict", finished.folder.path, "no-such-file.csv", "--out", "found.xlsx")
    assert code == 2
    assert "found.xlsx: predictions are written as .csv, .npz, .parquet" in err


def test_one_class_alone_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for number in range(4):
        Image.new("L", (8, 8), number).save(tmp_path / "cat" / f"{number}.png")
    code, _, err = call("run", tmp_path, "--run", tmp_path / "run")
    assert code == 2
    assert "All images have the label 'cat'" in err


@pytest.mark.parametrize("name", ["train.npz", "train.parquet", "a/1.png"])
def test_a_damaged_file_ends_with_2(name: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"damaged")
    code, _, err = call("data", "check", tmp_path)
    assert code == 2
    assert name in err
