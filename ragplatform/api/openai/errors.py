"""Errors in the shape that OpenAI's clients read.

Source: OpenAI, API reference, "Error codes"; openai-python, ``_exceptions.py``: the HTTP status
decides which class of exception a caller sees.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse

from ragplatform.model import Json

_PATHS: Final = ("/v1/chat/", "/v1/models", "/v1/responses", "/v1/embeddings", "/v1/batches")

_TYPES: Final = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


def speaks_openai(path: str) -> bool:
    """Return whether callers of the path read errors in OpenAI's shape."""
    return path.startswith(_PATHS)


def error_of(problem: Mapping[str, Json]) -> dict[str, Json]:
    """Return a problem document in OpenAI's shape, its request id beside it."""
    status = HTTPStatus(int(str(problem["status"])))
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Json] = {
        "message": str(problem["detail"]) + _fields(problem),
        "type": kind,
        "param": problem.get("param"),
        "code": problem["code"],
    }
    return {"error": error, "request_id": problem["request_id"]}


def respond(problem: Mapping[str, Json], headers: Mapping[str, str] | None) -> JSONResponse:
    """Return a problem as OpenAI's clients expect it: what is malformed is 400 to them, not 422."""
    status = HTTPStatus(int(str(problem["status"])))
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    return JSONResponse(error_of(problem), status, headers=dict(headers or {}))


_ERROR: Final = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string", "description": "A stable word for the error."},
            },
        },
        "request_id": {"type": "string"},
    },
}


def describe(api: Mapping[str, Any]) -> None:
    """Say in a description of the interface in which shape these paths have their errors.

    Every route inherits those of the service, which are problem documents.
    """
    for path, acts in api["paths"].items():
        if not speaks_openai(path):
            continue
        for act in acts.values():
            answers = act["responses"]
            answers.pop(str(int(HTTPStatus.UNPROCESSABLE_ENTITY)), None)
            for status, answer in answers.items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    answer["content"] = {"application/json": {"schema": _ERROR}}


def _fields(problem: Mapping[str, Json]) -> str:
    """Name the fields that are wrong, in words of ours: never what stood in them."""
    wrong = problem.get("errors")
    if not isinstance(wrong, list):
        return ""
    named = (one for one in wrong if isinstance(one, dict))
    return " " + "; ".join(f"{one.get('field')}: {one.get('message')}" for one in named)
