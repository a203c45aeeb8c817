"""A run of MLflow's for a run: at the server that MLFLOW_TRACKING_URI names, by default in MLflow's local database.

The run's id is kept in the run folder. A run that is continued asks MLflow which epochs it has, and adds the others.
"""

import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from hitofude.learning.epoch_log import EpochLog
from hitofude.runs.callbacks import RunStart
from hitofude.runs.result import RunResult
from hitofude.runs.trackers.tracker import Tracker, curves_of, final_figures, flat_settings, member_name
from hitofude.storage import read_json, write_json
from hitofude.version import __version__

FILE = "mlflow.json"
EXPERIMENT = "hitofude"
LONGEST_VALUE, MOST_AT_ONCE = 500, 100
"""Limits of MLflow's: the characters of a parameter, the parameters of a call."""


class MLflow(Tracker):
    """Writes metrics such as `member-00/loss/train`, the settings as parameters, and the final figures."""

    def started(self, run: RunStart) -> None:
        self._client, file = MlflowClient(), run.folder / FILE
        found = read_json(file) if file.exists() else {}
        self._id = found.get("run_id", "") if found.get("uri") == self._client.tracking_uri else ""
        self._seen: set[tuple[str, int]] = set()
        if self._id and self._is_there():
            self._client.update_run(self._id, status="RUNNING")
            self._seen = self._logged()
        else:
            self._id = self._create(run)
            write_json(file, {"run_id": self._id, "uri": self._client.tracking_uri})
        for log in run.logs:
            self.epoch(log)

    def epoch(self, log: EpochLog) -> None:
        named = {f"{member_name(log.member)}/{name}": value for name, value in curves_of(log).items()}
        self._write(named, log.epoch)

    def finished(self, result: RunResult) -> None:
        self._write(final_figures(result), 0)
        self._client.set_tag(self._id, "outcome", repr(result))
        self._client.set_terminated(self._id, "FINISHED")

    def interrupted(self, error: BaseException) -> None:
        self._client.set_terminated(self._id, "FAILED" if isinstance(error, Exception) else "KILLED")

    def place(self, run: RunStart) -> str:  # noqa: ARG002 - it is not in the run folder
        return f"mlflow ui --backend-store-uri {self._client.tracking_uri}"

    def _create(self, run: RunStart) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        number = self._client.create_experiment(EXPERIMENT) if experiment is None else experiment.experiment_id
        tags = {"source": run.source, "folder": str(run.folder.resolve()), "hitofude": __version__}
        created: str = self._client.create_run(number, run_name=run.name, tags=tags).info.run_id
        params = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in flat_settings(run).items()]
        for start in range(0, len(params), MOST_AT_ONCE):
            self._client.log_batch(created, params=params[start : start + MOST_AT_ONCE])
        return created

    def _is_there(self) -> bool:
        try:
            return bool(self._client.get_run(self._id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def _logged(self) -> set[tuple[str, int]]:
        """Return the metrics that MLflow has, with their epochs."""
        names = self._client.get_run(self._id).data.metrics
        return {(name, one.step) for name in names for one in self._client.get_metric_history(self._id, name)}

    def _write(self, figures: dict[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        new = [Metric(name, value, now, step) for name, value in figures.items() if (name, step) not in self._seen]
        if new:
            self._client.log_batch(self._id, metrics=new)
        self._seen |= {(name, step) for name in figures}
