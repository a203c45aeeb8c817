"""Work shared out among workers: each worker takes the next piece when it is done with one; what a lost worker had goes on.

Every worker has a thread of its own here, which asks and listens. One more thread fills nodes that are free while work
waits. Whoever brings work hears of it in the thread that brought it, so nothing that listens need be safe for threads.
"""

import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import hitofude.errors as errors
from hitofude.errors import ClusterError, DivergedError, InputError, RecipeError, WorkerError
from hitofude.workers.messages import Event, Message
from hitofude.workers.worker import Cluster, Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

MOST_LOSSES = 3
"""In a row, without any progress between them: a task that takes so many workers with it is not tried again."""

MOST_REFUSALS = 2
"""In a row: a worker that gave no worker so often is not waited for."""

SECONDS_WITHOUT_WORKERS = 60.0
"""So long a cluster may be without any worker that can be used before work is given up."""

SECONDS_BETWEEN_SIGNS = 5.0
"""That a worker without work is still wanted; without any, a cluster's worker would end it."""

SECONDS_TO_LEAVE = 10.0
"""One that is still to be given a worker, by a worker that is busy, is not waited for longer."""

SECONDS_BETWEEN_LOOKS = 1.0
"""For new workers, while work waits."""

ALIKE_EVERYWHERE = (InputError, RecipeError, DivergedError)
"""What fails so is not tried again elsewhere."""


class Task(Protocol):
    """A piece of work."""

    @property
    def name(self) -> str:
        """For messages: `member 3`."""
        ...

    def ask(self, worker: Worker) -> None:
        """Tell a worker all that it needs, the newest state to continue from included. Raises WorkerLostError."""
        ...


SomeTask = TypeVar("SomeTask", bound=Task)
TaskEvent = tuple[Task, Message, bytes]


@dataclass(eq=False)
class _Call:
    """Work that was brought at one time, and what is told of it."""

    events: "queue.SimpleQueue[TaskEvent | Exception]" = field(default_factory=queue.SimpleQueue)


@dataclass(eq=False)
class _Piece:
    """A task on its way."""

    task: Task
    call: _Call
    failed_at: dict[str, Exception] = field(default_factory=dict)
    losses: int = 0

    def warn(self, text: str) -> None:
        self.call.events.put((self.task, {"event": Event.WARNED, "message": text}, b""))


class WorkerPool:
    """Seats that take work from one list."""

    def __init__(
        self, workers: Cluster, module: str, threads: int, *, gpus: float = 0, patience: float = SECONDS_WITHOUT_WORKERS
    ) -> None:
        """module: what a worker runs. threads, gpus: of each worker. patience: seconds without any worker."""
        self.workers, self.module, self.threads, self.gpus = workers, module, threads, gpus
        self._patience = patience
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[_Piece] = deque()
        self._calls: set[_Call] = set()
        self._seats: set[Worker] = set()
        self._idle: set[Worker] = set()
        self._taken: Counter[str] = Counter()
        """Of each node, the workers that are there or starting."""
        self._refusals: dict[str, list[Exception]] = {}
        self._threads: list[threading.Thread] = []
        self._end: Exception | None = None
        """Why there is no more work done here."""
        self._last_seen = time.monotonic()
        """When there was a worker, or nothing to do."""
        self._pause = 0.0
        """Before the next look for nodes."""
        self._filler = threading.Thread(target=self._fill, daemon=True)
        self._filler.start()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def size(self) -> int:
        """How many workers there can be now. Raises ClusterError when the cluster is gone."""
        return sum(self._capacity(node) for node in self.workers.nodes())

    def work(self, tasks: Sequence[SomeTask]) -> Iterator[tuple[SomeTask, Message, bytes]]:
        """What is told of these tasks, until the last is finished; may be called from several threads at once.

        Raises what a task fails with, where it would fail so anywhere; ClusterError where the workers are lost, or
        where a task failed on every worker.
        """
        call = _Call()
        with self._changed:
            if self._end is not None:
                raise self._end
            self._calls.add(call)
            self._waiting.extend(_Piece(task, call) for task in tasks)
            self._changed.notify_all()
        left = len(tasks)
        try:
            while left:
                event = call.events.get()
                if isinstance(event, Exception):
                    raise event
                left -= event[1]["event"] == Event.FINISHED
                yield cast(tuple[SomeTask, Message, bytes], event)
        finally:
            with self._changed:
                self._calls.discard(call)
                self._waiting = deque(piece for piece in self._waiting if piece.call is not call)

    def close(self) -> None:
        """End all workers, and leave the workers."""
        self._stop(RuntimeError("The pool is closed."))
        for worker in list(self._seats):
            worker.end()
        for thread in [self._filler, *self._threads]:
            thread.join(SECONDS_TO_LEAVE)
        self.workers.close()

    def _stop(self, reason: Exception) -> None:
        """Tell everyone who waits why there is no more work done."""
        with self._changed:
            self._end = self._end or reason
            for call in self._calls:
                call.events.put(reason)
            self._changed.notify_all()

    def _capacity(self, node: Node) -> int:
        workers = node.threads // self.threads
        return min(workers, int(node.gpus / self.gpus)) if self.gpus else workers

    def _fill(self) -> None:
        """While work waits that no idle worker takes, start workers where there is room."""
        try:
            while self._sleep():
                nodes = self.workers.nodes()
                with self._changed:
                    self._hire(nodes)
                    if self._taken.total():
                        self._last_seen = time.monotonic()
                self._give_up_what_failed_everywhere(nodes)
                if time.monotonic() - self._last_seen > self._patience:
                    raise self._explain_nobody(nodes)
        except Exception as error:
            self._stop(error)

    def _sleep(self) -> bool:
        """Until workers are wanted, or it is time to see whether the workers are there; False when the pool has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._end is not None, timeout=self._pause)
            if self._wanted() <= 0:
                wait = SECONDS_BETWEEN_SIGNS if self._taken.total() else None
                self._changed.wait_for(lambda: self._end is not None or self._wanted() > 0, timeout=wait)
                self._last_seen = time.monotonic()
            self._pause = SECONDS_BETWEEN_LOOKS
            return self._end is None

    def _wanted(self) -> int:
        """How many workers more would have something to do."""
        stranded = sum(all(worker.node in piece.failed_at for worker in self._idle) for piece in self._waiting)
        starting = self._taken.total() - len(self._seats)
        return max(len(self._waiting) - len(self._idle), stranded) - starting

    def _hire(self, nodes: Sequence[Node]) -> None:
        """Start as many workers as are wanted and have room, where there is most of it."""
        free = {node: self._capacity(node) - self._taken[node.name] for node in nodes if self._may_be_asked(node)}
        while self._wanted() > 0 and any(count > 0 for count in free.values()):
            node = max(free, key=lambda node: free[node])
            free[node] -= 1
            self._taken[node.name] += 1
            self._threads.append(threading.Thread(target=self._occupy, args=(node,), daemon=True))
            self._threads[-1].start()

    def _may_be_asked(self, node: Node) -> bool:
        has_work = any(node.name not in piece.failed_at for piece in self._waiting)
        return has_work and len(self._refusals.get(node.name, ())) < MOST_REFUSALS

    def _give_up_what_failed_everywhere(self, nodes: Sequence[Node]) -> None:
        """Tell whoever brought work that failed at every node, or that no node takes."""
        names = {node.name for node in nodes if self._capacity(node) > 0}
        with self._changed:
            for piece in list(self._waiting):
                useless = names & (piece.failed_at.keys() | self._hopeless())
                if names and useless == names:
                    self._waiting.remove(piece)
                    piece.call.events.put(self._explain_failure(piece, names))

    def _hopeless(self) -> set[str]:
        return {name for name, refusals in self._refusals.items() if len(refusals) >= MOST_REFUSALS}

    def _explain_failure(self, piece: _Piece, names: set[str]) -> Exception:
        reasons = {name: error for name, (*_, error) in self._refusals.items()} | piece.failed_at
        error = next(reasons[name] for name in sorted(names))
        if not self.workers.replaces_lost:
            return error
        return ClusterError(f"{piece.task.name} failed on every worker of {self.workers.name} ({len(names)}): {error}")

    def _explain_nobody(self, nodes: Sequence[Node]) -> ClusterError:
        if not nodes:
            found = "it has no worker"
        else:
            most = max(node.gpus if self.gpus else node.threads for node in nodes)
            found = f"no worker has the {self._needs()} of a worker; the largest has {most:g}"
        return ClusterError(f"{self.workers.name}: {found}, for {self._patience:.0f} s now. Start workers, then go on.")

    def _needs(self) -> str:
        return f"{self.gpus:g} GPUs" if self.gpus else f"{self.threads} threads"

    def _occupy(self, node: Node) -> None:
        """Have a worker at a node, and work there until there is no more to do, or it is lost."""
        worker: Worker | None = None
        try:
            worker = self.workers.worker(node, self.module, self.threads, self.gpus)
            self._welcome(worker)
            self._serve(worker)
        except WorkerLostError as loss:
            self._refused(node, loss.reason)
        except Exception as error:  # nothing is to be lost in a thread that nobody looks at
            self._refused(node, error)
        finally:
            self._dismiss(node, worker)

    def _welcome(self, worker: Worker) -> None:
        with self._changed:
            self._refusals.pop(worker.node, None)
            self._seats.add(worker)
            if self._end is not None:
                worker.end()

    def _refused(self, node: Node, reason: Exception) -> None:
        logger.info("%s gives no worker: %s", node.name, reason)
        with self._changed:
            self._refusals.setdefault(node.name, []).append(reason)

    def _dismiss(self, node: Node, worker: Worker | None) -> None:
        if worker is not None:
            worker.end()
            worker.close()
        with self._changed:
            self._taken[node.name] -= 1
            if worker is not None:
                self._seats.discard(worker)
            self._changed.notify_all()

    def _serve(self, worker: Worker) -> None:
        """Let it do one piece after the other; returns when it can do no more."""
        is_new = True
        while (piece := self._next(worker)) is not None and self._do(piece, worker, is_new=is_new):
            is_new = False

    def _next(self, worker: Worker) -> _Piece | None:
        """The first piece that has not failed there; None when the pool or the worker has ended."""
        while True:
            with self._idling(worker):
                if self._changed.wait_for(lambda: self._end or self._first_for(worker), timeout=SECONDS_BETWEEN_SIGNS):
                    return None if self._end else self._take_for(worker)
            try:
                worker.stay()
            except WorkerLostError as loss:
                logger.info("%s is lost: %s", worker.node, loss.reason)
                return None

    @contextmanager
    def _idling(self, worker: Worker) -> Iterator[None]:
        with self._changed:
            self._idle.add(worker)
            self._changed.notify_all()  # what waits may be of no use to this worker
            try:
                yield
            finally:
                self._idle.discard(worker)

    def _first_for(self, worker: Worker) -> _Piece | None:
        return next((piece for piece in self._waiting if worker.node not in piece.failed_at), None)

    def _take_for(self, worker: Worker) -> _Piece | None:
        piece = self._first_for(worker)
        if piece is not None:
            self._waiting.remove(piece)
        return piece

    def _do(self, piece: _Piece, worker: Worker, *, is_new: bool) -> bool:
        """Have a piece done; whether the worker can do another."""
        has_spoken = False
        try:
            piece.task.ask(worker)
            while True:
                message, content = worker.hear()
                has_spoken = True
                if message["event"] == Event.FAILED:
                    self._failed(piece, worker, error_of(message))
                    return False
                if message["event"] == Event.SAVED:
                    piece.losses = 0
                is_finished = message["event"] == Event.FINISHED  # whoever hears of it may change the message
                piece.call.events.put((piece.task, message, content))
                if is_finished:
                    return True
        except WorkerLostError as loss:
            self._lost(piece, worker, loss.reason, by_the_task=is_new or has_spoken)
        except Exception as error:  # ours, while asking
            piece.call.events.put(error)
        return False

    def _lost(self, piece: _Piece, worker: Worker, reason: Exception, *, by_the_task: bool) -> None:
        if not self.workers.replaces_lost:
            piece.call.events.put(reason)
            return
        piece.losses += by_the_task
        if piece.losses >= MOST_LOSSES:
            piece.call.events.put(
                ClusterError(
                    f"{piece.task.name} was lost {piece.losses} times in a row, each time with its worker, the last on "
                    f"{worker.node}: {reason}"
                )
            )
            return
        piece.warn(f"{worker.node} is lost ({reason}); {piece.task.name} goes on elsewhere.")
        self._again(piece)

    def _failed(self, piece: _Piece, worker: Worker, error: Exception) -> None:
        if not self.workers.replaces_lost or isinstance(error, ALIKE_EVERYWHERE):
            piece.call.events.put(error)
            return
        piece.failed_at[worker.node] = error
        piece.warn(f"{piece.task.name} failed on {worker.node}, and is tried elsewhere: {error}")
        self._again(piece)

    def _again(self, piece: _Piece) -> None:
        """First of all that waits, unless nobody waits for it any more."""
        with self._changed:
            if piece.call in self._calls:
                self._waiting.appendleft(piece)
            self._changed.notify_all()


def wait_for_nodes(workers: Cluster, patience: float = SECONDS_WITHOUT_WORKERS) -> Sequence[Node]:
    """Those that are there, as soon as there is one. Raises ClusterError where none comes."""
    deadline = time.monotonic() + patience
    while not (nodes := workers.nodes()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{workers.name} has no worker, for {patience:.0f} s now. Start some, and run again.")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return nodes


def error_of(message: Message) -> Exception:
    """The error of a worker that failed."""
    kind, text = message["kind"], message["message"]
    found: Exception = WorkerError(text, message["nodes"]) if kind is None else getattr(errors, kind)(text)
    return found
