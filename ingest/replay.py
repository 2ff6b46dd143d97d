"""Erases again what a restored deployment brought back.

A backup holds what was erased after it was made, keys included. What was erased since stands in the
audit logs, which outlive the database where they are sent or kept elsewhere.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ingest.ledger import Ledger
from ingest.places import Place
from ragplatform.access.register import Register
from ragplatform.audit import query
from ragplatform.audit.events import MOST_NAMED, Action, AuditEvent, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.model import Json
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy


@dataclass(slots=True)
class Erasures:
    """What logs say was erased: documents and subjects, each with its tenant.

    A document that was taken in again after its erasure is not among them. ``contents`` are the
    keyed marks of what documents held.
    """

    documents: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    subjects: set[tuple[str, str]] = field(default_factory=set)
    contents: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Replayed:
    """What was erased again."""

    documents: int = 0
    subjects: int = 0
    chunks: int = 0
    values: int = 0

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "documents": self.documents,
            "subjects": self.subjects,
            "chunks": self.chunks,
            "values": self.values,
        }


def erasures_in(logs: Iterable[Path]) -> Erasures:
    """Return what the logs say was erased. Their integrity is the caller's to verify, before."""
    folders = list(logs)
    found = Erasures()
    erased: dict[tuple[str, str], tuple[datetime, frozenset[str]]] = {}
    taken_in: dict[tuple[str, str], datetime] = {}
    for log in folders:
        for record in query.read(log, action=Action.ERASED):
            if record.outcome != Outcome.SUCCESS:
                continue
            document = record.details.get("document")
            if isinstance(document, str):
                place = (record.tenant, document)
                marks = record.details.get("contents")
                if isinstance(marks, list):
                    known = found.contents.get(place, frozenset())
                    found.contents[place] = known | frozenset(map(str, marks))
                erased[place] = max(
                    (record.time, frozenset(record.subjects)),
                    erased.get(place, (record.time, frozenset())),
                    key=lambda one: one[0],
                )
            else:
                found.subjects.update((record.tenant, one) for one in record.subjects)
        for record in query.read(log, action=Action.INGESTED):
            place = (record.tenant, str(record.details["document"]))
            taken_in[place] = max(record.time, taken_in.get(place, record.time))
    found.documents = {
        place: subjects
        for place, (when, subjects) in erased.items()
        if place not in taken_in or taken_in[place] <= when
    }
    return found


class ErasureReplay:
    """Erases again, on record, whatever of the erased is there. May be repeated after a crash."""

    def __init__(
        self,
        *,
        privacy: Privacy,
        index: Index,
        archive: Archive,
        catalog: SqlCatalog,
        ledger: Ledger,
        register: Register,
        audit: TenantLogs,
        places: Sequence[Place],
    ) -> None:
        """``places`` are what an erasure goes through beside the stores."""
        self._places = places
        self._privacy = privacy
        self._index = index
        self._archive = archive
        self._catalog = catalog
        self._ledger = ledger
        self._register = register
        self._audit = audit
        self._run = uuid.uuid4().hex

    def replay(self, erasures: Erasures) -> Replayed:
        """Erase every document and subject again; one that is not there costs nothing."""
        done = Replayed()
        for (tenant, document), subjects in sorted(erasures.documents.items()):
            # Also of what this deployment never had: its source may still give it.
            marks = erasures.contents.get((tenant, document), frozenset())
            self._ledger.graves.bury(tenant, document, marks)
            # The catalog's entry goes last of all: while it is there, something may be.
            if self._catalog.document(document) is None and not self._left(tenant, document):
                continue
            self._document(tenant, document, subjects, marks, done)
        for tenant, subject in sorted(erasures.subjects):
            self._record(tenant, {"documents": 0}, [subject])
            self._register.forget(tenant, subject)
            done.values += self._privacy.forget(tenant, subject)
            for place in self._places:
                place.erase_subjects(tenant, frozenset({subject}))
            done.subjects += 1
        return done

    def _left(self, tenant: str, document: str) -> int:
        return sum(place.left_of(tenant, document) for place in self._places)

    def _document(
        self,
        tenant: str,
        document: str,
        subjects: frozenset[str],
        marks: frozenset[str],
        done: Replayed,
    ) -> None:
        """As erasure does: the archive first and last, the catalog at the very end."""
        details: dict[str, Json] = {"document": document}
        if marks:
            details["contents"] = list[Json](sorted(marks))
        self._record(tenant, details, sorted(subjects)[:MOST_NAMED])
        self._archive.forget(tenant, document)
        done.chunks += self._index.remove(tenant, document)
        own = self._privacy.subject_ref(tenant, f"document:{document}")
        done.values += self._privacy.forget(tenant, own)
        for place in self._places:
            place.erase_document(tenant, document)
        self._ledger.forget(document)
        self._archive.forget(tenant, document)
        self._catalog.drop_labels(document)
        self._catalog.delete_document(document)
        done.documents += 1

    def _record(self, tenant: str, details: dict[str, Json], subjects: list[str]) -> None:
        self._audit.append(
            AuditEvent(
                Action.ERASED,
                Outcome.SUCCESS,
                tenant,
                f"erasure-{tenant}",
                self._run,
                None,
                details=details,
                subjects=subjects,
            )
        )
