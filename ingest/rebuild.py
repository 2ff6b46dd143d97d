"""Makes the index again from ledger, catalog and archive: the same ids, payloads and vectors.

Nothing here needs a source. It works document by document, and a document that is whole already is
not written again: a rebuild that was killed goes on where it stopped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ingest.consistency import (
    Fault,
    Finding,
    Stock,
    Survey,
    as_labelled,
    indexed_passages,
    may_be_there,
)
from ingest.ledger import Entry as Row
from ingest.ledger import Ledger, State
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import TamperedError
from ragplatform.model import Json, Passage, Principal
from ragplatform.ports import (
    Archive,
    Archived,
    Embedder,
    Entry,
    Index,
    TermWeigher,
    embedded_text,
)

# As many texts as keep the encoder busy; with its vectors one of 384 dimensions takes 2 kB.
_BATCH_PASSAGES: Final = 512


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild found, did, and could not do, counted by fault."""

    documents: int = 0
    chunks: int = 0
    embedded: int = 0
    pending: int = 0
    reopened: int = 0
    found: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    @property
    def exit_code(self) -> int:
        """0 when all stores say the same now, 1 when something is left for a person or a run."""
        return 1 if self.left.total() else 0

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "pending": self.pending,
            "found": dict(sorted(self.found.items())),
            "mended": {fault: count for fault, count in sorted(self.mended.items()) if count},
            "left": {fault: count for fault, count in sorted(self.left.items()) if count},
            "exit_code": self.exit_code,
        }


@dataclass(slots=True)
class _Ready:
    """One document that is to be written again."""

    finding: Finding
    row: Row
    passages: tuple[Passage, ...]
    archived: Archived


class Rebuilder:
    """Mends what a survey finds, on record. May be repeated after a crash anywhere."""

    def __init__(
        self,
        *,
        principal: Principal,
        run: str,
        policy: str,
        survey: Survey,
        embed_view: Callable[[str], str],
        embedder: Embedder,
        weigher: TermWeigher,
        index: Index,
        catalog: SqlCatalog,
        ledger: Ledger,
        archive: Archive,
        audit: TenantLogs,
    ) -> None:
        """``policy`` is the digest of the policies in force, for the records."""
        self._principal = principal
        self._run = run
        self._policy = policy
        self._survey = survey
        self._embed_view = embed_view
        self._embedder = embedder
        self._weigher = weigher
        self._index = index
        self._catalog = catalog
        self._ledger = ledger
        self._archive = archive
        self._audit = audit

    def rebuild(self, *, deep: bool, dry_run: bool) -> Rebuilt:
        """Make the index say what ledger, catalog and archive say; return what was done.

        1. Survey. 2. Record that it begins, durable. 3. Write what is missing. 4. Take out what
        does not belong, each on record. 5. Survey again: what is left stands in the result. 6.
        Record the end.

        Raises ``UnavailableError`` when a part does not answer: what was written stays, and calling
        again goes on from there.
        """
        done = Rebuilt()
        stock = self._survey.stock(self._principal.tenant)  # 1
        findings = list(self._survey.findings(stock, deep=deep))
        done.pending = stock.pending
        done.found.update(str(one.fault) for one in findings)
        if dry_run or not findings:
            done.left.update(done.found)
            return done
        faults: dict[str, Json] = {"stage": "begun", "faults": dict(done.found)}
        self._record(faults)  # 2
        self._write([one for one in findings if one.fault in _WRITTEN], stock, done)  # 3
        for finding in findings:  # 4
            if finding.fault is Fault.LOST:
                done.reopened += self._reopen(finding)
            elif finding.fault not in _WRITTEN:
                done.mended[finding.fault] += self._mend(finding)
        again = self._survey.stock(self._principal.tenant)
        done.left.update(str(one.fault) for one in self._survey.findings(again, deep=False))  # 5
        done.left[Fault.LOST] += done.reopened
        done.pending = again.pending
        self._record(
            {
                "stage": "done",
                "faults": dict(done.left),
                "documents": done.documents,
                "chunks": done.chunks,
            }
        )  # 6
        return done

    def archive_all(self) -> int:
        """Keep what only the index holds; return how many documents.

        For the next edition of an index, which is written from the archive alone.
        """
        stock = self._survey.stock(self._principal.tenant)
        kept = 0
        for finding in self._survey.findings(stock, deep=False):
            if finding.fault is Fault.UNARCHIVED:
                kept += self._mend(finding)
        return kept

    def _write(self, findings: Sequence[Finding], stock: Stock, done: Rebuilt) -> None:
        batch: list[_Ready] = []
        for finding in findings:
            ready = self._ready(finding, stock)
            if ready is None:
                done.reopened += self._reopen(finding)
                continue
            batch.append(ready)
            if sum(len(one.passages) for one in batch) >= _BATCH_PASSAGES:
                self._write_batch(batch, done)
                batch = []
        self._write_batch(batch, done)

    def _ready(self, finding: Finding, stock: Stock) -> _Ready | None:
        """Return the document from the archive, or None when that does not have it whole."""
        row = finding.row
        if row is None:
            return None
        try:
            archived = self._archive.read(row.tenant, row.document, row.generation)
        except TamperedError:
            return None
        if archived is None or len(archived.passages) != row.chunks:
            return None
        listed = stock.listed[row.document]
        return _Ready(finding, row, as_labelled(archived, listed, stock.classes), archived)

    def _write_batch(self, batch: Sequence[_Ready], done: Rebuilt) -> None:
        """Write many documents at once, then look whether each is still what was written.

        Whoever erases or replaces a document says so in archive or ledger before it goes to the
        index. One that did so since this read them finds nothing of ours there, or we find its
        word here and take ours out again.
        """
        vectors = self._vectors(batch, done)
        entries = [
            Entry(p, vector, self._weigher.weigh_document(p.chunk.text, p.context))
            for one, rows in zip(batch, vectors, strict=True)
            for p, vector in zip(one.passages, rows, strict=True)
        ]
        if entries:
            self._index.upsert(entries)
        for one, rows in zip(batch, vectors, strict=True):
            row = one.row
            if self._in_force(row):
                self._index.retire(row.tenant, row.document, row.generation)
                self._keep_vectors(one, rows)
                done.documents += 1
                done.chunks += len(one.passages)
                done.mended[one.finding.fault] += 1
            else:
                self._withdraw(row)

    def _vectors(self, batch: Sequence[_Ready], done: Rebuilt) -> list[Sequence[Sequence[float]]]:
        """Return each document's vectors: as kept, or made where another encoder made those."""
        made_by_us = self._embedder.version
        texts = [
            self._embed_view(embedded_text(passage))
            for one in batch
            if one.archived.encoder != made_by_us
            for passage in one.passages
        ]
        done.embedded += len(texts)
        fresh = iter(self._embedder.embed(texts)) if texts else iter(())
        found: list[Sequence[Sequence[float]]] = []
        for one in batch:
            kept = one.archived.vectors
            if kept is not None and one.archived.encoder == made_by_us:
                found.append([row.tolist() for row in kept])
            else:
                found.append([next(fresh).tolist() for _ in one.passages])
        return found

    def _keep_vectors(self, ready: _Ready, rows: Sequence[Sequence[float]]) -> None:
        """Keep vectors that were made here, so that the next rebuild need not make them again."""
        if ready.archived.encoder == self._embedder.version:
            return
        made = np.asarray(rows, dtype=np.float32)
        kept = Archived(ready.archived.passages, made, self._embedder.version)
        self._keep(ready.row, kept)

    def _keep(self, row: Row, kept: Archived) -> bool:
        """Put a copy into the archive; take it out again where the document went meanwhile.

        Whoever erases one empties the archive once more after the ledger says so.
        """
        self._archive.keep(kept)
        if self._in_force(row):
            return True
        self._archive.forget(row.tenant, row.document)
        return False

    def _in_force(self, row: Row) -> bool:
        """Return whether ledger and archive still say that this is the version to be found."""
        now = self._ledger.lookup(row.tenant, row.collection, row.source_key)
        return (
            now is not None
            and (now.state, now.generation) == (State.INDEXED, row.generation)
            and self._archive.has(row.tenant, row.document, row.generation)
        )

    def _withdraw(self, row: Row) -> None:
        """Take out what was written of a version that is no longer in force."""
        now = self._ledger.lookup(row.tenant, row.collection, row.source_key)
        going_in = now is not None and now.state is State.PENDING
        replaced = now is not None and now.state is State.INDEXED
        if now is not None and (going_in or (replaced and now.generation != row.generation)):
            self._index.retire(row.tenant, row.document, now.generation)
        else:
            self._index.remove(row.tenant, row.document)

    def _mend(self, finding: Finding) -> bool:
        """Mend one document that needs no writing of passages; return whether it could be."""
        tenant, document, row = finding.tenant, finding.document, finding.row
        match finding.fault:
            case Fault.ORPHAN:
                return self._remove_orphan(finding)
            case Fault.STALE if row is not None and self._in_force(row):
                self._record({"stage": "stale", "document": document})
                return self._index.retire(tenant, document, row.generation) > 0
            case Fault.UNARCHIVED | Fault.DAMAGED if row is not None:
                return self._archive_from_index(row)
            case Fault.LEFTOVER if row is not None and row.state is State.INDEXED:
                return self._archive.retire(tenant, document, row.generation) > 0
            case Fault.LEFTOVER:
                return self._archive.forget(tenant, document) > 0
        return False

    def _remove_orphan(self, finding: Finding) -> bool:
        row = finding.row
        now = row and self._ledger.lookup(row.tenant, row.collection, row.source_key)
        listed = self._catalog.document(finding.document) is not None
        if may_be_there(now, listed=listed):
            # It came back while this worked.
            return False
        self._record({"stage": "orphan", "document": finding.document})
        return self._index.remove(finding.tenant, finding.document) > 0

    def _archive_from_index(self, row: Row) -> bool:
        """Keep what the index holds of a document that went in before there was an archive."""
        try:
            found = indexed_passages(self._index, row.tenant, row.document, row.generation)
            passages = tuple(sorted(found, key=lambda one: one.chunk.ordinal))
        except TamperedError:
            return False
        if len(passages) != row.chunks or not passages:
            return False
        return self._keep(row, Archived(passages, None, ""))

    def _reopen(self, finding: Finding) -> bool:
        """Let the next run take the document in again; return whether it will."""
        return finding.row is not None and self._ledger.reopen(finding.row)

    def _record(self, details: Mapping[str, Json]) -> None:
        self._audit.append(
            event_of(
                self._principal,
                Action.INDEX_REBUILT,
                Outcome.SUCCESS,
                request_id=self._run,
                purpose=None,
                policy=self._policy,
                details=details,
            )
        )


# What is mended by writing passages from the archive.
_WRITTEN: Final = frozenset({Fault.MISSING, Fault.CHANGED})
