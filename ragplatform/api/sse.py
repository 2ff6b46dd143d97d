"""Answers as server-sent events."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Send

from ragplatform.answer.events import AnswerEvent, Cited, Delta, Sources
from ragplatform.api.problems import problem_of
from ragplatform.api.schemas import AnswerOut, CitationOut, Source
from ragplatform.errors import PlatformError
from ragplatform.model import Json


class EventStream(StreamingResponse):
    """A streaming response that closes its source at once when the caller goes away.

    Starlette leaves that to the garbage collector; the record of an abandoned answer must not
    wait for it.
    """

    media_type = "text/event-stream"

    def __init__(self, encoded: AsyncGenerator[bytes, None]) -> None:
        """``encoded`` are the events in wire form."""
        self._encoded = encoded
        super().__init__(
            self._encoded,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def stream_response(self, send: Send) -> None:
        """Send the events; close the source whatever happens."""
        async with aclosing(self._encoded):
            await super().stream_response(send)


async def encode(
    events: AsyncGenerator[AnswerEvent, None], request_id: str
) -> AsyncGenerator[bytes, None]:
    """Yield each event in wire form; an error becomes the last event."""
    try:
        async with aclosing(events) as source:
            async for event in source:
                yield _wire(event)
    except PlatformError as error:
        yield _event("error", problem_of(error, request_id))


def _wire(event: AnswerEvent) -> bytes:
    if isinstance(event, Sources):
        sources = [Source.of(passage).model_dump(mode="json") for passage in event.passages]
        return _event("sources", {"sources": sources})
    if isinstance(event, Delta):
        return _event("delta", {"text": event.text})
    if isinstance(event, Cited):
        return _event("citation", CitationOut.of(event.citation).model_dump(mode="json"))
    return _event("final", AnswerOut.of(event.answer).model_dump(mode="json"))


def _event(name: str, data: dict[str, Json]) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False))
