"""Speeds measured in as many processes as there would be members at once. No test asserts a speed."""

import io
from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch

from hitofude.errors import RecipeError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning import speed_meter
from hitofude.learning.compute import Compute
from hitofude.learning.ensemble import plan_members
from hitofude.learning.speed_meter import SpeedMeter
from hitofude.learning.training import MemberPlan
from hitofude.learning.worker import MemberReporter, MemberWorker
from hitofude.recipe import Recipe
from hitofude.workers.messages import Message, receive
from tests.conftest import measure_briefly

ONE_THREAD = Compute(torch.device("cpu"), "float32", threads=1)


class WorkerHere:
    """A worker in this process, which answers a question at once."""

    started: ClassVar[list["WorkerHere"]] = []

    def __init__(self, *_: object) -> None:
        self._events, self.asked, self.is_stopped, self._read = io.BytesIO(), list[str](), False, 0
        self._worker = MemberWorker(MemberReporter(self._events))
        self.started.append(self)

    def send(self, message: Message, content: bytes = b"") -> None:
        self.asked.append(message["ask"])
        self._events.seek(0, io.SEEK_END)
        self._worker.answer(message, content)

    def receive(self) -> tuple[Message, bytes]:
        self._events.seek(self._read)
        event = receive(self._events)
        assert event is not None
        self._read = self._events.tell()
        return event

    def stop(self) -> None:
        self.is_stopped = True

    def close(self) -> None:
        assert self.is_stopped


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_briefly(monkeypatch)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[WorkerHere]]:
    """The workers that were started, in this process."""
    monkeypatch.setattr(speed_meter, "LocalWorker", WorkerHere)
    yield WorkerHere.started
    WorkerHere.started.clear()


@pytest.fixture
def plans(quick: Recipe, digits: ImageSet) -> list[MemberPlan]:
    """Members of one kind."""
    return plan_members(quick, digits)


def test_a_kind_is_measured_once_by_as_many_workers_as_there_will_be(
    plans: list[MemberPlan], digits: ImageSet, here: list[WorkerHere]
) -> None:
    with SpeedMeter(digits) as meter:
        first, second = (meter.measure(plan, ONE_THREAD, workers=2) for plan in plans[:2])
        assert first is second
        assert min(first.trained, first.predicted) > 0
        assert meter.seconds_to_start(ONE_THREAD, workers=2) > 0
    assert [worker.asked for worker in here] == [["compute", "images", "speed"]] * 2
    assert all(worker.is_stopped for worker in here)


def test_a_member_alone_is_measured_in_this_process(
    plans: list[MemberPlan], digits: ImageSet, here: list[WorkerHere]
) -> None:
    with SpeedMeter(digits) as meter:
        assert meter.measure(plans[0], ONE_THREAD, workers=1).trained > 0
        assert meter.seconds_to_start(ONE_THREAD, workers=1) == 0
    assert not here


@pytest.mark.slow
def test_the_error_of_a_process_is_raised_and_no_process_is_left(quick: Recipe, digits: ImageSet) -> None:
    (plan, *_) = plan_members(quick.with_settings({"network.name": "cnn-deep", "network.margin": 2}), digits)
    with SpeedMeter(digits) as meter, pytest.raises(RecipeError, match="needs images of at least 29x29"):
        meter.measure(plan, ONE_THREAD, workers=2)
    assert all(worker._process.poll() is not None for worker in meter._processes[ONE_THREAD, 2].workers)
