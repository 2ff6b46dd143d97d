"""Who calls: the bearer token of a request, made a principal."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Principal
from ragplatform.wiring import Platform

_bearer = HTTPBearer(auto_error=False, description="An API key, or an access token.")


def _principal(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """Return who calls. A failed attempt is recorded before it is refused."""
    platform: Platform = request.app.state.platform
    token = credentials.credentials if credentials else ""
    try:
        return platform.authenticator.authenticate(token)
    except UnauthenticatedError:
        platform.record_unauthenticated(request.state.request_id)
        raise


Caller = Annotated[Principal, Depends(_principal)]
