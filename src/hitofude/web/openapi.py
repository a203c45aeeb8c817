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
    409: "No further drawings can be kept.",
    413: "The body is too large.",
    415: "Another content type is expected.",
    422: "The content is malformed; or it is no picture, damaged, too large, or without anything in it.",
    503: "The server is overloaded; see Retry-After.",
}
ALWAYS = (400, 401, 403, 408, 413)
"""The refusals that precede every route."""
RETRY_AFTER = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}


def refusal_responses(*more: int) -> dict[int | str, dict[str, Any]]:
    """Document a route's refusals: the statuses in ALWAYS, and more."""
    return {
        status: {"model": Problem, "description": REASONS[status]} | ({"headers": RETRY_AFTER} if status == 503 else {})
        for status in (*ALWAYS, *more)
    }


def request_body(body: type[BaseModel], *, pictures: bool = False) -> dict[str, Any]:
    """Document a request of JSON; with pictures also one of a picture, as it is or as the field `file` of a form."""
    content: dict[str, Any] = {"application/json": {"schema": body.model_json_schema()}}
    if pictures:
        binary = {"type": "string", "format": "binary"}
        form = {"type": "object", "properties": {"file": binary}, "required": ["file"]}
        content |= {"image/*": {"schema": binary}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def document_token(app: FastAPI) -> None:
    """Document that every route but /healthz needs a token."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    document["paths"]["/healthz"]["get"]["security"] = []
