"""How many images of kinds that a run never learned does it answer, if 95 % of the known ones are to be answered?

python -m benchmarks.novelty RUN SOURCE [--candidates] [--digits] [--images 2000] [--level 0.95]

Prints, for kinds that chose the score and for kinds that chose nothing (see benchmarks/strangers.py), the share that is
answered: today's answer, a calibrated probability of 0.9 or more, beside the score of novelty, and the score's area
under the ROC curve against images that the member held out. Then the time of a prediction with and without the score.
--digits: of a run that learned other images; the embedded digits are strangers, too.
--candidates: other scores of the same network on the kinds for choice, each at its own threshold.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.strangers import Images, strangers_for_choice, strangers_for_measuring
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source, sample
from hitofude.learning.ensemble import plan_members
from hitofude.learning.predicting import Inspect, Predictor
from hitofude.metrics.calibration import SURE
from hitofude.metrics.novelty import Familiar, threshold_of
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder
from hitofude.runs.known_kinds import known_threshold_of
from hitofude.runs.plan import choose_rows

ROUNDS = 5
MOST_ROWS = 10_000

Scores = NDArray[np.float64]  # (N,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source")
    parser.add_argument("--candidates", action="store_true")
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--level", type=float, default=0.95)
    arguments = parser.parse_args()
    model, folder = Model.load(arguments.run, device="cpu"), RunFolder(arguments.run)
    rows = Rows.of(folder, open_source(arguments.source).train, model)
    of_choice = strangers_for_choice(rows.held_out, arguments.images // 2, seed=0)
    if arguments.candidates:
        print(table_of_candidates(model, rows, of_choice, arguments.level))
        return
    others = strangers_for_measuring(arguments.images, seed=1)
    if arguments.digits:
        others["digits"] = sample().train.images[: arguments.images]
    known_up_to = known_threshold_of(folder, arguments.level)
    _, held_out = model.predict_with_novelty(torch.from_numpy(rows.held_out))
    print(f"{len(rows.held_out):,} held-out images: {(held_out <= known_up_to).mean():.1%} answered")
    print(f"{'kind':<36}{'by probability':>15}{'by novelty':>12}{'AUROC':>8}")
    for title, kinds in (("these chose the score:", of_choice), ("these did not:", others)):
        print(title)
        for name, images in kinds.items():
            probabilities, novelty = model.predict_with_novelty(torch.from_numpy(images))
            sure, known = (probabilities.max(axis=1) >= SURE).mean(), (novelty <= known_up_to).mean()
            print(f"  {name:<34}{sure:>15.1%}{known:>12.1%}{area(held_out, novelty):>8.4f}", flush=True)
    print(describe_cost(model, rows.held_out))


@dataclass(frozen=True, eq=False)
class Rows:
    """Training images of the member whose features are used."""

    train: Images
    labels: NDArray[np.int64]
    held_out: Images

    @classmethod
    def of(cls, folder: RunFolder, train: ImageSet, model: Model) -> "Rows":
        assert model.novelty is not None
        recipe = folder.load_recipe()
        used = choose_rows(train, recipe)
        plan = plan_members(recipe, used)[model.novelty.member]
        rows = plan.train_rows[plan.train_rows < len(used)][:MOST_ROWS]
        return cls(used.images[rows], used.known_labels()[rows], used.images[plan.validation_rows])


def area(known: NDArray[np.float32], strangers: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve: the probability that a stranger has the higher score."""
    is_stranger = np.repeat([0, 1], [len(known), len(strangers)])
    return float(roc_auc_score(is_stranger, np.concatenate([known, strangers])))


def describe_cost(model: Model, images: Images) -> str:
    """Return the time of predicting with the score, in times of that without it, the median of some rounds."""
    how = (model.networks, model.classes, model.image_shape, model.compute, model.tta, model.temperature, model.cascade)
    plain, pixels, ratios = Model(*how), torch.from_numpy(images), []
    for _ in range(ROUNDS):
        seconds = []
        for one in (model, plain):
            started = time.perf_counter()
            one.predict_with_novelty(pixels)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return (
        f"a prediction with the score takes {statistics.median(ratios):.3f} times the time ({spread}, {ROUNDS} rounds)"
    )


def table_of_candidates(model: Model, rows: Rows, kinds: dict[str, Images], level: float) -> str:
    """Return the share of each kind that each candidate answers, at the level on the held-out images."""
    assert model.novelty is not None
    network = model.networks[model.novelty.member]
    looks = {"train": rows.train, "held out": rows.held_out, **kinds}
    found = {name: Look.of(network, model, images) for name, images in looks.items()}
    lines = [" " * 28 + "".join(f"{name[:10]:>11}" for name in kinds) + f"{'sum':>8}"]
    for name, score in candidates(found["train"], rows.labels).items():
        threshold = threshold_of(score(found["held out"]).astype(np.float32), level)
        shares = [100 * float((score(found[kind]) <= threshold).mean()) for kind in kinds]
        lines.append(f"{name:<28}" + "".join(f"{share:>11.1f}" for share in shares) + f"{sum(shares):>8.1f}")
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Look:
    """A network's answers to some images."""

    logits: NDArray[np.float32]  # (N, classes)
    features: NDArray[np.float32]  # (N, F) as the score takes them
    last: NDArray[np.float32]  # (N, F / 2) of the last activation alone
    probabilities: NDArray[np.float32]  # (N, classes)

    @classmethod
    def of(cls, network: torch.nn.Module, model: Model, images: Images) -> "Look":
        inspect = Inspect(lambda features, _: features, model.image_shape)
        pixels = torch.from_numpy(images)
        probabilities, features = Predictor(network, model.compute, inspect=inspect).inspected(pixels)
        with torch.inference_mode():
            logits = torch.cat([network(batch.float() / 255) for batch in pixels.split(512)]).numpy()
        return cls(logits, features, features[:, features.shape[1] // 2 :], probabilities)


Part = Callable[[Look], NDArray[np.float32]]
"""Some of the features."""


def candidates(train: Look, labels: NDArray[np.int64]) -> dict[str, Callable[[Look], Scores]]:
    """Return scores that are higher for strangers, by their names, with their sources."""
    return {
        "maximum probability": lambda look: -look.probabilities.max(axis=1),  # Hendrycks & Gimpel 2017
        "maximum logit": lambda look: -look.logits.max(axis=1),  # Hendrycks et al. 2022
        "energy": lambda look: -np.logaddexp.reduce(look.logits, axis=1),  # Liu et al. 2020
        "Mahalanobis, last map": mahalanobis(train.last, labels, lambda look: look.last),  # Lee et al. 2018
        "Mahalanobis, two maps": mahalanobis(train.features, labels, lambda look: look.features),
        "50th neighbour": neighbours(train.features, lambda look: look.features),  # Sun et al. 2022
        "ViM": virtual_logit(train),  # Wang et al. 2022
        "own spread, last map": own_spread(train.last, labels, lambda look: look.last),
        "own spread, two maps": own_spread(train.features, labels, lambda look: look.features),
        "the same without doubt": own_spread(train.features, labels, lambda look: look.features, doubt=0),
    }


def own_spread(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    of: Part,
    doubt: float = 1,
) -> Callable[[Look], Scores]:
    """The score of hitofude.metrics.novelty, of any features."""
    known = Familiar.fit(features, labels)

    def score(look: Look) -> Scores:
        projected = (of(look) - known.center) @ known.projection.astype(np.float64)
        distances = ((projected[:, None] - known.means) ** 2 / known.variances).mean(axis=2).min(axis=1)
        doubts: Scores = np.log(distances) - doubt * np.log(look.probabilities.max(axis=1))
        return doubts

    return score


def mahalanobis(features: NDArray[np.float32], labels: NDArray[np.int64], of: Part) -> Callable[[Look], Scores]:
    known = Familiar.fit(features, labels)

    def score(look: Look) -> Scores:
        projected = (of(look) - known.center) @ known.projection.astype(np.float64)
        distances: Scores = ((projected[:, None] - known.means) ** 2).mean(axis=2).min(axis=1)
        return distances

    return score


def neighbours(features: NDArray[np.float32], of: Part, k: int = 50) -> Callable[[Look], Scores]:
    def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        units: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)
        return units

    references = unit(features)

    def score(look: Look) -> Scores:
        blocks = np.array_split(unit(of(look)), max(1, len(of(look)) // 500))
        return np.concatenate([-np.partition(block @ references.T, -k, axis=1)[:, -k] for block in blocks])

    return score


def virtual_logit(train: Look) -> Callable[[Look], Scores]:
    center = train.last.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((train.last - center).T))
    rest = vectors[:, : vectors.shape[1] // 2]
    scale = train.logits.max(axis=1).mean() / np.linalg.norm((train.last - center) @ rest, axis=1).mean()

    def score(look: Look) -> Scores:
        residual: Scores = scale * np.linalg.norm((look.last - center) @ rest, axis=1)
        energy: Scores = np.logaddexp.reduce(look.logits, axis=1)
        return residual - energy

    return score


if __name__ == "__main__":
    main()
