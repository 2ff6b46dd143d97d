"""``/v1/chat/completions``: a question through the same gate as ``/v1/ask``, in OpenAI's shape."""

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
from ragplatform.api.openai.errors import error_of
from ragplatform.api.openai.notes import Notes
from ragplatform.api.openai.schemas import ChatBody
from ragplatform.api.openai.tasks import answered_task
from ragplatform.api.problems import problem_of
from ragplatform.api.schemas import AnswerOut, Source
from ragplatform.api.sse import EventStream
from ragplatform.errors import PlatformError
from ragplatform.model import Answer, Json, Usage
from ragplatform.wiring import Platform

CHAT: Final = "/v1/chat/completions"
# A long conversation brings all its answers along, and Open WebUI the description of its tools.
LIMITS: Final[Mapping[str, int]] = {CHAT: 2 * 1024 * 1024}
_DONE: Final = b"data: [DONE]\n\n"
_COMPLETION: Final = "chat.completion"


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add ``/v1/chat/completions``."""

    @app.post(CHAT, tags=["openai"], dependencies=[ONE_TURN], response_model=None)
    async def chat(request: Request, who: Caller, body: ChatBody) -> Response:
        """Answer the last question of a conversation from the passages that you may read.

        As `/v1/ask`, in the shape of OpenAI's API: what was found, why there is no answer and what
        was not obeyed stand in `rag`. Earlier questions only help to understand the last one.
        """
        usage = bool(body.stream_options and body.stream_options.include_usage)
        if task := await run_in_threadpool(answered_task, platform, request, who, body):
            form = Completion(request.state.request_id, body.model)
            if body.stream:
                return EventStream(_told(form, task, usage=usage))
            return JSONResponse(form.whole(task))
        asked = asked_of(Frame.of(request), who, body, platform)
        # All refusals are raised here, while the status can still say so.
        retrieved = await run_in_threadpool(platform.answerer.prepare, asked.question)
        events = platform.answerer.stream(retrieved, asked.mode)
        url = platform.settings.public_url
        if body.stream:
            return EventStream(encode(events, asked, public_url=url, usage=usage))
        return JSONResponse(await completed(events, asked, public_url=url))


class Completion:
    """One completion in wire form: whole, or chunk by chunk."""

    def __init__(self, request_id: str, model: str) -> None:
        self._head: dict[str, Json] = {
            "id": f"chatcmpl-{request_id}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, text: str, **more: Json) -> dict[str, Json]:
        """Return the completion. ``annotations`` go to its message, all else beside it."""
        message: dict[str, Json] = {"role": "assistant", "content": text, "refusal": None}
        message["annotations"] = more.pop("annotations", [])
        choice: dict[str, Json] = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = more.pop("usage", None) or _usage(Usage())
        head = {**self._head, "object": _COMPLETION}
        return {**head, "choices": [{**choice, "logprobs": None}], "usage": usage, **more}

    def chunk(self, delta: dict[str, Json], finish: str | None = None, **more: Json) -> bytes:
        """Return one chunk of a stream."""
        choice: dict[str, Json] = {"index": 0, "delta": delta, "finish_reason": finish}
        return self._sent(choices=[{**choice, "logprobs": None}], **more)

    def counted(self, usage: Usage) -> bytes:
        """Return the chunk that says what the answer took; it has no choices."""
        return self._sent(choices=[], usage=_usage(usage))

    def _sent(self, **members: Json) -> bytes:
        return _data({**self._head, "object": f"{_COMPLETION}.chunk", **members})


async def encode(
    events: AsyncGenerator[AnswerEvent, None], asked: Asked, *, public_url: str, usage: bool
) -> AsyncGenerator[bytes, None]:
    """Yield an answer as chunks; an error becomes the last event, and then nothing follows."""
    request_id = asked.question.request_id
    form = Completion(request_id, asked.model)
    notes = notes_of(asked, public_url)
    sources: list[Json] = []
    try:
        async with aclosing(events) as source:
            async for event in source:
                if isinstance(event, Sources):
                    notes.found(event.passages)
                    sources = sources_of(event)
                    yield form.chunk({"role": "assistant", "content": ""})
                elif isinstance(event, Delta):
                    notes.said(event.text)
                    yield form.chunk({"content": event.text})
                elif isinstance(event, Cited):
                    notes.cited(event.citation)
                    if due := [note.nested() for note in notes.due()]:
                        yield form.chunk({"annotations": list[Json](due)})
                else:
                    if due := [note.nested() for note in notes.due(end=True)]:
                        yield form.chunk({"annotations": list[Json](due)})
                    yield form.chunk({}, "stop", rag=rag_of(event.answer, asked, sources))
                    if usage:
                        yield form.counted(event.answer.usage)
    except PlatformError as error:
        yield _data(error_of(problem_of(error, request_id)))
    else:
        yield _DONE


async def completed(
    events: AsyncGenerator[AnswerEvent, None], asked: Asked, *, public_url: str
) -> dict[str, Json]:
    """Return an answer as one completion, once all of it is on record. Raises as its stream."""
    notes = notes_of(asked, public_url)
    answer, sources = await gathered(events, notes)
    return Completion(asked.question.request_id, asked.model).whole(
        answer.text,
        annotations=[note.nested() for note in notes.due(end=True)],
        usage=_usage(answer.usage),
        rag=rag_of(answer, asked, sources),
    )


async def gathered(
    events: AsyncGenerator[AnswerEvent, None], notes: Notes
) -> tuple[Answer, list[Json]]:
    """Return a whole answer and its sources for the wire; ``notes`` take what it cites."""
    sources: list[Json] = []
    async with aclosing(events) as source:
        async for event in source:
            if isinstance(event, Sources):
                notes.found(event.passages)
                sources = sources_of(event)
            elif isinstance(event, Cited):
                notes.cited(event.citation)
            elif not isinstance(event, Delta):
                answer = event.answer
    notes.said(answer.text)
    return answer, sources


async def _told(form: Completion, text: str, *, usage: bool) -> AsyncGenerator[bytes, None]:
    yield form.chunk({"role": "assistant", "content": text})
    yield form.chunk({}, "stop")
    if usage:
        yield form.counted(Usage())
    yield _DONE


def notes_of(asked: Asked, public_url: str) -> Notes:
    """Return what makes the annotations of the answer."""
    purpose = asked.question.purpose
    return Notes(public_url=public_url, purpose=purpose, counts=asked.counts)


def sources_of(event: Sources) -> list[Json]:
    """Return the passages found, for the wire."""
    return [Source.of(passage).model_dump(mode="json") for passage in event.passages]


def rag_of(answer: Answer, asked: Asked, sources: list[Json]) -> dict[str, Json]:
    """Return what OpenAI's shape has no field for, of an answer that is on record."""
    told = AnswerOut.of(answer).model_dump(mode="json", exclude={"answer"})
    told["ignored"] = list(asked.ignored)
    if asked.sources:
        told["sources"] = sources
    return told


def _usage(usage: Usage) -> dict[str, Json]:
    """Return what an answer took. How much of it came from a cache would tell of other callers."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }


def _data(members: dict[str, Json]) -> bytes:
    return f"data: {json.dumps(members, ensure_ascii=False)}\n\n".encode()
