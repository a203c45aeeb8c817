"""The application: the page, what it asks of the model, and what others ask of the server."""

import json
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import Route

from hitofude.metrics.calibration import SURE
from hitofude.version import __version__
from hitofude.web.batching import Answers, Batcher, ServedModel
from hitofude.web.bodies import Health, Kept, ModelDescription, Picture, Prediction, Predictions, Total, requests_for
from hitofude.web.corrections import Corrections
from hitofude.web.errors import add_handlers
from hitofude.web.openapi import describe_answers, describe_request, with_token
from hitofude.web.pages import PageFile, page_files
from hitofude.web.photos import Seen, reads_writing, see
from hitofude.web.pool import BoundedThread
from hitofude.web.prometheus import CONTENT_TYPE, Counting, Metrics
from hitofude.web.safety import BodyLimit, Guard
from hitofude.web.settings import Settings

Body = TypeVar("Body", bound=BaseModel)
JSON, FORM = "application/json", "multipart/form-data"
FOR_READING = ["GET", "HEAD"]
DECIMALS = 6
"""Of a probability."""


def create_app(model: ServedModel, settings: Settings) -> FastAPI:
    """model: what answers, used by one thread at a time. Raises RunFolderError where corrections cannot be kept."""
    api = Api(model, settings)
    app = FastAPI(
        title="hitofude", version=__version__, description=f"Answers by the model {model.name}.",
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    _add_routes(app, api)
    pages = page_files()
    for path, file in pages.items():
        app.add_api_route(path, _sending(file), methods=FOR_READING, include_in_schema=False)
    app.add_api_route("/openapi.json", _sending_document(app), methods=FOR_READING, include_in_schema=False)
    with_token(app, asked=settings.token is not None)
    methods = dict.fromkeys([*pages, "/openapi.json"], FOR_READING)
    methods |= {path: [method.upper() for method in found] for path, found in app.openapi()["paths"].items()}
    add_handlers(app, methods)
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Counting, metrics=api.metrics, routes=methods)  # what is added last is passed first
    return app


class Api:
    """What the routes call."""

    def __init__(self, model: ServedModel, settings: Settings) -> None:
        limits = settings.limits
        self.metrics = Metrics()
        self._model, self._limits = model, limits
        self._writing = reads_writing(model)
        self._batcher = Batcher(model, limits, self.metrics)
        self._pictures = BoundedThread("pictures", limits.waiting_pictures)
        self._corrections = Corrections(settings.corrections, model.classes, limits.corrections)
        self._disk = BoundedThread("corrections", limits.waiting_corrections)
        self.images_to_predict, self.correction = requests_for(model.image_shape, model.classes)

    async def describe(self) -> ModelDescription:
        """The model that answers."""
        model = self._model
        return ModelDescription(
            name=model.name, version=__version__, classes=list(model.classes),
            image_shape=list(model.image_shape), networks=list(model.networks), sure=SURE,
        )  # fmt: skip

    async def predict(self, request: Request) -> Response:
        """Predict images given as numbers, or what is in a picture."""
        kind = _media_type(request)
        if kind == JSON:
            images = self._as_images((await _read(request, self.images_to_predict)).images)
            return _as_json(self._predictions(await self._batcher.predict(images)))
        if kind == FORM:
            return await self._predict_picture(await _file_of_form(request))
        if kind.startswith("image/"):
            return await self._predict_picture(await request.body())
        raise HTTPException(415, f"ReadOptions the content type {JSON}, image/* or {FORM}.")

    async def keep(self, request: Request) -> Response:
        """Keep a drawing that was answered wrongly, with its right label, to train on."""
        if _media_type(request) != JSON:
            raise HTTPException(415, f"ReadOptions the content type {JSON}.")
        correction = await _read(request, self.correction)
        pixels = self._as_images([correction.pixels])[0]
        kept = await self._disk.run(self._corrections.keep, pixels, correction.label)
        total = await self._disk.run(self._corrections.total)
        self.metrics.corrected()
        return _as_json(Kept(kept=kept, total=total), 201)

    async def kept(self) -> Total:
        """How many drawings are kept."""
        return Total(total=await self._disk.run(self._corrections.total))

    async def health(self) -> Health:
        """That the server answers; needs no token."""
        return Health(status="ok")

    async def measure(self) -> Response:
        """What the server counts of itself, as Prometheus reads it."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    def _as_images(self, rows: list[list[float]]) -> NDArray[np.uint8]:
        """(N, C, H, W)"""
        return np.array(rows, dtype=np.uint8).reshape(-1, *self._model.image_shape)

    async def _predict_picture(self, content: bytes) -> Response:
        seen = await self._pictures.run(
            see, content, self._model.image_shape, writing=self._writing, limits=self._limits
        )
        answers = await self._batcher.predict(seen.images)
        return _as_json(self._predictions(answers, seen))

    def _predictions(self, answers: Answers, seen: Seen | None = None) -> Predictions:
        """One of each image; of those of a picture with their places."""
        best = answers.probabilities.argmax(axis=1).tolist()
        rows = answers.probabilities.astype(np.float64).round(DECIMALS).tolist()
        members = answers.members.astype(np.float64).round(DECIMALS).transpose(1, 0, 2).tolist()
        labels = [self._model.classes[number] for number in best]
        for label in labels:
            self.metrics.predicted(label)
        places: list[dict[str, Any]] = [{}] * len(labels)
        if seen is not None:
            pixels = seen.images.reshape(len(seen.images), -1).tolist()
            places = [{"box": list(box), "pixels": row} for box, row in zip(seen.boxes, pixels, strict=True)]
        found = [
            Prediction(
                label=labels[number], probability=row[best[number]], sure=row[best[number]] >= SURE,
                probabilities=row, members=members[number], **places[number],
            )
            for number, row in enumerate(rows)
        ]  # fmt: skip
        picture = None if seen is None else Picture(width=seen.width, height=seen.height)
        return Predictions(predictions=found, picture=picture)


def _add_routes(app: FastAPI, api: Api) -> None:
    """FastAPI documents them all. Predictions are answered past its dependencies, which would take a sixth longer."""
    images, correction = api.images_to_predict, api.correction
    app.add_api_route("/api/model", api.describe, methods=["GET"], responses=describe_answers())
    app.add_api_route(
        "/api/predict", api.predict, methods=["POST"], response_model=Predictions,
        responses=describe_answers(415, 422, 503), openapi_extra=describe_request(images, pictures=True),
    )  # fmt: skip
    app.add_api_route(
        "/api/corrections", api.keep, methods=["POST"], response_model=Kept, status_code=201,
        responses=describe_answers(409, 415, 422, 503), openapi_extra=describe_request(correction),
    )  # fmt: skip
    app.add_api_route("/api/corrections", api.kept, methods=["GET"], responses=describe_answers(503))
    app.add_api_route("/healthz", api.health, methods=["GET"], responses=describe_answers())
    app.add_api_route(
        "/metrics", api.measure, methods=["GET"], response_class=Response,
        responses={**describe_answers(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    app.router.routes.insert(0, Route("/api/predict", api.predict, methods=["POST"]))


def _sending(file: PageFile) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        return Response(file.content, media_type=file.media_type)

    return send


def _sending_document(app: FastAPI) -> Callable[[], Awaitable[Response]]:
    """FastAPI would write it anew each time."""
    content = cache(lambda: json.dumps(app.openapi()).encode())

    async def send() -> Response:
        return Response(content(), media_type=JSON)

    return send


async def _read(request: Request, kind: type[Body]) -> Body:
    """Raises pydantic's ValidationError."""
    return kind.model_validate_json(await request.body())


async def _file_of_form(request: Request) -> bytes:
    """The field `file`. Raises HTTPException where there is none."""
    try:
        form = await request.form(max_files=1, max_fields=8)
    except HTTPException:
        raise HTTPException(422, "The form is damaged, or holds too much. Send one field: file.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(422, "There is no field 'file' with a file in the form.")
        return await file.read()
    finally:
        await form.close()


def _as_json(answer: BaseModel, status: int = 200) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), status, media_type=JSON)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
