"""Who calls: the bearer token of a request, made a principal."""

from typing import Annotated, Final

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal
from ragplatform.wiring import Platform

_log = structlog.get_logger("ragplatform.api")

# Source: Open WebUI 0.10, `FORWARD_USER_INFO_HEADER_JWT` in open_webui/env.py.
USER_HEADER: Final = "X-OpenWebUI-User-Jwt"

_bearer = HTTPBearer(auto_error=False, description="An API key, or an access token.")


def _principal(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """Return who calls. A failed attempt, and a credential that is new here, is recorded first."""
    platform: Platform = request.app.state.platform
    token = credentials.credentials if credentials else ""
    statements = request.headers.getlist(USER_HEADER)
    # Two statements leave open who is meant: joined, they are no token.
    user = ",".join(statements) if statements else None
    try:
        principal = platform.authenticator.authenticate(token, user)
    except UnauthenticatedError as error:
        request_id = request.state.request_id
        _log.info("unauthenticated", request_id=request_id, reason=error.reason)
        platform.record_unauthenticated(request_id, request.state.trace, error.reason)
        raise
    platform.record_authenticated(principal, request.state.request_id, request.state.trace)
    return principal


Caller = Annotated[Principal, Depends(_principal)]
