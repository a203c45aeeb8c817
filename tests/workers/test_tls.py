"""A Dask cluster with TLS only, started by the lines of docs/scaling.md: clients need one of its certificates."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dask
import distributed.config  # noqa: F401 - its settings are there before some are changed
import pytest

from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import Compute
from hitofude.learning.dispatch import open_worker_pool, run_members
from hitofude.learning.ensemble import plan_members
from hitofude.learning.member import EnsembleTask
from hitofude.recipe import Recipe
from tests.conftest import Call
from tests.learning.test_training import Listener

pytestmark = pytest.mark.slow

TEXT = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
CERTIFICATES = re.findall(r"```\n(openssl .*?)```", TEXT, re.DOTALL)[0]
ENVIRONMENT = dict(re.findall(r"^export (DASK_\w+__TLS__\w+)=\$PWD/(\S+)$", TEXT, re.MULTILINE))
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Cluster:
    address: str
    configuration: dict[str, object]
    """For a client with a certificate."""


def make_certificates(folder: Path) -> dict[str, object]:
    """Run the document's lines, and return Dask's settings for the environment that it names."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["bash", "-ec", CERTIFICATES], cwd=folder, check=True, capture_output=True)  # noqa: S607
    keys = {name: name.removeprefix("DASK_").lower().replace("__", ".") for name in ENVIRONMENT}
    return {keys[name]: str(folder / file) for name, file in ENVIRONMENT.items()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("tls")
    configuration = make_certificates(folder)
    file = folder / "scheduler.json"
    processes = [start(folder, "scheduler", "--port", "0", "--scheduler-file", str(file))]
    try:
        address = wait_for_address(file)
        processes.append(start(folder, "worker", address, "--no-nanny", "--nthreads", "1"))
        yield Cluster(address, configuration)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start(folder: Path, command: str, *options: str) -> "subprocess.Popen[bytes]":
    tls = ("--tls-ca-file", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    line = [sys.executable, "-m", f"distributed.cli.dask_{command}", *options, *tls]
    local = ("--host", "tls://127.0.0.1", "--no-dashboard")
    return subprocess.Popen([*line, *local], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_address(file: Path) -> str:
    deadline = time.monotonic() + SECONDS_TO_START
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return str(json.loads(file.read_text())["address"])


def test_the_document_names_the_variables_of_a_client() -> None:
    assert len(ENVIRONMENT) == 3


def test_members_made_through_tls_have_the_same_bytes(
    cluster: Cluster, dataset: Dataset, quick: Recipe, compute: Compute, tmp_path: Path
) -> None:
    recipe, found = quick.with_settings({"ensemble.folds": 2, "schedule.epochs": 1}), []
    plans = tuple(plan_members(recipe, dataset.train))
    with dask.config.set(cluster.configuration), open_worker_pool(cluster.address, 2, 0, "cpu", 1) as pool:
        for workers in (1, pool):
            folder = tmp_path / str(len(found))
            job = EnsembleTask(replace(compute, threads=1), plans, dataset.train, dataset.test, folder)
            run_members(job, workers, Listener())
            found.append([path.read_bytes() for path in sorted(folder.rglob("weights.safetensors"))])
    assert cluster.address.startswith("tls://")
    assert len(found[0]) == 2
    assert found[0] == found[1]


def test_without_a_certificate_the_command_ends_with_6_and_names_the_variables(
    cluster: Cluster, tmp_path: Path, call: Call
) -> None:
    code, _, errors = call("run", "--run", tmp_path / "run", "--workers", cluster.address)
    assert code == 6, errors
    assert all(name in errors for name in ENVIRONMENT)
    assert "Traceback" not in errors


def test_a_certificate_of_another_authority_is_refused(cluster: Cluster, tmp_path: Path, call: Call) -> None:
    with dask.config.set(make_certificates(tmp_path / "other")):
        code, _, errors = call("run", "--run", tmp_path / "run", "--workers", cluster.address)
    assert code == 6, errors
    assert "Traceback" not in errors


def test_a_missing_certificate_ends_with_6(cluster: Cluster, tmp_path: Path, call: Call) -> None:
    with dask.config.set(cluster.configuration | {"distributed.comm.tls.ca_file": str(tmp_path / "ca.pem")}):
        code, _, errors = call("run", "--run", tmp_path / "run", "--workers", cluster.address)
    assert code == 6, errors
    assert "Traceback" not in errors
