"""How much a request may bring, counted as it comes in."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Middleware that stops reading a body beyond its limit; the answer is a problem of 413.

    FastAPI's own limit answers in plain text, which our callers cannot tell from a proxy's.
    """

    def __init__(self, app: ASGIApp, *, limit: int, limits: Mapping[str, int]) -> None:
        """Wrap ``app``. ``limit`` is in bytes, ``limits`` those of paths that differ from it."""
        self._app = app
        self._limit = limit
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        limit = self._limits.get(scope.get("path", ""), self._limit)
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            # A length that the caller states proves nothing: what comes is counted.
            size += len(message.get("body", b""))
            if size > limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, counted, send)
