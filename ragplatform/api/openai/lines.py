"""One line of a batch: answered as if its submitter asked it now, with the rights of now."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from ragplatform.answer.retrieve import Retrieved
from ragplatform.api.openai import chat, embeddings, responses
from ragplatform.api.openai.asked import Frame, asked_of
from ragplatform.api.openai.errors import error_of
from ragplatform.api.openai.schemas import ChatBody, EmbeddingsBody, ResponsesBody
from ragplatform.api.problems import problem_of
from ragplatform.batches.book import Batch
from ragplatform.batches.desk import Line
from ragplatform.errors import (
    InvalidRequestError,
    PlatformError,
    UnavailableError,
    UnsafeAnswerError,
)
from ragplatform.model import Json, Principal
from ragplatform.wiring import Platform

_BODIES: Final = {chat.CHAT: ChatBody, responses.RESPONSES: ResponsesBody}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one line gives back, and whom and what it is about: it dies with each of these."""

    encoded: bytes
    answered: bool
    subjects: frozenset[str]
    documents: frozenset[str]


def request_id_of(batch: str, number: int) -> str:
    """Return the id of a line's request: the same whenever the line is tried again."""
    return hashlib.sha256(f"{batch}:{number}".encode()).hexdigest()[:32]


async def answer_line(
    platform: Platform, batch: Batch, number: int, line: Line, who: Principal
) -> Outcome:
    """Return what a line gives back: the body of an answer, or the error that a caller would get.

    Raises ``UnavailableError`` when a part is away: the line can be tried later.
    """
    frame = Frame(request_id_of(batch.batch, number), batch.batch, (batch.purpose.value,))
    try:
        body, retrieved = await _answered(platform, batch.endpoint, frame, who, line.body)
    except UnsafeAnswerError as error:
        # Asked again it would be led astray again, and hold up the lines behind it meanwhile.
        return refused_line(batch, number, line, error)
    except UnavailableError:
        raise
    except PlatformError as error:
        return refused_line(batch, number, line, error)
    subjects, documents = _about(platform, batch.tenant, retrieved)
    encoded = _encoded(frame, batch, number, line, HTTPStatus.OK, body)
    return Outcome(encoded, answered=True, subjects=subjects, documents=documents)


def refused_line(batch: Batch, number: int, line: Line, error: PlatformError) -> Outcome:
    """Return what a line gives back that was refused."""
    frame = Frame(request_id_of(batch.batch, number), batch.batch, ())
    problem = problem_of(error, frame.request_id)
    status = HTTPStatus(int(str(problem["status"])))
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    encoded = _encoded(frame, batch, number, line, status, error_of(problem))
    return Outcome(encoded, answered=False, subjects=frozenset(), documents=frozenset())


async def _answered(
    platform: Platform, endpoint: str, frame: Frame, who: Principal, given: Mapping[str, Any]
) -> tuple[dict[str, Json], Retrieved | None]:
    if endpoint == embeddings.EMBEDDINGS:
        wanted = _valid(EmbeddingsBody, given)
        vectors = await run_in_threadpool(embeddings.embedded, platform, frame, who, wanted)
        return vectors.model_dump(mode="json"), None
    kind = _BODIES[endpoint]
    asked = asked_of(frame, who, _valid(kind, given), platform)
    retrieved = await run_in_threadpool(platform.answerer.prepare, asked.question)
    events = platform.answerer.stream(retrieved, asked.mode)
    whole = chat.completed if kind is ChatBody else responses.responded
    return await whole(events, asked, public_url=platform.settings.public_url), retrieved


def _valid(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """Return a body of the kind. Raises ``InvalidRequestError``, naming fields and no value."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        fields = {".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}
        # The name of a field may be anything that the line's writer wrote.
        known = sorted(fields & set(kind.model_fields))
        raise InvalidRequestError(f"body: malformed {', '.join(known)}".strip()) from None


def _about(
    platform: Platform, tenant: str, retrieved: Retrieved | None
) -> tuple[frozenset[str], frozenset[str]]:
    if retrieved is None:
        return frozenset(), frozenset()
    passages = [one.passage for one in retrieved.passages]
    documents = frozenset(passage.document for passage in passages)
    subjects = frozenset[str]().union(*(passage.subjects for passage in passages))
    ref = platform.store.privacy.subject_ref
    return subjects | {ref(tenant, f"document:{one}") for one in documents}, documents


def _encoded(
    frame: Frame, batch: Batch, number: int, line: Line, status: HTTPStatus, body: Json
) -> bytes:
    """Return a line of the output. Source: OpenAI, guide "Batch API"."""
    told: dict[str, Json] = {
        "id": f"batch_req_{batch.batch}_{number}",
        "custom_id": line.custom_id,
        "response": {"status_code": int(status), "request_id": frame.request_id, "body": body},
        "error": None,
    }
    return json.dumps(told, ensure_ascii=False).encode()
