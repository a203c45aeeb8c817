"""TensorBoard's event files in the run folder: each member is a run of its own, so that their curves share a chart.

They are written anew when a run is started, from the epochs that are saved, so no epoch is there twice.
"""

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from hitofude.learning.epoch_log import EpochLog
from hitofude.runs.callbacks import RunStart
from hitofude.runs.result import RunResult
from hitofude.runs.trackers.tracker import Tracker, curves_of, final_figures, member_name

FOLDER = "tensorboard"
OF_THE_RUN = "run"


class TensorBoard(Tracker):
    """Writes RUN/tensorboard/member-NN, and the final figures to RUN/tensorboard/run."""

    def started(self, run: RunStart) -> None:
        self._folder = run.folder / FOLDER
        self._writers: dict[str, SummaryWriter] = {}
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer(OF_THE_RUN).add_text("recipe", f"```toml\n{run.recipe.to_toml()}\n```")
        for log in run.logs:
            self.epoch(log)

    def epoch(self, log: EpochLog) -> None:
        writer = self._writer(member_name(log.member))
        for name, value in curves_of(log).items():
            writer.add_scalar(name, value, log.epoch)
        writer.flush()

    def finished(self, result: RunResult) -> None:
        writer = self._writer(OF_THE_RUN)
        for name, value in final_figures(result).items():
            writer.add_scalar(name, value, 0)
        writer.add_text("outcome", result.describe())
        self._close()

    def interrupted(self, error: BaseException) -> None:  # noqa: ARG002
        self._close()

    def place(self, run: RunStart) -> str:
        return f"tensorboard --logdir {run.folder / FOLDER}"

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            self._writers[name] = SummaryWriter(str(Path(self._folder, name)))
        return self._writers[name]
