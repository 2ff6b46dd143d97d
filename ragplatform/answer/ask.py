"""From passages to an answer: generated or quoted, checked, screened, recorded, then released."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import date
from functools import partial

import anyio.to_thread

from ragplatform.answer import evidence, exits, quotes, statements
from ragplatform.answer.alarm import ExitAlarm
from ragplatform.answer.events import AnswerEvent, Delta, Final, Sources
from ragplatform.answer.judging import Bar, Judge, Sentence
from ragplatform.answer.quoting import Quoter
from ragplatform.answer.releasing import Draft, Releasing
from ragplatform.answer.retrieve import Request, Retrieved, Retriever, event_about
from ragplatform.answer.writing import LONGEST_ANSWER, AnswerLimits, Writer, Writing
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import AuditError, GeneratorError, PlatformError
from ragplatform.model import Answer, AnswerMode, Json, ModelWeights, SentenceKind, Usage
from ragplatform.ports import Generator
from ragplatform.privacy.gate import Privacy

__all__ = ["AnswerLimits", "Answerer"]


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
        model writes leaves by the sentence before that; quotes are all there at once, and wait. An
        answer that breaks off is recorded as failed or, when the caller went away, as abandoned.
        """
        draft = Draft(mode, mode, self._writer.model)
        out = self._releasing(retrieved, draft)
        try:
            yield Sources(retrieved.shown)
            held: list[AnswerEvent] = []
            async with aclosing(self._made(retrieved, draft, out)) as together:
                async for sentences in together:
                    # In a thread, since models may be asked.
                    held += await anyio.to_thread.run_sync(out.take, sentences)
                    # The screen holds the end of what it has read back, so no piece is the last.
                    while held and draft.mode is AnswerMode.ABSTRACTIVE:
                        event = held.pop(0)
                        if isinstance(event, Delta):
                            draft.parts.append(event.text)
                        yield event
            end = partial(self._end, retrieved, draft, out, held)
            answer = await anyio.to_thread.run_sync(end, abandon_on_cancel=False)
            for event in held:
                yield event
            yield Final(answer)
        except BaseException as error:
            # Whatever ends the stream early, what was already shown must be on record.
            self._record_end(retrieved, draft, error)
            raise

    def _releasing(self, retrieved: Retrieved, draft: Draft) -> Releasing:
        return Releasing(
            privacy=self._privacy,
            alarm=self._alarm,
            retrieved=retrieved,
            draft=draft,
            screen=self._privacy.screen(
                retrieved.scope, known=evidence.known(retrieved), withheld=exits.carries
            ),
            wall=exits.Wall(self._writer.canary(retrieved)),
        )

    def _end(
        self, retrieved: Retrieved, draft: Draft, out: Releasing, held: list[AnswerEvent]
    ) -> Answer:
        """Add the rest of the answer to what is held, and return the whole, which is on record."""
        held += out.finish()
        rest = (event.text for event in held if isinstance(event, Delta))
        text = "".join((*draft.parts, *rest)).strip()
        answer = self._answer(retrieved, draft, text, out.redactions)
        self._record_answer(retrieved, answer, draft)
        return answer

    async def _made(
        self, retrieved: Retrieved, draft: Draft, out: Releasing
    ) -> AsyncGenerator[Iterable[Sentence], None]:
        """Yield what may be said.

        Where a model wrote nothing that a passage says, the passages are quoted instead, and the
        mode says so; not where it declined to answer.
        """
        quoting = draft.mode is AnswerMode.EXTRACTIVE
        async with aclosing((self._quote if quoting else self._write)(retrieved, draft)) as made:
            async for sentences in made:
                yield sentences
        if not draft.tried or draft.citations:
            return
        async with aclosing(self._quote(retrieved, draft)) as made:
            async for sentences in made:
                out.forget_unsupported()
                draft.mode, draft.model = AnswerMode.EXTRACTIVE, ""
                yield sentences

    async def _quote(
        self, retrieved: Retrieved, draft: Draft
    ) -> AsyncGenerator[Iterable[Sentence], None]:
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
        yield self._quoter.say(retrieved, chosen, texts, joined)

    async def _write(
        self, retrieved: Retrieved, draft: Draft
    ) -> AsyncGenerator[Iterable[Sentence], None]:
        """Yield the model's own sentences that may be shown, each judged when it is taken."""
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
            async for texts in written:
                yield filter(None, map(judge.judge, texts))
        draft.tried = not judge.declined

    def _answer(
        self, retrieved: Retrieved, draft: Draft, text: str, redactions: Mapping[str, int]
    ) -> Answer:
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
            redactions=dict(redactions),
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

    def _record_answer(self, retrieved: Retrieved, answer: Answer, draft: Draft) -> None:
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
        sealed = {"answer": answer.text}
        about = (retrieved.request, retrieved.scope)
        ended = event_about(*about, action, Outcome.SUCCESS, details, sealed)
        self._record(retrieved, draft, ended)

    def _record(self, retrieved: Retrieved, draft: Draft, ended: AuditEvent) -> None:
        """Record how the answer ended, behind who wrote it: both by one sync."""
        written = [] if draft.writing is None else [self._written(retrieved, draft, draft.writing)]
        self._audit.append_together([*written, ended])
        draft.writing = None

    def _written(self, retrieved: Retrieved, draft: Draft, writing: Writing) -> AuditEvent:
        """Return what says which model wrote from which passages."""
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
        about = (retrieved.request, retrieved.scope)
        return event_about(*about, Action.GENERATED, outcome, details)

    def _record_end(self, retrieved: Retrieved, draft: Draft, error: BaseException) -> None:
        gone = isinstance(error, (GeneratorExit, asyncio.CancelledError))
        code = error.code if isinstance(error, PlatformError) else "internal"
        details: dict[str, Json] = {"pieces_sent": len(draft.parts)}
        if not gone:
            details["code"] = code
        # If the log itself is what failed, the error on its way out already says so.
        with contextlib.suppress(AuditError):
            action = Action.ABANDONED if gone else Action.FAILED
            sealed = {"answer": "".join(draft.parts)[:LONGEST_ANSWER]}
            about = (retrieved.request, retrieved.scope)
            ended = event_about(*about, action, Outcome.FAILURE, details, sealed)
            self._record(retrieved, draft, ended)
