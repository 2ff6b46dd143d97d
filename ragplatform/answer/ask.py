"""From passages to an answer: generated or quoted, checked, screened, recorded, then released."""

import asyncio
import contextlib
import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final as Constant
from typing import NoReturn

import anyio.to_thread

from ragplatform.answer import exits, prompt, quotes, support
from ragplatform.answer.events import AnswerEvent, Cited, Delta, Final, Sources
from ragplatform.answer.retrieve import (
    ClearedPassage,
    Request,
    Retrieved,
    Retriever,
    record_event,
)
from ragplatform.answer.sentences import SentenceStream
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import AuditError, GeneratorError, PlatformError, UnsafeAnswerError
from ragplatform.model import Answer, AnswerMode, Citation, Cleared, Json, ModelWeights
from ragplatform.ports import Generator
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.screen import Screen
from ragplatform.privacy.tokens import entity_of, tokens_in

# What one audit record can seal, with room for any script of the world. A longer answer could be
# shown and not recorded.
_LONGEST_ANSWER: Constant = 12_000
_DECLINED: Constant = re.compile(r"^the passages do not (?:say|answer|mention|contain)", re.I)


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How long an answer and its prompt may be. ``prompt_characters`` bounds the passages."""

    max_tokens: int
    prompt_characters: int


@dataclass(slots=True)
class _Writing:
    """What went to the model, by passage, and how much came back."""

    given: list[str]
    left_out: dict[str, int]
    characters: int = 0
    complete: bool = False


@dataclass(slots=True)
class _Draft:
    """What has been released so far of one answer."""

    asked: AnswerMode
    """How it was to be made; a refusal changes only ``mode``."""
    mode: AnswerMode
    model: str
    wall: exits.Wall
    parts: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    refusal: str | None = None
    unfinished: bool = True
    """Whether the screen still holds the end back; until it lets go, no piece is the last."""
    writing: _Writing | None = None
    """What is not on record yet of the model's part; None where it had none."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One supported sentence, not yet screened, and what it cites."""

    text: str
    citations: tuple[Citation, ...]


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
        weights: ModelWeights,
    ) -> None:
        self._retriever = retriever
        self._privacy = privacy
        self._generator = generator
        self._audit = audit
        self._limits = limits
        self._salt_key = salt_key
        self._weights = weights

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
        draft = _Draft(mode, mode, self._generator.model, exits.Wall(self._canary(retrieved)))
        screen = self._privacy.screen(
            retrieved.scope, known=_known(retrieved), withheld=exits.carries
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
                    if draft.unfinished and mode is AnswerMode.ABSTRACTIVE:
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
        if draft.mode is AnswerMode.EXTRACTIVE:
            sentences = self._quote(retrieved, draft)
        else:
            sentences = self._write(retrieved, draft)
        waiting: list[Citation] = []
        async with aclosing(sentences):
            async for sentence in sentences:
                waiting += [c for c in sentence.citations if c not in draft.citations]
                draft.citations += [c for c in waiting if c not in draft.citations]
                released = await anyio.to_thread.run_sync(screen.feed, sentence.text)
                released = await self._past_the_wall(retrieved, draft, released)
                for event in _released(draft, released, waiting):
                    yield event
        draft.unfinished = False
        released = await anyio.to_thread.run_sync(screen.finish)
        released = await self._past_the_wall(retrieved, draft, released)
        for event in _released(draft, released, waiting):
            yield event
        if not draft.citations:
            draft.refusal = "not_supported" if retrieved.passages else "no_passage"
            draft.mode = AnswerMode.REFUSAL
            text = prompt.REFUSALS[draft.refusal]
            draft.parts = [text]
            yield Delta(text)

    async def _quote(self, retrieved: Retrieved, draft: _Draft) -> AsyncGenerator[_Sentence, None]:
        """Yield quotes of the passages, with joining words that the model chose."""
        chosen = await anyio.to_thread.run_sync(self._choose, retrieved)
        if not chosen:
            return
        texts = [self._citable(retrieved, quote) for quote in chosen]
        cited = [retrieved.passages[q.candidate.passage].passage.chunk.id for q in chosen]
        joined = await self._join(retrieved, texts, draft, cited)
        for piece in quotes.pieces(joined):
            if isinstance(piece, str):
                yield _Sentence(piece, ())
                continue
            quote = chosen[piece - 1]
            passage = retrieved.passages[quote.candidate.passage]
            citation = self._cite(retrieved, passage, quote.candidate.sentence, quote.last)
            yield _Sentence(f"{texts[piece - 1].text} [{passage.number}]", (citation,))

    def _choose(self, retrieved: Retrieved) -> list[quotes.Quote]:
        named = tokens_in(retrieved.question.text)
        candidates = [
            quotes.Candidate(passage.number - 1, n, text)
            for passage in _about(named, retrieved.meant, retrieved.passages)
            for n, text in enumerate(passage.texts)
            if not _about_others(named | retrieved.meant, text)
            and not exits.fault(text, text, retrieved.scope.reveals)
        ]
        question = retrieved.question.text
        titles = [passage.passage.title for passage in retrieved.passages]
        return quotes.choose(
            question, retrieved.vector, candidates, retrieved.embedder, titles=titles
        )

    def _citable(self, retrieved: Retrieved, quote: quotes.Quote) -> Cleared:
        """Return the quote with the document's own bracketed numbers in parentheses.

        A paper's reference mark like [12] would read as a citation of ours that points nowhere.
        """
        passage = retrieved.passages[quote.candidate.passage]
        whole = self._privacy.join(
            passage.sentences[quote.candidate.sentence : quote.last + 1], " "
        )
        text = re.sub(r"\[(\d{1,3})\]", r"(\1)", " ".join(whole.text.split()))
        return self._privacy.excerpt(text, whole)

    async def _join(
        self, retrieved: Retrieved, texts: Sequence[Cleared], draft: _Draft, given: list[str]
    ) -> str:
        plain = quotes.join_plainly(len(texts))
        if len(texts) == 1:
            return plain
        parts = [
            self._privacy.compose(prompt.QUOTE, number=n, text=text)
            for n, text in enumerate(texts, 1)
        ]
        pattern = quotes.joining_pattern(len(texts))
        joined = ""
        draft.writing = writing = _Writing(given, {})
        try:
            async for piece in self._generate(retrieved, writing, prompt.JOIN, parts, pattern):
                joined += piece
        except GeneratorError:
            # The quotes stand without the model; the answer says that no model joined them.
            draft.model = ""
            return plain
        # A server that ignores the pattern must not get a word of its own into the answer.
        return joined if re.fullmatch(pattern, joined) else plain

    async def _write(self, retrieved: Retrieved, draft: _Draft) -> AsyncGenerator[_Sentence, None]:
        """Yield the model's own sentences that the passages support."""
        named = tokens_in(retrieved.question.text)
        about = _about(named, retrieved.meant, retrieved.passages)
        passages = self._fit(about)
        if not passages:
            return
        left_out = {
            "about_others": len(retrieved.passages) - len(about),
            "budget": len(about) - len(passages),
        }
        draft.writing = writing = _Writing([p.passage.chunk.id for p in passages], left_out)
        fence = self._salt(retrieved)[:8]
        parts = [
            self._privacy.compose(
                prompt.PASSAGE,
                fence=fence,
                number=p.number,
                text=self._privacy.join(p.sentences, "\n"),
            )
            for p in passages
        ]
        parts.append(self._privacy.compose(prompt.QUESTION, question=retrieved.question))
        cutter = SentenceStream()
        instructions = prompt.WRITE + prompt.CANARY.format(canary=self._canary(retrieved))
        async with aclosing(self._generate(retrieved, writing, instructions, parts)) as stream:
            async for piece in stream:
                for text in cutter.feed(piece):
                    if sentence := self._judge(retrieved, passages, text, draft):
                        yield sentence
        for text in cutter.finish():
            # A last sentence without its end was cut off by the token limit.
            whole = text.rstrip().endswith((".", "!", "?", "]", '"'))
            if whole and (sentence := self._judge(retrieved, passages, text, draft)):
                yield sentence

    def _fit(self, passages: Sequence[ClearedPassage]) -> list[ClearedPassage]:
        """Return the best passages that fit the prompt's budget, best first."""
        fitting, left = [], self._limits.prompt_characters
        for passage in passages:
            left -= sum(len(text) + 1 for text in passage.texts)
            if left < 0:
                break
            fitting.append(passage)
        return fitting

    def _judge(
        self, retrieved: Retrieved, passages: Sequence[ClearedPassage], text: str, draft: _Draft
    ) -> _Sentence | None:
        """Return the sentence with the citation that supports it, or None and count why not."""
        claim = support.without_citations(text).strip()
        # A question handed back claims nothing, and a heading would seem to support it.
        if not claim or claim.endswith("?") or _DECLINED.search(claim):
            return None
        wanted = set(support.cited(text))
        # The passage that the model names is tried first; a wrong number is mended, not trusted.
        for group in ([p for p in passages if p.number in wanted], passages):
            texts = [p.texts for p in group]
            at, verdict = support.best(claim, texts, retrieved.question.text)
            if verdict.supported:
                break
        evidence = " ".join(group[at].texts)
        failed = exits.fault(claim, evidence, retrieved.scope.reveals) or verdict.failed
        if claim.casefold() in draft.said:
            failed = "repeated"
        if failed:
            draft.dropped[failed] = draft.dropped.get(failed, 0) + 1
            return None
        draft.said.add(claim.casefold())
        passage = group[at]
        citation = self._cite(retrieved, passage, verdict.first, verdict.last)
        space = " " if draft.citations else ""
        return _Sentence(f"{space}{claim} [{passage.number}]", (citation,))

    async def _generate(
        self,
        retrieved: Retrieved,
        writing: _Writing,
        instructions: str,
        parts: Sequence[Cleared],
        pattern: str | None = None,
    ) -> AsyncGenerator[str, None]:
        stream = self._generator.stream(
            instructions,
            self._privacy.join(parts),
            cache_salt=self._salt(retrieved),
            max_tokens=self._limits.max_tokens,
            pattern=pattern,
        )
        leak, written = exits.Leak(self._canary(retrieved)), ""
        async for piece in stream:
            writing.characters += len(piece)
            if writing.characters > _LONGEST_ANSWER:
                raise GeneratorError("the model server wrote more than it was asked for")
            written += piece
            if leak.found_in(piece):
                await self._cut(retrieved, "canary", "written", written)
            yield piece
        writing.complete = True

    async def _past_the_wall(self, retrieved: Retrieved, draft: _Draft, text: str) -> str:
        """Return the text as it may leave; see ``exits.Wall``. Raises ``UnsafeAnswerError``."""
        mended = draft.wall.mended(text)
        if found := draft.wall.stops(mended):
            await self._cut(retrieved, found, "leaving", "".join(draft.parts) + mended)
        return mended

    async def _cut(self, retrieved: Retrieved, found: str, where: str, text: str) -> NoReturn:
        """Record the alarm, with the text sealed, and end the answer."""
        details: dict[str, Json] = {"found": found, "where": where, "model": self._generator.model}
        sealed = {"answer": text[-_LONGEST_ANSWER:]}
        record = partial(
            record_event, self._audit, retrieved.request, retrieved.scope, Action.EXIT_BLOCKED,
            Outcome.DENIED, details, sealed,
        )  # fmt: skip
        await anyio.to_thread.run_sync(record, abandon_on_cancel=False)
        raise UnsafeAnswerError("the model wrote what may not leave; the answer was cut off there")

    def _canary(self, retrieved: Retrieved) -> str:
        return exits.canary(self._salt_key, retrieved.scope.key)

    def _salt(self, retrieved: Retrieved) -> str:
        """Return a salt that only equal rights share, so that cache timing tells nobody else."""
        return hmac.new(self._salt_key, retrieved.scope.key.encode(), hashlib.sha256).hexdigest()

    def _cite(
        self, retrieved: Retrieved, passage: ClearedPassage, first: int, last: int
    ) -> Citation:
        quote = " ".join(" ".join(passage.texts[first : last + 1]).split())
        chunk = passage.passage.chunk
        return Citation(
            number=passage.number,
            chunk=chunk.id,
            document=passage.passage.document,
            title=self._privacy.reveal(passage.passage.title, retrieved.scope),
            page=chunk.page_at(passage.ranges[first][0] - chunk.start),
            start=passage.ranges[first][0],
            end=passage.ranges[last][1],
            quote=self._privacy.reveal(quote, retrieved.scope),
        )

    def _answer(self, retrieved: Retrieved, draft: _Draft, screen: Screen) -> Answer:
        return Answer(
            request_id=retrieved.request.request_id,
            text="".join(draft.parts).strip(),
            mode=draft.mode,
            citations=tuple(draft.citations),
            refusal=draft.refusal,
            model=draft.model,
            policy_digest=retrieved.scope.policy_digest,
            dropped_sentences=sum(draft.dropped.values()),
            redactions=dict(screen.counts),
        )

    def _record_answer(self, retrieved: Retrieved, answer: Answer, draft: _Draft) -> None:
        details: dict[str, Json] = {
            "mode": str(answer.mode),
            "model": answer.model or None,
            "cited": [citation.chunk for citation in answer.citations],
            "dropped": dict(draft.dropped),
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
            "model": self._generator.model,
            "model_digest": self._weights.digest or None,
            "adapter": self._weights.adapter or None,
            "adapter_digest": self._weights.adapter_digest or None,
            "mode": str(draft.asked),
            "given": writing.given,
            "left_out": writing.left_out,
            "characters": writing.characters,
            "complete": writing.complete,
        }
        outcome = Outcome.SUCCESS if writing.complete else Outcome.FAILURE
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
                {"answer": "".join(draft.parts)[:_LONGEST_ANSWER]},
            )


def _released(draft: _Draft, text: str, waiting: list[Citation]) -> Iterator[AnswerEvent]:
    """Yield the text that may leave, then the citations that waited for it."""
    if not text:
        return
    draft.parts.append(text)
    yield Delta(text)
    yield from map(Cited, waiting)
    waiting.clear()


def _known(retrieved: Retrieved) -> frozenset[str]:
    """Return the pseudonyms of the evidence: no other may come out as a name."""
    texts = [retrieved.question.text, *(t for p in retrieved.passages for t in p.texts)]
    return frozenset[str]().union(*(tokens_in(text) for text in texts))


def _about(
    named: frozenset[str], meant: frozenset[str], passages: Sequence[ClearedPassage]
) -> Sequence[ClearedPassage]:
    """Return the passages about whom the question names, if there are any.

    They are those of documents that name the person, and those about the same one subject, since
    few passages of a long letter repeat the name. The right words about the wrong patient are
    worse than no answer. Only where nobody is named as in the question does it count whom else the
    question may mean.
    """
    held = [tokens_in(" ".join(p.texts)) for p in passages]
    if not any(named & tokens for tokens in held):
        named = meant
    naming = [p.passage for p, tokens in zip(passages, held, strict=True) if named & tokens]
    documents = {passage.document for passage in naming}
    subjects = {passage.subjects for passage in naming if len(passage.subjects) == 1}
    found = [
        p for p in passages if p.passage.document in documents or p.passage.subjects in subjects
    ]
    return found or passages


def _about_others(named: frozenset[str], sentence: str) -> bool:
    """Return whether the sentence names people, and none of whom the question names."""
    people = {token for token in tokens_in(sentence) if entity_of(token) == "PERSON"}
    asked = {token for token in named if entity_of(token) == "PERSON"}
    return bool(people and asked) and not people & asked
