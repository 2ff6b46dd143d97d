"""Erasure: documents, or all that is held about people.

1. Ask policy and ``Keeping`` about every document first: one that has to stay keeps all of them,
   or of several people all of those whom it is about.
2. Each document, on record before: index, its own values in the vault, other places, ledger,
   labels given by hand, and the catalog last, since a repetition finds by it what is left.
3. Each person, on record before: register, vault, what was sealed of questions, other places.
4. Scrub the files of index and database, once for all: what was deleted still stands in them until
   then, so nobody is certified before.

Every step may be repeated. An erasure that was killed anywhere is finished by running it again.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ingest.graves import content_mark
from ingest.keeping import Keeping
from ingest.ledger import Ledger, State
from ingest.places import Place, Waiting
from ragplatform.access.register import Register
from ragplatform.audit.events import MOST_NAMED, Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.sealed_about import SealedTexts
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import DeniedError, InvalidRequestError
from ragplatform.model import Json, Labels, Principal, Purpose, Receipt
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy


@dataclass(slots=True)
class Erased:
    """What went, or with a dry run would go. ``values`` were kept in the vault.

    ``removed`` counts what went by place, ``records`` are those that stood on record before it.
    """

    documents: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    chunks: int = 0
    values: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    records: list[Receipt] = field(default_factory=list)
    run: str = ""

    def count(self, place: str, things: int) -> None:
        """Count what went from a place."""
        self.removed[place] = self.removed.get(place, 0) + things

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "documents": len(self.documents),
            "chunks": self.chunks,
            "values": self.values,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """A person, by reference, or a document of which nothing went, and why."""

    id: str
    why: str


Ended: TypeAlias = Erased | Kept


class Eraser:
    """Erases for one principal, on record, document by document; may be repeated after a crash."""

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        privacy: Privacy,
        index: Index,
        archive: Archive,
        catalog: SqlCatalog,
        ledger: Ledger,
        register: Register,
        audit: TenantLogs,
        seals: SealedTexts,
        keeping: Keeping,
        places: Sequence[Place] = (),
        run: str | None = None,
        may_return: bool = False,
    ) -> None:
        """``run`` is the id that all records of this erasure bear: None makes one.

        With ``may_return`` the same content may come in again under another name.
        """
        self._may_return = may_return
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._privacy = privacy
        self._index = index
        self._archive = archive
        self._catalog = catalog
        self._ledger = ledger
        self._register = register
        self._audit = audit
        self._seals = seals
        self._keeping = keeping
        self._places = places
        self._run = run or uuid.uuid4().hex

    def document(self, identity: str, *, dry_run: bool) -> Erased:
        """Erase one document, also one in quarantine.

        Raises ``InvalidRequestError`` when there is none of that id, ``DeniedError`` when it has to
        stay. One that was erased already has only its traces scrubbed: an erasure before was
        killed.
        """
        erased = self._document(identity, dry_run=dry_run)
        if not dry_run:
            self._scrub()
        return erased

    def each_document(self, identities: Sequence[str]) -> list[Ended]:
        """Erase each of these documents that may go, in order, scrubbing once for all."""
        ended: list[Ended] = []
        for identity in identities:
            try:
                ended.append(self._document(identity, dry_run=False))
            except (DeniedError, InvalidRequestError) as error:
                ended.append(Kept(identity, str(error)))
        self._scrub()
        return ended

    def _document(self, identity: str, *, dry_run: bool) -> Erased:
        entry = self._catalog.document(identity)
        if entry is not None and entry.tenant == self._principal.tenant:
            return self._take([entry], dry_run=dry_run, rules={})
        if waiting := self._waiting(identity):
            return self._erase_waiting(waiting, dry_run=dry_run)
        # Who may erase nothing is not told which documents there are.
        self._require_eraser([])
        if not self._was_erased(identity):
            raise InvalidRequestError("no document of this tenant has that id")
        return Erased(run=self._run, documents=[identity])

    def _waiting(self, document: str) -> Waiting | None:
        found = (place.waiting(self._principal.tenant, document) for place in self._places)
        return next((one for one in found if one is not None), None)

    def _erase_waiting(self, waiting: Waiting, *, dry_run: bool) -> Erased:
        self._require_waiting_may_go(waiting)
        erased = Erased(run=self._run)
        if dry_run:
            return _would_go(erased, [waiting.entry])
        self._erase(waiting.entry, erased, None)
        return erased

    def documents(self, entries: Sequence[DocumentEntry], *, rules: Mapping[str, str]) -> Erased:
        """Erase these documents; ``rules`` names for each the retention rule that asked for it.

        Raises ``DeniedError`` when one of them has to stay; then none went.
        """
        erased = self._take(entries, dry_run=False, rules=rules)
        self._scrub()
        return erased

    def _take(
        self, entries: Sequence[DocumentEntry], *, dry_run: bool, rules: Mapping[str, str]
    ) -> Erased:
        classes = self._catalog.classes(self._principal.tenant)
        self._require_all_may_go(entries, None, classes)
        erased = Erased(run=self._run)
        if dry_run:
            return _would_go(erased, entries)
        for entry in entries:
            self._erase_document(entry, erased, rules.get(entry.document))
        return erased

    def refs(self, raw_ids: Iterable[str]) -> list[str]:
        """Return the references of these people, in order, each once."""
        tenant = self._principal.tenant
        return list(dict.fromkeys(self._privacy.subject_ref(tenant, raw) for raw in raw_ids))

    def order(self, erasure: str, refs: Sequence[str]) -> None:
        """Put on record that these people, or where none are named a document, go by an order.

        Raises ``DeniedError``, on record, for who may erase nobody.
        """
        self._require_eraser(refs)
        details: dict[str, Json] = {"erasure": erasure, "named": max(1, len(refs))}
        self._record(details, refs, action=Action.ERASURE_ORDERED)

    def look(self, erasure: str) -> None:
        """Put on record that an order is looked at.

        Raises ``DeniedError``, on record, for who may erase nobody.
        """
        labels = Labels(self._principal.tenant, "")
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        outcome = Outcome.SUCCESS if decision.allowed else Outcome.DENIED
        self._record({"erasure": erasure}, [], outcome, Action.ERASURE_READ)
        if not decision.allowed:
            raise DeniedError("orders are seen by who may erase, for a purpose that permits")

    def subject(self, raw_id: str, *, dry_run: bool) -> Erased:
        """Erase every document about the person and every value kept of them.

        Raises ``DeniedError`` when something of them has to stay; then nothing went.
        """
        [ended] = self.people(self.refs([raw_id]), dry_run=dry_run)
        if isinstance(ended, Kept):
            raise DeniedError(ended.why)
        return ended

    def people(self, refs: Sequence[str], *, dry_run: bool) -> list[Ended]:
        """Erase all about each of these people, by reference and in order, scrubbing once for all.

        A document about several people goes whole: leaving it would leave the person in it. Each
        of them stands alone: of whom something has to stay nothing goes, and the others do. Raises
        ``DeniedError`` for who may erase nobody.
        """
        tenant = self._principal.tenant
        # What is held of a person beside documents has no labels that a policy could look at.
        self._require_eraser(refs)
        theirs = self._documents_of(refs)
        ended: dict[str, Ended] = dict(self._kept(theirs))
        going = [ref for ref in refs if ref not in ended]
        if dry_run:
            would = {ref: Erased(run=self._run, subjects=[ref]) for ref in going}
            return [ended.get(ref) or _would_go(would[ref], theirs[ref]) for ref in refs]
        gone: dict[str, DocumentEntry] = {}
        for ref in going:
            ended[ref] = self._erase_person(ref, theirs[ref], gone)
        erased = {ref: one for ref, one in ended.items() if isinstance(one, Erased)}
        self._destroy_seals(erased)
        for place in self._places:
            for ref, things in place.erase_subjects(tenant, frozenset(erased)).items():
                erased[ref].count(place.name, things)
        self._scrub()
        return [ended[ref] for ref in refs]

    def _documents_of(self, refs: Iterable[str]) -> dict[str, list[DocumentEntry]]:
        theirs: dict[str, list[DocumentEntry]] = {ref: [] for ref in refs}
        for entry in self._catalog.documents(self._principal.tenant):
            for ref in entry.subjects & theirs.keys():
                theirs[ref].append(entry)
        return theirs

    def _kept(self, theirs: Mapping[str, Sequence[DocumentEntry]]) -> dict[str, Kept]:
        """Return who has to stay, on record."""
        tenant, people = self._principal.tenant, frozenset(theirs)
        classes = self._catalog.classes(tenant)
        elsewhere: dict[str, str] = {}
        for place in self._places:
            elsewhere = {**place.why_kept(tenant, people), **elsewhere}
        kept = {}
        for ref, entries in theirs.items():
            try:
                self._require_all_may_go(entries, ref, classes)
                if why := elsewhere.get(ref):
                    self._deny({}, [ref], why)
            except DeniedError as error:
                kept[ref] = Kept(ref, str(error))
        return kept

    def _erase_person(
        self, ref: str, entries: Sequence[DocumentEntry], gone: dict[str, DocumentEntry]
    ) -> Ended:
        """Erase one of them; ``gone`` are the documents that went with others before."""
        erased = Erased(run=self._run, subjects=[ref])
        try:
            for entry in entries:
                if entry.document in gone:
                    erased.documents.append(entry.document)
                else:
                    self._erase_document(entry, erased, None)
                    gone[entry.document] = entry
        except DeniedError as error:
            # A hold came since all were asked about.
            before = f"; {len(erased.documents)} documents went before" if erased.documents else ""
            return Kept(ref, f"{error}{before}")
        self._erase_subject(ref, len(entries), erased)
        return erased

    def _erase_document(self, entry: DocumentEntry, erased: Erased, rule: str | None) -> None:
        # A hold may have come since all of them were asked about.
        self._require_may_go(entry)
        self._erase(entry, erased, rule)

    def _erase(self, entry: DocumentEntry, erased: Erased, rule: str | None) -> None:
        tenant, document = entry.tenant, entry.document
        marks = self._marks(document)
        details: dict[str, Json] = {"document": document}
        if marks:
            details["contents"] = list[Json](marks)
        if rule is not None:
            details |= {"rule": rule, "retention": self._keeping.retention.digest}
        erased.records.append(self._record(details, entry.subjects))
        # First: a rebuild of the index at work looks here last, and takes its own out again.
        kept = self._archive.forget(tenant, document)
        chunks = self._index.remove(tenant, document)
        erased.chunks += chunks
        erased.count("index", chunks)
        own = self._privacy.subject_ref(tenant, f"document:{document}")
        values = self._privacy.forget(tenant, own)
        erased.values += values
        erased.count("vault", values)
        for place in self._places:
            erased.count(place.name, place.erase_document(tenant, document))
        if marks:
            self._ledger.graves.bury(tenant, document, marks)
        erased.count("ledger", self._ledger.forget(document))
        # Once more: a rebuild at work may have kept it anew before the ledger said so.
        erased.count("archive", kept + self._archive.forget(tenant, document))
        self._catalog.drop_labels(document)
        # Last, because a repetition after a crash finds by it what is still to be erased.
        erased.count("catalog", int(self._catalog.delete_document(document)))
        erased.documents.append(document)

    def _marks(self, document: str) -> list[str]:
        """Return by what the document's contents are known, should they come back."""
        if self._may_return:
            return []
        tenant = self._principal.tenant
        rows = self._ledger.sources_of(tenant, document)
        found = {content_mark(self._privacy.subject_ref, tenant, row.sha256) for row in rows}
        return sorted(found | self._ledger.graves.contents_of(tenant, document))[:MOST_NAMED]

    def _erase_subject(self, subject: str, documents: int, erased: Erased) -> None:
        tenant = self._principal.tenant
        erased.records.append(self._record({"documents": documents}, [subject]))
        erased.count("register", self._register.forget(tenant, subject))
        values = self._privacy.forget(tenant, subject)
        erased.values += values
        erased.count("vault", values)

    def _destroy_seals(self, erased: Mapping[str, Erased]) -> None:
        """Make what was asked and answered about these people unreadable, on record."""
        # Last, when no request can be about them any more.
        about = self._seals.about(self._principal.tenant, erased.keys())
        for subject, origins in about.items():
            one = erased[subject]
            for origin, indexes in origins.items():
                for start in range(0, len(indexes), MOST_NAMED):
                    some = indexes[start : start + MOST_NAMED]
                    details: dict[str, Json] = {"origin": origin, "records": some}
                    one.records.append(
                        self._record(details, [subject], action=Action.SEAL_DESTROYED)
                    )
                one.count("audit", self._seals.destroy(origin, indexes))

    def _scrub(self) -> None:
        self._index.scrub(self._principal.tenant)
        self._catalog.scrub()

    def _was_erased(self, document: str) -> bool:
        gone = self._ledger.entries(tenant=self._principal.tenant, state=State.FORGOTTEN)
        return any(entry.document == document for entry in gone)

    def _require_eraser(self, subjects: Sequence[str]) -> None:
        labels = Labels(self._principal.tenant, "")
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        if not decision.allowed:
            why = decision.why_not
            self._deny({}, subjects, why)

    def _require_all_may_go(
        self,
        entries: Iterable[DocumentEntry],
        subject: str | None,
        classes: Mapping[str, Labels],
    ) -> None:
        tenant = self._principal.tenant
        if subject is not None and (why := self._keeping.why_subject_held(tenant, subject)):
            self._deny({}, [subject], why)
        for entry in entries:
            self._require_may_go(entry, classes)

    def _require_may_go(
        self, entry: DocumentEntry, classes: Mapping[str, Labels] | None = None
    ) -> None:
        """Raise ``DeniedError``, on record, for what policy or the law keeps from being erased."""
        labels = (classes or self._catalog.classes(entry.tenant))[entry.access_class]
        why = self._why_denied(labels) or self._keeping.why_kept(entry, labels)
        if why is not None:
            self._deny({"document": entry.document}, entry.subjects, why)

    def _require_waiting_may_go(self, waiting: Waiting) -> None:
        if why := self._why_denied(waiting.labels) or waiting.kept:
            entry = waiting.entry
            self._deny({"document": entry.document}, entry.subjects, why)

    def _why_denied(self, labels: Labels) -> str | None:
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        if decision.allowed:
            return None
        return decision.why_not

    def _deny(self, details: dict[str, Json], subjects: Collection[str], why: str) -> None:
        self._record({**details, "reason": why[:200]}, subjects, Outcome.DENIED)
        raise DeniedError(f"it cannot be erased: {why}; nothing was erased")

    def _record(
        self,
        details: dict[str, Json],
        subjects: Collection[str],
        outcome: Outcome = Outcome.SUCCESS,
        action: Action = Action.ERASED,
    ) -> Receipt:
        return self._audit.append(
            event_of(
                self._principal,
                action,
                outcome,
                request_id=self._run,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=sorted(subjects)[:MOST_NAMED],
                details=details,
            )
        )


def _would_go(erased: Erased, entries: Sequence[DocumentEntry]) -> Erased:
    erased.documents = [entry.document for entry in entries]
    erased.chunks = sum(entry.chunks for entry in entries)
    return erased
