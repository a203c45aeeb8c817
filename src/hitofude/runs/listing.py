"""The runs in a folder as a table, the newest first, readable without PyTorch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from hitofude.errors import InputError, UserError
from hitofude.language.translation import say, say_count
from hitofude.metrics.scores import NAMES
from hitofude.outputs.display.tables import Column, draw_table
from hitofude.recipe import Recipe, preset_names
from hitofude.runs.folder import RunFolder

MOST_CHANGES = 5
"""A recipe with more settings that differ from the nearest preset is the user's own."""
NOT_CHANGES = "chosen_for"
"""The setting that says why a recipe was chosen, and changes nothing."""


@dataclass(frozen=True)
class _Row:
    """A run in the table; texts that are not known are empty."""

    run: str
    ended: float
    """Or last changed, in seconds since 1970."""
    finished: str
    preset: str = ""
    source: str = ""
    rows: str = ""
    metric: str = ""
    score: str = ""
    baseline: str = ""
    expected: str = ""
    networks: str = ""
    worst: str = ""
    notes: tuple[str, ...] = field(default=())


def list_runs(folder: Path, width: int | None = None) -> str:
    """List the run folders in or below a folder, with their scores or progress.

    Raises InputError if there is no such folder, or no run in it.

    width: of the terminal, in columns, which leaves out what does not fit; None for no limit.
    """
    if not folder.is_dir():
        problem = "this is a file, not a folder" if folder.exists() else "there is no such folder"
        raise InputError(f"{folder}: {problem}. Start a run with hitofude run, or name another folder.")
    found = [path.parent for path in folder.rglob("recipe.toml") if RunFolder(path.parent).data.exists()]
    if not found:
        raise InputError(f"{folder} holds no run. Start one with hitofude run, or name another folder.")
    rows = sorted((_describe(RunFolder(path)) for path in found), key=lambda row: (-row.ended, row.run))
    notes = [note for row in rows for note in row.notes]
    return "\n".join([_table(rows, width), *([""] if notes else []), *notes])


def _table(rows: Sequence[_Row], width: int | None) -> str:
    """The metric has a column of its own only if the runs differ in it."""
    metrics = {row.metric for row in rows} - {""}
    (title,) = metrics if len(metrics) == 1 else (say("score"),)

    def column(title: str, cell: Callable[[_Row], str], dispensable: int = 0, *, right: bool = False) -> Column:
        return Column(title, [cell(row) for row in rows], right, dispensable)

    columns = [
        column(say("run"), lambda row: row.run),
        column(say("finished"), lambda row: row.finished, 1),
        column(say("preset"), lambda row: row.preset, 2),
        column(say("source"), lambda row: row.source, 5),
        column(say("rows"), lambda row: row.rows, 3, right=True),
        *([column(say("metric"), lambda row: row.metric)] if len(metrics) > 1 else []),
        column(title, lambda row: row.score),
        column(say("expected"), lambda row: row.expected, 4),
        column(say("baseline"), lambda row: row.baseline, 6),
        column(say("networks"), lambda row: row.networks, 7),
        column(say("worst class"), lambda row: row.worst, 8),
    ]
    return draw_table(columns, width)


def _describe(folder: RunFolder) -> _Row:
    try:
        if folder.is_imported:
            return _imported(folder)
        return _finished(folder) if folder.is_finished else _unfinished(folder)
    except UserError as error:
        return _Row(str(folder.path), _changed(folder), say("damaged"), notes=(str(error),))


def _finished(folder: RunFolder) -> _Row:
    summary = folder.load_summary()
    score = summary.score
    return _Row(
        run=str(folder.path),
        ended=datetime.fromisoformat(summary.finished).timestamp(),
        finished=summary.finished[:16],
        preset=_preset(folder),
        source=summary.source,
        rows=f"{summary.images_to_train:,}",
        metric=say(NAMES[summary.metric]),
        score=say("not defined") if score is None else f"{score.value:.4f}",
        baseline="" if score is None else f"{score.baseline:.4f}",
        expected="" if summary.estimate is None else f"{summary.estimate.value:.4f}",
        networks=_describe_networks(summary.predicting.values()),
        worst="" if summary.worst_class is None else str(summary.worst_class),
    )


def _unfinished(folder: RunFolder) -> _Row:
    data, path = folder.load_data(), folder.path
    epochs = len(folder.log.read_text(encoding="utf-8").splitlines()) if folder.log.exists() else 0
    return _Row(
        run=str(path),
        ended=_changed(folder),
        finished=say("no, {epochs}", epochs=say_count(epochs, "epoch")),
        preset=_preset(folder),
        source=data.source,
        rows="" if data.train_images is None else f"{data.train_images:,}",
        notes=(_how_to_continue(folder),),
    )


def _how_to_continue(folder: RunFolder) -> str:
    command = folder.how_to_continue()
    if command is None:
        return say("{run} is not finished; run its command again to continue it.", run=folder.path)
    return f"{say('{run} is not finished; this continues it:', run=folder.path)}\n{command}"


def _imported(folder: RunFolder) -> _Row:
    summary = folder.load_import()
    return _Row(
        run=str(folder.path),
        ended=datetime.fromisoformat(summary.finished).timestamp(),
        finished=summary.finished[:16],
        preset=summary.program,
        score=say("not known"),
        networks=_describe_networks(summary.networks),
    )


def _preset(folder: RunFolder) -> str:
    """Return `fast`, `fast +2` with two other settings, `good (10m)` if it was chosen for a time, or `own`."""
    if folder.load_data().teacher_fingerprint is not None:
        return say("distilled")
    recipe = folder.load_recipe()
    changes, name = min((_changes(preset, recipe), name) for name, preset in _presets())
    if changes > MOST_CHANGES:
        name, changes = say("own"), 0
    return name + (f" +{changes}" if changes else "") + ("" if recipe.chosen_for is None else f" ({recipe.chosen_for})")


@cache
def _presets() -> list[tuple[str, Recipe]]:
    presets = [(name, Recipe.preset(name)) for name in preset_names()]
    return [*presets, *((f"{name} --debug", preset.for_debugging()) for name, preset in presets)]


def _changes(preset: Recipe, recipe: Recipe) -> int:
    """Count the settings that differ; a margin that the preset leaves to the images is not one."""
    settled = ("network.margin",) if preset.network.margin == "blank" else ()
    names = [difference.partition(":")[0] for difference in preset.difference(recipe)]
    return sum(name not in (NOT_CHANGES, *settled) for name in names)


def _changed(folder: RunFolder) -> float:
    """Return the time of the last epoch, else of the beginning."""
    return next(path.stat().st_mtime for path in (folder.log, folder.recipe) if path.exists())


def _describe_networks(networks: Iterable[str]) -> str:
    """`5 x cnn-medium`"""
    names = [*networks]
    return f"{len(names)} x {' '.join(dict.fromkeys(names))}"
