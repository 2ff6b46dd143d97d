"""From a body of ours to the question as the core takes it, and its answer as one document."""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from fastapi import Request

from ragplatform.answer.events import Final, ShownPassage, Sources
from ragplatform.answer.retrieve import Request as Question
from ragplatform.answer.retrieve import Retrieved
from ragplatform.api import schemas
from ragplatform.model import AnswerMode, Principal
from ragplatform.wiring import Platform


def question_of(
    platform: Platform,
    request: Request,
    who: Principal,
    body: schemas.Asking,
    limit: int,
    beside: int = 0,
) -> Question:
    """Return the question of a body, on behalf of the caller and under the request's id."""
    subject_ref = partial(platform.store.vault.subject_ref, who.tenant)
    return Question(
        principal=who,
        purpose=body.purpose,
        question=body.question,
        collections=None if body.collections is None else frozenset(body.collections),
        limit=limit,
        beside=beside,
        request_id=request.state.request_id,
        trace=request.state.trace,
        history=tuple(body.history),
        narrow=None if body.filters is None else body.filters.narrow(subject_ref),
    )


def answerable(
    platform: Platform, request: Request, who: Principal, body: schemas.ModeBody
) -> tuple[Question, AnswerMode]:
    """Return the question of a body to be answered, and how."""
    settings = platform.settings
    mode = AnswerMode(body.mode or settings.answer_mode)
    # What is quoted stands in the best passages; what is written reads on from there.
    beside = settings.passages_beside if mode is AnswerMode.ABSTRACTIVE else 0
    limit = settings.passages_per_answer
    return question_of(platform, request, who, body, limit, beside), mode


async def whole_answer(
    platform: Platform, retrieved: Retrieved, mode: AnswerMode
) -> schemas.AskOut:
    """Return the answer once all of it is there, with its sources."""
    passages: Sequence[ShownPassage] = ()
    async with aclosing(platform.answerer.stream(retrieved, mode)) as events:
        async for event in events:
            if isinstance(event, Sources):
                passages = event.passages
            if isinstance(event, Final):
                answer = event.answer
    return schemas.AskOut.whole(answer, passages)
