"""A finished run, read from its folder."""

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.estimate import Estimate
from hitofude.metrics.metrics import Accuracy, mean_of_members
from hitofude.outputs.report import RunSummary
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.storage import read_npz


@dataclass(frozen=True, eq=False)
class RunResult:
    """A finished run."""

    folder: RunFolder
    recipe: Recipe
    summary: RunSummary
    classes: tuple[str, ...]
    ids: NDArray[np.str_]  # (N,) of the training rows
    labels: NDArray[np.int64]  # (N,) of the training rows, each an index into classes
    out_of_fold_probabilities: NDArray[np.float32]  # (N, classes), NaN in rows that every member saw
    disagreement: NDArray[np.float32]  # (N,) share of those members that answers otherwise than their mean
    test_ids: NDArray[np.str_] | None  # (M,)
    member_probabilities: NDArray[np.float32] | None  # (members, M, classes)

    @property
    def accuracy(self) -> Accuracy:
        """Of the training rows, each predicted only by members that never saw it."""
        return self.summary.out_of_fold

    @property
    def estimate(self) -> Estimate | None:
        """The expected score of the submission; None where there are no images to predict."""
        return self.summary.estimate

    @property
    def test_probabilities(self) -> NDArray[np.float32] | None:
        """(M, classes) the mean over the members."""
        return None if self.member_probabilities is None else mean_of_members(self.member_probabilities)

    @property
    def test_predictions(self) -> NDArray[np.str_] | None:
        """(M,) the labels of the submission."""
        probabilities = self.test_probabilities
        return None if probabilities is None else np.asarray(self.classes)[probabilities.argmax(axis=1)]

    def describe(self) -> str:
        """The outcome in a few lines: how good it is, how that is known, where everything lies."""
        facts = self._facts()
        width = max(len(name) for name, _ in facts)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in facts)

    def _repr_html_(self) -> str:
        """The same lines as a notebook shows them, the files as links."""
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; white-space: nowrap">{name}</th>'
            f'<td style="text-align: left">{_link(value) if isinstance(value, Path) else escape(value)}</td></tr>'
            for name, value in self._facts()
        )
        return f"<table><tbody>{rows}</tbody></table>"

    def _facts(self) -> list[tuple[str, str | Path]]:
        summary = self.summary
        facts: list[tuple[str, str | Path]] = [
            (f"single {name}", str(accuracy)) for name, accuracy in summary.single.items()
        ]
        facts.append(("out-of-fold accuracy", f"{summary.out_of_fold}, each row by members that never saw it"))
        if summary.estimate is not None:
            facts.append(("expected test score", f"{summary.estimate}: {_explain(summary.estimate)}"))
        if summary.test is not None:
            facts.append(
                ("test accuracy", f"{summary.test}; the source knows these labels, nothing was chosen by them")
            )
        minutes, seconds = divmod(round(summary.training_seconds), 60)
        facts.append(("training time", f"{minutes} min {seconds} s, all members together"))
        if self.submission is not None:
            facts.append(("submission", self.submission))
        facts.append(("audit", self._describe_audit()))
        facts.append(("report", self.folder.page))
        facts.append(("everything", self.folder.path))
        return facts

    def _describe_audit(self) -> str:
        audit = self.summary.audit
        twice = audit.same_images + audit.near_images
        leaks = f", {audit.leaks} of them across training and test images" if audit.leaks else ""
        return f"{audit.label_issues} labels probably wrong, {twice} images there twice{leaks}; see the report"

    @property
    def submission(self) -> Path | None:
        return self.folder.submission if self.folder.submission.exists() else None


def _explain(estimate: Estimate) -> str:
    harder = "easier" if estimate.ease > 0 else "harder"
    return (
        f"{estimate.gain:+.4f}, what all members together gain where they disagree on the images to predict; "
        f"{estimate.ease:+.4f}, for these look {harder} than the training images"
    )


def _link(path: Path) -> str:
    """A link that works beside the notebook, also when both are moved together."""
    try:
        target = quote(Path(os.path.relpath(path)).as_posix())
    except ValueError:  # on another drive
        target = path.resolve().as_uri()
    return f'<a href="{target}" target="_blank">{escape(str(path))}</a>'


def load_result(path: RunFolder | str | Path) -> RunResult:
    """Read a finished run. Raises RunFolderError when it is not finished or not a run."""
    folder = path if isinstance(path, RunFolder) else RunFolder(Path(path))
    recipe, data = folder.load_recipe(), folder.load_data()
    summary = folder.load_summary()
    out_of_fold = read_npz(folder.out_of_fold, "ids", "labels", "probabilities", "disagreement")
    test = read_npz(folder.test_probabilities, "ids", "probabilities") if data["test_images"] else None
    return RunResult(
        folder=folder,
        recipe=recipe,
        summary=summary,
        classes=tuple(data["classes"]),
        ids=out_of_fold["ids"],
        labels=out_of_fold["labels"],
        out_of_fold_probabilities=out_of_fold["probabilities"],
        disagreement=out_of_fold["disagreement"],
        test_ids=None if test is None else test["ids"],
        member_probabilities=None if test is None else test["probabilities"],
    )
