"""How many digits in photos are right? Pictures written by a seed, read by the default run.

python benchmarks/photos.py [--run FOLDER] [--digits 300] [--seeds 100 101 102] [--draw docs/photos.png]

Without --run the default run is trained first. Prints, for each seed, the share of the digits that are right, a
picture in which not as many are found as there are counting as all wrong; then, for thresholds of the calibrated
probability, how many are answered, and how many answers are right. Seeds below 100 were looked at while the preparation
of photos was made, and the threshold was chosen on 0 to 2; those from 100 up chose nothing. --draw writes five
pictures of the first seed, with what the network saw.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import hitofude
from benchmarks.written_digits import WrittenPicture, write_pictures
from hitofude.errors import InputError
from hitofude.learning.metrics import Accuracy
from hitofude.prediction import Prediction, predict_files, show_photos

THRESHOLDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
DRAWN = ("strokes, 140 px, paper, shadow", "board", "screen", "paper, slope", "DejaVuSerif")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--digits", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or hitofude.run(run=Path(folder, "run"), quiet=True).folder.path
        answers = []
        for seed in arguments.seeds:
            pictures = write_pictures(arguments.digits, seed)
            found = [read(run, picture, Path(folder, "photo.png")) for picture in pictures]
            answers += [judge(picture, prediction) for picture, prediction in zip(pictures, found, strict=True)]
            right = np.concatenate([right for right, _ in answers[-len(pictures) :]])
            print(f"seed {seed}: {len(pictures)} pictures, {Accuracy(int(right.sum()), len(right))}", flush=True)
        print_thresholds(answers)
        if arguments.draw:
            draw(arguments.draw, run, write_pictures(arguments.digits, arguments.seeds[0]), Path(folder))


def read(run: Path, picture: WrittenPicture, path: Path) -> Prediction | None:
    """None where nothing was found."""
    picture.image.save(path)
    try:
        return predict_files(run, [path])
    except InputError:
        return None


def judge(picture: WrittenPicture, found: Prediction | None) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Of each digit whether its likeliest class is right, and the probability of that class."""
    count = len(picture.digits)
    if found is None or len(found.ids) != count:
        return np.zeros(count, dtype=np.bool_), np.ones(count, dtype=np.float32)
    likeliest = np.asarray(found.classes)[found.probabilities.argmax(axis=1)]
    return likeliest == np.array(list(picture.digits)), found.probabilities.max(axis=1)


def print_thresholds(answers: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]]) -> None:
    right, probability = (np.concatenate(part) for part in zip(*answers, strict=True))
    print(f"{'threshold':>9} {'answered':>9} {'right of these':>15} {'wrong':>6}")
    for threshold in THRESHOLDS:
        of_these = right[probability >= threshold]
        print(f"{threshold:>9} {len(of_these) / len(right):>9.3f} {of_these.mean():>15.4f} {int((~of_these).sum()):>6}")


def draw(path: Path, run: Path, pictures: Iterable[WrittenPicture], folder: Path) -> None:
    """Five pictures, one of each of DRAWN, as `hitofude predict --show` draws them, in few colours."""
    left, files = list(pictures), []
    for number, kind in enumerate(DRAWN, start=1):
        chosen = next(picture for picture in left if kind in picture.kind and len(picture.digits) < 6)
        left.remove(chosen)
        files.append(folder / f"{number}.png")
        chosen.image.save(files[-1])
    show_photos(path, predict_files(run, files))
    with Image.open(path) as drawn:
        drawn.quantize(96).save(path, optimize=True)


if __name__ == "__main__":
    main()
