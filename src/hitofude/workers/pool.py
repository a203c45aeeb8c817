"""Work shared out among seats: each seat takes the next piece when it is done with one; what a lost seat had goes on.

Every seat has a thread of its own here, which asks and listens. One more thread fills places that are free while work
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
from hitofude.workers.worker import Place, Seat, SeatLostError, Workers

logger = logging.getLogger(__name__)

MOST_LOSSES = 3
"""In a row, without any progress between them: a task that takes so many workers with it is not tried again."""

MOST_REFUSALS = 2
"""In a row: a worker that gave no seat so often is not waited for."""

SECONDS_WITHOUT_WORKERS = 60.0
"""So long a cluster may be without any worker that can be used before work is given up."""

SECONDS_BETWEEN_SIGNS = 5.0
"""That a seat without work is still wanted; without any, a cluster's worker would end it."""

SECONDS_TO_LEAVE = 10.0
"""One that is still to be given a seat, by a worker that is busy, is not waited for longer."""

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

    def ask(self, seat: Seat) -> None:
        """Tell a seat all that it needs, the newest state to continue from included. Raises SeatLostError."""
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


class Crew:
    """Seats that take work from one list."""

    def __init__(
        self, workers: Workers, module: str, threads: int, *, gpus: float = 0, patience: float = SECONDS_WITHOUT_WORKERS
    ) -> None:
        """module: what a seat runs. threads, gpus: of each seat. patience: seconds without any worker."""
        self.workers, self.module, self.threads, self.gpus = workers, module, threads, gpus
        self._patience = patience
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[_Piece] = deque()
        self._calls: set[_Call] = set()
        self._seats: set[Seat] = set()
        self._idle: set[Seat] = set()
        self._taken: Counter[str] = Counter()
        """Of each place, the seats that are there or starting."""
        self._refusals: dict[str, list[Exception]] = {}
        self._threads: list[threading.Thread] = []
        self._end: Exception | None = None
        """Why there is no more work done here."""
        self._last_seen = time.monotonic()
        """When there was a seat, or nothing to do."""
        self._pause = 0.0
        """Before the next look for places."""
        self._filler = threading.Thread(target=self._fill, daemon=True)
        self._filler.start()

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def size(self) -> int:
        """How many seats there can be now. Raises ClusterError when the cluster is gone."""
        return sum(self._capacity(place) for place in self.workers.places())

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
        """End all seats, and leave the workers."""
        self._stop(RuntimeError("The crew is closed."))
        for seat in list(self._seats):
            seat.end()
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

    def _capacity(self, place: Place) -> int:
        seats = place.threads // self.threads
        return min(seats, int(place.gpus / self.gpus)) if self.gpus else seats

    def _fill(self) -> None:
        """While work waits that no idle seat takes, start seats where there is room."""
        try:
            while self._sleep():
                places = self.workers.places()
                with self._changed:
                    self._hire(places)
                    if self._taken.total():
                        self._last_seen = time.monotonic()
                self._give_up_what_failed_everywhere(places)
                if time.monotonic() - self._last_seen > self._patience:
                    raise self._explain_nobody(places)
        except Exception as error:
            self._stop(error)

    def _sleep(self) -> bool:
        """Until seats are wanted, or it is time to see whether the workers are there; False when the crew has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._end is not None, timeout=self._pause)
            if self._wanted() <= 0:
                wait = SECONDS_BETWEEN_SIGNS if self._taken.total() else None
                self._changed.wait_for(lambda: self._end is not None or self._wanted() > 0, timeout=wait)
                self._last_seen = time.monotonic()
            self._pause = SECONDS_BETWEEN_LOOKS
            return self._end is None

    def _wanted(self) -> int:
        """How many seats more would have something to do."""
        stranded = sum(all(seat.place in piece.failed_at for seat in self._idle) for piece in self._waiting)
        starting = self._taken.total() - len(self._seats)
        return max(len(self._waiting) - len(self._idle), stranded) - starting

    def _hire(self, places: Sequence[Place]) -> None:
        """Start as many seats as are wanted and have room, where there is most of it."""
        free = {place: self._capacity(place) - self._taken[place.name] for place in places if self._may_be_asked(place)}
        while self._wanted() > 0 and any(count > 0 for count in free.values()):
            place = max(free, key=lambda place: free[place])
            free[place] -= 1
            self._taken[place.name] += 1
            self._threads.append(threading.Thread(target=self._occupy, args=(place,), daemon=True))
            self._threads[-1].start()

    def _may_be_asked(self, place: Place) -> bool:
        has_work = any(place.name not in piece.failed_at for piece in self._waiting)
        return has_work and len(self._refusals.get(place.name, ())) < MOST_REFUSALS

    def _give_up_what_failed_everywhere(self, places: Sequence[Place]) -> None:
        """Tell whoever brought work that failed at every place, or that no place takes."""
        names = {place.name for place in places if self._capacity(place) > 0}
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

    def _explain_nobody(self, places: Sequence[Place]) -> ClusterError:
        if not places:
            found = "it has no worker"
        else:
            most = max(place.gpus if self.gpus else place.threads for place in places)
            found = f"no worker has the {self._needs()} of a seat; the largest has {most:g}"
        return ClusterError(f"{self.workers.name}: {found}, for {self._patience:.0f} s now. Start workers, then go on.")

    def _needs(self) -> str:
        return f"{self.gpus:g} GPUs" if self.gpus else f"{self.threads} threads"

    def _occupy(self, place: Place) -> None:
        """Have a seat at a place, and work there until there is no more to do, or it is lost."""
        seat: Seat | None = None
        try:
            seat = self.workers.seat(place, self.module, self.threads, self.gpus)
            self._welcome(seat)
            self._serve(seat)
        except SeatLostError as loss:
            self._refused(place, loss.reason)
        except Exception as error:  # nothing is to be lost in a thread that nobody looks at
            self._refused(place, error)
        finally:
            self._dismiss(place, seat)

    def _welcome(self, seat: Seat) -> None:
        with self._changed:
            self._refusals.pop(seat.place, None)
            self._seats.add(seat)
            if self._end is not None:
                seat.end()

    def _refused(self, place: Place, reason: Exception) -> None:
        logger.info("%s gives no seat: %s", place.name, reason)
        with self._changed:
            self._refusals.setdefault(place.name, []).append(reason)

    def _dismiss(self, place: Place, seat: Seat | None) -> None:
        if seat is not None:
            seat.end()
            seat.close()
        with self._changed:
            self._taken[place.name] -= 1
            if seat is not None:
                self._seats.discard(seat)
            self._changed.notify_all()

    def _serve(self, seat: Seat) -> None:
        """Let it do one piece after the other; returns when it can do no more."""
        is_new = True
        while (piece := self._next(seat)) is not None and self._do(piece, seat, is_new=is_new):
            is_new = False

    def _next(self, seat: Seat) -> _Piece | None:
        """The first piece that has not failed there; None when the crew or the seat has ended."""
        while True:
            with self._idling(seat):
                if self._changed.wait_for(lambda: self._end or self._first_for(seat), timeout=SECONDS_BETWEEN_SIGNS):
                    return None if self._end else self._take_for(seat)
            try:
                seat.stay()
            except SeatLostError as loss:
                logger.info("%s is lost: %s", seat.place, loss.reason)
                return None

    @contextmanager
    def _idling(self, seat: Seat) -> Iterator[None]:
        with self._changed:
            self._idle.add(seat)
            self._changed.notify_all()  # what waits may be of no use to this seat
            try:
                yield
            finally:
                self._idle.discard(seat)

    def _first_for(self, seat: Seat) -> _Piece | None:
        return next((piece for piece in self._waiting if seat.place not in piece.failed_at), None)

    def _take_for(self, seat: Seat) -> _Piece | None:
        piece = self._first_for(seat)
        if piece is not None:
            self._waiting.remove(piece)
        return piece

    def _do(self, piece: _Piece, seat: Seat, *, is_new: bool) -> bool:
        """Have a piece done; whether the seat can do another."""
        has_spoken = False
        try:
            piece.task.ask(seat)
            while True:
                message, content = seat.hear()
                has_spoken = True
                if message["event"] == Event.FAILED:
                    self._failed(piece, seat, error_of(message))
                    return False
                if message["event"] == Event.SAVED:
                    piece.losses = 0
                is_finished = message["event"] == Event.FINISHED  # whoever hears of it may change the message
                piece.call.events.put((piece.task, message, content))
                if is_finished:
                    return True
        except SeatLostError as loss:
            self._lost(piece, seat, loss.reason, by_the_task=is_new or has_spoken)
        except Exception as error:  # ours, while asking
            piece.call.events.put(error)
        return False

    def _lost(self, piece: _Piece, seat: Seat, reason: Exception, *, by_the_task: bool) -> None:
        if not self.workers.replaces_lost:
            piece.call.events.put(reason)
            return
        piece.losses += by_the_task
        if piece.losses >= MOST_LOSSES:
            piece.call.events.put(
                ClusterError(
                    f"{piece.task.name} was lost {piece.losses} times in a row, each time with its worker, the last on "
                    f"{seat.place}: {reason}"
                )
            )
            return
        piece.warn(f"{seat.place} is lost ({reason}); {piece.task.name} goes on elsewhere.")
        self._again(piece)

    def _failed(self, piece: _Piece, seat: Seat, error: Exception) -> None:
        if not self.workers.replaces_lost or isinstance(error, ALIKE_EVERYWHERE):
            piece.call.events.put(error)
            return
        piece.failed_at[seat.place] = error
        piece.warn(f"{piece.task.name} failed on {seat.place}, and is tried elsewhere: {error}")
        self._again(piece)

    def _again(self, piece: _Piece) -> None:
        """First of all that waits, unless nobody waits for it any more."""
        with self._changed:
            if piece.call in self._calls:
                self._waiting.appendleft(piece)
            self._changed.notify_all()


def wait_for_places(workers: Workers, patience: float = SECONDS_WITHOUT_WORKERS) -> Sequence[Place]:
    """Those that are there, as soon as there is one. Raises ClusterError where none comes."""
    deadline = time.monotonic() + patience
    while not (places := workers.places()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{workers.name} has no worker, for {patience:.0f} s now. Start some, and run again.")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return places


def error_of(message: Message) -> Exception:
    """The error of a worker that failed."""
    kind, text = message["kind"], message["message"]
    found: Exception = WorkerError(text, message["places"]) if kind is None else getattr(errors, kind)(text)
    return found
