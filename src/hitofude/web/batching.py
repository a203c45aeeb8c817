"""Work beside the event loop, in threads with bounded queues; images that wait for the model are computed together."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from hitofude.export.onnx_model import OnnxAnswers, OnnxModel
from hitofude.web.prometheus import Metrics
from hitofude.web.safety import OverloadedError
from hitofude.web.settings import Limits

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class BoundedThread:
    """One thread that runs calls in their order. limit: how many calls may run or wait at once."""

    def __init__(self, name: str, limit: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"hitofude-{name}")
        self._free = threading.BoundedSemaphore(limit)

    async def run(
        self, function: Callable[Arguments, Result], /, *arguments: Arguments.args, **keywords: Arguments.kwargs
    ) -> Result:
        """Call the function. Raises OverloadedError if too many calls wait already."""
        if not self._free.acquire(blocking=False):
            raise OverloadedError
        future = self._thread.submit(function, *arguments, **keywords)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)


class _Waiting(NamedTuple):
    images: NDArray[np.uint8]  # (N, C, H, W)
    answers: asyncio.Future[OnnxAnswers]


class Batcher:
    """The model and its queue. It is used from one event loop at a time; the model runs in a thread."""

    def __init__(self, model: OnnxModel, limits: Limits, metrics: Metrics) -> None:
        self._model, self._limits, self._metrics = model, limits, metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hitofude-model")
        self._queue: deque[_Waiting] = deque()
        self._waiting_images = 0
        self._task: asyncio.Task[None] | None = None

    async def predict(self, images: NDArray[np.uint8]) -> OnnxAnswers:
        """Predict images (N, C, H, W), one batch after the other. Raises OverloadedError if too many images wait."""
        size = self._limits.batch_images
        answers = [await self._predict_batch(images[start : start + size]) for start in range(0, len(images), size)]
        return OnnxAnswers(
            np.concatenate([batch.probabilities for batch in answers]),
            np.concatenate([batch.members for batch in answers], axis=1),
            np.concatenate([batch.novelty for batch in answers]),
        )

    async def _predict_batch(self, images: NDArray[np.uint8]) -> OnnxAnswers:
        if self._waiting_images + len(images) > self._limits.waiting_images:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        waiting = _Waiting(images, loop.create_future())
        self._queue.append(waiting)
        self._count_waiting(len(images))
        if self._task is None:
            self._task = loop.create_task(self._empty_queue())
        return await waiting.answers

    async def _empty_queue(self) -> None:
        try:
            while self._queue:
                await self._compute(self._next_batch())
        finally:
            self._task = None

    def _next_batch(self) -> list[_Waiting]:
        """Take from the queue as many as fit, at least one."""
        batch = [self._queue.popleft()]
        size = len(batch[0].images)
        while self._queue and size + len(self._queue[0].images) <= self._limits.batch_images:
            batch.append(self._queue.popleft())
            size += len(batch[-1].images)
        self._count_waiting(-size)
        return batch

    async def _compute(self, batch: list[_Waiting]) -> None:
        images = np.concatenate([waiting.images for waiting in batch])
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._model.answer, images)
        except BaseException as error:
            for waiting in batch:
                if not waiting.answers.done():
                    waiting.answers.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        self._metrics.batches.observe(len(images))
        start = 0
        for waiting in batch:
            end = start + len(waiting.images)
            if not waiting.answers.done():  # else its client has gone
                own = slice(start, end)
                answers = OnnxAnswers(found.probabilities[own], found.members[:, own], found.novelty[own])
                waiting.answers.set_result(answers)
            start = end

    def _count_waiting(self, images: int) -> None:
        self._waiting_images += images
        self._metrics.waiting.set(self._waiting_images)
