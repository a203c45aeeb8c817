"""Members made side by side: the same bytes as one after the other, the same errors, and no process left behind."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hitofude.errors import ClusterError, DivergedError, OutOfResourcesError, RecipeError
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import MemberFolder, SavedState
from hitofude.learning.compute import Compute
from hitofude.learning.dispatch import MODULE, ComputeQuestion, Parallelism, _Collector, run_members
from hitofude.learning.ensemble import plan_members
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberProbabilities
from hitofude.learning.worker import (
    REMOTE,
    EnsembleMessage,
    MemberReporter,
    MemberWorker,
    pack_arrays,
    unpack_arrays,
    unpack_images,
    unpack_member,
    unpack_probabilities,
    unpack_task,
)
from hitofude.recipe import Recipe
from hitofude.workers.handshake import disk_token
from hitofude.workers.messages import Message, receive
from hitofude.workers.pool import WorkerPool
from hitofude.workers.process import LocalProcesses
from hitofude.workers.worker import Node
from tests.conftest import wait_for_line
from tests.learning.test_training import Listener

MANY_IMAGES = 10**7
has_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")


@pytest.fixture(scope="module")
def job(dataset: Dataset, quick: Recipe, tmp_path_factory: pytest.TempPathFactory) -> EnsembleTask:
    """Two members of one thread each."""
    recipe = quick.with_settings({"ensemble.folds": 2})
    compute = Compute(torch.device("cpu"), "float32", threads=1)
    plans = tuple(plan_members(recipe, dataset.train))
    return EnsembleTask(compute, plans, dataset.train, dataset.test, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def alone(job: EnsembleTask) -> list[MemberProbabilities]:
    return run_members(job, 1, Listener())


def with_settings(job: EnsembleTask, settings: dict[str, object]) -> EnsembleTask:
    plans = tuple(replace(plan, recipe=plan.recipe.with_settings(settings)) for plan in job.plans)
    return replace(job, plans=plans)


def weights(job: EnsembleTask) -> list[bytes]:
    return [(job.member_folder(plan.member) / "weights.safetensors").read_bytes() for plan in job.plans]


def children(process: int | str = "self") -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def test_two_processes_make_the_same_bytes_as_one(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path
) -> None:
    listener = Listener()
    together = run_members(replace(job, folder=tmp_path), 2, listener)
    assert weights(replace(job, folder=tmp_path)) == weights(job)
    for ours, theirs in zip(together, alone, strict=True):
        assert np.array_equal(ours.held_out, theirs.held_out)
        assert ours.test is not None
        assert theirs.test is not None
        assert np.array_equal(ours.test, theirs.test)
    assert sorted((log.member, log.epoch) for log in listener.logs) == [(m, e) for m in (0, 1) for e in (1, 2, 3)]
    assert listener.images == 2 * 3 * 150


def test_what_members_teach_and_weights_are_the_same_in_several_processes_and_after_an_interruption(
    dataset: Dataset, quick: Recipe, tmp_path: Path
) -> None:
    assert dataset.test is not None
    settings = {
        "schedule.epochs": 1, "ensemble.folds": 2, "ensemble.repeats": 2, "ensemble.pseudo_labels": "soft",
        "ensemble.soft_labels": True,
    }  # fmt: skip
    train = replace(dataset.train, weights=np.linspace(1, 3, 300))
    plans = tuple(plan_members(quick.with_settings(settings), train, unlabelled=len(dataset.test)))
    compute, listener = Compute(torch.device("cpu"), "float32", threads=1), Listener()
    whole = EnsembleTask(compute, plans, train, dataset.test, tmp_path / "whole")
    run_members(whole, 1, listener)
    assert listener.images == 2 * 150 + 2 * (150 + 50)
    interrupted = replace(whole, folder=tmp_path / "interrupted")
    with pytest.raises(KeyboardInterrupt):
        run_members(interrupted, 1, Listener(stop_after=400))
    run_members(interrupted, 2, Listener())
    origins = [(whole.member_folder(plan.member) / "member.json").read_text() for plan in plans]
    assert ["targets_sha256" in origin for origin in origins] == [False, False, True, True]
    assert all("weights_sha256" in origin for origin in origins)
    assert weights(whole) == weights(interrupted)


def test_the_order_of_members_does_not_matter(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path
) -> None:
    backwards = replace(job, folder=tmp_path, plans=job.plans[::-1])
    found = run_members(backwards, 1, Listener())
    assert weights(backwards) == weights(job)[::-1]
    assert np.array_equal(found[1].held_out, alone[0].held_out)


def test_an_unattended_member_leaves_no_states_and_becomes_the_same(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path
) -> None:
    class Looks(Listener):
        def epoch_finished(self, log: EpochLog) -> None:
            super().epoch_finished(log)
            states.extend(tmp_path.rglob("state-*"))

    states: list[Path] = []
    listener, unattended = Looks(), replace(job, folder=tmp_path, unattended=True)
    found = run_members(unattended, 1, listener)
    assert weights(unattended) == weights(job)
    assert np.array_equal(found[0].held_out, alone[0].held_out)
    assert {log.validation_accuracy for log in listener.logs} == {None}
    assert not states


def test_the_error_of_a_worker_arrives_as_its_kind(job: EnsembleTask, tmp_path: Path) -> None:
    settings = {"optimizer.name": "adam", "optimizer.learning_rate": 1e30, "network.name": "cnn-medium"}
    broken = with_settings(job, settings)
    pool = WorkerPool(LocalProcesses(1, 1), MODULE, threads=1)
    with pool, pytest.raises(DivergedError, match=r"epoch 1, batch \d+, learning rate"):
        run_members(replace(broken, folder=tmp_path), pool, Listener())


@pytest.mark.slow
@has_proc
def test_a_worker_that_the_system_kills_is_explained_and_the_others_end(job: EnsembleTask, tmp_path: Path) -> None:
    class KillsOne(Listener):
        def epoch_finished(self, log: EpochLog) -> None:
            super().epoch_finished(log)
            if len(self.logs) == 1:
                os.kill(children()[-1], signal.SIGKILL)

    with pytest.raises(OutOfResourcesError, match="--workers 1"):
        run_members(replace(job, folder=tmp_path), 2, KillsOne())
    assert children() == []


Events = list[tuple[Message, bytes]]
Make = Callable[[EnsembleMessage, SavedState | None], Events]


@pytest.fixture
def make_here(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A function by which a new worker in this process makes the first member; it returns the events."""
    monkeypatch.setattr("hitofude.learning.worker.forward_logs", lambda *_: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))

    def make(ensemble: EnsembleMessage, state: SavedState | None) -> Events:
        events = io.BytesIO()
        worker = MemberWorker(MemberReporter(events))
        worker.answer(*ensemble.images)
        worker.answer(*ensemble.member(ensemble.task.plans[0], state))
        events.seek(0)
        return list(iter(lambda: receive(events), None))

    return make


@pytest.mark.slow
def test_members_made_by_a_pool_are_linked_into_the_runs_folder(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path
) -> None:
    """Here the pool has one process, which makes both."""
    remote, listener = replace(job, folder=tmp_path), Listener()
    with WorkerPool(LocalProcesses(1, 1), MODULE, threads=1) as pool:
        run_members(remote, pool, listener)
    assert weights(remote) == weights(job)
    assert sorted((log.member, log.epoch) for log in listener.logs) == [(m, e) for m in (0, 1) for e in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00", "01"]


def test_a_member_made_without_a_shared_disk_is_kept_from_messages(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path, make_here: Make
) -> None:
    remote, listener = replace(job, folder=tmp_path), Listener()
    collector = _Collector(remote, listener)
    for message, content in make_here(EnsembleMessage(remote, "of another folder"), None):
        collector.handle(0, message, content)
    assert (tmp_path / "00" / "weights.safetensors").read_bytes() == weights(job)[0]
    assert np.array_equal(collector.done[0].held_out, alone[0].held_out)
    assert [log.epoch for log in listener.logs] == [1, 2, 3]
    assert sorted(path.name for path in (tmp_path / "00").iterdir()) == [".lock", "member.json", "weights.safetensors"]


def test_an_epoch_is_told_when_a_state_that_contains_it_is_kept(
    job: EnsembleTask, tmp_path: Path, make_here: Make
) -> None:
    """A worker on the same disk is so far ahead that its states are gone when they are announced here."""
    remote, listener = replace(job, folder=tmp_path), Listener()
    with disk_token(tmp_path) as token:
        events = make_here(EnsembleMessage(remote, token), None)
        collector, told = _Collector(remote, listener), list[tuple[bool, int]]()
        for message, content in events:
            collector.handle(0, message, content)
            told.append((MemberFolder(tmp_path / "00").is_finished, len(listener.logs)))
    assert set(told) == {(False, 0), (True, 3)}
    assert [log.epoch for log in listener.logs] == [1, 2, 3]


def test_a_replaced_worker_does_not_change_the_files_of_its_successor(
    job: EnsembleTask, tmp_path: Path, make_here: Make
) -> None:
    """Two workers that share the disk make the same member; each works in a folder of its own."""
    remote = replace(with_settings(job, {"schedule.epochs": 1}), folder=tmp_path)
    with disk_token(tmp_path) as token:
        for _ in ("replaced", "successor"):
            assert make_here(EnsembleMessage(remote, token), None)[-1][0]["event"] == "finished"
    assert len(list((tmp_path / REMOTE).iterdir())) == 2
    assert not (tmp_path / "00").exists()


def test_a_member_continues_from_the_state_that_is_sent_with_it(
    job: EnsembleTask, alone: list[MemberProbabilities], tmp_path: Path, make_here: Make
) -> None:
    state = MemberFolder(job.member_folder(0)).newest_saved()
    ((message, content),) = make_here(EnsembleMessage(replace(job, folder=tmp_path), "of another folder"), state)
    assert message["event"] == "finished"
    assert np.array_equal(unpack_probabilities(content).held_out, alone[0].held_out)


def test_an_unknown_request_and_an_unknown_event_are_errors(job: EnsembleTask) -> None:
    with pytest.raises(ValueError, match="unexpected request 'surprise'"):
        MemberWorker(MemberReporter(io.BytesIO())).answer({"ask": "surprise"}, b"")
    with pytest.raises(ValueError, match="unexpected event 'logged' of member 2"):
        _Collector(job, Listener()).handle(1, {"event": "logged"}, b"")


def test_a_worker_of_other_versions_is_refused(job: EnsembleTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On this machine's only node, so on all."""
    monkeypatch.setattr("hitofude.workers.handshake.__version__", "0.0.1")
    pool = WorkerPool(LocalProcesses(1, 1), MODULE, threads=1)
    with pool, pytest.raises(ClusterError, match=r"hitofude \S+ instead of 0\.0\.1\. Install the same versions"):
        list(pool.work([ComputeQuestion("cpu", "auto", 1)]))


@has_proc
@pytest.mark.slow
def test_no_worker_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hitofude", "run", "--run", str(tmp_path / "run"), "--workers", "2"]
    command += ["--set", "schedule.epochs=20", "--set", "schedule.min_steps=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        wait_for_line(run, " 1/20 ")
        workers = children(run.pid)
        run.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Zombies do not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_task_arrives_as_it_was_sent(job: EnsembleTask) -> None:
    ensemble = EnsembleMessage(replace(job, unattended=True))
    sent = [ensemble.member(plan, None) for plan in job.plans]
    found = unpack_task(sent[0][0], unpack_images(*ensemble.images))
    plans = [unpack_member(*message)[0] for message in sent]
    assert (found.compute, found.folder) == (job.compute, job.folder)
    assert [plan.recipe for plan in plans] == [plan.recipe for plan in job.plans]
    assert found.train.fingerprint == job.train.fingerprint
    assert found.unattended
    assert all(np.array_equal(a.train_rows, b.train_rows) for a, b in zip(plans, job.plans, strict=True))


def test_a_worker_process_loads_no_heavy_package_besides_torch() -> None:
    code = "import sys, hitofude.learning.worker, hitofude.prediction.bulk.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"scipy", "sklearn", "joblib", "matplotlib", "pandas", "pyarrow"} & set(loaded)


def test_arrays_of_a_message_may_share_memory() -> None:
    """The rows of several members that are trained on all rows do."""
    everything = np.arange(6)
    arrays = unpack_arrays(pack_arrays({"6": everything, "7": everything, "even": everything[::2]}))
    assert np.array_equal(arrays["6"], arrays["7"])
    assert arrays["even"].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("members", "available", "asked", "expected"),
    [
        (2, 2, {}, Parallelism(2, 1)),
        (3, 2, {}, Parallelism(1, 2)),
        (4, 2, {}, Parallelism(2, 1)),
        (1, 8, {}, Parallelism(1, 8)),
        (5, 16, {}, Parallelism(5, 3)),
        (5, 4, {"workers": 2}, Parallelism(2, 2)),
        (5, 4, {"threads": 1}, Parallelism(4, 1)),
        (5, 4, {"workers": 9}, Parallelism(5, 1)),
        (3, 1, {"workers": 2, "threads": 3}, Parallelism(2, 3)),
    ],
)
def test_the_fastest_parallelism_is_chosen_and_no_processor_has_two_threads(
    members: int, available: int, asked: dict[str, int], expected: Parallelism, compute: Compute
) -> None:
    assert Parallelism.choose(members, MANY_IMAGES, compute, available=available, **asked) == expected


@pytest.mark.parametrize(
    ("members", "sizes", "expected"),
    [
        (5, [1, 1], Parallelism(2, 1)),
        (2, [4, 4], Parallelism(2, 4)),
        (8, [4, 4], Parallelism(8, 1)),
        (3, [16, 2], Parallelism(3, 2)),
        (1000, [16] * 4, Parallelism(64, 1)),
    ],
)
def test_on_a_cluster_a_member_has_no_more_threads_than_the_smallest_node(
    members: int, sizes: list[int], expected: Parallelism
) -> None:
    assert Parallelism.on_cluster(members, [Node(str(node), size) for node, size in enumerate(sizes)]) == expected


def test_little_work_starts_no_processes(compute: Compute) -> None:
    assert Parallelism.choose(2, 1000, compute, available=2) == Parallelism(1, 2)


@pytest.mark.parametrize(
    ("threads", "expected"), [(None, Parallelism(1, 2)), (1, Parallelism(2, 1)), (2, Parallelism(1, 2))]
)
def test_processes_are_worth_it_sooner_if_processors_would_be_idle(
    threads: int | None, expected: Parallelism, compute: Compute
) -> None:
    assert Parallelism.choose(2, 20_000, compute, threads=threads, available=2) == expected


def test_zero_workers_are_refused(compute: Compute) -> None:
    with pytest.raises(RecipeError, match="--workers 0"):
        Parallelism.choose(2, 1000, compute, workers=0)
