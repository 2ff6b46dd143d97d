"""Makes documents findable, many in one go: each step is made durable once for all of them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from ingest.ledger import Claim, Ledger
from ingest.prepare import Ready
from ingest.refusals import Refusal, guarded
from ingest.report import Report
from ingest.stages import Prepared
from ingest.work import Work
from ragplatform.audit.events import Action, Outcome
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.model import Json
from ragplatform.policy.classes import access_class
from ragplatform.ports import Archive, Archived, Index
from ragplatform.privacy.gate import Privacy

# The log syncs once for all that wait for it: so many wait at a time.
_WAITING: Final = 8


class Record(Protocol):
    """Makes a record of the run durable. May be called from several threads."""

    def __call__(
        self,
        action: Action,
        outcome: Outcome,
        details: dict[str, Json],
        subjects: frozenset[str],
        /,
    ) -> None:
        """Return when it is durable. Raises ``AuditError``; nothing may then be done."""


@dataclass(frozen=True, slots=True)
class _Written:
    """One document on its way in."""

    prepared: Prepared
    access: str

    @property
    def work(self) -> Work:
        return self.prepared.ready.work

    @property
    def ready(self) -> Ready:
        return self.prepared.ready

    @property
    def details(self) -> dict[str, Json]:
        return {
            "document": self.work.document,
            "generation": self.work.generation,
            "chunks": len(self.prepared.entries),
            "found": dict(self.ready.transformed[0].counts),
            "access_class": self.access,
            **({"orders": self.ready.orders} if self.ready.orders else {}),
        }

    def entry(self, subjects: frozenset[str]) -> DocumentEntry:
        """Return what the catalog is to know."""
        return DocumentEntry(
            document=self.work.document,
            tenant=self.work.labels.tenant,
            collection=self.work.labels.collection,
            title=self.ready.title,
            media_type=self.ready.media_type,
            access_class=self.access,
            subjects=subjects,
            generation=self.work.generation,
            chunks=len(self.prepared.entries),
            treated=self.ready.transformed[0].methods,
            indexed_at=datetime.now(UTC),
            dated=self.ready.dated,
            kind=self.ready.kind,
        )


class Writer:
    """Writes prepared documents. Every step may be repeated after a crash."""

    def __init__(
        self,
        *,
        claim: Callable[[Work, str], Claim],
        record: Record,
        privacy: Privacy,
        index: Index,
        encoder: str,
        archive: Archive,
        catalog: SqlCatalog,
        ledger: Ledger,
    ) -> None:
        """``claim`` takes a document in hand under a name that may be shown.

        ``encoder`` is the version of what made the vectors, for the archive.
        """
        self._claim = claim
        self._record = record
        self._privacy = privacy
        self._index = index
        self._encoder = encoder
        self._archive = archive
        self._catalog = catalog
        self._ledger = ledger

    def write(self, documents: Sequence[Prepared], report: Report) -> list[Refusal | None]:
        """Make the documents' chunks findable; return for each why it could not be done, or None.

        When something stops them together each is written alone, so that one takes no other with
        it. Raises ``UnavailableError`` when a part that all need is away.
        """
        if not isinstance(guarded(partial(self._write, documents, report)), Refusal):
            return [None] * len(documents)
        return [guarded(partial(self._write, [one], report)) for one in documents]

    def _write(self, documents: Sequence[Prepared], report: Report) -> None:
        """Write all of them or raise.

        1. Ledger: pending. 2. Catalog: access class and document are known before a chunk of them
        is found, so that erasure misses nothing. 3. Audit: durable before anything can be found.
        4. Vault, and the archive, from which a lost index is made again. 5. Index: new chunks, then
        the old generation goes. 6. Catalog, audit and ledger: done.
        """
        some = [_Written(one, access_class(one.ready.labels)) for one in documents]
        if not some:
            return
        with report.stage("ledger"):
            with self._ledger.together():
                claims = [self._claim(one.work, one.ready.title) for one in some]  # 1
            self._announce(some)  # 2
        with report.stage("audit"):
            self._tell(Action.INGEST_STARTED, some)  # 3
        with report.stage("vault"), self._privacy.together():
            for one in some:
                self._keep(one)  # 4
        with report.stage("archive"):
            for one in some:
                self._archive.keep(Archived.of(one.prepared.entries, self._encoder))
        with report.stage("index"):
            self._index.upsert([entry for one in some for entry in one.prepared.entries])  # 5
            for one in some:
                work = one.work
                self._index.retire(work.labels.tenant, work.document, work.generation)
        with report.stage("archive"):
            for one in some:
                work = one.work
                self._archive.retire(work.labels.tenant, work.document, work.generation)
        with report.stage("ledger"), self._catalog.together():
            for one in some:
                self._catalog.put_document(one.entry(one.work.subjects))  # 6
        with report.stage("audit"):
            self._tell(Action.INGESTED, some)
        with report.stage("ledger"), self._ledger.together():
            for claim, one in zip(claims, some, strict=True):
                self._ledger.commit_indexed(claim, chunks=len(one.prepared.entries))

    def _announce(self, some: Iterable[_Written]) -> None:
        entries = []
        for one in some:
            work = one.work
            # Until the old chunks are gone, the document is about the people of both versions.
            old = self._catalog.document(work.document)
            both = work.subjects | (old.subjects if old else frozenset())
            entries.append((one, one.entry(both)))
            if old and old.access_class != one.access:
                # Before the catalog says so: a run that is repeated would see no difference.
                change: dict[str, Json] = {
                    "document": work.document,
                    "before": old.access_class,
                    "after": one.access,
                }
                self._record(Action.RELABELLED, Outcome.SUCCESS, change, both)
        with self._catalog.together():
            for one, entry in entries:
                self._catalog.register(one.ready.labels, one.access)
                self._catalog.put_document(entry)

    def _keep(self, one: _Written) -> None:
        tenant = one.work.labels.tenant
        own = {self._privacy.subject_ref(tenant, f"document:{one.work.document}")}
        self._privacy.commit(tenant, one.work.subjects or own, *one.ready.transformed)

    def _tell(self, action: Action, some: Sequence[_Written]) -> None:
        def tell(one: _Written) -> None:
            self._record(action, Outcome.SUCCESS, one.details, one.work.subjects)

        if len(some) == 1:
            tell(some[0])
            return
        with ThreadPoolExecutor(min(_WAITING, len(some)), thread_name_prefix="records") as pool:
            # Consumed, so that what could not be recorded is raised here.
            list(pool.map(tell, some))
