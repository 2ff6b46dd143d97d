"""Erasure: one document, or all that is held about one person."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from ingest.ledger import Ledger
from ragplatform.access.register import Register
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.sealed_about import SealedTexts
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import DeniedError, InvalidRequestError
from ragplatform.model import Json, Labels, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy

# What one record can name. A register of more people than this is named by its document.
_MOST_NAMED: Final = 1000


@dataclass(frozen=True, slots=True)
class Erased:
    """What went, or with a dry run would go. ``values`` were kept in the vault."""

    documents: int
    chunks: int
    values: int

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {"documents": self.documents, "chunks": self.chunks, "values": self.values}


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
        today: Callable[[], date],
    ) -> None:
        """``today`` gives the day by which a time of keeping is over, in the deployment's zone."""
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
        self._today = today
        # One id for all records of this erasure.
        self._run = uuid.uuid4().hex

    def document(self, identity: str, *, dry_run: bool) -> Erased:
        """Erase one document. Raises ``InvalidRequestError`` when there is none of that id."""
        entry = self._catalog.document(identity)
        if entry is None or entry.tenant != self._principal.tenant:
            raise InvalidRequestError("no document of this tenant has that id")
        return self._erase([entry], None, dry_run=dry_run)

    def subject(self, raw_id: str, *, dry_run: bool) -> Erased:
        """Erase every document about the person and every value kept of them.

        A document about several people goes whole: leaving it would leave the person in it.
        """
        tenant = self._principal.tenant
        ref = self._privacy.subject_ref(tenant, raw_id)
        entries = [entry for entry in self._catalog.documents(tenant) if ref in entry.subjects]
        return self._erase(entries, ref, dry_run=dry_run)

    def _erase(self, entries: list[DocumentEntry], subject: str | None, *, dry_run: bool) -> Erased:
        classes = self._catalog.classes(self._principal.tenant)
        for entry in entries:
            self._require_permission(entry, classes[entry.access_class])
        if dry_run:
            return Erased(len(entries), sum(entry.chunks for entry in entries), 0)
        chunks = values = 0
        for entry in entries:
            self._record({"document": entry.document}, entry.subjects)
            # First: a rebuild of the index at work looks here last, and takes its own out again.
            self._archive.forget(entry.tenant, entry.document)
            chunks += self._index.remove(entry.tenant, entry.document)
            own = f"document:{entry.document}"
            ref = self._privacy.subject_ref(entry.tenant, own)
            values += self._privacy.forget(entry.tenant, ref)
            self._ledger.forget(entry.document)
            # Once more: a rebuild at work may have kept it anew before the ledger said so.
            self._archive.forget(entry.tenant, entry.document)
            # Last, because a repetition after a crash finds by it what is still to be erased.
            self._catalog.delete_document(entry.document)
        if subject is not None:
            self._record({"documents": len(entries)}, [subject])
            self._register.forget(self._principal.tenant, subject)
            values += self._privacy.forget(self._principal.tenant, subject)
            self._destroy_seals(subject)
        return Erased(len(entries), chunks, values)

    def _destroy_seals(self, subject: str) -> None:
        """Make what was asked and answered about the subject unreadable, on record."""
        # Last, when no request can be about the subject any more.
        for origin, indexes in self._seals.about(self._principal.tenant, subject).items():
            for start in range(0, len(indexes), _MOST_NAMED):
                some = indexes[start : start + _MOST_NAMED]
                details: dict[str, Json] = {"origin": origin, "records": some}
                self._record(details, [subject], action=Action.SEAL_DESTROYED)
            self._seals.destroy(origin, indexes)

    def _require_permission(self, entry: DocumentEntry, labels: Labels) -> None:
        """Raise ``DeniedError``, on record, for what policy or the law keeps from being erased."""
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        if not decision.allowed:
            why = ", ".join((*decision.policies, *decision.errors)) or "no policy permits it"
        elif labels.retain_until >= self._today().isoformat():
            # A day that cannot be read is later than any that can, and so keeps the document.
            why = f"it has to be kept until {labels.retain_until}"
        else:
            return
        denied: dict[str, Json] = {"document": entry.document, "reason": why[:200]}
        self._record(denied, entry.subjects, Outcome.DENIED)
        raise DeniedError(f"policy denies erasure: {why}; nothing was erased")

    def _record(
        self,
        details: dict[str, Json],
        subjects: Collection[str],
        outcome: Outcome = Outcome.SUCCESS,
        action: Action = Action.ERASED,
    ) -> None:
        self._audit.append(
            event_of(
                self._principal,
                action,
                outcome,
                request_id=self._run,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=sorted(subjects)[:_MOST_NAMED],
                details=details,
            )
        )


def forget(eraser: Eraser, *, document: str | None, subject: str | None, dry_run: bool) -> Erased:
    """Erase by exactly one of the two. Raises ``InvalidRequestError`` for none or both."""
    if (document is None) == (subject is None):
        raise InvalidRequestError("give either --document or --subject")
    if document is not None:
        return eraser.document(document, dry_run=dry_run)
    return eraser.subject(subject or "", dry_run=dry_run)
