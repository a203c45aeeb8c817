"""Work shared out among workers: what is lost goes on elsewhere, and what cannot be done is said."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from hitofude.errors import ClusterError, DivergedError, OutOfResourcesError, WorkerError
from hitofude.workers.pool import WorkerPool, wait_for_nodes
from hitofude.workers.process import WorkerProcess
from hitofude.workers.worker import LocalProcesses, LocalWorker, Node, Worker, WorkerLostError

MODULE = "tests.workers.told_process"
HERE, THERE = Node("here", 1), Node("there", 1)
Steps = Callable[["Told", Worker], Sequence[str]]


@pytest.fixture(autouse=True)
def _module_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


class Places:
    """A cluster of processes of this machine, at nodes that come and go."""

    name = "the cluster"
    replaces_lost = True

    def __init__(self, *nodes: Node) -> None:
        self.found = list(nodes)
        self.refusing: dict[str, str] = {}

    def nodes(self) -> Sequence[Node]:
        return list(self.found)

    def worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        if node.name in self.refusing:
            raise WorkerLostError(ClusterError(self.refusing[node.name]))
        return LocalWorker(node.name, WorkerProcess(module, threads))

    def close(self) -> None:
        """Nobody is there."""


class Told:
    """A task that is done in steps, which may be others at each try and at each node."""

    def __init__(self, steps: Steps | Sequence[str] = ("finish",), kind: str | None = None, name: str = "it") -> None:
        self.steps, self.kind, self.name = steps, kind, name
        self.tries: list[str] = []

    def ask(self, worker: Worker) -> None:
        self.tries.append(worker.node)
        steps = self.steps(self, worker) if callable(self.steps) else self.steps
        worker.tell({"steps": list(steps), "kind": self.kind}, self.name.encode())


def done(pool: WorkerPool, *tasks: Told) -> Counter[str]:
    """How often each event was told."""
    with pool:
        return Counter(message["event"] for _, message, _ in pool.work(tasks))


def test_all_of_the_work_is_done_by_as_many_processes_as_there_is_room_for() -> None:
    tasks = [Told(name=str(number)) for number in range(20)]
    with WorkerPool(Places(HERE, Node("wide", 5)), MODULE, threads=2) as pool:
        assert pool.size() == 2
        found = [(task.name, content.decode(), message["process"]) for task, message, content in pool.work(tasks)]
    assert sorted(name for name, _, _ in found) == sorted(task.name for task in tasks)
    assert all(name == content for name, content, _ in found)
    assert len({process for _, _, process in found}) <= 2
    assert {node for task in tasks for node in task.tries} == {"wide"}


def test_who_brings_work_hears_of_it_and_of_no_other() -> None:
    heard: dict[str, set[str]] = {}

    def bring(name: str) -> None:
        heard[name] = {content.decode() for _, _, content in pool.work([Told(name=name) for _ in range(5)])}

    with WorkerPool(Places(HERE, THERE), MODULE, threads=1) as pool:
        threads = [threading.Thread(target=bring, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert heard == {name: {name} for name in "abc"}


def test_what_a_lost_process_had_goes_on_in_another() -> None:
    task = Told(lambda task, worker: ["say", "die"] if len(task.tries) == 1 else ["finish"])
    assert done(WorkerPool(Places(HERE), MODULE, threads=1), task) == {"logged": 1, "warned": 1, "finished": 1}


def test_what_is_lost_three_times_in_a_row_is_given_up() -> None:
    task = Told(["say", "die"], name="member 7")
    with pytest.raises(ClusterError, match=r"member 7 was lost 3 times in a row.*the last on here.*killed"):
        done(WorkerPool(Places(HERE), MODULE, threads=1), task)
    assert len(task.tries) == 3


def test_as_long_as_there_is_progress_it_goes_on() -> None:
    task = Told(lambda task, worker: ["keep", "die"] if len(task.tries) < 6 else ["finish"])
    assert done(WorkerPool(Places(HERE), MODULE, threads=1), task)["saved"] == 5


def test_what_fails_at_one_place_is_done_at_another() -> None:
    task = Told(lambda task, worker: ["fail"] if worker.node == "here" else ["finish"])
    assert done(WorkerPool(Places(HERE, THERE), MODULE, threads=1), task, Told())["finished"] == 2
    assert task.tries[-1] == "there"


def test_what_fails_everywhere_ends_the_work_with_its_error() -> None:
    task = Told(["fail"], name="member 2")
    with pytest.raises(ClusterError, match=r"member 2 failed on every worker of the cluster \(2\): no luck"):
        done(WorkerPool(Places(HERE, THERE), MODULE, threads=1), task)
    assert sorted(task.tries) == ["here", "there"]


def test_what_would_fail_alike_everywhere_is_not_tried_again() -> None:
    task = Told(["fail"], kind="DivergedError")
    with pytest.raises(DivergedError, match="no luck"):
        done(WorkerPool(Places(HERE, THERE), MODULE, threads=1), task)
    assert len(task.tries) == 1


def test_a_cluster_without_workers_is_given_up_after_a_while() -> None:
    with pytest.raises(ClusterError, match="the cluster: it has no worker"):
        done(WorkerPool(Places(), MODULE, threads=1, patience=0), Told())
    with pytest.raises(ClusterError, match="the cluster has no worker"):
        wait_for_nodes(Places(), patience=0)


def test_workers_that_are_too_small_are_not_waited_for() -> None:
    with pytest.raises(ClusterError, match="no worker has the 4 threads of a worker; the largest has 1"):
        done(WorkerPool(Places(HERE), MODULE, threads=4, patience=0), Told())


def test_a_worker_that_comes_later_is_used() -> None:
    cluster = Places()
    with WorkerPool(cluster, MODULE, threads=1) as pool:
        work = pool.work([Told()])
        threading.Timer(0.5, cluster.found.append, [HERE]).start()
        assert [message["event"] for _, message, _ in work] == ["finished"]


def test_workers_that_give_no_seat_are_told_with_their_reason() -> None:
    cluster = Places(HERE, THERE)
    cluster.refusing = {"here": "here has no hitofude", "there": "there has no hitofude"}
    with pytest.raises(ClusterError, match=r"failed on every worker .*here has no hitofude"):
        done(WorkerPool(cluster, MODULE, threads=1), Told())
    del cluster.refusing["there"]
    assert done(WorkerPool(cluster, MODULE, threads=1), Told(), Told())["finished"] == 2


def test_on_gpus_their_share_decides_how_many_there_are() -> None:
    cluster = Places(HERE, Node("fast", 8, gpus=2), Node("few threads", 1, gpus=1))
    with WorkerPool(cluster, MODULE, threads=1, gpus=0.5) as pool:
        assert pool.size() == 5
        tasks = [Told() for _ in range(6)]
        assert len(list(pool.work(tasks))) == 6
    assert {node for task in tasks for node in task.tries} <= {"fast", "few threads"}


def test_no_place_has_more_seats_than_room() -> None:
    cluster = Places(Node("small", 1, gpus=4), Node("large", 3))
    processes: dict[str, set[int]] = {"small": set(), "large": set()}
    with WorkerPool(cluster, MODULE, threads=1) as pool:
        assert pool.size() == 4
        for task, message, _ in pool.work([Told() for _ in range(40)]):
            processes[task.tries[-1]].add(message["process"])
    assert len(processes["small"]) <= 1
    assert len(processes["large"]) <= 3


def test_on_this_machine_a_lost_process_is_explained_and_nothing_tried_again() -> None:
    task = Told(["die"])
    with pytest.raises(OutOfResourcesError, match="killed worker process"):
        done(WorkerPool(LocalProcesses(2, 1), MODULE, threads=1), task)
    with pytest.raises(WorkerError, match="no luck"):
        done(WorkerPool(LocalProcesses(1, 1), MODULE, threads=1), Told(["fail"]))
    assert len(task.tries) == 1


def test_nobody_outlives_the_crew() -> None:
    with WorkerPool(Places(HERE, THERE), MODULE, threads=1) as pool:
        processes = {message["process"] for _, message, _ in pool.work([Told(["say", "finish"]) for _ in range(8)])}
        assert all(map(psutil.pid_exists, processes))
    assert not any(map(psutil.pid_exists, processes))


def test_a_crew_that_has_ended_takes_no_work() -> None:
    with WorkerPool(Places(HERE), MODULE, threads=1) as pool:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        list(pool.work([Told()]))
