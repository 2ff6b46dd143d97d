"""The outermost layer: an id for each request, no copy in a cache, and an answer for our own bugs.

Plain ASGI: Starlette's own way to write a layer runs each request in a second task, and hands over
every piece of a stream through a queue.
"""

import asyncio
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragplatform.api import problems
from ragplatform.api.trace import trace_id
from ragplatform.errors import PlatformError
from ragplatform.wiring import Platform

_log = structlog.get_logger("ragplatform.api")

REQUEST_ID: Final = "X-Request-Id"


class Edge:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, platform: Platform) -> None:
        """Wrap ``app``; ``platform`` keeps the record of what failed."""
        self._app = app
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its id and trace are in the request's state."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        # The id is ours: one chosen by the caller could point at another caller's records.
        state["request_id"] = request_id = uuid.uuid4().hex
        state["trace"] = trace_id(Headers(scope=scope).getlist("traceparent"))
        stall_s = self._platform.settings.client_stall_s
        begun = False

        async def stamped(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
            try:
                async with asyncio.timeout(stall_s):
                    await send(message)
            except TimeoutError:
                # Whoever reads nothing would keep a turn from all others for as long as it likes.
                raise ClientDisconnect from None

        try:
            await self._app(scope, receive, stamped)
        except ClientDisconnect:
            # Before its request was whole, or in an answer that has put its end on record itself.
            return
        except Exception as error:  # noqa: BLE001 # the edge: recorded, and answered for
            # A handler of errors would log the traceback, and with it perhaps words of a document.
            failed = bug(self._platform, request_id, state["trace"], error)
            if not begun:
                await problems.respond(failed, request_id, scope["path"])(scope, receive, stamped)


def bug(platform: Platform, request_id: str, trace: str, error: Exception) -> PlatformError:
    """Log where a bug of ours is, record that the request failed; return what is answered."""
    # The message or traceback of a bug may hold text of a document: only its place is logged.
    tb, place = error.__traceback__, ""
    while tb is not None:
        place, tb = f"{tb.tb_frame.f_code.co_filename}:{tb.tb_lineno}", tb.tb_next
    kind = type(error).__name__
    _log.error("unexpected_error", request_id=request_id, error=kind, place=place)
    try:
        platform.record_failure(request_id, trace, kind)
    except PlatformError as failed:
        return failed
    return PlatformError(kind)
