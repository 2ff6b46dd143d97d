"""From passages to an answer: generated or quoted, checked, screened, recorded, then released."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import anyio.to_thread

from ragplatform.answer import evidence, exits, quotes, remarks, statements
from ragplatform.answer.alarm import ExitAlarm
from ragplatform.answer.events import AnswerEvent, Cited, Delta, Final, Sources
from ragplatform.answer.judging import Bar, Judge, Sentence
from ragplatform.answer.quoting import Quoter
from ragplatform.answer.retrieve import Request, Retrieved, Retriever, record_event
from ragplatform.answer.writing import LONGEST_ANSWER, AnswerLimits, Writer, Writing
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import AuditError, GeneratorError, PlatformError
from ragplatform.model import Answer, AnswerMode, Citation, Json, ModelWeights, SentenceKind, Usage
from ragplatform.ports import Generator
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.screen import Screen

__all__ = ["AnswerLimits", "Answerer"]


@dataclass(slots=True)
class _Draft:
    """What has been released so far of one answer."""

    asked: AnswerMode
    """How it was to be made; a refusal changes only ``mode``."""
    mode: AnswerMode
    model: str
    wall: exits.Wall
    parts: list[str] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    refusal: str | None = None
    tried: bool = False
    """Whether the model tried to answer in sentences of its own, whatever became of them."""
    unfinished: bool = True
    """Whether the screen still holds the end back; until it lets go, no piece is the last."""
    writing: Writing | None = None
    """What is not on record yet of the model's part; None where it had none."""

    def count(self, kind: SentenceKind) -> int:
        """Return how many sentences of the kind there are."""
        return sum(one.kind is kind for one in self.sentences)


class Answerer:
    """Answers questions: ``prepare`` before the response starts, ``stream`` as the response."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        privacy: Privacy,
        generator: Generator,
        audit: TenantLogs,
        limits: AnswerLimits,
        salt_key: bytes,
        today: Callable[[], date],
        weights: ModelWeights,
        bar: Bar,
    ) -> None:
        self._retriever = retriever
        self._privacy = privacy
        self._alarm = ExitAlarm(audit=audit, model=generator.model, longest=LONGEST_ANSWER)
        self._writer = Writer(
            privacy=privacy,
            generator=generator,
            limits=limits,
            salt_key=salt_key,
            today=today,
            alarm=self._alarm,
        )
        self._quoter = Quoter(privacy=privacy)
        self._audit = audit
        self._weights = weights
        self._bar = bar

    def prepare(self, request: Request) -> Retrieved:
        """Return what the answer will be made from; every refusal is raised here.

        Raises as ``Retriever.retrieve``.
        """
        return self._retriever.retrieve(request, Action.ASKED)

    async def stream(
        self, retrieved: Retrieved, mode: AnswerMode
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the sources, the screened answer piece by piece, its citations, and the end.

        The last piece of text leaves only after the record of the whole answer is durable. What a
        model writes leaves by the sentence before that; quotes are all there at once, and the last
        waits. An answer that breaks off is recorded as failed or, when the caller went away, as
        abandoned.
        """
        wall = exits.Wall(self._writer.canary(retrieved))
        draft = _Draft(mode, mode, self._writer.model, wall)
        screen = self._privacy.screen(
            retrieved.scope, known=evidence.known(retrieved), withheld=exits.carries
        )
        try:
            yield Sources(retrieved.shown)
            held: list[AnswerEvent] = []
            async with aclosing(self._pieces(retrieved, draft, screen)) as pieces:
                async for event in pieces:
                    if isinstance(event, Delta):
                        for ready in held:
                            yield ready
                        held.clear()
                    held.append(event)
                    if draft.unfinished and draft.mode is AnswerMode.ABSTRACTIVE:
                        for ready in held:
                            yield ready
                        held.clear()
            answer = self._answer(retrieved, draft, screen)
            await anyio.to_thread.run_sync(
                partial(self._record_answer, retrieved, answer, draft), abandon_on_cancel=False
            )
            for ready in held:
                yield ready
            yield Final(answer)
        except BaseException as error:
            # Whatever ends the stream early, what was already shown must be on record.
            self._record_end(retrieved, draft, error)
            raise

    async def _pieces(
        self, retrieved: Retrieved, draft: _Draft, screen: Screen
    ) -> AsyncGenerator[AnswerEvent, None]:
        waiting: list[Citation] = []
        async with aclosing(self._sentences(retrieved, draft)) as sentences:
            async for sentence in sentences:
                space = " " if draft.sentences else ""
                draft.sentences.append(sentence)
                waiting += [c for c in sentence.citations if c not in draft.citations]
                draft.citations += [c for c in waiting if c not in draft.citations]
                released = await anyio.to_thread.run_sync(screen.feed, space + sentence.text)
                released = await self._past_the_wall(retrieved, draft, released)
                for event in _released(draft, released, waiting):
                    yield event
        draft.unfinished = False
        released = await anyio.to_thread.run_sync(screen.finish)
        released = await self._past_the_wall(retrieved, draft, released)
        for event in _released(draft, released, waiting):
            yield event
        if not draft.citations:
            draft.refusal, told = remarks.refusal(self._privacy, retrieved)
            draft.mode = AnswerMode.REFUSAL
            text = await anyio.to_thread.run_sync(screen.redact, told)
            draft.parts = [text]
            yield Delta(text)

    async def _past_the_wall(self, retrieved: Retrieved, draft: _Draft, text: str) -> str:
        """Return the text as it may leave; see ``exits.Wall``. Raises ``UnsafeAnswerError``."""
        mended = draft.wall.mended(text)
        if found := draft.wall.stops(mended):
            left = "".join(draft.parts) + mended
            await self._alarm.cut(retrieved, found=found, where="leaving", text=left)
        return mended

    async def _sentences(
        self, retrieved: Retrieved, draft: _Draft
    ) -> AsyncGenerator[Sentence, None]:
        """Yield what may be said, once something is supported, and remarks on it at the end.

        Where a model wrote nothing that a passage says, the passages are quoted instead, and the
        mode says so; not where it declined to answer.
        """
        said = self._quote if draft.mode is AnswerMode.EXTRACTIVE else self._written
        async with aclosing(said(retrieved, draft)) as sentences:
            async for sentence in sentences:
                yield sentence
        if draft.tried and not draft.citations:
            async with aclosing(self._quote(retrieved, draft)) as sentences:
                async for sentence in sentences:
                    draft.mode, draft.model = AnswerMode.EXTRACTIVE, ""
                    yield sentence
        if draft.citations:
            found = await anyio.to_thread.run_sync(
                remarks.make, self._privacy, retrieved, tuple(draft.sentences)
            )
            for remark in found:
                yield remark

    async def _written(self, retrieved: Retrieved, draft: _Draft) -> AsyncGenerator[Sentence, None]:
        """Yield the model's sentences, none before one that is supported."""
        held: list[Sentence] = []
        async with aclosing(self._write(retrieved, draft)) as sentences:
            async for sentence in sentences:
                held.append(sentence)
                # An answer of nothing but unsupported sentences is none, so they wait for others.
                if draft.citations or sentence.citations:
                    for ready in held:
                        yield ready
                    held.clear()

    async def _quote(self, retrieved: Retrieved, draft: _Draft) -> AsyncGenerator[Sentence, None]:
        """Yield quotes of the passages, with joining words that the model chose.

        A model that was asked before for an answer is not asked again.
        """
        chosen = await anyio.to_thread.run_sync(self._quoter.choose, retrieved)
        if not chosen:
            return
        texts = self._quoter.texts(retrieved, chosen)
        joined = quotes.join_plainly(len(texts))
        if len(texts) > 1 and draft.asked is AnswerMode.EXTRACTIVE:
            cited = [retrieved.passages[q.candidate.passage].passage.chunk.id for q in chosen]
            draft.writing = Writing(cited, {})
            try:
                joined = await self._writer.join(retrieved, texts, draft.writing)
            except GeneratorError:
                # The quotes stand without the model; the answer says that no model joined them.
                draft.model = ""
        for sentence in self._quoter.say(retrieved, chosen, texts, joined):
            yield sentence

    async def _write(self, retrieved: Retrieved, draft: _Draft) -> AsyncGenerator[Sentence, None]:
        """Yield the model's own sentences that may be shown."""
        about = evidence.about(retrieved)
        passages = self._writer.fit(about)
        if not passages:
            return
        left_out = {
            "gives_orders": sum(one.orders for one in retrieved.passages),
            "about_others": sum(not one.orders for one in retrieved.passages) - len(about),
            "budget": len(about) - len(passages),
        }
        judge = Judge(retrieved=retrieved, passages=passages, bar=self._bar)
        if judge.hopeless:
            return
        draft.writing = Writing([p.passage.chunk.id for p in passages], left_out)
        draft.dropped = judge.dropped
        written = self._writer.write(retrieved, passages, draft.writing)
        async with aclosing(written):
            async for text in written:
                # In a thread, since models may be asked.
                if sentence := await anyio.to_thread.run_sync(judge.judge, text):
                    yield sentence
        draft.tried = not judge.declined

    def _answer(self, retrieved: Retrieved, draft: _Draft, screen: Screen) -> Answer:
        text = "".join(draft.parts).strip()
        model = draft.model
        return Answer(
            request_id=retrieved.request.request_id,
            text=text,
            mode=draft.mode,
            citations=tuple(draft.citations),
            refusal=draft.refusal,
            model=model,
            policy_digest=retrieved.scope.policy_digest,
            dropped_sentences=sum(draft.dropped.values()) - draft.count(SentenceKind.UNSUPPORTED),
            redactions=dict(screen.counts),
            usage=(draft.writing and draft.writing.usage) or Usage(),
            sentences=statements.of(text, draft.sentences, draft.refusal),
            passages=tuple(one.passage.chunk.id for one in retrieved.passages),
            weights=self._weights if model else ModelWeights(),
            question=self._asked(retrieved),
        )

    def _asked(self, retrieved: Retrieved) -> str:
        """Return what was searched by, for its reader, where earlier questions completed it."""
        if not retrieved.completed:
            return ""
        return self._privacy.reveal(retrieved.question.text, retrieved.scope)

    def _record_answer(self, retrieved: Retrieved, answer: Answer, draft: _Draft) -> None:
        details: dict[str, Json] = {
            "mode": str(answer.mode),
            "model": answer.model or None,
            "cited": [citation.chunk for citation in answer.citations],
            "dropped": dict(draft.dropped),
            "marked": draft.count(SentenceKind.UNSUPPORTED),
            "conflicts": draft.count(SentenceKind.CONFLICT),
            "gaps": draft.count(SentenceKind.GAP),
            "redactions": dict(answer.redactions),
            "refusal": answer.refusal,
        }
        action = Action.REFUSED if answer.refusal else Action.ANSWERED
        self._record_writing(retrieved, draft)
        record_event(
            self._audit,
            retrieved.request,
            retrieved.scope,
            action,
            Outcome.SUCCESS,
            details,
            {"answer": answer.text},
        )

    def _record_writing(self, retrieved: Retrieved, draft: _Draft) -> None:
        """Record which model wrote from which passages, where one did."""
        writing = draft.writing
        if writing is None:
            return
        details: dict[str, Json] = {
            "model": self._writer.model,
            "model_digest": self._weights.digest or None,
            "adapter": self._weights.adapter or None,
            "adapter_digest": self._weights.adapter_digest or None,
            "mode": str(draft.asked),
            "given": writing.given,
            "left_out": writing.left_out,
            "characters": writing.characters,
            "prompt_tokens": writing.usage.prompt if writing.usage else None,
            "completion_tokens": writing.usage.completion if writing.usage else None,
            "complete": writing.complete,
        }
        outcome = Outcome.SUCCESS if writing.complete or writing.hung_up else Outcome.FAILURE
        record_event(
            self._audit, retrieved.request, retrieved.scope, Action.GENERATED, outcome, details
        )
        draft.writing = None

    def _record_end(self, retrieved: Retrieved, draft: _Draft, error: BaseException) -> None:
        gone = isinstance(error, (GeneratorExit, asyncio.CancelledError))
        code = error.code if isinstance(error, PlatformError) else "internal"
        details: dict[str, Json] = {"pieces_sent": len(draft.parts)}
        if not gone:
            details["code"] = code
        # If the log itself is what failed, the error on its way out already says so.
        with contextlib.suppress(AuditError):
            self._record_writing(retrieved, draft)
            record_event(
                self._audit,
                retrieved.request,
                retrieved.scope,
                Action.ABANDONED if gone else Action.FAILED,
                Outcome.FAILURE,
                details,
                {"answer": "".join(draft.parts)[:LONGEST_ANSWER]},
            )


def _released(draft: _Draft, text: str, waiting: list[Citation]) -> Iterator[AnswerEvent]:
    """Yield the text that may leave, then the citations that waited for it."""
    if not text:
        return
    draft.parts.append(text)
    yield Delta(text)
    yield from map(Cited, waiting)
    waiting.clear()
