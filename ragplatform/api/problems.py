"""One table from error to HTTP status, and RFC 9457 problem details that carry no content."""

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ragplatform import errors
from ragplatform.model import Json
from ragplatform.wiring import Platform

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
    return problem(status, error.code, detail, request_id)


def told(error: errors.PlatformError, request_id: str) -> dict[str, Json]:
    """Return the problem document; what the caller is not told goes to the operator's log."""
    if status_of(error) in SAID_INSTEAD:
        _log.error("request_failed", request_id=request_id, code=error.code, detail=str(error))
    return problem_of(error, request_id)


def respond(error: errors.PlatformError, request_id: str) -> JSONResponse:
    """Return the error as a response, by the table above."""
    headers = {}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="ragplatform"'
    if isinstance(error, errors.UnavailableError):
        headers["Retry-After"] = "5"
    if isinstance(error, errors.BusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(
        told(error, request_id), status_of(error), headers=headers, media_type=MEDIA_TYPE
    )


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to a bug of ours, after recording that the request ended in one."""
    # The message or traceback of a bug may hold text of a document: only its place is logged.
    tb, place = error.__traceback__, ""
    while tb is not None:
        place, tb = f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}", tb.tb_next
    request_id = request.state.request_id
    kind = type(error).__name__
    _log.error("unexpected_error", request_id=request_id, error=kind, place=place)
    platform: Platform = request.app.state.platform
    try:
        platform.record_failure(request_id, request.state.trace, kind)
    except errors.PlatformError as failed:
        return respond(failed, request_id)
    return respond(errors.PlatformError(kind), request_id)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(errors.PlatformError)
    async def platform_error(request: Request, error: errors.PlatformError) -> JSONResponse:
        return respond(error, request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer echoes the input, which may hold a patient's name.
        wrong: list[Json] = [
            {"field": ".".join(str(part) for part in e["loc"]), "message": str(e["type"])}
            for e in error.errors()
        ]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        body = problem(
            status,
            errors.InvalidRequestError.code,
            "One or more fields are missing or malformed; see `errors`.",
            request.state.request_id,
            errors=wrong,
        )
        return JSONResponse(body, status, media_type=MEDIA_TYPE)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        body = problem(status, code, status.description or status.phrase, request.state.request_id)
        return JSONResponse(body, status, headers=error.headers, media_type=MEDIA_TYPE)
