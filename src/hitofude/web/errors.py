"""Exceptions become answers: a status, and a message that neither repeats what was sent nor names a path of ours."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from hitofude.errors import InputError, UserError
from hitofude.web.corrections import FullError
from hitofude.web.refusal import OVERLOADED, RETRY_AFTER, OverloadedError

logger = logging.getLogger(__name__)

NO_SUCH_METHOD = 405
NOT_KEPT = "The drawing could not be kept. What is wrong with the disk or the folder stands in the server's terminal."
FULL = "As many drawings are kept as the server keeps. Train with them, and move them elsewhere."


def add_handlers(app: FastAPI, methods: Mapping[str, Collection[str]]) -> None:
    """Of all that is raised on purpose. methods: by path, those that are answered."""

    def http_error(request: Request, error: Exception) -> Response:
        refused = cast(HTTPException, error)
        headers = dict(refused.headers or {})
        if refused.status_code == NO_SUCH_METHOD:  # of a path with two routes Starlette names only the first one's
            headers["Allow"] = ", ".join(sorted(methods.get(request.url.path, ())))
        return _answer(refused.status_code, refused.detail, headers)

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(InputError, _wrong_input)
    app.add_exception_handler(UserError, _not_kept)
    app.add_exception_handler(FullError, _full)
    app.add_exception_handler(OverloadedError, _overloaded)
    app.add_exception_handler(MemoryError, _overloaded)


def describe_invalid(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors: where, by names that are ours and numbers; and what was expected."""
    first = errors[0]
    place = "" if first["type"] == "extra_forbidden" else ".".join(map(str, first["loc"]))
    message = "there is a field that is not known" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{place or 'The body'}: {message}."


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)


def _invalid(_: Request, error: Exception) -> Response:
    found = cast(ValidationError, error).errors(include_url=False, include_input=False, include_context=False)
    return _answer(422, describe_invalid(found))


def _wrong_input(_: Request, error: Exception) -> Response:
    return _answer(422, str(error))


def _not_kept(_: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return _answer(503, NOT_KEPT, {"Retry-After": RETRY_AFTER})


def _full(_: Request, __: Exception) -> Response:
    return _answer(409, FULL)


def _overloaded(_: Request, __: Exception) -> Response:
    return _answer(OVERLOADED.status, OVERLOADED.detail, {"Retry-After": RETRY_AFTER})
