"""One table from error to HTTP status, and RFC 9457 problem details that carry no content.

Routes in OpenAI's shape say the same in the shape that its clients read.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ragplatform import errors
from ragplatform.api.invalid import message_of, place_of
from ragplatform.api.openai import errors as openai_errors
from ragplatform.model import Json

_log = structlog.get_logger("ragplatform.api")

# The nearest class in an error's line of ancestors decides.
STATUS: Final[dict[type[errors.PlatformError], HTTPStatus]] = {
    errors.InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.DeniedError: HTTPStatus.FORBIDDEN,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BusyError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.UnsafeAnswerError: HTTPStatus.BAD_GATEWAY,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PlatformError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# Paths, processes and errors of the disk are for the operator's log, not for callers.
SAID_INSTEAD: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "The request failed inside the service. Give the request id to its operator."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "A part that this needs is away, so nothing was done; `code` names it. Try again shortly."
    ),
}

MEDIA_TYPE: Final = "application/problem+json"

_TEXT: Final = {"type": "string"}
SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {**_TEXT, "description": "A stable word for the kind of error."},
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "description": "Which fields are wrong, without what they held.",
            "items": {"type": "object", "properties": {"field": _TEXT, "message": _TEXT}},
        },
    },
}
"""The members of a problem document (RFC 9457), for the description of the interface."""


def status_of(error: errors.PlatformError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: HTTPStatus, code: str, detail: str, request_id: str, **more: Json
) -> dict[str, Json]:
    """Return the members of a problem document (RFC 9457, section 3.1)."""
    return {
        "type": f"urn:ragplatform:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **more,
    }


def problem_of(error: errors.PlatformError, request_id: str) -> dict[str, Json]:
    """Return the problem document of an error that the platform raised.

    What an operator must mend is named to the operator's log, not to the caller.
    """
    status = status_of(error)
    detail = SAID_INSTEAD.get(status, str(error))
    found = problem(status, error.code, detail, request_id)
    if isinstance(error, errors.UnsupportedError):
        found["param"] = error.param
    return found


def told(error: errors.PlatformError, request_id: str) -> dict[str, Json]:
    """Return the problem document; what the caller is not told goes to the operator's log."""
    if status_of(error) in SAID_INSTEAD:
        _log.error("request_failed", request_id=request_id, code=error.code, detail=str(error))
    return problem_of(error, request_id)


def respond(error: errors.PlatformError, request_id: str, path: str = "") -> JSONResponse:
    """Return the error as a response, by the table above.

    ``path`` is the request's: it says in which shape the caller reads errors.
    """
    headers = {}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="ragplatform"'
    if isinstance(error, errors.UnavailableError):
        headers["Retry-After"] = "5"
    if isinstance(error, errors.BusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    return _rendered(told(error, request_id), headers, path)


def _rendered(
    found: Mapping[str, Json], headers: Mapping[str, str] | None, path: str
) -> JSONResponse:
    if openai_errors.speaks_openai(path):
        return openai_errors.respond(found, headers)
    status = int(str(found["status"]))
    return JSONResponse(dict(found), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(errors.PlatformError)
    async def platform_error(request: Request, error: errors.PlatformError) -> JSONResponse:
        return respond(error, request.state.request_id, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer echoes the input, which may hold a patient's name.
        wrong: list[Json] = [
            {"field": place_of(one), "message": message_of(one)} for one in error.errors()
        ]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        body = problem(
            status,
            errors.InvalidRequestError.code,
            "One or more fields are missing or malformed; see `errors`.",
            request.state.request_id,
            errors=wrong,
        )
        return _rendered(body, None, request.url.path)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        body = problem(status, code, status.description or status.phrase, request.state.request_id)
        return _rendered(body, error.headers, request.url.path)
