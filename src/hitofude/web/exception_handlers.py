"""Error answers: a status, and a message that repeats nothing of the request and names no path of the server."""

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from hitofude.errors import InputError, UserError
from hitofude.web.corrections import FullError
from hitofude.web.safety import OVERLOADED, RETRY_AFTER, OverloadedError

logger = logging.getLogger(__name__)

NO_SUCH_METHOD = 405
NOT_KEPT = "The drawing could not be kept. The server's terminal shows what is wrong with the disk or the folder."
FULL = "The server keeps as many drawings as it may. Train with them, and move them elsewhere."


def add_handlers(app: FastAPI, methods: Mapping[str, Collection[str]], numbers: int, not_kept: str = NOT_KEPT) -> None:
    """Answer every exception that is raised on purpose.

    methods: the allowed ones, by path. numbers: of an image. not_kept: said if something could not be written.
    """

    def http_error(request: Request, error: Exception) -> Response:
        refused = cast(HTTPException, error)
        headers = dict(refused.headers or {})
        allowed = methods.get(request.url.path)
        if refused.status_code == NO_SUCH_METHOD and allowed:  # of two routes Starlette names only the first one's
            headers["Allow"] = ", ".join(sorted(allowed))
        return _answer(refused.status_code, refused.detail, headers)

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ValidationError, partial(_invalid, numbers))
    app.add_exception_handler(InputError, lambda _, error: _answer(422, str(error)))
    app.add_exception_handler(UserError, partial(_not_kept, not_kept))
    app.add_exception_handler(FullError, lambda _, __: _answer(409, FULL))
    app.add_exception_handler(OverloadedError, _overloaded)
    app.add_exception_handler(MemoryError, _overloaded)


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)


def _invalid(numbers: int, _: Request, error: Exception) -> Response:
    """Describe pydantic's first problem: the place, by field names of ours and indices, and what was expected."""
    problem = cast(ValidationError, error).errors(include_url=False, include_context=False)[0]
    if problem["type"] == "extra_forbidden":
        return _answer(422, "The body: there is an unknown field.")
    place = ".".join(map(str, problem["loc"])) or "The body"
    is_list = problem["type"] == "float_type" and isinstance(problem["input"], list)
    if is_list and problem["loc"][0] in ("images", "pixels"):
        image = place.rpartition(".")[0]
        return _answer(422, f"{image}: Expected {numbers} numbers in one list, row by row, not lists in a list.")
    return _answer(422, f"{place}: {problem['msg']}.")


def _not_kept(said: str, _: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return _answer(503, said, {"Retry-After": RETRY_AFTER})


def _overloaded(_: Request, __: Exception) -> Response:
    return _answer(OVERLOADED.status, OVERLOADED.detail, {"Retry-After": RETRY_AFTER})
