"""The parts of the OpenAPI document that FastAPI cannot know: bodies that the routes read themselves, and refusals."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from hitofude.web.bodies import Problem

REASONS = {
    400: "The request is malformed.",
    401: "A token is needed.",
    403: "A foreign Host or Origin.",
    408: "The body did not arrive in time.",
    409: "As many are kept as may be.",
    413: "The body is too large.",
    415: "Another content type is expected.",
    422: "What was sent is malformed; or no picture, damaged, too large, without anything in it.",
    503: "Too much to do; see Retry-After.",
}
ALWAYS = (400, 401, 403, 408, 413)
"""By what stands before every route."""
RETRY_AFTER = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}


def describe_answers(*more: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route."""
    return {
        status: {"model": Problem, "description": REASONS[status]} | ({"headers": RETRY_AFTER} if status == 503 else {})
        for status in (*ALWAYS, *more)
    }


def describe_request(body: type[BaseModel], *, pictures: bool = False) -> dict[str, Any]:
    """JSON, or a picture too: as it is, or as the field `file` of a form."""
    content: dict[str, Any] = {"application/json": {"schema": body.model_json_schema()}}
    if pictures:
        binary = {"type": "string", "format": "binary"}
        form = {"type": "object", "properties": {"file": binary}, "required": ["file"]}
        content |= {"image/*": {"schema": binary}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def with_token(app: FastAPI, *, asked: bool) -> None:
    """Say in the document that a token is asked for, but for /healthz."""
    document = app.openapi()
    if asked:
        document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/healthz"]["get"]["security"] = []
