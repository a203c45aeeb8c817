"""Waiting requests are computed together, each gets its own answer, and the queue is bounded."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.export.onnx_model import OnnxModel
from hitofude.web.batching import Batcher, BoundedThread
from hitofude.web.prometheus import Metrics
from hitofude.web.safety import OverloadedError
from hitofude.web.settings import Limits
from tests.web.conftest import PATIENCE, Held, Running, wait_for
from tests.web.tiny_model import drawing_of


def drawings(*labels: int) -> NDArray[np.uint8]:
    return np.stack([drawing_of(label) for label in labels])


async def while_one_is_computed(batcher: Batcher, held: Held, *waiting: NDArray[np.uint8]) -> list[list[int]]:
    """Ask for one image, then for the others while the model computes; return each request's likeliest classes."""
    first = asyncio.create_task(batcher.predict(drawings(0)))
    await asyncio.to_thread(held.begun.wait, PATIENCE)
    others = [asyncio.create_task(batcher.predict(images)) for images in waiting]
    await asyncio.sleep(0)
    held.go.set()
    return [answers.probabilities.argmax(axis=1).tolist() for answers in await asyncio.gather(first, *others)]


def test_what_waits_is_computed_together_and_everybody_has_the_own_answer(held: Held) -> None:
    batcher = Batcher(held, Limits(), Metrics())
    found = asyncio.run(while_one_is_computed(batcher, held, drawings(1), drawings(2, 3), drawings(4)))
    assert found == [[0], [1], [2, 3], [4]]
    assert held.batches == [1, 4]


def test_no_batch_is_larger_than_it_may_be(held: Held) -> None:
    batcher = Batcher(held, Limits(batch_images=3), Metrics())
    found = asyncio.run(while_one_is_computed(batcher, held, drawings(1, 2), drawings(3, 4), drawings(*range(7))))
    assert found == [[0], [1, 2], [3, 4], [0, 1, 2, 3, 4, 5, 6]]
    assert max(held.batches) == 3


def test_one_batch_or_many_the_answers_are_the_models_own(model: OnnxModel) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 1, 28, 28), dtype=np.uint8)
    answers = asyncio.run(Batcher(model, Limits(batch_images=7), Metrics()).predict(images))
    probabilities, members = model.predict(images)
    np.testing.assert_allclose(answers.probabilities, probabilities, atol=1e-6)
    np.testing.assert_allclose(answers.members, members, atol=1e-6)


def test_a_failure_reaches_all_that_waited_for_it_and_nobody_later(held: Held) -> None:
    async def ask() -> None:
        batcher = Batcher(held, Limits(), Metrics())
        held.go.set()
        for wrong in await asyncio.gather(
            *(batcher.predict(np.zeros((1, 1, 5, 5), dtype=np.uint8)) for _ in range(3)), return_exceptions=True
        ):
            assert isinstance(wrong, Exception)
        assert (await batcher.predict(drawings(5))).probabilities.argmax() == 5

    asyncio.run(ask())


def test_too_much_that_waits_is_refused_at_once(held: Held) -> None:
    batcher = Batcher(held, Limits(waiting_images=3), Metrics())
    with pytest.raises(OverloadedError):
        asyncio.run(while_one_is_computed(batcher, held, drawings(1, 2), drawings(3, 4)))


def test_what_a_thread_does_and_what_waits_for_it_is_counted_together() -> None:
    async def ask() -> None:
        go, thread = threading.Event(), BoundedThread("test", 2)
        held = [asyncio.create_task(thread.run(go.wait, PATIENCE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await thread.run(int)
        go.set()
        assert await asyncio.gather(*held) == [True, True]
        assert await thread.run(int, "7") == 7

    asyncio.run(ask())


def test_an_overloaded_server_says_when_to_come_back_and_that_it_lives(
    start: Callable[..., Running], held: Held
) -> None:
    server = start(held, {"waiting_images": 2})
    asked = {"images": [drawing_of(3).ravel().tolist()]}
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.post, "/api/predict", asked)]
        held.begun.wait(PATIENCE)
        waiting += [pool.submit(server.post, "/api/predict", asked) for _ in range(2)]
        assert wait_for(lambda: b"hitofude_waiting_images 2.0" in server.get("/metrics").body)
        refused = server.post("/api/predict", asked)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert server.get("/healthz").json == {"status": "ok"}
        held.go.set()
        assert [answer.result().status for answer in waiting] == [200, 200, 200]


def test_a_server_that_ends_answers_what_is_under_way(start: Callable[..., Running], held: Held) -> None:
    server = start(held)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(server.post, "/api/predict", {"images": [drawing_of(7).ravel().tolist()]})
        held.begun.wait(PATIENCE)
        stopped = pool.submit(server.stop)
        assert wait_for(lambda: not server.is_reachable())
        held.go.set()
        assert waiting.result().json["predictions"][0]["label"] == "7"
        stopped.result()


def test_a_server_that_ends_waits_for_no_one_forever(start: Callable[..., Running], held: Held) -> None:
    server = start(held, {"shutdown_seconds": 1, "body_seconds": 60, "header_seconds": 60})
    with server.connected() as slow:
        slow.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1")
        server.get("/healthz")
        server.stop()
