"""From a client's body and headers to a question: who asks what, why, and of which model name."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import Request

from ragplatform.answer.retrieve import LONGEST_QUESTION
from ragplatform.answer.retrieve import Request as Question
from ragplatform.api.openai.schemas import ChatBody, RagIn, ResponsesBody
from ragplatform.errors import InvalidRequestError, NotFoundError
from ragplatform.model import AnswerMode, Principal, Purpose
from ragplatform.wiring import Platform

MODEL: Final = "ragplatform"
"""The model's name to clients; ``ragplatform:TREAT`` states the purpose as well."""
PURPOSE_HEADER: Final = "X-Purpose-Of-Use"
# How many of a person's earlier questions can still say what the last one means.
MOST_HISTORY: Final = 10
_OPEN_WEBUI: Final = "x-openwebui-"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as a client of OpenAI's API asked it.

    ``ignored`` names what it wanted and does not get. ``counts`` says that its screen finds a
    citation by counting: Open WebUI takes ``[3]`` for the third source that it was told of.
    """

    question: Question
    mode: AnswerMode
    model: str
    ignored: tuple[str, ...]
    sources: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds a body: under which ids it is recorded, and which purposes are stated."""

    request_id: str
    trace: str
    purposes: tuple[str, ...]
    counts: bool = False

    @classmethod
    def of(cls, request: Request) -> "Frame":
        """Return the frame of a request over HTTP."""
        return cls(
            request_id=request.state.request_id,
            trace=request.state.trace,
            purposes=tuple(one for one in request.headers.getlist(PURPOSE_HEADER) if one),
            counts=any(name.startswith(_OPEN_WEBUI) for name in request.headers),
        )


def asked_of(
    frame: Frame, who: Principal, body: ChatBody | ResponsesBody, platform: Platform
) -> Asked:
    """Return the question of a body.

    1. Nothing in it is asked for in vain. 2. The model is ours. 3. There is one purpose.
    4. The last message of the user is the question. What system messages say is not obeyed: they
    are a client's text, and instructions are the platform's alone.

    Raises ``InvalidRequestError``, ``NotFoundError`` for another model.
    """
    body.require_possible()  # 1
    rag, settings = body.rag or RagIn(), platform.settings
    purpose = purpose_of(frame, rag, body.model)  # 2, 3
    text, earlier = body.conversation()  # 4
    if len(text) > LONGEST_QUESTION:
        raise InvalidRequestError(
            f"messages: the question has over {LONGEST_QUESTION} characters; leave out what the "
            "client added to it, for the passages are found here"
        )
    subject_ref = partial(platform.store.privacy.subject_ref, who.tenant)
    question = Question(
        principal=who,
        purpose=purpose,
        question=text,
        collections=None if rag.collections is None else frozenset(rag.collections),
        narrow=rag.filters.narrow(subject_ref) if rag.filters else None,
        limit=settings.passages_per_answer,
        request_id=frame.request_id,
        trace=frame.trace,
        history=tuple(one for one in earlier if len(one) <= LONGEST_QUESTION)[-MOST_HISTORY:],
    )
    return Asked(
        question=question,
        mode=AnswerMode(rag.mode or settings.answer_mode),
        model=body.model,
        ignored=tuple(body.ignored()),
        sources=rag.sources,
        counts=frame.counts,
    )


def purpose_of(frame: Frame, rag: RagIn, model: str) -> Purpose:
    """Return why the caller asks: by ``rag``, the header, or the model's name.

    Raises ``InvalidRequestError`` when nothing says it, or two say different things, and
    ``NotFoundError`` for a model that is not ours.
    """
    name, _, suffix = model.partition(":")
    if name != MODEL:
        raise NotFoundError(f"model: wanted {MODEL}, or one of /v1/models")
    return one_purpose(frame, rag, suffix)


def one_purpose(frame: Frame, rag: RagIn, suffix: str = "") -> Purpose:
    """Return the one purpose that is stated. Raises ``InvalidRequestError``."""
    stated = [rag.purpose.value] if rag.purpose else []
    stated += [one for one in (*frame.purposes, suffix) if one]
    if not stated:
        raise InvalidRequestError(
            f"no purpose, no answer: state it as `rag.purpose`, as header {PURPOSE_HEADER}, or "
            f"in the model's name, such as {MODEL}:TREAT"
        )
    if len(set(stated)) > 1:
        raise InvalidRequestError("the purpose is stated twice, and differently")
    if stated[0] not in set(Purpose):
        raise InvalidRequestError(f"the purpose is none of {', '.join(Purpose)}")
    return Purpose(stated[0])
