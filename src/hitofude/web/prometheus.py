"""The server's own metrics, in Prometheus's format."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
IMAGES = (1, 2, 4, 8, 16, 32, 64)
OTHER = "other"
"""The route of a request to an unknown path: paths that clients make up must not fill the memory."""


class Metrics:
    """One application's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "hitofude_requests", "Requests by route and status.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "hitofude_request_seconds", "From a request's head to its answer's end.", ("route",),
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.batches = Histogram(
            "hitofude_batch_images", "Images that were computed together.", buckets=IMAGES, registry=registry
        )
        self.waiting = Gauge("hitofude_waiting_images", "Images that wait for the model.", registry=registry)
        self.predictions = Counter("hitofude_predictions", "Images by their answer.", ("label",), registry=registry)
        self.corrections = Counter("hitofude_corrections", "Drawings that were kept.", registry=registry)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class RequestCounter:
    """ASGI middleware that counts every request and its time, refused ones as well."""

    def __init__(self, app: "ASGIApp", metrics: Metrics, routes: Iterable[str]) -> None:
        self._app, self._metrics, self._routes = app, metrics, frozenset(routes)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_and_note(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = scope["path"] if scope["path"] in self._routes else OTHER
            self._metrics.count_request(route, status, time.perf_counter() - started)
