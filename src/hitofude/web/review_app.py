"""The page to review a run's labels, or to label images: one image after another, judged by keyboard.

Each judgement is on the disk before it is answered, so a closed browser or a killed server loses none.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Route

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.judgements import OF_TRAINING, OF_UNLABELLED, Judgement, Judgements
from hitofude.runs.review_queue import Doubt, nearest
from hitofude.version import __version__
from hitofude.web.batching import BoundedThread
from hitofude.web.exception_handlers import add_handlers
from hitofude.web.page_files import FOR_READING, page_files
from hitofude.web.png import png_of
from hitofude.web.safety import BodyLimit, Guard
from hitofude.web.settings import Settings

JSON = "application/json"
PAGE = "review_page"
SHARED = ("style.css", "theme.js", "chrome.js", "language.js", "memory.js", "newest.js", "ask.js", "icon.svg")
"""The files of the drawing page that this one uses, too."""
SHOWN_CLASSES = 5
DECIMALS = 4
WAITING = 16
NOT_KEPT = "The judgement could not be kept. The server's terminal shows what is wrong with the disk or the file."


@dataclass(frozen=True, eq=False)
class ReviewSubject:
    """The images to judge, and what is known about them.

    images: all that are at hand, to show similar ones; their labels are None if a person is to give them.
    """

    name: str
    images: ImageSet
    probabilities: NDArray[np.float32]  # (N, classes), NaN if unknown
    doubts: Sequence[Doubt]
    """The images to judge, in their order."""
    reviewer: str | None
    next_command: Callable[[Judgements], str | None]
    """The command for the judgements so far, None if they change nothing."""
    others: Mapping[str, Mapping[str, Judgement]] = field(default_factory=dict)
    """The judgements of other reviewers, by their names and the images' ids."""


class Judged(BaseModel):
    """A judgement of the page. item: the image's place in the queue, from 0."""

    model_config = ConfigDict(extra="forbid", title="Judgement")

    item: Annotated[int, Field(ge=0, strict=True)]
    verdict: Literal["keep", "relabel", "drop", "skip", "label"]
    label: Annotated[str, Field(max_length=1000)] = ""


class ReviewApi:
    """The handlers of the routes. The judgements are used by one thread at a time."""

    def __init__(self, subject: ReviewSubject, judgements: Judgements, finished: Callable[[], None]) -> None:
        self._subject, self._judgements, self._finished = subject, judgements, finished
        self._disk = BoundedThread("judgements", WAITING)
        self._pictures = BoundedThread("similar", WAITING)
        self._ids = [str(subject.images.ids[doubt.row]) for doubt in subject.doubts]
        self._places = {id: place for place, id in enumerate(self._ids)}

    async def describe(self) -> Response:
        """Say what is reviewed, and how far it is."""
        subject, judgements = self._subject, self._judgements
        verdicts = OF_TRAINING if judgements.are_of_training else OF_UNLABELLED
        return _as_json(
            {
                "name": subject.name,
                "version": __version__,
                "reviewer": subject.reviewer,
                "classes": list(subject.images.classes),
                "verdicts": list(verdicts),
                "file": judgements.path.name,
                **self._progress(),
            }
        )

    async def show(self, request: Request) -> Response:
        """Return an image of the queue, and what is known about it."""
        place = int(request.path_params["place"])
        if place >= len(self._ids):
            raise HTTPException(404, "There is no such image in this review. GET api/review gives their number.")
        return _as_json(await self._pictures.run(self._describe_item, place))

    async def judge(self, request: Request) -> Response:
        """Keep a judgement; answer when it is on the disk."""
        judged = Judged.model_validate_json(await _json_of(request))
        if judged.item >= len(self._ids):
            raise HTTPException(404, "There is no such image in this review. GET api/review gives their number.")
        was_finished = self._is_finished
        one = Judgement(judged.verdict, judged.label)
        await self._disk.run(self._judgements.judge, self._ids[judged.item], one)
        if self._is_finished and not was_finished:
            self._finished()
        return _as_json(self._progress(), 201)

    async def undo(self, request: Request) -> Response:
        """Take the last judgement back; answer with its image's place."""
        await _json_of(request)
        id = await self._disk.run(self._judgements.undo)
        if id is None:
            raise HTTPException(409, "There is nothing to undo.")
        return _as_json({"item": self._places.get(id), **self._progress()})

    async def health(self) -> Response:
        """Answer; this needs no token."""
        return _as_json({"status": "ok"})

    @property
    def _is_finished(self) -> bool:
        return all(self._judgements.of(id) is not None for id in self._ids)

    def _progress(self) -> dict[str, Any]:
        judged = [one is not None for one in map(self._judgements.of, self._ids)]
        position = judged.index(False) if False in judged else len(judged)
        command = self._subject.next_command(self._judgements) if position == len(judged) else None
        counts = dict(self._judgements.counts())
        return {"total": len(judged), "judged": sum(judged), "position": position, "counts": counts, "command": command}

    def _describe_item(self, place: int) -> dict[str, Any]:
        subject, doubt = self._subject, self._subject.doubts[place]
        images, row = subject.images, doubt.row
        id = self._ids[place]
        judged = self._judgements.of(id)
        return {
            "item": place,
            "id": id,
            "label": _label(images, row),
            "suggested": images.classes[doubt.suggested],
            "wrong": None if doubt.wrong is None else round(doubt.wrong, DECIMALS),
            "reasons": list(doubt.reasons),
            "probabilities": self._likeliest(row),
            "image": _data_url(images.images[row]),
            "similar": self._similar(doubt),
            "others": [
                {"reviewer": name, "verdict": given[id].verdict, "label": given[id].label}
                for name, given in subject.others.items()
                if id in given
            ],
            "verdict": None if judged is None else judged.verdict,
            "chosen": None if judged is None else judged.label,
        }

    def _likeliest(self, row: int) -> list[tuple[str, float]]:
        """Return the likeliest classes with their probabilities; none if they are not known."""
        values = self._subject.probabilities[row]
        if np.isnan(values).any():
            return []
        order = np.argsort(-values, kind="stable")[:SHOWN_CLASSES]
        return [(self._subject.images.classes[place], round(float(values[place]), DECIMALS)) for place in order]

    def _similar(self, doubt: Doubt) -> list[dict[str, Any]]:
        """Return copies with other labels, and of labelled images the nearest others."""
        images = self._subject.images
        near = [] if images.labels is None else nearest(images.images, doubt.row)
        rows = dict.fromkeys([*doubt.copies, *near])
        return [
            {
                "id": str(images.ids[row]),
                "label": _label(images, row),
                "copy": row in doubt.copies,
                "image": _data_url(images.images[row]),
            }
            for row in rows
        ]


def create_review_app(
    subject: ReviewSubject, judgements: Judgements, settings: Settings, finished: Callable[[], None]
) -> FastAPI:
    """Return the application. finished: called whenever the last image without a judgement gets one."""
    api = ReviewApi(subject, judgements, finished)
    app = FastAPI(title="hitofude", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    routes: dict[str, tuple[Any, list[str]]] = {
        "/api/review": (api.describe, ["GET"]),
        "/api/items/{place:int}": (api.show, ["GET"]),
        "/api/judgements": (api.judge, ["POST"]),
        "/api/undo": (api.undo, ["POST"]),
        "/healthz": (api.health, ["GET"]),
    }
    for path, (answer, verbs) in routes.items():
        app.add_api_route(path, answer, methods=verbs, response_class=Response)
    pages = page_files(PAGE) | {path: page for path, page in page_files().items() if path[1:] in SHARED}
    app.router.routes.extend(Route(path, page, methods=FOR_READING) for path, page in pages.items())
    methods = {path: verbs for path, (_, verbs) in routes.items()} | dict.fromkeys(pages, FOR_READING)
    add_handlers(app, methods, 0, not_kept=NOT_KEPT)
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Guard, settings=settings)
    return app


async def _json_of(request: Request) -> bytes:
    """Return the body. Raises HTTPException if it is not said to be JSON, as forms of other sites are not."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"Expected the content type {JSON}.")
    return await request.body()


def _label(images: ImageSet, row: int) -> str | None:
    return None if images.labels is None else images.classes[int(images.labels[row])]


def _data_url(pixels: NDArray[np.uint8]) -> str:
    """Return (C, H, W) as a PNG in a URL."""
    return "data:image/png;base64," + base64.b64encode(png_of(pixels)).decode()


def _as_json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status)
