"""Weights & Biases' offline files in the run folder, which `wandb sync` uploads.

They are written anew when a run is started, from the epochs that are saved, so no epoch is there twice. The run's id
stays the same.
"""

import hashlib
import shutil
from typing import Any

import wandb

from hitofude.learning.epoch_log import EpochLog
from hitofude.runs.callbacks import RunStart
from hitofude.runs.result import RunResult
from hitofude.runs.trackers.tracker import Tracker, curves_of, final_figures, flat_settings, member_name

FOLDER = "wandb"
PROJECT = "hitofude"


class WeightsAndBiases(Tracker):
    """Writes RUN/wandb/offline-run-…: curves such as `member-00/loss/train` over `member-00/epoch`."""

    def started(self, run: RunStart) -> None:
        shutil.rmtree(run.folder / FOLDER, ignore_errors=True)
        number = hashlib.sha256(f"{run.folder.resolve()} {run.recipe.to_toml()}".encode()).hexdigest()[:12]
        self._run: Any = wandb.init(
            project=PROJECT,
            name=run.name,
            id=number,
            dir=run.folder,
            mode="offline",
            reinit="create_new",
            config=flat_settings(run) | {"source": run.source},
            settings=wandb.Settings(
                console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
            ),
        )
        for member in run.epochs:
            name = member_name(member)
            self._run.define_metric(f"{name}/epoch", hidden=True)
            self._run.define_metric(f"{name}/*", step_metric=f"{name}/epoch")
        for log in run.logs:
            self.epoch(log)

    def epoch(self, log: EpochLog) -> None:
        name = member_name(log.member)
        figures = curves_of(log) | {"epoch": log.epoch}
        self._run.log({f"{name}/{curve}": value for curve, value in figures.items()})

    def finished(self, result: RunResult) -> None:
        self._run.summary.update(final_figures(result))
        self._run.finish()

    def interrupted(self, error: BaseException) -> None:  # noqa: ARG002
        self._run.finish(exit_code=1)

    def place(self, run: RunStart) -> str:
        return f"wandb sync {run.folder / FOLDER / 'offline-run-*'}"
