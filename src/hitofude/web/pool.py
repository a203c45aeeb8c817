"""Work beside the event loop, of which only so much may wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from hitofude.web.refusal import OverloadedError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class BoundedThread:
    """One thread, as long as this object lives. most: what it does, or what waits for it, at once."""

    def __init__(self, name: str, most: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"hitofude-{name}")
        self._free = threading.BoundedSemaphore(most)

    async def run(
        self, function: Callable[Arguments, Result], /, *arguments: Arguments.args, **keywords: Arguments.kwargs
    ) -> Result:
        """Raises OverloadedError where too much waits already."""
        if not self._free.acquire(blocking=False):
            raise OverloadedError
        future = self._thread.submit(function, *arguments, **keywords)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)
