"""From a question to the passages that this principal may read for this purpose, on record."""

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from ragplatform.answer import followup, rank
from ragplatform.answer.beside import beside
from ragplatform.answer.cutting import Cutter
from ragplatform.answer.events import ShownPassage
from ragplatform.answer.finding import DATES, Finder, Found
from ragplatform.answer.salts import rights_digest
from ragplatform.answer.support import Evidence
from ragplatform.audit.details import unverified_id
from ragplatform.audit.events import Action, AuditEvent, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import DeniedError, InvalidRequestError, NotFoundError, PlatformError
from ragplatform.model import (
    Cleared,
    Decision,
    Hit,
    Json,
    Labels,
    Narrow,
    Passage,
    Principal,
    Purpose,
    Scope,
    Standing,
)
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act
from ragplatform.ports import (
    Catalog,
    Edition,
    Editions,
    Embedder,
    Index,
    Reranker,
    Standings,
    embedded_text,
)
from ragplatform.privacy.gate import ClearedQuestion, Privacy, Revealer
from ragplatform.privacy.tokens import entity_of, tokens_in

LONGEST_QUESTION = 4000
# An audit record has a bounded length; a register of many people names the first and counts all.
_MOST_SUBJECTS = 20
# Nobody may be missing from the account of who saw whose data: of an act that shows more people,
# further records name the rest.
_SUBJECTS_PER_RECORD = 1000
_LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One question of one principal for one purpose.

    ``collections`` and ``narrow`` narrow the search; None means all that policy permits. ``beside``
    is how many passages next to the best ones come as well, behind the ``limit``. ``trace`` is the
    W3C trace id that the caller gave, "" without one. ``history`` are the caller's earlier
    questions of this conversation, oldest first: they help to understand the question and never
    widen its scope.
    """

    principal: Principal
    purpose: Purpose
    question: str = field(repr=False)
    collections: frozenset[str] | None = None
    limit: int = 5
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    trace: str = ""
    beside: int = 0
    history: tuple[str, ...] = field(default=(), repr=False)
    narrow: Narrow | None = None

    def details(self) -> dict[str, Json]:
        """Return what a record says of the question beside its text."""
        asked: dict[str, Json] = {"number": self.limit}
        if self.collections is not None:
            asked["collections"] = sorted(self.collections)
        if self.narrow is not None:
            asked["filters"] = list(self.narrow.said())
        return asked

    @property
    def dated(self) -> bool:
        """Whether it is narrowed to a range of dates."""
        narrow = self.narrow
        return narrow is not None and (narrow.earliest is not None or narrow.latest is not None)

    def sealed(self) -> dict[str, str]:
        """Return what a record seals of the question: its text, and what it was narrowed to.

        A filter may name a patient or a client as well as the question's text does.
        """
        sealed = {"question": self.question.strip()}
        if self.narrow is not None:
            said = self.narrow.said()
            sealed["filters"] = json.dumps(said, ensure_ascii=False, sort_keys=True)
        return sealed


@dataclass(frozen=True, slots=True)
class ClearedPassage:
    """A passage cut into sentences that are cleared for one reader.

    ``ranges`` are the offsets of each sentence in the document's text, ``sentences`` its cleared
    text, equally long; ``evidence`` is what they say, taken apart once for all who ask. One that
    gives ``orders`` speaks to a model and not for an answer.
    """

    number: int
    passage: Passage
    ranges: tuple[tuple[int, int], ...]
    sentences: tuple[Cleared, ...] = field(repr=False)
    evidence: Evidence = field(repr=False, compare=False)
    orders: bool = False

    @property
    def texts(self) -> list[str]:
        """The cleared text of each sentence."""
        return [sentence.text for sentence in self.sentences]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What a search found, cleared for its reader and on record.

    ``question`` is in words that stand alone; ``completed`` says that earlier questions gave some
    of them. ``spelt`` and ``meant`` are pseudonyms that passages found hold, by which they name
    whom the question names (see ``ClearedQuestion``); who is spelt is meant.
    ``vector`` is by ``embedder``: with those of another it does not compare.
    """

    request: Request
    scope: Scope
    question: Cleared
    completed: bool
    spelt: frozenset[str]
    meant: frozenset[str]
    vector: Sequence[float] = field(repr=False)
    embedder: Embedder = field(repr=False)
    rights: str
    """What ``salts.rights_digest`` says of the moment of the search."""
    passages: tuple[ClearedPassage, ...]
    shown: tuple[ShownPassage, ...]
    reveal: Revealer = field(repr=False)
    """Gives titles and quotes of these passages as their reader may see them."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One passage that its reader may read, and by what right."""

    standing: Standing
    scope: Scope
    hit: Hit
    decision: Decision

    @property
    def passage(self) -> Passage:
        """The passage."""
        return self.hit.passage


class Retriever:
    """Runs the guarded part of the question's way; a refusal is raised before anything is sent."""

    def __init__(
        self,
        *,
        policies: Policies,
        privacy: Privacy,
        catalog: Catalog,
        standings: Standings,
        editions: Editions,
        audit: TenantLogs,
        reranker: Reranker | None = None,
        leave_out_orders: bool = True,
    ) -> None:
        """``reranker`` reads the first candidates again; None leaves their order as it is.

        ``leave_out_orders``: whether passages that speak to a model speak for no answer.
        """
        self._policies = policies
        self._privacy = privacy
        self._catalog = catalog
        self._standings = standings
        self._editions = editions
        self._audit = audit
        self._reranker = reranker
        self._leave_out_orders = leave_out_orders
        self._cutter = Cutter()
        # Feeds whose darkness this process has recorded: once each time is enough to raise alarm.
        self._dark: set[tuple[str, str]] = set()

    def retrieve(self, request: Request, action: Action) -> Retrieved:
        """Return the passages for the question, after recording who was about to see which.

        1. Ask how the caller stands to people now, and decide the scope. 2. Record the question,
        durable. 3. Refuse an empty scope, and filters by what is hidden. 4. Clear the question,
        embed it, weigh its terms. 5. Search under the scope and decide every hit again. 6. Record
        which passages will be shown, durable.

        Raises ``DeniedError`` for an empty scope, ``InvalidRequestError`` for a question that is
        empty or too long, ``AuditError`` when a record cannot be made: then nothing was done.
        """
        text = _text_of(request)
        standing = self._standings.standing(request.principal, request.purpose)  # 1
        classes = self._catalog.classes(request.principal.tenant)
        scope = self._scope(request, standing, classes)
        earlier = followup.needed(text, request.history, LONGEST_QUESTION)
        self._record_asked(request, standing, scope, action, (*earlier, text))  # 2
        self._require_answerable(request, scope)  # 3
        try:
            question, completed = self._understand(text, earlier, scope)  # 4
            edition = self._editions.current()
            vector, found, hits = self._search(request, standing, scope, edition, question)  # 5
            left_out = {"beyond_number": len(found.all) - len(hits)}
            kept = self._decide_again(request, standing, scope, hits)
            left_out["disagreed"] = len(hits) - len(kept)
            kept += self._beside(request, standing, scope, edition.index, kept, found.all)
            passages = self._cleared(kept, scope)
            reveal = self._revealer([hit.passage for hit, _ in kept], scope)
            shown = tuple(
                self._shown(hit.passage, scope, number, hit.score, reveal)
                for number, (hit, _) in enumerate(kept, 1)
            )
        except PlatformError as error:
            self._record(request, scope, Action.FAILED, Outcome.FAILURE, {"code": error.code})
            raise
        details = found.said() | {"left_out": left_out} | _speaking(passages)
        sealed = {"searched": question.text} if completed else None
        self._record_shown(request, standing, scope, kept, details=details, sealed=sealed)  # 6
        held = tokens_in(" ".join(text for hit, _ in kept for text in _texts(hit.passage)))
        return Retrieved(
            request=request,
            scope=scope,
            question=question.cleared,
            completed=completed,
            spelt=question.spelt & held,
            meant=(question.spelt | question.meant) & held,
            vector=vector,
            embedder=edition.embedder,
            rights=rights_digest(standing, classes),
            passages=passages,
            shown=shown,
            reveal=reveal,
        )

    def _search(
        self,
        request: Request,
        standing: Standing,
        scope: Scope,
        edition: Edition,
        question: ClearedQuestion,
    ) -> tuple[list[float], Found, list[Hit]]:
        """Return the question's vector, all that was found, and the best of it in order."""
        view = self._privacy.embed_view(question.text)
        vector = [float(value) for value in edition.embedder.embed([view])[0]]
        named = tokens_in(question.text)
        sought = rank.Sought(question.text, request.limit, named, question.meant, question.spelt)
        finder = self._finder(request, standing, scope, edition)
        found = finder.find(sought, vector, request.narrow)
        return vector, found, rank.best(found.hits, sought, self._judge(view), about=found.about)

    def _refuse(self, request: Request, scope: Scope) -> NoReturn:
        """Refuse a question whose asker may read nothing for its purpose, on record."""
        reason = self._policies.refusal_reason(request.principal, request.purpose)
        self._record(request, scope, Action.DENIED, Outcome.DENIED, {"reason": "empty scope"})
        raise DeniedError(reason)

    def _require_answerable(self, request: Request, scope: Scope) -> None:
        """Refuse, on record, who may read nothing, and who asks by what is hidden from them.

        To whom policy shows no dates a range of dates would tell them: by each empty result, one.
        """
        if scope.empty:
            self._refuse(request, scope)
        if request.dated and DATES not in scope.reveals:
            hidden: dict[str, Json] = {"reason": "dates are hidden"}
            self._record(request, scope, Action.DENIED, Outcome.DENIED, hidden)
            raise DeniedError("policy shows you no dates for this purpose: leave them out")

    def _understand(
        self, text: str, earlier: Sequence[str], scope: Scope
    ) -> tuple[ClearedQuestion, bool]:
        """Return the question cleared, in words that stand alone, and whether that changed it.

        All is cleared for the scope of now, so no earlier question can name whom this one may not.
        """
        asked = [self._privacy.clear_question(one, scope) for one in (*earlier, text)]
        last = asked[-1]
        whole = followup.complete(self._privacy, [one.cleared for one in asked])
        if whole.text == last.text:
            return last, False
        named = tokens_in(whole.text)
        told = [last] if tokens_in(last.text) else asked
        meant = frozenset[str]().union(*(one.meant for one in told))
        spelt = frozenset[str]().union(*(one.spelt for one in told))
        return ClearedQuestion(whole, meant - named, spelt - named), True

    def source(
        self, principal: Principal, purpose: Purpose, chunk: str, request_id: str, trace: str = ""
    ) -> ShownPassage:
        """Return one passage as the reader may see it, after recording that it is shown.

        Raises ``NotFoundError`` alike for a passage that does not exist and for one that the
        caller may not read.
        """
        request = Request(principal, purpose, "source", request_id=request_id, trace=trace)
        found = self.open(request, chunk, Action.SOURCE_VIEWED)
        # Decided again: it may have been for another purpose, or by a role that is gone.
        unmasked = frozenset(
            token
            for token in self._standings.unmasked(principal, chunk)
            if self._policies.decide_identifier(
                principal, Act.UNMASK, purpose, entity_of(token)
            ).allowed
        )
        shown = self.show(found.passage, found.scope, 1, None, unmasked)
        self._record_shown(
            request,
            found.standing,
            found.scope,
            [(found.hit, found.decision)],
            Action.SOURCE_VIEWED,
            unmasked=unmasked,
        )
        return shown

    def open(self, request: Request, chunk: str, action: Action) -> Opened:
        """Return one passage that the caller may read now; nothing of it is shown or recorded yet.

        Raises as ``source``; the record of a refusal says that ``action`` was denied.
        """
        standing = self._standings.standing(request.principal, request.purpose)
        scope = self._scope(request, standing, self._catalog.classes(request.principal.tenant))
        try:
            hit = None if scope.empty else self._editions.current().index.fetch(chunk, scope)
            kept = self._decide_again(request, standing, scope, [hit] if hit else [])
        except PlatformError as error:
            self._record(request, scope, Action.FAILED, Outcome.FAILURE, {"code": error.code})
            raise
        if not kept:
            self._record(request, scope, action, Outcome.DENIED, {"chunk": unverified_id(chunk)})
            raise NotFoundError("no such source, or not one that you may open for this purpose")
        return Opened(standing, scope, *kept[0])

    def show(
        self,
        passage: Passage,
        scope: Scope,
        number: int,
        score: float | None,
        unmasked: frozenset[str] = frozenset(),
    ) -> ShownPassage:
        """Return the passage in the form that the reader of ``scope`` may see.

        ``unmasked`` are single values that the reader may see in clear beyond the scope.
        """
        reveal = self._revealer([passage], scope)
        shown = self._shown(passage, scope, number, score, reveal)
        if not unmasked:
            return shown
        # Only in the text: what is unmasked is a value of the passage, not of its document.
        text = self._privacy.clear_passage(passage, scope).text
        return replace(shown, text=self._privacy.reveal(text, scope, unmasked))

    def _revealer(self, passages: Sequence[Passage], scope: Scope) -> Revealer:
        """Return what reveals the passages' texts, with one look into the vault for all."""
        return self._privacy.revealer((t for one in passages for t in _texts(one)), scope)

    def _shown(
        self, passage: Passage, scope: Scope, number: int, score: float | None, reveal: Revealer
    ) -> ShownPassage:
        chunk = passage.chunk
        text = self._privacy.clear_passage(passage, scope).text
        return ShownPassage(
            number=number,
            chunk=chunk.id,
            document=passage.document,
            title=reveal(passage.title),
            text=reveal(text),
            collection=passage.labels.collection,
            media_type=passage.media_type,
            page=chunk.page,
            page_end=chunk.page_end,
            page_label=chunk.label_of(chunk.page),
            page_end_label=chunk.label_of(chunk.page_end),
            start=chunk.start,
            end=chunk.end,
            heading=tuple(map(reveal, chunk.heading)),
            score=score,
            labels=passage.labels,
        )

    def _scope(self, request: Request, standing: Standing, classes: Mapping[str, Labels]) -> Scope:
        scope = self._policies.scope(standing, classes, collections=request.collections)
        tenant = request.principal.tenant
        dark = {(tenant, feed) for feed in standing.dark}
        for one in sorted(dark - self._dark):
            self._record(request, scope, Action.FEED_DARK, Outcome.FAILURE, {"feed": one[1]})
            self._dark.add(one)
        # One that is believed again and goes dark once more is a new alarm.
        self._dark -= {one for one in self._dark.copy() if one[0] == tenant} - dark
        return scope

    def _finder(
        self, request: Request, standing: Standing, scope: Scope, edition: Edition
    ) -> Finder:
        def readable(passages: Sequence[Passage]) -> list[Passage]:
            hits = [Hit(passage, 0.0) for passage in passages]
            kept = self._decide_again(request, standing, scope, hits)
            return [hit.passage for hit, _ in kept]

        return Finder(index=edition.index, weigher=edition.weigher, scope=scope, readable=readable)

    def _decide_again(
        self, request: Request, standing: Standing, scope: Scope, hits: Sequence[Hit]
    ) -> list[tuple[Hit, Decision]]:
        """Drop, and put on record, each hit on which verdict and filter disagree."""
        verdicts = self._policies.decide_passages(standing, [hit.passage for hit in hits])
        kept = []
        for hit, verdict in zip(hits, verdicts, strict=True):
            if verdict.allowed:
                kept.append((hit, verdict))
                continue
            # The filter let through what policy denies: an alarm, and nothing that anybody sees.
            details: dict[str, Json] = {
                "chunk": hit.passage.chunk.id,
                "document": hit.passage.document,
                "policies": list(verdict.policies),
                "errors": [error[:_LONGEST_ERROR] for error in verdict.errors],
            }
            subjects = hit.passage.subjects
            self._record(request, scope, Action.DISAGREED, Outcome.DENIED, details, None, subjects)
        return kept

    def _judge(self, question: str) -> rank.Judge | None:
        """Return what reads passages beside a question that is cleared for a model, or None."""
        reranker, seen = self._reranker, self._privacy.embed_view
        if reranker is None:
            return None
        return lambda found: reranker.judge(question, [seen(embedded_text(one)) for one in found])

    def _beside(
        self,
        request: Request,
        standing: Standing,
        scope: Scope,
        index: Index,
        kept: Sequence[tuple[Hit, Decision]],
        candidates: Iterable[Hit],
    ) -> list[tuple[Hit, Decision]]:
        """Return what stands next to the best passages, as far as it may be read by itself.

        The search has often brought it among the ``candidates``, under the same scope.
        """
        if request.narrow is not None and request.narrow.parts is not None:
            # Next to the part that was asked for stands another one.
            return []
        brought = {hit.passage.chunk.id: hit for hit in candidates}

        def fetch(name: str) -> Hit | None:
            return brought.get(name) or index.fetch(name, scope)

        found = beside([hit for hit, _ in kept], request.beside, fetch)
        return self._decide_again(request, standing, scope, found)

    def _cleared(
        self, kept: Sequence[tuple[Hit, Decision]], scope: Scope
    ) -> tuple[ClearedPassage, ...]:
        return tuple(self._clear(n, hit.passage, scope) for n, (hit, _) in enumerate(kept, 1))

    def _clear(self, number: int, passage: Passage, scope: Scope) -> ClearedPassage:
        chunk = passage.chunk
        cut = self._cutter.cut(chunk)
        cleared = self._privacy.clear_sentences(passage, cut.ranges, scope)
        return ClearedPassage(
            number=number,
            passage=passage,
            ranges=tuple((chunk.start + start, chunk.start + end) for start, end in cut.ranges),
            sentences=cleared,
            evidence=Evidence([sentence.text for sentence in cleared]),
            orders=self._leave_out_orders and cut.orders,
        )

    def _record(
        self,
        request: Request,
        scope: Scope,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        details: dict[str, Json] | None = None,
        sealed: dict[str, str] | None = None,
        subjects: Collection[str] = (),
    ) -> None:
        event = event_about(request, scope, action, outcome, details, sealed, subjects)
        self._audit.append(event)

    def _record_asked(
        self,
        request: Request,
        standing: Standing,
        scope: Scope,
        action: Action,
        texts: Sequence[str],
    ) -> None:
        """Record the question, the last of the texts, with the earlier ones that it may need."""
        earlier = texts[:-1]
        details = said(standing) | request.details()
        sealed = request.sealed()
        if earlier:
            details["earlier"] = len(earlier)
            sealed["earlier"] = "\n".join(earlier)
        self._record(request, scope, action, details=details, sealed=sealed)

    def _record_shown(
        self,
        request: Request,
        standing: Standing,
        scope: Scope,
        kept: Sequence[tuple[Hit, Decision]],
        action: Action = Action.RETRIEVED,
        *,
        unmasked: frozenset[str] = frozenset(),
        details: Mapping[str, Json] | None = None,
        sealed: dict[str, str] | None = None,
    ) -> None:
        """Record the passages, and how many values of each type are shown in clear in them.

        An answer reveals no pseudonym that is not in its passages or its question. What is shown
        under a broken glass goes before its reviewers too. Every subject stands in a record.
        """
        passages = [hit.passage for hit, _ in kept]
        texts = [text for passage in passages for text in _texts(passage)]
        told: dict[str, Json] = {
            "passages": [_named(hit, verdict) for hit, verdict in kept],
            "revealed": self._privacy.revealed(texts, scope, unmasked),
            **said(standing),
            **(details or {}),
        }
        subjects = frozenset[str]().union(*(passage.subjects for passage in passages))
        everybody = sorted(subjects)
        for start in range(0, max(1, len(everybody)), _SUBJECTS_PER_RECORD):
            some = everybody[start : start + _SUBJECTS_PER_RECORD]
            part: dict[str, Json] = {"part": start // _SUBJECTS_PER_RECORD + 1}
            self._record(
                request,
                scope,
                action,
                Outcome.SUCCESS,
                part if start else told,
                None if start else sealed,
                some,
            )
        self._standings.note_use(standing, request.request_id, subjects)


def _text_of(request: Request) -> str:
    text = request.question.strip()
    if not text or len(text) > LONGEST_QUESTION:
        raise InvalidRequestError(f"question: wanted 1 to {LONGEST_QUESTION} characters")
    return text


def event_about(
    request: Request,
    scope: Scope,
    action: Action,
    outcome: Outcome,
    details: dict[str, Json] | None = None,
    sealed: dict[str, str] | None = None,
    subjects: Collection[str] = (),
) -> AuditEvent:
    """Return one event of the request, to be recorded."""
    return event_of(
        request.principal,
        action,
        outcome,
        request_id=request.request_id,
        trace=request.trace,
        purpose=str(request.purpose),
        policy=scope.policy_digest,
        subjects=subjects,
        details={"scope": scope.key, **(details or {})},
        sealed=sealed,
    )


def said(standing: Standing) -> dict[str, Json]:
    """Return what a record says of a standing: glasses in force, and feeds not believed."""
    details: dict[str, Json] = {}
    if standing.glass:
        details["glass"] = list(standing.glass)
    if standing.dark:
        details["dark"] = list(standing.dark)
    return details


def _texts(passage: Passage) -> Iterator[str]:
    """Yield all text of a passage that its reader sees."""
    yield from (passage.title, passage.chunk.text, *passage.chunk.heading)


def _named(hit: Hit, verdict: Decision) -> Json:
    passage = hit.passage
    return {
        "chunk": passage.chunk.id,
        "document": passage.document,
        "generation": passage.generation,
        "access_class": passage.access_class,
        "subjects": sorted(passage.subjects)[:_MOST_SUBJECTS],
        "subjects_total": len(passage.subjects),
        "policies": list(verdict.policies),
    }


def _speaking(passages: Sequence[ClearedPassage]) -> dict[str, Json]:
    """Return what a record says of passages that speak to a model, where there are any."""
    orders = [one.passage.chunk.id for one in passages if one.orders]
    return {"orders": orders} if orders else {}
