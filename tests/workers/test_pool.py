"""A pool of workers: the task of a lost worker continues on another, and a task that cannot be done is reported."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from hitofude.errors import ClusterError, DivergedError, OutOfResourcesError, UserError, WorkerError
from hitofude.workers.messages import Message
from hitofude.workers.pool import WorkerPool, error_of, wait_for_nodes
from hitofude.workers.process import LocalProcesses, LocalWorker
from hitofude.workers.worker import Node, Worker, WorkerLostError

MODULE = "tests.workers.scripted_process"
HERE, THERE = Node("here", 1), Node("there", 1)
Steps = Callable[["ScriptedTask", Worker], Sequence[str]]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitofude.workers.pool.SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # the module is found


class FakeCluster:
    """A cluster of processes of this machine, with nodes that can be added and can refuse to start a worker."""

    name = "the cluster"
    replaces_lost = True

    def __init__(self, *nodes: Node) -> None:
        self.found = list(nodes)
        self.refusing: dict[str, str] = {}

    def nodes(self) -> Sequence[Node]:
        return list(self.found)

    def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        if node.name in self.refusing:
            raise WorkerLostError(ClusterError(self.refusing[node.name]))
        return LocalWorker(node.name, module, threads)

    def close(self) -> None: ...


class ScriptedTask:
    """A task in steps, which may differ at each attempt and on each node."""

    def __init__(self, steps: Steps | Sequence[str] = ("finish",), kind: str | None = None, name: str = "it") -> None:
        self.steps, self.kind, self.name = steps, kind, name
        self.attempts: list[str] = []

    def send(self, worker: Worker) -> None:
        self.attempts.append(worker.node)
        steps = self.steps(self, worker) if callable(self.steps) else self.steps
        worker.send({"steps": list(steps), "kind": self.kind}, self.name.encode())


def done(pool: WorkerPool, *tasks: ScriptedTask) -> Counter[str]:
    """Do the tasks, and count the events of each kind."""
    with pool:
        return Counter(message["event"] for _, message, _ in pool.work(tasks))


def test_all_tasks_are_done_by_as_many_processes_as_there_is_room_for() -> None:
    tasks = [ScriptedTask(name=str(number)) for number in range(20)]
    with WorkerPool(FakeCluster(HERE, Node("wide", 5)), MODULE, threads=2) as pool:
        assert pool.size() == 2
        found = [(task.name, content.decode(), message["process"]) for task, message, content in pool.work(tasks)]
    assert sorted(name for name, _, _ in found) == sorted(task.name for task in tasks)
    assert all(name == content for name, content, _ in found)
    assert len({process for _, _, process in found}) <= 2
    assert {node for task in tasks for node in task.attempts} == {"wide"}


def test_each_caller_receives_the_events_of_its_own_tasks_only() -> None:
    received: dict[str, set[str]] = {}

    def work(name: str) -> None:
        tasks = [ScriptedTask(name=name) for _ in range(5)]
        received[name] = {content.decode() for _, _, content in pool.work(tasks)}

    with WorkerPool(FakeCluster(HERE, THERE), MODULE, threads=1) as pool:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert received == {name: {name} for name in "abc"}


def test_the_task_of_a_lost_process_continues_in_another() -> None:
    task = ScriptedTask(lambda task, worker: ["progress", "die"] if len(task.attempts) == 1 else ["finish"])
    found = done(WorkerPool(FakeCluster(HERE), MODULE, threads=1), task)
    assert found == {"batch_finished": 1, "warned": 1, "finished": 1}


def test_a_task_that_is_lost_three_times_in_a_row_is_given_up() -> None:
    task = ScriptedTask(["progress", "die"], name="member 7")
    with pytest.raises(ClusterError, match=r"member 7 was lost 3 times in a row.*the last on here.*killed"):
        done(WorkerPool(FakeCluster(HERE), MODULE, threads=1), task)
    assert len(task.attempts) == 3


def test_a_task_with_progress_between_losses_is_not_given_up() -> None:
    task = ScriptedTask(lambda task, worker: ["save", "die"] if len(task.attempts) < 5 else ["finish"])
    assert done(WorkerPool(FakeCluster(HERE), MODULE, threads=1), task)["saved"] == 4


def test_a_task_that_fails_on_one_node_is_done_on_another() -> None:
    task = ScriptedTask(lambda task, worker: ["fail"] if worker.node == "here" else ["finish"])
    assert done(WorkerPool(FakeCluster(HERE, THERE), MODULE, threads=1), task, ScriptedTask())["finished"] == 2
    assert task.attempts[-1] == "there"


def test_a_task_that_fails_on_every_node_ends_the_work_with_its_error() -> None:
    task = ScriptedTask(["fail"], name="member 2")
    with pytest.raises(ClusterError, match=r"member 2 failed on every worker of the cluster \(2\): no luck"):
        done(WorkerPool(FakeCluster(HERE, THERE), MODULE, threads=1), task)
    assert sorted(task.attempts) == ["here", "there"]


def test_a_task_that_would_fail_on_every_node_is_not_tried_again() -> None:
    task = ScriptedTask(["fail"], kind="DivergedError")
    with pytest.raises(DivergedError, match="no luck"):
        done(WorkerPool(FakeCluster(HERE, THERE), MODULE, threads=1), task)
    assert len(task.attempts) == 1


@pytest.mark.parametrize("kind", UserError.__subclasses__())
def test_every_error_of_a_user_arrives_as_its_kind(kind: type[UserError]) -> None:
    message: Message = {"kind": kind.__name__, "message": "no luck"}
    assert type(error_of(message)) is kind


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(ValueError, match="'surprise' is not a valid Event"):
        done(WorkerPool(FakeCluster(HERE), MODULE, threads=1), ScriptedTask(["surprise", "finish"]))


def test_log_records_of_workers_are_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    class Logs(LocalWorker):
        def receive(self) -> tuple[Message, bytes]:
            message, content = super().receive()
            if message["event"] == "batch_finished":
                return {"event": "logged", "logger": "hitofude.test", "level": logging.ERROR, "text": "50 %"}, b""
            return message, content

    class LoggingCluster(FakeCluster):
        def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
            return Logs(node.name, module, threads)

    pool = WorkerPool(LoggingCluster(HERE), MODULE, threads=1)
    assert done(pool, ScriptedTask(["progress", "finish"])) == {"finished": 1}
    assert ("hitofude.test", logging.ERROR, "50 %") in caplog.record_tuples


def test_a_cluster_without_workers_is_given_up_after_a_while() -> None:
    with pytest.raises(ClusterError, match="the cluster has no worker, for 0 s now"):
        done(WorkerPool(FakeCluster(), MODULE, threads=1, patience=0), ScriptedTask())
    with pytest.raises(ClusterError, match="the cluster has no worker, for 0 s now"):
        wait_for_nodes(FakeCluster(), patience=0)


def test_nodes_that_are_too_small_are_named_with_the_largest() -> None:
    with pytest.raises(ClusterError, match=r"no worker with the 4 threads that are needed.* largest has 1"):
        done(WorkerPool(FakeCluster(HERE), MODULE, threads=4, patience=0), ScriptedTask())


def test_a_node_that_is_added_later_is_used() -> None:
    cluster = FakeCluster()
    with WorkerPool(cluster, MODULE, threads=1) as pool:
        work = pool.work([ScriptedTask()])
        threading.Timer(0.1, cluster.found.append, [HERE]).start()
        assert [message["event"] for _, message, _ in work] == ["finished"]


def test_the_reason_why_no_worker_can_be_started_is_reported() -> None:
    cluster = FakeCluster(HERE, THERE)
    cluster.refusing = {"here": "here has no hitofude", "there": "there has no hitofude"}
    with pytest.raises(ClusterError, match=r"failed on every worker .*here has no hitofude"):
        done(WorkerPool(cluster, MODULE, threads=1), ScriptedTask())
    del cluster.refusing["there"]
    assert done(WorkerPool(cluster, MODULE, threads=1), ScriptedTask(), ScriptedTask())["finished"] == 2


def test_the_share_of_a_gpu_decides_the_number_of_workers() -> None:
    cluster = FakeCluster(HERE, Node("fast", 8, gpus=2), Node("few threads", 1, gpus=1))
    with WorkerPool(cluster, MODULE, threads=1, gpus=0.5) as pool:
        assert pool.size() == 5
        tasks = [ScriptedTask() for _ in range(6)]
        assert len(list(pool.work(tasks))) == 6
    assert {node for task in tasks for node in task.attempts} <= {"fast", "few threads"}


def test_no_node_has_more_workers_than_room() -> None:
    cluster = FakeCluster(Node("small", 1, gpus=4), Node("large", 3))
    processes: dict[str, set[int]] = {"small": set(), "large": set()}
    with WorkerPool(cluster, MODULE, threads=1) as pool:
        assert pool.size() == 4
        for task, message, _ in pool.work([ScriptedTask() for _ in range(40)]):
            processes[task.attempts[-1]].add(message["process"])
    assert len(processes["small"]) <= 1
    assert len(processes["large"]) <= 3


def test_on_this_machine_a_lost_process_is_explained_and_nothing_is_tried_again() -> None:
    task = ScriptedTask(["die"])
    with pytest.raises(OutOfResourcesError, match="killed worker process"):
        done(WorkerPool(LocalProcesses(2, 1), MODULE, threads=1), task)
    with pytest.raises(WorkerError, match="no luck"):
        done(WorkerPool(LocalProcesses(1, 1), MODULE, threads=1), ScriptedTask(["fail"]))
    assert len(task.attempts) == 1


def test_no_process_outlives_the_pool() -> None:
    tasks = [ScriptedTask(["progress", "finish"]) for _ in range(8)]
    with WorkerPool(FakeCluster(HERE, THERE), MODULE, threads=1) as pool:
        processes = {message["process"] for _, message, _ in pool.work(tasks)}
        assert all(map(psutil.pid_exists, processes))
    assert not any(map(psutil.pid_exists, processes))


def test_a_closed_pool_takes_no_tasks() -> None:
    with WorkerPool(FakeCluster(HERE), MODULE, threads=1) as pool:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        list(pool.work([ScriptedTask()]))
