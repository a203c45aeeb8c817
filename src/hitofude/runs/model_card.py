"""A finished run as a model card in the Hugging Face Hub's format: YAML in front, then Markdown. In English.

The fields are those of the Hub's specification (huggingface.co/docs/hub/model-cards), the sections those of M. Mitchell
et al. 2019, "Model Cards for Model Reporting". Licence and intended use are left to fill in: a run does not know them.
"""

import json
import re
from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from hitofude.errors import InputError
from hitofude.language.translation import speaking
from hitofude.metrics.scores import NAMES
from hitofude.outputs.report import RunSummary
from hitofude.recipe import Metric, Recipe
from hitofude.runs.folder import DataDescription, RunFolder
from hitofude.storage import write_text

HUB_NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "balanced-accuracy": "balanced_accuracy",
    "macro-f1": "f1",
    "log-loss": "log_loss",
    "auc": "roc_auc",
    "quadratic-kappa": "cohen_kappa",
}
"""The metrics' types on the Hub."""
CONFUSIONS = 5
"""The pairs of classes that are listed."""


def write_model_card(run: str | Path, path: Path | None = None) -> Path:
    """Write a run's model card, and return its path. path: by default README.md in the run's folder.

    Raises RunFolderError if the run is not finished or was imported, InputError if the file exists: a person may have
    filled it in.
    """
    folder = RunFolder(Path(run))
    text, target = model_card(folder), folder.path / "README.md" if path is None else path
    if target.exists():
        raise InputError(
            f"{target} exists already, and may have been filled in. Name another file with --out, or remove it."
        )
    write_text(target, text)
    return target


def model_card(folder: RunFolder) -> str:
    """Return a finished run's model card. Raises RunFolderError if the run is not finished or was imported."""
    summary, recipe, data = folder.load_summary(), folder.load_recipe(), folder.load_data()
    environment = Environment(
        loader=PackageLoader("hitofude.runs", "."),
        autoescape=False,  # noqa: S701 - it is Markdown; names are made harmless by `plain` and `quoted`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": _plain, "quoted": _quoted, "thousands": "{:,}".format, "zip": zip}
    with speaking("en"):
        return environment.get_template("model_card.md").render(
            run=folder.path.resolve().name,
            summary=summary,
            data=data,
            recipe=recipe.to_toml().strip(),
            audit=summary.audit,
            calibration=summary.calibration,
            networks=Counter(summary.predicting.values()),
            dataset_type=re.sub(r"[^a-z0-9]+", "-", summary.source.lower()).strip("-") or "images",
            scores=summary.scores,
            names=NAMES,
            hub_names=HUB_NAMES,
            headline=_headline(summary),
            measured=_how_measured(summary, recipe, data),
            confusions=_confusions(summary),
        )


def _headline(summary: RunSummary) -> str:
    name, score = ("accuracy", summary.out_of_fold) if summary.score is None else (NAMES[summary.metric], summary.score)
    low, high = score.interval
    return f"out-of-fold {name} {score.value:.4f} (95 % interval {low:.4f} to {high:.4f})"


def _how_measured(summary: RunSummary, recipe: Recipe, data: DataDescription) -> str:
    """Return how rows were held out, in sentences."""
    ensemble, related = recipe.ensemble, summary.related
    given = () if related is None else related.given
    kind = "given" if "folds" in given else "stratified"
    if ensemble.split == "folds":
        times = "" if ensemble.repeats == 1 else f", {ensemble.repeats} times"
        ways = f"in {kind} folds" if kind == "given" else f"in {ensemble.folds} {kind} folds{times}"
    else:
        ways = f"on {ensemble.holdout:.0%} of the rows, held out"
    sentences = [f"Out of fold, {ways}: each training image is predicted only by networks that never saw it."]
    if "groups" in given:
        column = "" if data.group_column is None else f" by `{data.group_column}`"
        sentences.append(f"Rows that belong together{column} are held out together.")
    elif ensemble.group_copies:
        sentences.append("Copies of an image are held out together.")
    if related is not None and related.flattery is not None:
        sentences.append(
            f"A split regardless of that would add about {related.flattery:.4f} to the accuracy of nearest neighbours."
        )
    if len(summary.predicting) < len(summary.members):
        sentences.append(
            "Other images are predicted by networks trained on all rows, which cannot be measured here: the figures "
            "are those of networks trained alike."
        )
    return " ".join(sentences)


def _confusions(summary: RunSummary) -> list[tuple[str, str, int, int]]:
    """Return the most frequent wrong answers: the label, the answer, how often, of how many rows with the label."""
    wrong = [
        (summary.classes[label], summary.classes[answer], count, sum(row))
        for label, row in enumerate(summary.confusion)
        for answer, count in enumerate(row)
        if label != answer and count
    ]
    return sorted(wrong, key=lambda one: -one[2])[:CONFUSIONS]


def _plain(text: object) -> str:
    """Return a name as one line of Markdown without any mark-up, that may stand in a table."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", line)


def _quoted(text: object) -> str:
    """Return a text as YAML in double quotes."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\x7f")
