"""The application: the page, and the API for the page and for programs."""

import json
import math
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import Route

from hitofude.export.onnx_model import OnnxAnswers, OnnxModel
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.rescaling import UNKNOWN, Rescaler
from hitofude.inputs.scale import BYTES, PixelScale
from hitofude.metrics.calibration import SURE
from hitofude.metrics.novelty import SHOWN_KNOWN
from hitofude.metrics.whole_ensemble import SHOWN_LEVEL, prediction_sets
from hitofude.version import __version__
from hitofude.web import openapi
from hitofude.web.batching import Batcher, BoundedThread
from hitofude.web.corrections import Corrections
from hitofude.web.exception_handlers import add_handlers
from hitofude.web.page_files import FOR_READING, page_files
from hitofude.web.photos import PictureImages, images_of_picture
from hitofude.web.prometheus import Metrics, RequestCounter
from hitofude.web.safety import BodyLimit, Guard
from hitofude.web.settings import Settings

JSON, FORM = "application/json", "multipart/form-data"
INVERTED = "Send them inverted."
DECIMALS = 6
"""The precision of a probability."""


def create_app(model: OnnxModel, settings: Settings) -> FastAPI:
    """Return the application. model: used by one thread at a time.

    Raises RunFolderError if corrections cannot be kept.
    """
    api = Api(model, settings)
    app = FastAPI(
        title="hitofude", version=__version__, description=f"Predictions by the model {model.name}.",
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    _add_routes(app, api)
    if settings.token is not None:
        openapi.document_token(app)
    document = app.openapi()
    app.openapi = lambda: document  # type: ignore[method-assign] # FastAPI would make it anew after another route
    pages = page_files() | {"/openapi.json": Response(json.dumps(document), media_type=JSON)}
    app.router.routes.extend(Route(path, page, methods=FOR_READING) for path, page in pages.items())
    methods = dict.fromkeys(pages, FOR_READING)
    methods |= {path: [method.upper() for method in found] for path, found in document["paths"].items()}
    add_handlers(app, methods, math.prod(model.image_shape))
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(RequestCounter, metrics=api.metrics, routes=methods)  # the last one is called first
    return app


class Api:
    """The handlers of the API's routes."""

    def __init__(self, model: OnnxModel, settings: Settings) -> None:
        limits = settings.limits
        self.metrics = Metrics()
        self._model, self._limits = model, limits
        self._set_threshold = model.description.set_thresholds.get(SHOWN_LEVEL)
        self._known_threshold = model.description.known_thresholds.get(f"{SHOWN_KNOWN:g}")
        self._batcher = Batcher(model, limits, self.metrics)
        self._pictures = BoundedThread("pictures", limits.waiting_pictures)
        self._corrections = Corrections(settings.corrections, model.classes, limits.corrections)
        self._disk = BoundedThread("corrections", limits.waiting_corrections)
        self.images_to_predict, self.correction = openapi.requests_for(
            model.image_shape, model.classes, model.description.pixels.scale
        )

    async def describe(self) -> openapi.ModelDescription:
        """Describe the model."""
        model = self._model
        return openapi.ModelDescription(
            name=model.name, version=__version__, classes=list(model.classes),
            image_shape=list(model.image_shape), networks=list(model.networks), sure=SURE,
            set_threshold=self._set_threshold, known_threshold=self._known_threshold,
            reads_writing=model.description.reads_writing,
            look=model.description.known_look, cascade=model.description.cascade,
            scale=[model.description.pixels.scale.low, model.description.pixels.scale.high],
        )  # fmt: skip

    async def predict(self, request: Request) -> Response:
        """Predict images given as numbers, or those found in a picture."""
        kind = _media_type(request)
        if kind == JSON:
            asked = self.images_to_predict.model_validate_json(await request.body())
            return _as_json(self._predictions(await self._batcher.predict(self._as_images(asked.images, asked.scale))))
        if kind == FORM:
            return await self._predict_picture(await _file_of_form(request))
        if kind.startswith("image/"):
            return await self._predict_picture(await request.body())
        raise HTTPException(415, f"Expected the content type {JSON}, image/* or {FORM}.")

    async def keep(self, request: Request) -> Response:
        """Keep a wrongly answered drawing with its right label, to train on."""
        if _media_type(request) != JSON:
            raise HTTPException(415, f"Expected the content type {JSON}.")
        correction = self.correction.model_validate_json(await request.body())
        pixels = self._as_images([correction.pixels], correction.scale)[0]
        kept = await self._disk.run(self._corrections.keep, pixels, correction.label)
        total = await self._disk.run(self._corrections.total)
        self.metrics.corrections.inc()
        return _as_json(openapi.Kept(kept=kept, total=total), 201)

    async def count_kept(self) -> openapi.Total:
        """Count the drawings that are kept."""
        return openapi.Total(total=await self._disk.run(self._corrections.total))

    async def health(self) -> openapi.Health:
        """Answer; this needs no token."""
        return openapi.Health(status="ok")

    async def measure(self) -> Response:
        """Return the server's own metrics, in Prometheus's format."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    def _as_images(self, rows: list[list[float]], scale: list[float] | None) -> NDArray[np.uint8]:
        """Return (N, C, H, W). scale: of the numbers, the training images' if None.

        Raises InputError for numbers that are not on it.
        """
        trained, given = self._model.description.pixels, None if scale is None else PixelScale(scale[0], scale[1])
        numbers = np.array(rows, dtype=np.float64).reshape(-1, *self._model.image_shape)
        images: NDArray[Any] = numbers.astype(np.uint8) if trained.scale.is_bytes else numbers  # as the schema allows
        if trained == UNKNOWN:
            return images.astype(np.uint8)
        if given is not None and given != trained.scale:
            trained.check_reads_pictures("images")
        remedy = (
            f'Bring them to that scale, or, if they are bytes, send "scale": [{BYTES.low}, {BYTES.high}] with them.'
        )
        look = self._model.description.look if given is None else None
        rescaler = Rescaler(trained, given, remedy, look=look, inverted=INVERTED)
        return rescaler.to_bytes(RawImages("images", images, None, None))

    async def _predict_picture(self, content: bytes) -> Response:
        found = await self._pictures.run(images_of_picture, content, self._model.description, limits=self._limits)
        return _as_json(self._predictions(await self._batcher.predict(found.images), found))

    def _predictions(self, answers: OnnxAnswers, picture: PictureImages | None = None) -> openapi.Predictions:
        """Build the answer: a prediction for each image, with its box and pixels if it was found in a picture."""
        predictions = []
        asked = self._model.count_asked(answers.members).tolist()
        for number, row in enumerate(answers.probabilities):
            best = int(row.argmax())
            probabilities = _rounded(row)
            found = self._novelty(float(answers.novelty[number]))
            if picture is not None:
                found |= {"box": list(picture.boxes[number]), "pixels": picture.images[number].ravel().tolist()}
            predictions.append(
                openapi.Prediction(
                    label=self._model.classes[best], probability=probabilities[best],
                    sure=probabilities[best] >= SURE and found.get("known", True),
                    probabilities=probabilities, members=_rounded(answers.members[:, number]), asked=asked[number],
                    set=self._set(row), **found,
                )
            )  # fmt: skip
            self.metrics.predictions.labels(self._model.classes[best]).inc()
        size = None if picture is None else openapi.Picture(width=picture.width, height=picture.height)
        return openapi.Predictions(predictions=predictions, picture=size)

    def _novelty(self, score: float) -> dict[str, Any]:
        """Return the score and whether the image is known; nothing if the model has no score."""
        if self._known_threshold is None:
            return {}
        return {"novelty": round(score, DECIMALS), "known": score <= self._known_threshold}

    def _set(self, row: NDArray[np.float32]) -> list[str] | None:
        """Return the labels of an image's prediction set, the likeliest first. row: (classes,) probabilities."""
        if self._set_threshold is None:
            return None
        (held,) = prediction_sets(row[None], self._set_threshold)
        return [self._model.classes[place] for place in np.argsort(-row, kind="stable") if held[place]]


def _add_routes(app: FastAPI, api: Api) -> None:
    """Add the API. FastAPI documents /api/predict, but a plain route answers it, without the cost of dependencies."""
    images, correction = api.images_to_predict, api.correction
    app.add_api_route("/api/model", api.describe, methods=["GET"], responses=openapi.refusal_responses())
    app.add_api_route(
        "/api/predict", api.predict, methods=["POST"], response_model=openapi.Predictions,
        responses=openapi.refusal_responses(415, 422, 503), openapi_extra=openapi.request_body(images, pictures=True),
    )  # fmt: skip
    app.add_api_route(
        "/api/corrections", api.keep, methods=["POST"], response_model=openapi.Kept, status_code=201,
        responses=openapi.refusal_responses(409, 415, 422, 503), openapi_extra=openapi.request_body(correction),
    )  # fmt: skip
    app.add_api_route("/api/corrections", api.count_kept, methods=["GET"], responses=openapi.refusal_responses(503))
    app.add_api_route("/healthz", api.health, methods=["GET"], responses=openapi.refusal_responses())
    app.add_api_route(
        "/metrics", api.measure, methods=["GET"], response_class=Response,
        responses={**openapi.refusal_responses(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    app.router.routes.insert(0, Route("/api/predict", api.predict, methods=["POST"]))


async def _file_of_form(request: Request) -> bytes:
    """Return the content of the field `file`. Raises HTTPException if there is none."""
    try:
        form = await request.form(max_files=1, max_fields=8)
    except HTTPException:
        raise HTTPException(422, "The form is damaged, or has too many fields. Send one field: file.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(422, "The form has no field 'file' with a file.")
        return await file.read()
    finally:
        await form.close()


def _rounded(probabilities: NDArray[np.float32]) -> Any:
    """Return nested lists."""
    return probabilities.astype(np.float64).round(DECIMALS).tolist()


def _as_json(answer: BaseModel, status: int = 200) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), status, media_type=JSON)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
