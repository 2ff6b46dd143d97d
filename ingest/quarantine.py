"""The quarantine's desk: people look at what was put aside and decide, each on record.

Each act follows the same order. 1. Policy lets the person act. 2. The act fits the item as it is.
3. It is recorded, durable; without a record nothing happens. 4. It happens. Nobody is ever shown
what was put aside in clear, and nobody lets it in alone.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from ingest.aside import Aside, Contents, Item, ItemState
from ingest.by_hand import given, opens, put_on_again, relabelled
from ingest.ledger import Ledger, State
from ingest.prepare import Parser
from ingest.quarantine_rules import Rule, RuleAct, maskable, waivable, written
from ingest.report import FileResult
from ragplatform.access.desk import Caller
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.reasons import required_reason
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import (
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    QuarantinedError,
)
from ragplatform.model import Json, Labels, Span
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.policy.questions import Action as Act
from ragplatform.privacy.gate import Privacy

# A hundred ids of documents fit one record.
_NAMED: Final = 100
_SHORTEST_ID: Final = 6
_RULE_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Shown:
    """An item with what may be seen of it.

    ``name`` and ``text`` have ``[TYPE]`` in place of all that was found. ``text`` is None for what
    cannot or must not be read; ``found`` counts values by type, ``held_by`` those that keep it out.
    """

    item: Item
    name: str
    detail: str
    asked_why: str = field(repr=False)
    text: str | None
    characters: int
    found: Mapping[str, int]
    held_by: frozenset[str]


class TakeIn(Protocol):
    """Takes in what was put aside of one tenant and collection, or sees to it that it is."""

    def __call__(self, items: Sequence[Item]) -> list[FileResult]:
        """Return what became of each so far, in order. Raises ``UnavailableError``."""


class Quarantine:
    """Decides on what ingest put aside, for one caller at a time."""

    def __init__(
        self,
        *,
        aside: Aside,
        catalog: SqlCatalog,
        ledger: Ledger,
        policies: Policies,
        privacy: Privacy,
        parser: Parser,
        audit: TenantLogs,
        why_kept: Callable[[Item], str | None],
        take_in: TakeIn,
        now: Callable[[], datetime],
        approval: timedelta,
    ) -> None:
        """``why_kept`` says why an item may not be destroyed, or None: it may.

        ``approval`` is how long the second person has.
        """
        self._aside = aside
        self._catalog = catalog
        self._ledger = ledger
        self._policies = policies
        self._privacy = privacy
        self._parser = parser
        self._audit = audit
        self._why_kept = why_kept
        self._take_in = take_in
        self._now = now
        self._approval = approval

    def items(
        self,
        caller: Caller,
        *,
        collection: str | None = None,
        reason: str | None = None,
        state: ItemState | None = None,
    ) -> list[Item]:
        """Return what is put aside of the caller's tenant, the oldest first; on record.

        Raises ``DeniedError``.
        """
        self._require(caller, Act.REVIEW_QUARANTINE)
        self._tidy(caller.principal.tenant)
        found = self._aside.items(
            caller.principal.tenant, collection=collection, reason=reason, state=state
        )
        details: dict[str, Json] = {"items": len(found), "collection": collection}
        self._record(caller, Action.QUARANTINE_READ, details)
        return found

    def show(self, caller: Caller, document: str, *, characters: int) -> Shown:
        """Return why a document is here and up to so many characters of it, masked; on record.

        Raises ``DeniedError``, ``NotFoundError``, ``DetectorError`` rather than show a text that
        was not searched.
        """
        self._require(caller, Act.REVIEW_QUARANTINE)
        item = self._item(caller, document)
        shown = self._shown(item, characters)
        details: dict[str, Json] = {
            "document": item.document,
            "found": dict(shown.found),
            "characters": len(shown.text or ""),
        }
        self._record(caller, Action.QUARANTINE_READ, details, subjects=item.subjects)
        return shown

    def release(self, caller: Caller, document: str, reason: str) -> Item:
        """Ask that a document be let in although policy would keep it out.

        It holds for this version of the document and this pipeline. A second person approves it
        within the time. Raises ``DeniedError``, ``NotFoundError``, and ``InvalidRequestError`` for
        what cannot be let in, or is asked for already.
        """
        self._require(caller, Act.RELEASE_QUARANTINE)  # 1
        why, item = required_reason(reason), self._item(caller, document)
        if not waivable(item.reason):  # 2
            raise InvalidRequestError(
                f"what was put aside as {item.reason} cannot be let in: reject it, give it other "
                "labels, or mend its source"
            )
        self._require_undecided(item)
        waives = self._shown(item, 0).held_by
        until = self._now() + self._approval
        details: dict[str, Json] = {
            **_named(Act.RELEASE_QUARANTINE, item),
            "waives": sorted(waives),
            "ends": until.isoformat(),
        }
        self._decide(caller, details, item.subjects, why)  # 3
        by = caller.principal.id
        if not self._aside.ask(item, by=by, why=why, waives=waives, until=until):  # 4
            raise self._changed(caller, details, item.subjects)
        return self._item(caller, item.document)

    def approve(self, caller: Caller, document: str, reason: str) -> list[FileResult]:
        """Agree as the second person, and take the document in.

        Raises ``DeniedError`` for who asked and for who put the document in, ``NotFoundError``,
        ``InvalidRequestError`` when nobody asked in time or the item changed meanwhile.
        """
        self._require(caller, Act.RELEASE_QUARANTINE)  # 1
        why, item = required_reason(reason), self._item(caller, document)
        if item.state is not ItemState.ASKED or self._over(item):  # 2
            raise InvalidRequestError(
                "nobody asks for its release now: ask for it first, and let another person approve"
            )
        if caller.principal.id in {item.asked_by, item.put_by}:
            refused: dict[str, Json] = {"act": "approve", "reason": "own work"}
            self._record(caller, Action.DENIED, refused, Outcome.DENIED, item.subjects)
            raise DeniedError("nobody approves what they asked for, or put in, themselves")
        details: dict[str, Json] = {
            **_named("approve", item),
            "waives": sorted(item.waives),
            "asked_by": item.asked_by,
        }
        self._decide(caller, details, item.subjects, why)  # 3
        if not self._aside.approve(item, by=caller.principal.id):  # 4
            raise self._changed(caller, details, item.subjects)
        return self._again([item])

    def reject(self, caller: Caller, document: str, reason: str) -> None:
        """Destroy a document's bytes; the same ones are not put aside again.

        Raises ``DeniedError`` also for what the law or a hold keeps, ``NotFoundError``,
        ``InvalidRequestError``.
        """
        self._require(caller, Act.REVIEW_QUARANTINE)  # 1
        why, item = required_reason(reason), self._item(caller, document)
        if item.state is ItemState.REJECTED:  # 2
            raise InvalidRequestError("it was rejected already")
        if kept := self._why_kept(item):
            refused: dict[str, Json] = {"act": "reject", "reason": "has to be kept"}
            self._record(caller, Action.DENIED, refused, Outcome.DENIED, item.subjects)
            raise DeniedError(f"it cannot be destroyed: {kept}")
        details = _named("reject", item)
        self._decide(caller, details, item.subjects, why)  # 3
        if not self._aside.reject(item, by=caller.principal.id):  # 4
            raise self._changed(caller, details, item.subjects)
        self._ledger.reject(item.tenant, item.collection, item.source_key)

    def relabel(
        self, caller: Caller, document: str, changes: Mapping[str, Json], reason: str
    ) -> list[FileResult]:
        """Give a document other labels, which outlive those of its source, and try it again.

        Policy must permit the new labels. The old ones never held for a reader, and may be what it
        was put aside for. What a hold keeps is not opened further. Raises ``DeniedError``,
        ``NotFoundError``, ``InvalidRequestError`` for a label that is none.
        """
        self._require(caller, Act.REVIEW_QUARANTINE)  # 1
        why, item = required_reason(reason), self._item(caller, document)
        by_hand = given(item.labels, self._catalog.labels_by_hand(item.document), changes)
        after = relabelled(put_on_again(item.labels, by_hand), changes)  # 2
        self._require_relabel(caller, after)
        if opens(item.labels, after) and (kept := self._why_kept(item)):
            refused: dict[str, Json] = {"act": "relabel", "reason": "has to be kept"}
            self._record(caller, Action.DENIED, refused, Outcome.DENIED, item.subjects)
            raise DeniedError(f"its labels cannot be opened: {kept}")
        self._decide(caller, _named("relabel", item), item.subjects, why)  # 3
        self._catalog.put_labels(item.tenant, item.document, by_hand, settled=True)  # 4
        return self._again([item]) if item.kept else []

    def _require_relabel(self, caller: Caller, labels: Labels) -> None:
        decision = self._policies.decide(
            caller.principal, Act.RELABEL, caller.purpose, labels, STRANGER
        )
        if not decision.allowed:
            details: dict[str, Json] = {"act": "relabel", "policies": list(decision.policies)}
            self._record(caller, Action.DENIED, details, Outcome.DENIED)
            why = decision.why_not
            raise DeniedError(f"policy denies these labels: {why}")

    def retry(
        self,
        caller: Caller,
        *,
        document: str | None = None,
        reason: str | None = None,
        collection: str | None = None,
    ) -> list[FileResult]:
        """Take documents through the gates again, from the bytes that are kept.

        One document, or all that match; those whose bytes are not here need their source and are
        left out. After an upgrade, a change of rules or of policies they may come in; the others
        stay. Raises ``DeniedError``, ``NotFoundError``.
        """
        self._require(caller, Act.REVIEW_QUARANTINE)
        if document is not None:
            chosen = [self._item(caller, document)]
        else:
            tenant = caller.principal.tenant
            self._tidy(tenant)
            chosen = self._aside.items(tenant, collection=collection, reason=reason)
        chosen = [one for one in chosen if one.kept]
        for start in range(0, len(chosen), _NAMED):
            some = chosen[start : start + _NAMED]
            details: dict[str, Json] = {
                "act": "retry",
                "documents": [one.document for one in some],
            }
            about = frozenset[str]().union(*(one.subjects for one in some))
            self._record(caller, Action.QUARANTINE_DECIDED, details, subjects=about)
        return self._again(chosen)

    def propose_rule(
        self,
        caller: Caller,
        document: str,
        *,
        identity: str,
        act: RuleAct,
        match: str,
        because: str,
        until: date | None = None,
    ) -> str:
        """Return the text of a rule that decides as this document was decided, for review.

        Nothing is in force by it: a second person writes their name into ``approved_by`` and the
        rule into the file. Raises ``DeniedError``, ``NotFoundError``, ``InvalidRequestError`` for a
        rule that the file would not take.
        """
        self._require(caller, Act.RELEASE_QUARANTINE)
        item = self._item(caller, document)
        if act is RuleAct.MASK and not maskable(item.reason):
            raise InvalidRequestError(
                f"what was put aside as {item.reason} cannot be masked: its rule can only reject"
            )
        rule = Rule(
            id=identity,
            collection=item.collection,
            reason=item.reason,
            match=match,
            act=act,
            because=required_reason(because),
            by=caller.principal.id,
            approved_by="",
            until=until or self._now().date() + timedelta(days=_RULE_DAYS),
        )
        details: dict[str, Json] = {**_named("rule", item), "do": act.value}
        self._decide(caller, details, item.subjects, because)
        return written(rule)

    def _again(self, items: Sequence[Item]) -> list[FileResult]:
        """Run ingest over the items' kept bytes, collection by collection."""
        results: list[FileResult] = []
        for collection in sorted({one.collection for one in items}):
            some = [one for one in items if one.collection == collection]
            results += self._take_in(some)
        return results

    def _shown(self, item: Item, characters: int) -> Shown:
        try:
            contents = self._aside.contents(item)
        except NotFoundError:
            contents = None
        name = self._masked_name(contents) if contents else ""
        plain = Shown(
            item=item,
            name=name,
            detail=contents.detail if contents else "",
            asked_why=self._aside.asked_why(item),
            text=None,
            characters=0,
            found={},
            held_by=frozenset(),
        )
        text = self._text(item, contents)
        if text is None:
            return plain
        [spans] = self._privacy.inspect([text])
        return replace(
            plain,
            # Everything, however uncertain: who looks on sees less than any index would hold.
            text=self._privacy.without_tagged(text, spans)[:characters],
            characters=len(text),
            found=dict(sorted(Counter(span.entity for span in spans).items())),
            held_by=self._held_by(item, text, spans),
        )

    def _text(self, item: Item, contents: Contents | None) -> str | None:
        """Return the text of what was put aside by policy; None for what was no sound file."""
        if contents is None or contents.data is None or not waivable(item.reason):
            return None
        try:
            return self._parser.parse(contents.data, contents.file).text
        except QuarantinedError:
            return None

    def _held_by(self, item: Item, text: str, spans: Sequence[Span]) -> frozenset[str]:
        """Return the reasons that keep it out, the one that was met first and all others."""
        return self._privacy.transform(text, spans, item.labels).quarantines | {item.reason}

    def _masked_name(self, contents: Contents) -> str:
        [spans] = self._privacy.inspect([contents.name])
        return self._privacy.without_tagged(contents.name, spans)

    def _item(self, caller: Caller, document: str) -> Item:
        """Return the item of this id, or whose id begins so. Raises ``NotFoundError``, recorded."""
        tenant = caller.principal.tenant
        found = self._aside.item(tenant, document)
        if found is None and len(document) >= _SHORTEST_ID:
            near = [one for one in self._aside.items(tenant) if one.document.startswith(document)]
            found = near[0] if len(near) == 1 else None
        if found is None:
            details: dict[str, Json] = {"act": "quarantine", "reason": "no such document"}
            self._record(caller, Action.DENIED, details, Outcome.DENIED)
            raise NotFoundError("no document of this id is put aside: see the list")
        return found

    def _tidy(self, tenant: str) -> None:
        """Drop items of documents that were taken in, erased or removed since."""
        waiting = {
            entry.document
            for state in (State.QUARANTINED, State.PENDING)
            for entry in self._ledger.entries(tenant=tenant, state=state)
        }
        for item in self._aside.items(tenant):
            if item.state is ItemState.REJECTED or item.document in waiting:
                continue
            # Whatever became of its row: what a case or the law keeps nobody drops by looking on.
            if self._why_kept(item) is None:
                self._aside.done(tenant, item.document)

    def _require_undecided(self, item: Item) -> None:
        if item.state is ItemState.REJECTED or not item.kept:
            raise InvalidRequestError(
                "its bytes are not here: run ingest over its source, and decide then"
            )
        if item.state is ItemState.ASKED and not self._over(item):
            raise InvalidRequestError(
                f"{item.asked_by} asked for it already: another person approves it"
            )

    def _over(self, item: Item) -> bool:
        return item.asked_until is None or item.asked_until <= self._now()

    def _changed(
        self, caller: Caller, details: Mapping[str, Json], subjects: Collection[str]
    ) -> InvalidRequestError:
        # The record before says more than came true.
        failed = {**details, "reason": "changed meanwhile"}
        self._record(caller, Action.QUARANTINE_DECIDED, failed, Outcome.FAILURE, subjects)
        return InvalidRequestError("somebody decided about it just now, or it changed: look again")

    def _require(self, caller: Caller, act: Act) -> None:
        decision = self._policies.decide_duty(caller.principal, act, caller.purpose)
        if decision.allowed:
            return
        details: dict[str, Json] = {"act": act.value, "policies": list(decision.policies)}
        self._record(caller, Action.DENIED, details, Outcome.DENIED)
        raise DeniedError(self._policies.why_not(caller.principal, act, caller.purpose, decision))

    def _decide(
        self, caller: Caller, details: Mapping[str, Json], subjects: Collection[str], why: str
    ) -> None:
        told = {"reason": why}
        self._record(caller, Action.QUARANTINE_DECIDED, details, subjects=subjects, sealed=told)

    def _record(
        self,
        caller: Caller,
        action: Action,
        details: Mapping[str, Json],
        outcome: Outcome = Outcome.SUCCESS,
        subjects: Collection[str] = (),
        sealed: Mapping[str, str] | None = None,
    ) -> None:
        self._audit.append(
            caller.event(
                action,
                outcome,
                policy=self._policies.digest,
                details=details,
                sealed=sealed,
                subjects=sorted(subjects)[:1000],
            )
        )


def _named(act: str, item: Item) -> dict[str, Json]:
    return {
        "act": str(act),
        "documents": [item.document],
        "generation": item.generation,
        "why": item.reason,
    }
