"""A pool of workers that share one queue of tasks. The task of a lost worker continues on another.

Each worker has a thread in the driver that sends requests and receives events. One more thread starts workers while
tasks wait. Events are delivered to the thread that called `work`, so its observer need not be safe for threads.
"""

import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from hitofude.errors import ClusterError, DivergedError, InputError, RecipeError, UserError, WorkerError, counted
from hitofude.workers.messages import Event, Message
from hitofude.workers.worker import Cluster, Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

MAX_LOSSES = 3
"""In a row, without progress in between: a task that is lost this often with its worker is given up."""

MAX_START_FAILURES = 2
"""In a row: a node on which this many starts failed is not used again."""

SECONDS_WITHOUT_WORKERS = 60.0
"""The pool gives up when a cluster has had no usable worker for this time."""

SECONDS_BETWEEN_SIGNS = 5.0
"""Between signs of life to a worker without a task; without any, a remote process ends."""

SECONDS_TO_LEAVE = 10.0
"""At the end, a start that is still in progress on a busy node is not waited for any longer."""

SECONDS_BETWEEN_LOOKS = 1.0
"""Between looks for new nodes while tasks wait."""

FAILS_EVERYWHERE = (InputError, RecipeError, DivergedError)
"""A task that fails with one of these is not tried on another node."""


class Task(Protocol):
    """A task for one worker."""

    @property
    def name(self) -> str:
        """For messages: `member 3`."""
        ...

    def send(self, worker: Worker) -> None:
        """Send all that a worker needs, the newest state to continue from included. Raises WorkerLostError."""
        ...


SomeTask = TypeVar("SomeTask", bound=Task)
Events = queue.SimpleQueue[tuple[Task, Message, bytes] | Exception]
"""The events of one call of `work`."""


@dataclass(eq=False)
class _QueuedTask:
    """A task that waits or is being worked on."""

    task: Task
    events: Events
    failures: dict[str, Exception] = field(default_factory=dict)
    """By node."""
    losses: int = 0


class WorkerPool:
    """Workers of a cluster, started when tasks wait, that take tasks from one queue."""

    def __init__(
        self, cluster: Cluster, module: str, threads: int, *, gpus: float = 0, patience: float = SECONDS_WITHOUT_WORKERS
    ) -> None:
        """module: run by each worker. threads, gpus: of each worker. patience: seconds without a worker to give up."""
        self.cluster, self.module, self.threads, self.gpus = cluster, module, threads, gpus
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[_QueuedTask] = deque()
        self._callers: set[Events] = set()
        self._workers: set[Worker] = set()
        self._idle: set[Worker] = set()
        self._per_node: Counter[str] = Counter()
        """The workers that run or are starting on each node."""
        self._start_failures: dict[str, list[Exception]] = {}
        self._threads: list[threading.Thread] = []
        self._stopped: Exception | None = None
        """The reason why no more tasks are done."""
        self._last_used = time.monotonic()
        """When there last was a worker, or no task."""
        self._starter = threading.Thread(target=self._start_workers, daemon=True)
        self._starter.start()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def size(self) -> int:
        """Return how many workers there can be now. Raises ClusterError if the cluster is lost."""
        return sum(self._capacity(node) for node in self.cluster.nodes())

    def work(self, tasks: Sequence[SomeTask]) -> Iterator[tuple[SomeTask, Message, bytes]]:
        """Do the tasks, and yield their events until all are finished; may be called from several threads at once.

        Records that workers log are logged here. Raises the error of a task that would fail on any node; ClusterError
        if the cluster is lost or a task failed on every node.
        """
        events = Events()
        with self._changed:
            if self._stopped is not None:
                raise self._stopped
            self._callers.add(events)
            self._waiting.extend(_QueuedTask(task, events) for task in tasks)
            self._changed.notify_all()
        unfinished = len(tasks)
        try:
            while unfinished:
                event = events.get()
                if isinstance(event, Exception):
                    raise event
                unfinished -= event[1]["event"] == Event.FINISHED
                yield cast(tuple[SomeTask, Message, bytes], event)
        finally:
            with self._changed:
                self._callers.discard(events)
                self._waiting = deque(queued for queued in self._waiting if queued.events is not events)

    def close(self) -> None:
        """End all workers, and disconnect from the cluster."""
        self._stop(RuntimeError("The pool is closed."))
        for worker in list(self._workers):
            worker.stop()
        for thread in [self._starter, *self._threads]:
            thread.join(SECONDS_TO_LEAVE)
        self.cluster.close()

    def _stop(self, reason: Exception) -> None:
        with self._changed:
            self._stopped = self._stopped or reason
            for events in self._callers:
                events.put(reason)
            self._changed.notify_all()

    def _capacity(self, node: Node) -> int:
        workers = node.threads // self.threads
        return min(workers, int(node.gpus / self.gpus)) if self.gpus else workers

    def _start_workers(self) -> None:
        """Start workers where there is room while tasks wait that no idle worker takes."""
        pause = 0.0
        try:
            while self._wait_until_wanted(pause):
                pause = SECONDS_BETWEEN_LOOKS
                nodes = self.cluster.nodes()
                with self._changed:
                    self._start_wanted(nodes)
                    if self._per_node.total():
                        self._last_used = time.monotonic()
                    self._give_up_hopeless_tasks(nodes)
                if time.monotonic() - self._last_used > self._patience:
                    raise self._no_workers_error(nodes)
        except Exception as error:
            self._stop(error)

    def _wait_until_wanted(self, pause: float) -> bool:
        """Wait until workers are wanted, or until the cluster should be checked; False if the pool has stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, timeout=pause)
            if self._wanted() <= 0:
                timeout = SECONDS_BETWEEN_SIGNS if self._per_node.total() else None
                self._changed.wait_for(lambda: self._stopped or self._wanted() > 0, timeout=timeout)
                self._last_used = time.monotonic()
            return self._stopped is None

    def _wanted(self) -> int:
        """Return how many more workers would have a task."""
        refused_by_idle = sum(all(worker.node in queued.failures for worker in self._idle) for queued in self._waiting)
        starting = self._per_node.total() - len(self._workers)
        return max(len(self._waiting) - len(self._idle), refused_by_idle) - starting

    def _start_wanted(self, nodes: Sequence[Node]) -> None:
        """Start the workers that are wanted, as far as there is room, first on the node with most of it."""
        free = {node: self._capacity(node) - self._per_node[node.name] for node in nodes if self._is_usable(node)}
        while self._wanted() > 0 and any(count > 0 for count in free.values()):
            node = max(free, key=lambda node: free[node])
            free[node] -= 1
            self._per_node[node.name] += 1
            self._threads.append(threading.Thread(target=self._run_worker, args=(node,), daemon=True))
            self._threads[-1].start()

    def _is_usable(self, node: Node) -> bool:
        has_task = any(node.name not in queued.failures for queued in self._waiting)
        return has_task and len(self._start_failures.get(node.name, ())) < MAX_START_FAILURES

    def _give_up_hopeless_tasks(self, nodes: Sequence[Node]) -> None:
        """Report the tasks that failed, or cannot be started, on every node."""
        names = {node.name for node in nodes if self._capacity(node) > 0}
        unusable = {
            name: errors[-1] for name, errors in self._start_failures.items() if len(errors) >= MAX_START_FAILURES
        }
        for queued in list(self._waiting):
            reasons = unusable | queued.failures
            if names and names <= reasons.keys():
                self._waiting.remove(queued)
                error = reasons[min(names)]
                if self.cluster.replaces_lost:
                    where = f"every worker of {self.cluster.name} ({len(names)})"
                    error = ClusterError(f"{queued.task.name} failed on {where}: {error}")
                queued.events.put(error)

    def _no_workers_error(self, nodes: Sequence[Node]) -> ClusterError:
        if not nodes:
            return no_workers_error(self.cluster, self._patience)
        needs = f"{self.gpus:g} GPUs" if self.gpus else f"{counted(self.threads, 'thread')}"
        largest = max(node.gpus if self.gpus else node.threads for node in nodes)
        return ClusterError(
            f"{self.cluster.name} has no worker with the {needs} that are needed, for {self._patience:.0f} s now; the "
            f"largest has {largest:g}. Start larger ones, and run again."
        )

    def _run_worker(self, node: Node) -> None:
        """Start a worker on a node, let it do tasks until the pool stops or the worker is lost, and remove it."""
        worker: Worker | None = None
        try:
            worker = self.cluster.start_worker(node, self.module, self.threads, self.gpus)
            with self._changed:
                self._start_failures.pop(node.name, None)
                self._workers.add(worker)
                if self._stopped is not None:
                    worker.stop()
            is_new = True
            while (queued := self._next(worker)) is not None and self._do(queued, worker, is_new=is_new):
                is_new = False
        except Exception as error:  # an error in this thread would be lost otherwise
            reason = error.reason if isinstance(error, WorkerLostError) else error
            logger.info("%s starts no worker: %s", node.name, reason)
            with self._changed:
                self._start_failures.setdefault(node.name, []).append(reason)
        finally:
            self._remove(node, worker)

    def _remove(self, node: Node, worker: Worker | None) -> None:
        if worker is not None:
            worker.stop()
            worker.close()
        with self._changed:
            self._per_node[node.name] -= 1
            self._workers -= {worker}
            self._changed.notify_all()

    def _next(self, worker: Worker) -> _QueuedTask | None:
        """Wait for a task that has not failed on the worker's node; None if the pool or the worker has ended."""

        def suitable() -> _QueuedTask | None:
            return next((queued for queued in self._waiting if worker.node not in queued.failures), None)

        while True:
            with self._changed:
                self._idle.add(worker)
                self._changed.notify_all()  # the waiting tasks may have failed on this worker's node
                self._changed.wait_for(lambda: self._stopped or suitable(), timeout=SECONDS_BETWEEN_SIGNS)
                self._idle.discard(worker)
                if self._stopped is not None:
                    return None
                if (queued := suitable()) is not None:
                    self._waiting.remove(queued)
                    return queued
            try:
                worker.keep_alive()
            except WorkerLostError as loss:
                logger.info("%s is lost: %s", worker.node, loss.reason)
                return None

    def _do(self, queued: _QueuedTask, worker: Worker, *, is_new: bool) -> bool:
        """Let the worker do a task; whether it can do another."""
        has_answered = False
        try:
            queued.task.send(worker)
            while True:
                message, content = worker.receive()
                has_answered = True
                match event := Event(message["event"]):
                    case Event.FAILED:
                        self._failed(queued, worker, error_of(message))
                        return False
                    case Event.LOGGED:
                        logging.getLogger(message["logger"]).log(message["level"], "%s", message["text"])
                        continue
                    case Event.SAVED:
                        queued.losses = 0
                queued.events.put((queued.task, message, content))
                if event == Event.FINISHED:
                    return True
        except WorkerLostError as loss:
            self._lost(queued, worker, loss.reason, by_the_task=is_new or has_answered)
        except Exception as error:  # a bug in the driver, or an unknown event
            queued.events.put(error)
        return False

    def _lost(self, queued: _QueuedTask, worker: Worker, reason: Exception, *, by_the_task: bool) -> None:
        """Handle the loss of a worker. by_the_task: it may have been the task's doing."""
        queued.losses += by_the_task
        if not self.cluster.replaces_lost:
            queued.events.put(reason)
        elif queued.losses >= MAX_LOSSES:
            text = f"{queued.task.name} was lost {queued.losses} times in a row, each time with its worker, the last on"
            queued.events.put(ClusterError(f"{text} {worker.node}: {reason}"))
        else:
            self._retry(queued, f"{worker.node} is lost ({reason}); {queued.task.name} continues on another worker.")

    def _failed(self, queued: _QueuedTask, worker: Worker, error: Exception) -> None:
        if not self.cluster.replaces_lost or isinstance(error, FAILS_EVERYWHERE):
            queued.events.put(error)
        else:
            queued.failures[worker.node] = error
            self._retry(queued, f"{queued.task.name} failed on {worker.node}, and is tried on another worker: {error}")

    def _retry(self, queued: _QueuedTask, warning: str) -> None:
        """Put a task first in the queue, unless its caller has given up."""
        queued.events.put((queued.task, {"event": Event.WARNED, "message": warning}, b""))
        with self._changed:
            if queued.events in self._callers:
                self._waiting.appendleft(queued)
            self._changed.notify_all()


def wait_for_nodes(cluster: Cluster, patience: float = SECONDS_WITHOUT_WORKERS) -> Sequence[Node]:
    """Return the nodes as soon as there is one. Raises ClusterError if none comes."""
    deadline = time.monotonic() + patience
    while not (nodes := cluster.nodes()):
        if time.monotonic() > deadline:
            raise no_workers_error(cluster, patience)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return nodes


def no_workers_error(cluster: Cluster, patience: float) -> ClusterError:
    return ClusterError(f"{cluster.name} has no worker, for {patience:.0f} s now. Start some, and run again.")


def error_of(message: Message) -> Exception:
    """Return the error that a worker process reported."""
    if message["kind"] is None:
        return WorkerError(message["message"], message["places"])
    kinds = {kind.__name__: kind for kind in UserError.__subclasses__()}
    return kinds[message["kind"]](message["message"])
