"""Distillation: a small network learns the answers of a whole ensemble, and predicts in its place.

It is a run of its own. The members that hold out the teacher's folds give the out-of-fold accuracy, and the member on
all rows is the network that predicts. See hitofude.runs.teacher.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from hitofude.errors import RecipeError
from hitofude.inputs.sources import Reading, Source, open_source
from hitofude.language.translation import Language, speaking
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.plugins import load_plugins
from hitofude.outputs.display import choose_display
from hitofude.recipe import Recipe
from hitofude.runs.callbacks import Callback
from hitofude.runs.folder import RunFolder
from hitofude.runs.pipeline import finish_run
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult
from hitofude.runs.teacher import Teacher
from hitofude.stage import flat
from hitofude.workers.pool import WorkerPool

STUDENT = {
    "network.name": "vgg-24", "network.margin": "blank",
    "augment.max_rotation": 10.0, "augment.max_shear": 5.0, "augment.max_translation": 2, "augment.no_aug_epochs": 1,
    "optimizer.name": "muon", "optimizer.learning_rate": 0.05, "optimizer.momentum": 0.6,
    "optimizer.weight_decay": 0.01, "optimizer.batch_size": 64,
    "schedule.name": "one-cycle", "schedule.epochs": 15, "schedule.epoch_share": 0.4, "schedule.min_steps": 800,
    "schedule.warmup": 0.15, "schedule.validation_rows": 2000,
    "tta.shift": 1, "tta.threshold": 0.85,
}  # fmt: skip
"""The settings of a distilled run. There is no label smoothing: the teacher's answers are smooth."""
OF_TEACHER = ("seed", "rows", "ensemble.split", "ensemble.folds", "ensemble.holdout", "ensemble.group_copies")
"""The settings that decide which rows are used and held out."""
OF_DISTILLATION = {
    "ensemble.repeats": 1, "ensemble.resplit": False, "ensemble.variants": (),
    "ensemble.pseudo_labels": "none", "ensemble.soft_labels": False, "ensemble.teaching_repeats": 1,
    "ensemble.full_data_members": 1, "ensemble.predict_by": "full-data",
}  # fmt: skip
FIXED = (*OF_TEACHER, "ensemble.resplit", "ensemble.pseudo_labels", "ensemble.soft_labels")


def distill(
    source: Source | None = None,
    *,
    teacher: str | Path,
    network: str | None = None,
    run: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int | str | WorkerPool | None = None,
    threads: int | None = None,
    quiet: bool = False,
    command: str | None = None,
    plugins: Sequence[str | Path] | None = None,
    callbacks: Sequence[Callback | str] = (),
    language: Language | None = None,
    **how: Unpack[Reading],
) -> RunResult:
    """Train a small network to answer as the whole ensemble of a finished run does.

    source: that of the teacher, as for hitofude.run; its images to predict are learned from too, as the teacher labels
    them. teacher: the folder of the run. network: the small one, by default that of STUDENT. run: the folder, by
    default TEACHER-distilled beside the teacher's; an unfinished run there is continued, a finished one is only read.
    settings: dotted names and values in place of those of STUDENT. device, workers, threads, plugins, callbacks,
    language, how: as for hitofude.run.

    Raises a subclass of hitofude.errors.UserError for everything a user can fix, such as a teacher of other images or
    folds.
    """
    load_plugins(plugins)
    guide = Teacher.load(teacher)
    recipe = student_recipe(guide.result.recipe, network, settings or {})
    folder = Path(run) if run else guide.folder.path.with_name(f"{guide.folder.path.resolve().name}-distilled")
    with speaking(language), explaining_memory_errors():
        display = choose_display(quiet=quiet)
        dataset = open_source(source, **how)
        default = f"hitofude distill {dataset.name} --teacher {guide.folder.path}"
        plan = RunPlan.prepare(recipe, dataset, command or default).taught_by(guide)
        where: dict[str, Any] = {"workers": workers, "device": device, "threads": threads}
        return finish_run(
            plan,
            RunFolder(folder),
            display,
            **where,
            callbacks=callbacks,
            command=command,
            rewrite=language is not None,
        )


def student_recipe(teacher: Recipe, network: str | None, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a distilled run. Raises RecipeError for settings that must be the teacher's."""
    if others := sorted(settings.keys() & {*FIXED}):
        raise RecipeError(
            f"{others[0]} is that of the teacher in a distillation, so that no held-out label reaches a network. Leave "
            "it out."
        )
    theirs = flat(teacher.model_dump())
    of_teacher = {name: theirs[name] for name in (*OF_TEACHER, "metric", "precision")}
    named = {} if network is None else {"network.name": network}
    return Recipe().with_settings(STUDENT | named | of_teacher | OF_DISTILLATION | dict(settings))
