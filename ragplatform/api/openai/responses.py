"""``/v1/responses``: the part of the responses API that a question and its answer need.

Nothing is kept: a conversation comes whole with each request, and no response has a second life.
Source: OpenAI, API reference, "Responses" and "Streaming events".
"""

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from ragplatform.answer.events import AnswerEvent, Cited, Delta, Sources
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.openai.asked import Asked, Frame, asked_of
from ragplatform.api.openai.chat import gathered, notes_of, rag_of, sources_of
from ragplatform.api.openai.errors import error_of
from ragplatform.api.openai.notes import Note
from ragplatform.api.openai.schemas import ResponsesBody
from ragplatform.api.problems import problem_of
from ragplatform.api.sse import EventStream
from ragplatform.errors import PlatformError
from ragplatform.model import Answer, Json, Usage
from ragplatform.wiring import Platform

RESPONSES: Final = "/v1/responses"
LIMITS: Final[Mapping[str, int]] = {RESPONSES: 2 * 1024 * 1024}


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add ``/v1/responses``."""

    @app.post(RESPONSES, tags=["openai"], dependencies=[ONE_TURN], response_model=None)
    async def responses(request: Request, who: Caller, body: ResponsesBody) -> Response:
        """Answer the last question of `input` from the passages that you may read.

        As `/v1/chat/completions`, in the shape of the responses API. Nothing is stored.
        """
        asked = asked_of(Frame.of(request), who, body, platform)
        # All refusals are raised here, while the status can still say so.
        retrieved = await run_in_threadpool(platform.answerer.prepare, asked.question)
        events = platform.answerer.stream(retrieved, asked.mode)
        url = platform.settings.public_url
        if body.stream:
            return EventStream(encode(events, asked, public_url=url))
        return JSONResponse(await responded(events, asked, public_url=url))


class _Reply:
    """One response in wire form, at any moment of its making."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = f"resp_{asked.question.request_id}"
        self._created = int(time.time())
        self.item = f"msg_{asked.question.request_id}"

    def at(
        self,
        status: str,
        output: list[Json],
        usage: Usage | None = None,
        error: dict[str, Json] | None = None,
        **more: Json,
    ) -> dict[str, Json]:
        """Return the response as it stands."""
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._asked.model,
            "output": output,
            "error": error,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "tool_choice": "none",
            "tools": [],
            "temperature": None,
            "top_p": None,
            "store": False,
            "usage": None if usage is None else _usage(usage),
            **more,
        }

    def message(self, status: str, content: list[Json]) -> dict[str, Json]:
        """Return its one item of output."""
        return {
            "id": self.item,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }


async def responded(
    events: AsyncGenerator[AnswerEvent, None], asked: Asked, *, public_url: str
) -> dict[str, Json]:
    """Return an answer as one response, once all of it is on record. Raises as its stream."""
    notes, reply = notes_of(asked, public_url), _Reply(asked)
    answer, sources = await gathered(events, notes)
    item = reply.message("completed", [_text(answer.text, notes.due(end=True))])
    return _whole(reply, item, answer, asked, sources)


async def encode(
    events: AsyncGenerator[AnswerEvent, None], asked: Asked, *, public_url: str
) -> AsyncGenerator[bytes, None]:
    """Yield an answer as the events of a response; one that breaks off ends as failed."""
    writer = _Writer(asked, public_url)
    try:
        yield writer.event("response.created", response=writer.reply.at("in_progress", []))
        async with aclosing(events) as source:
            async for event in source:
                for encoded in writer.encoded(event):
                    yield encoded
    except PlatformError as error:
        told = error_of(problem_of(error, asked.question.request_id))["error"]
        inner = told if isinstance(told, dict) else {}
        failed: dict[str, Json] = {"code": inner.get("code"), "message": inner.get("message")}
        yield writer.event("response.failed", response=writer.reply.at("failed", [], error=failed))


class _Writer:
    """Numbers the events of one response and keeps what they add up to."""

    def __init__(self, asked: Asked, public_url: str) -> None:
        self.reply = _Reply(asked)
        self._asked = asked
        self._notes = notes_of(asked, public_url)
        self._told: list[Note] = []
        self._sources: list[Json] = []
        self._said = ""
        self._number = -1

    def event(self, kind: str, **members: Json) -> bytes:
        """Return one event in wire form."""
        self._number += 1
        body = {"type": kind, "sequence_number": self._number, **members}
        return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()

    def encoded(self, event: AnswerEvent) -> list[bytes]:
        """Return what one event of an answer is in this form."""
        if isinstance(event, Sources):
            self._notes.found(event.passages)
            self._sources = sources_of(event)
            item = self.reply.message("in_progress", [])
            added = self.event("response.output_item.added", output_index=0, item=item)
            return [added, self._part("response.content_part.added", part=_text("", []))]
        if isinstance(event, Delta):
            self._said += event.text
            self._notes.said(event.text)
            kind = "response.output_text.delta"
            return [self._part(kind, delta=event.text, logprobs=[])]
        if isinstance(event, Cited):
            self._notes.cited(event.citation)
            return self._annotated(end=False)
        return [*self._annotated(end=True), *self._ended(event.answer)]

    def _annotated(self, *, end: bool) -> list[bytes]:
        encoded = []
        for note in self._notes.due(end=end):
            encoded.append(
                self._part(
                    "response.output_text.annotation.added",
                    annotation_index=len(self._told),
                    annotation=note.flat(),
                )
            )
            self._told.append(note)
        return encoded

    def _ended(self, answer: Answer) -> list[bytes]:
        part = _text(self._said, self._told)
        item = self.reply.message("completed", [part])
        whole = _whole(self.reply, item, answer, self._asked, self._sources)
        return [
            self._part("response.output_text.done", text=self._said, logprobs=[]),
            self._part("response.content_part.done", part=part),
            self.event("response.output_item.done", output_index=0, item=item),
            self.event("response.completed", response=whole),
        ]

    def _part(self, kind: str, **members: Json) -> bytes:
        place: dict[str, Json] = {"item_id": self.reply.item, "output_index": 0, "content_index": 0}
        return self.event(kind, **place, **members)


def _whole(
    reply: _Reply, item: dict[str, Json], answer: Answer, asked: Asked, sources: list[Json]
) -> dict[str, Json]:
    rag = rag_of(answer, asked, sources)
    return reply.at("completed", [item], answer.usage, rag=rag)


def _text(text: str, notes: list[Note]) -> dict[str, Json]:
    annotations = list[Json](note.flat() for note in notes)
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def _usage(usage: Usage) -> dict[str, Json]:
    # OpenAI's has details too; what a cache gave would tell of other callers.
    return {
        "input_tokens": usage.prompt,
        "output_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }
