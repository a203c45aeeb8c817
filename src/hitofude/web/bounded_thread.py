"""Blocking work beside the event loop, with a bounded queue."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from hitofude.web.refusal import OverloadedError

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
