"""Measure the accuracy on digits in photos: pictures drawn from a seed, read by the default run.

python -m benchmarks.photos [--run FOLDER] [--digits 300] [--letters 200] [--seeds 100 101 102] [--draw docs/photos.png]

Without --run the default run is trained first. For each seed the accuracy is printed; if the number of digits found in
a picture is wrong, all its digits count as wrong. Then, for thresholds of the calibrated probability, the shares of
digits answered, of right answers, and of printed letters answered, which are no digits; first by the probability alone,
then only if the image is also like the training images, as hitofude predict answers. Seeds below 100 were used while
the photo pipeline was developed, and 0 to 2 to choose the threshold; use seeds from 100 for results. --draw writes five
pictures of the first seed with the network's input.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import hitofude
from benchmarks.written_digits import WrittenPicture, write_letters, write_pictures
from hitofude.errors import InputError
from hitofude.inputs.photos.photo import read_photo
from hitofude.metrics.metrics import Accuracy
from hitofude.metrics.novelty import SHOWN_KNOWN, threshold_of
from hitofude.prediction.files import predict_files, show_photos
from hitofude.prediction.model import Model
from hitofude.runs.folder import DataDescription
from hitofude.runs.result import load_result

THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
DRAWN = (("strokes", "shadow"), ("strokes", "board"), ("screen",), ("strokes", "slope"), ("DejaVu", "paper"))
"""Words in the descriptions of the pictures to draw."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to some digits. If their number in a picture is wrong, all are wrong, with probability 1."""

    right: NDArray[np.bool_]  # (N,) whether the likeliest class is right
    probability: NDArray[np.float32]  # (N,) of that class
    known: NDArray[np.bool_]  # (N,) whether the image is like the training images, at the level of photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--digits", type=int, default=300)
    parser.add_argument("--letters", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or hitofude.run(run=Path(folder, "run"), quiet=True).folder.path
        answers = []
        for seed in arguments.seeds:
            pictures = write_pictures(arguments.digits, seed)
            answers.append(read_and_score(run, pictures, Path(folder, "photo.png")))
            right = answers[-1].right
            print(f"seed {seed}: {len(pictures)} pictures, {Accuracy(int(right.sum()), len(right))}", flush=True)
        letters = write_letters(arguments.letters, arguments.seeds[0])
        print_thresholds(answers, read_and_score(run, letters, Path(folder, "photo.png")))
        if arguments.draw:
            draw(arguments.draw, run, write_pictures(arguments.digits, arguments.seeds[0]), Path(folder))


def read_and_score(run: Path, pictures: Sequence[WrittenPicture], path: Path) -> Answers:
    """Write each picture to the path, read it, and compare the answers with the truth."""
    data = load_result(run).folder.load_data()
    images = [_images(picture, path, data) for picture in pictures]
    is_complete = [len(found) == len(picture.digits) for found, picture in zip(images, pictures, strict=True)]
    truth = "".join(picture.digits for picture in compress(pictures, is_complete))
    model = Model.load(run)
    pixels = torch.from_numpy(np.concatenate(list(compress(images, is_complete))))
    probabilities, novelty = model.predict_with_novelty(pixels)
    likeliest = np.asarray(load_result(run).classes)[probabilities.argmax(axis=1)]
    missed = sum(len(picture.digits) for picture in pictures) - len(likeliest)
    right = np.concatenate([likeliest == np.array(list(truth)), np.zeros(missed, dtype=np.bool_)])
    up_to = np.inf if model.novelty is None else threshold_of(model.novelty.held_out_scores, SHOWN_KNOWN)
    known = np.concatenate([~(novelty > up_to), np.ones(missed, dtype=np.bool_)])
    return Answers(right, np.concatenate([probabilities.max(axis=1), np.ones(missed, dtype=np.float32)]), known)


def _images(picture: WrittenPicture, path: Path, data: DataDescription) -> NDArray[np.uint8]:
    """Return the images (N, 1, H, W) found in the picture."""
    picture.image.save(path)
    try:
        return read_photo(path, data.image_shape[1:], data.known_look).images
    except InputError:
        return np.zeros((0, *data.image_shape), dtype=np.uint8)


def print_thresholds(answers: Sequence[Answers], letters: Answers) -> None:
    """letters: no answer to them is right; a picture in which the letter was not found counts as answered."""
    right = np.concatenate([of_seed.right for of_seed in answers])
    probability = np.concatenate([of_seed.probability for of_seed in answers])
    known = np.concatenate([of_seed.known for of_seed in answers])
    for title, digits, of_letters in (
        ("by probability alone", np.ones_like(known), np.ones_like(letters.known)),
        (f"and like {SHOWN_KNOWN:.0%} of the held-out training images", known, letters.known),
    ):
        print(f"{title}\n{'threshold':>9} {'answered':>9} {'right of these':>15} {'wrong':>6} {'letters answered':>17}")
        for threshold in THRESHOLDS:
            of_these = right[(probability >= threshold) & digits]
            print(
                f"{threshold:>9} {len(of_these) / len(right):>9.3f} {of_these.mean():>15.4f}"
                f" {int((~of_these).sum()):>6} {((letters.probability >= threshold) & of_letters).mean():>17.3f}"
            )


def draw(path: Path, run: Path, pictures: Iterable[WrittenPicture], folder: Path) -> None:
    """Draw five pictures, one for each of DRAWN, as `hitofude predict --show` does, in 256 colours."""
    left, files = list(pictures), []
    for number, words in enumerate(DRAWN, start=1):
        fitting = [picture for picture in left if all(word in picture.kind for word in words)]
        chosen = max(fitting, key=lambda picture: len(picture.digits) if len(picture.digits) <= 6 else 0)
        left.remove(chosen)
        files.append(folder / f"{number}.png")
        chosen.image.save(files[-1])
    show_photos(path, predict_files(run, files))
    with Image.open(path) as drawn:
        drawn.quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
