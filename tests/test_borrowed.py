"""A good guest: whatever a public call changes in the caller's process is put back."""

import io
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

import hitofude
from hitofude.borrowed import environment_put_back, loggers_at, only_from
from hitofude.export.onnx_export import export_onnx
from hitofude.inputs.dataset import Dataset
from hitofude.runs.result import RunResult
from tests.conftest import SETTINGS
from tests.test_architecture import MODULES

QUICK = SETTINGS | {"schedule.epochs": 1, "rows": 60}


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """All packages, some of which set variables of the environment or draw numbers when they are first imported."""
    for module in (*(f"hitofude.{name}" for name in MODULES if not name.startswith("__")), "torch._dynamo"):
        with suppress(ModuleNotFoundError):  # of an extra
            import_module(module)


def state_of_process() -> dict[str, Any]:
    """All that other code of the process would notice."""
    loggers = [logging.getLogger(name) for name in ("", *logging.root.manager.loggerDict)]
    loggers = [logger for logger in loggers if not logger.name.startswith(("hitofude", "torch.__trace"))]
    return {
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "threads of PyTorch": torch.get_num_threads(),
        "cuDNN": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "draws of PyTorch": torch.get_rng_state().tolist(),
        "draws of NumPy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - the one that other code may use
        "errors of NumPy": np.geterr(),
        "warnings": list(warnings.filters),
        "levels": {logger.name: (logger.level, logger.disabled) for logger in loggers if logger.level},
        "handlers": {logger.name: list(logger.handlers) for logger in loggers if logger.handlers},
        "matplotlib": {name: str(value) for name, value in mpl.rcParams.items()},
        "signals": {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)},
        "threads": {thread.name for thread in threading.enumerate() if not thread.daemon},
    }


def fit_and_predict(dataset: Dataset, folder: Path) -> None:
    del folder
    images, labels = dataset.train.images[:80], dataset.train.known_labels()[:80]
    settings = {name: value for name, value in QUICK.items() if name != "rows"}
    hitofude.HitofudeClassifier(settings=settings, workers=1).fit(images, labels % 2).predict_proba(images)


CALLS: dict[str, Callable[[Dataset, Path], object]] = {
    "run": lambda dataset, folder: hitofude.run(dataset, run=folder / "run", settings=QUICK, workers=1, quiet=True),
    "run in processes": lambda dataset, folder: hitofude.run(
        dataset, run=folder / "run", settings=QUICK, workers=2, threads=1, quiet=True
    ),
    "classifier": fit_and_predict,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_training_leaves_the_process_as_it_was(name: str, dataset: Dataset, tmp_path: Path) -> None:
    before = state_of_process()
    CALLS[name](dataset, tmp_path)
    assert_unchanged(before)


def test_a_use_of_a_run_leaves_the_process_as_it_was(finished: RunResult, dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    before = state_of_process()
    hitofude.load_result(finished.folder.path).describe()
    hitofude.predict(finished.folder.path, dataset.test.images, device="cpu")
    export_onnx(finished.folder.path, tmp_path / "model.onnx", images=10)
    assert_unchanged(before)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["dask", "ray"])
def test_a_cluster_of_this_machine_leaves_the_process_as_it_was(cluster: str, dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[cluster])
    before = state_of_process()
    hitofude.run(dataset, run=tmp_path / "run", settings=QUICK, workers=cluster, threads=1, quiet=True)
    assert_unchanged(before)


def assert_unchanged(before: dict[str, Any]) -> None:
    after = state_of_process()
    for name, value in before.items():
        found = after[name]
        if name in ("levels", "handlers"):  # packages that were imported meanwhile have loggers of their own
            found = {logger: found.get(logger) for logger in value}
        assert found == value, name


def test_the_environment_and_levels_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITOFUDE_KEPT", "1")
    logger = logging.getLogger("a package")
    logger.setLevel(logging.INFO)
    before = dict(os.environ)

    def fail() -> None:
        with environment_put_back(), loggers_at(logging.CRITICAL, [logger.name]):
            os.environ |= {"HITOFUDE_KEPT": "2", "HITOFUDE_NEW": "3"}
            del os.environ["PATH"]
            assert logger.level == logging.CRITICAL
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert dict(os.environ) == before
    assert logger.level == logging.INFO


def test_a_logger_that_was_used_before_is_quiet_in_the_block_alone() -> None:
    """Even one that logging does not know, whose level would have no effect any more."""
    written, logger = io.StringIO(), logging.Logger("a package's own")
    logger.addHandler(logging.StreamHandler(written))
    logger.info("before")
    with only_from(logging.WARNING, logger):
        logger.info("within")
        logger.warning("a warning")
    logger.info("after")
    assert written.getvalue().split("\n") == ["before", "a warning", "after", ""]
