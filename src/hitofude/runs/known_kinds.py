"""The score of images unlike anything learned: fitted at the end of a run, and kept in its folder."""

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import RecipeError, RunFolderError
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.features import NoveltyScore
from hitofude.learning.predicting import Inspect, Predictor
from hitofude.learning.training import MemberPlan, load_member
from hitofude.metrics.calibration import Cascade
from hitofude.metrics.novelty import LEAST_HELD_OUT, Familiar, Novelty, threshold_of
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import RunPlan
from hitofude.storage import read_npz, write_npz

MOST_TRAIN, MOST_HELD_OUT = 10_000, 5_000
"""The rows of a member that are looked at: more change the thresholds little."""
ARRAYS = ("member", "center", "projection", "means", "variances", "held_out_scores")


def fit_novelty(plan: RunPlan, folder: RunFolder, cascade: Cascade | None, compute: Compute) -> None:
    """Fit the score by the member that is asked first, and write it into the run's folder.

    A member on all rows holds none out: its thresholds are those of a member on a part of them, of the same kind.
    Nothing is written if too few rows were held out.
    """
    places = plan.predicting()
    first = plan.members[places[0] if cascade is None else cascade.stages[0].member]
    alike = [one for one in plan.members if one.recipe == first.recipe and len(one.validation_rows) >= LEAST_HELD_OUT]
    holding = first if first in alike else next(iter(alike), None)
    if holding is None:
        return
    with compute.applied():
        familiar = _familiar(plan, folder, first, compute)
        of_holding = familiar if holding is first else _familiar(plan, folder, holding, compute)
        scores = _scores(plan, folder, holding, of_holding, compute)
    write_npz(
        folder.novelty,
        member=np.asarray(first.member),
        center=familiar.center,
        projection=familiar.projection,
        means=familiar.means,
        variances=familiar.variances,
        held_out_scores=np.sort(scores),
    )


def load_novelty(folder: RunFolder) -> Novelty | None:
    """Return the score of a finished run; None if it has none. Raises RunFolderError if its file is damaged."""
    if not folder.novelty.exists():
        return None
    found = read_npz(folder.novelty, *ARRAYS)
    features, classes = found["center"].size, len(np.atleast_1d(found["means"]))
    shapes = {
        "member": (), "center": (features,), "projection": (features, features), "means": (classes, features),
        "variances": (classes, features), "held_out_scores": (found["held_out_scores"].size or 1,),
    }  # fmt: skip
    odd = [name for name, shape in shapes.items() if found[name].shape != shape or found[name].dtype.kind not in "fi"]
    if odd:
        raise RunFolderError(f"{folder.novelty} is damaged ({odd[0]}). Restore it, or run again into a new folder.")
    familiar = Familiar(*(found[name] for name in ARRAYS[1:-1]))
    return Novelty(int(found["member"]), familiar, found["held_out_scores"])


def known_threshold_of(folder: RunFolder, level: float) -> float:
    """Return the score up to which an image counts as known, so that a share `level` of the known images does.

    Raises RecipeError if the level is not between 0 and 1, RunFolderError if the run has no score of novelty.
    """
    if not 0 < level < 1:
        raise RecipeError(f"--known {level:g}: expected the share of known images to answer, such as 0.95.")
    novelty = load_novelty(folder)
    if novelty is None:
        raise RunFolderError(
            f"{folder.path} cannot tell images of other kinds: it was made by an earlier version, its networks were "
            f"imported, or no member held out {LEAST_HELD_OUT} rows. Run again into a new folder, or leave out --known."
        )
    return threshold_of(novelty.held_out_scores, level)


def _familiar(plan: RunPlan, folder: RunFolder, member: MemberPlan, compute: Compute) -> Familiar:
    rows = _evenly(member.train_rows[member.train_rows < len(plan.train)], MOST_TRAIN)
    inspect = Inspect(lambda features, _: features, plan.train.image_shape)
    _, features = _predictor(plan, folder, member, compute, inspect).inspected(_images(plan, rows))
    return Familiar.fit(features, plan.train.known_labels()[rows])


def _scores(
    plan: RunPlan, folder: RunFolder, member: MemberPlan, familiar: Familiar, compute: Compute
) -> NDArray[np.float32]:
    """Return the scores of rows that the member held out."""
    rows = _evenly(member.validation_rows, MOST_HELD_OUT)
    inspect = Inspect(NoveltyScore(familiar).to(compute.device), plan.train.image_shape)
    _, scores = _predictor(plan, folder, member, compute, inspect).inspected(_images(plan, rows))
    return scores[:, 0]


def _predictor(plan: RunPlan, folder: RunFolder, member: MemberPlan, compute: Compute, inspect: Inspect) -> Predictor:
    shape, classes = plan.train.image_shape, len(plan.train.classes)
    files = MemberFolder(folder.member(member.member))
    network = load_member(files, member.network, shape, classes, compute, {"member": member.member})
    return Predictor(network, compute, inspect=inspect)


def _images(plan: RunPlan, rows: NDArray[np.int64]) -> torch.Tensor:
    return torch.from_numpy(plan.train.images[rows])


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of the rows, evenly chosen."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
