"""One ingest run: every file through its gates, in small batches, each written on its own.

Here is all that has an order: what changed, who holds it, what is on record, what can be found.
What needs only the file is done by an engine, maybe in many processes at once, and comes back here.
Every step can be repeated: ids are made from content, so a run that was killed anywhere is mended
by running it again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ingest.aside_run import AsideOfRun
from ingest.engine import Batch, Engine
from ingest.keeping import Keeping
from ingest.ledger import Claim, Ledger, State
from ingest.members import Budget, Members
from ingest.prepare import Ready
from ingest.refusals import Refusal, guarded
from ingest.report import FileResult, FileState, Report
from ingest.sources import SourceFile
from ingest.stages import Prepared
from ingest.work import Fingerprinter, Target, Work
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import ForgottenError, HeldError, QuarantinedError
from ragplatform.model import Json
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Index
from ragplatform.privacy.gate import Privacy

_BATCH_FILES: Final = 16
# What one record can name. A register of more people than this is named by its document.
_MOST_SUBJECTS: Final = 1000
_BATCH_BYTES: Final = 2 * 1024 * 1024


class Job:
    """Runs ingest into one collection. Many processes may each run one."""

    def __init__(
        self,
        *,
        run: str,
        target: Target,
        fingerprint: Fingerprinter,
        members: Members,
        engine: Engine,
        privacy: Privacy,
        policies: Policies,
        index: Index,
        catalog: SqlCatalog,
        ledger: Ledger,
        keeping: Keeping,
        audit: TenantLogs,
        aside: AsideOfRun,
        on_result: Callable[[FileResult], None],
    ) -> None:
        self._run = run
        self._target = target
        self._fingerprint = fingerprint
        self._members = members
        self._engine = engine
        self._privacy = privacy
        self._policies = policies
        self._index = index
        self._catalog = catalog
        self._ledger = ledger
        self._keeping = keeping
        self._audit = audit
        self._aside = aside
        self._on_result = on_result

    def run(self, sources: Iterable[SourceFile], report: Report) -> None:
        """Take every source in, quarantine it, or find it unchanged; count it in ``report``.

        Raises ``UnavailableError`` when a part that every file needs is away: what was finished
        stays, and running again goes on from there.
        """
        where = self._target
        self._ledger.start_run(
            self._run, tenant=where.principal.tenant, collection=where.collection
        )
        self._aside.begin(self._record)
        for done in self._engine.run(_batches(self._changed(sources, report))):
            report.merge(done.tally)
            for work, outcome in zip(done.works, done.outcomes, strict=True):
                self._finish(work, outcome, report)
        states: dict[str, Json] = {str(state): n for state, n in report.states.items()}
        self._aside.warn(report)
        self._record(Action.INGEST_FINISHED, Outcome.SUCCESS, {"states": states})
        self._ledger.finish_run(self._run, dict(report.states))

    def _finish(self, work: Work, outcome: Prepared | Refusal, report: Report) -> None:
        """Write one document, or put it aside when it cannot go in."""
        if isinstance(outcome, Refusal):
            self._refuse(work, outcome, report)
            return
        written = guarded(partial(self._write, outcome, report))
        if isinstance(written, Refusal):
            self._refuse(replace(outcome.ready.work, data=work.data), written, report)

    def _changed(self, sources: Iterable[SourceFile], report: Report) -> Iterator[Work]:
        """Yield the files whose content, labels or pipeline differ from the ledger's."""
        for source in sources:
            yield from self._changed_in(source, report, Budget())

    def _changed_in(self, source: SourceFile, report: Report, budget: Budget) -> Iterator[Work]:
        """Yield the file and the documents inside it that changed, each on its own."""
        with report.stage("fingerprint"):
            work = guarded(partial(self._fingerprint, source))
        if isinstance(work, Refusal):
            self._refuse(source, work, report)
            return
        work = self._aside.decided(work)
        if self._aside.rejects(work):
            # Before it is opened: nothing that lies in it is wanted either.
            self._tell(report, source, FileState.REJECTED, reason="rejected")
            return
        opened = None
        if work.data is not None:
            try:
                with report.stage("unpack"):
                    opened = self._members.open(source, work.data, budget)
            except QuarantinedError as error:
                if not self._settled(work, report):
                    self._put_aside(work, report, FileState.QUARANTINED, error.reason, str(error))
                return
        for inner in self._members.inside(source, opened):
            budget.depth -= 1
            yield from self._changed_in(inner, report, budget)
            budget.depth += 1
        if opened and not opened.is_document:
            # An older, damaged version of the archive may still be on record.
            self._ledger.release(work.labels.tenant, work.labels.collection, work.key)
            self._aside.taken_in(work)
            self._tell(report, source, FileState.UNPACKED)
        elif not self._settled(work, report):
            yield replace(work, by_hand=self._catalog.labels_by_hand(work.document))

    def _settled(self, work: Work, report: Report) -> bool:
        entry = self._ledger.lookup(work.labels.tenant, work.labels.collection, work.key)
        if entry is None:
            return False
        if entry.state is State.FORGOTTEN:
            # What was erased stays out, although its file is still there.
            self._tell(report, work.source, FileState.FORGOTTEN)
            return True
        if entry.generation != work.generation:
            return self._held_back(work, report)
        if entry.state is State.INDEXED:
            self._tell(report, work.source, FileState.UNCHANGED)
            return True
        if work.source.again or entry.reason in work.waived:
            return False
        if entry.state is State.QUARANTINED:
            # The same bytes through the same pipeline end the same way.
            self._tell(report, work.source, FileState.QUARANTINED, reason=entry.reason or "")
            return True
        return False

    def _held_back(self, work: Work, report: Report) -> bool:
        """Return whether the version that is there is on legal hold, and this one has to wait."""
        old = self._catalog.document(work.document)
        if old is None:
            return False
        classes = self._catalog.classes(old.tenant)
        why = self._keeping.why_held(old, classes[old.access_class])
        if why is None:
            return False
        self._tell(
            report,
            work.source,
            FileState.ON_HOLD,
            reason="on_hold",
            document=work.document,
            detail=f"the new version waits: {why}",
        )
        return True

    def _write(self, prepared: Prepared, report: Report) -> None:
        """Make one document's chunks findable. Every step may be repeated after a crash.

        1. Ledger: pending. 2. Catalog: access class and document are known before a chunk of them
        is found, so that erasure misses nothing. 3. Audit: durable before anything can be found.
        4. Vault. 5. Index: new chunks, then the old generation goes. 6. Catalog, audit and
        ledger: done.
        """
        ready, entries = prepared.ready, prepared.entries
        self._aside.listen(ready)
        work, tenant = ready.work, ready.work.labels.tenant
        kind = access_class(ready.labels)
        details: dict[str, Json] = {
            "document": work.document,
            "generation": work.generation,
            "chunks": len(entries),
            "found": dict(ready.transformed[0].counts),
            "access_class": kind,
        }
        with report.stage("ledger"):
            claim = self._claim(work, ready.title)  # 1
            self._catalog.register(ready.labels, kind)  # 2
            # Until the old chunks are gone, the document is about the people of both versions.
            old = self._catalog.document(work.document)
            both = work.subjects | (old.subjects if old else frozenset())
            if old and old.access_class != kind:
                # Before the catalog says so: a run that is repeated would see no difference.
                self._record_relabelled(work, old.access_class, kind, both)
            self._catalog.put_document(_entry(ready, kind, len(entries), both))
        with report.stage("audit"):
            self._aside.record_waived(ready)
            self._record(Action.INGEST_STARTED, Outcome.SUCCESS, details, work.subjects)  # 3
        with report.stage("vault"):
            own = {self._privacy.subject_ref(tenant, f"document:{work.document}")}
            self._privacy.commit(tenant, work.subjects or own, *ready.transformed)  # 4
        with report.stage("index"):
            self._index.upsert(entries)  # 5
            self._index.retire(tenant, work.document, work.generation)
        with report.stage("ledger"):
            self._catalog.put_document(_entry(ready, kind, len(entries), work.subjects))  # 6
        with report.stage("audit"):
            self._record(Action.INGESTED, Outcome.SUCCESS, details, work.subjects)
        with report.stage("ledger"):
            self._ledger.commit_indexed(claim, chunks=len(entries))
            self._aside.taken_in(work)
        self._tell(
            report,
            work.source,
            FileState.INDEXED,
            document=work.document,
            chunks=len(entries),
        )

    def _record_relabelled(
        self, work: Work, before: str, after: str, subjects: frozenset[str]
    ) -> None:
        details: dict[str, Json] = {"document": work.document, "before": before, "after": after}
        self._record(Action.RELABELLED, Outcome.SUCCESS, details, subjects)

    def _claim(self, work: Work, name: str) -> Claim:
        return self._ledger.begin(
            tenant=work.labels.tenant,
            collection=work.labels.collection,
            source_key=work.key,
            sha256=work.sha256,
            document=work.document,
            generation=work.generation,
            run=self._run,
            display_name=name,
        )

    def _refuse(self, subject: Work | SourceFile, refusal: Refusal, report: Report) -> None:
        state, reason, detail = refusal.state, refusal.reason, refusal.detail
        if refusal.held:
            # Another run is at work on it: nothing of it may be touched.
            source = subject.source if isinstance(subject, Work) else subject
            self._tell(report, source, state, reason=reason, detail=detail)
        else:
            self._put_aside(subject, report, state, reason, detail)

    def _put_aside(
        self,
        subject: Work | SourceFile,
        report: Report,
        state: FileState,
        reason: str,
        detail: str,
    ) -> None:
        """Record why a file did not go in, take its older chunks out of reach, and count it.

        One that failed stays pending in the ledger, so that the next run tries it again, also
        when the file is what it was before.
        """
        details: dict[str, Json] = {"reason": reason, "state": str(state)}
        if not isinstance(subject, Work):
            self._record(Action.QUARANTINED, Outcome.DENIED, details)
            self._tell(report, subject, state, reason=reason, detail=detail)
            return
        try:
            # First of all: what is being taken out must not count as indexed.
            claim = self._claim(subject, f"withheld ({subject.sha256[:12]})")
        except (HeldError, ForgottenError) as error:
            state, reason, detail = FileState.FAILED, error.code, str(error)
            self._tell(report, subject.source, state, reason=reason, detail=detail)
            return
        details["document"] = subject.document
        self._record(Action.QUARANTINED, Outcome.DENIED, details, subject.subjects)
        # The older text must not be read on while the newer one is held back.
        self._index.remove(subject.labels.tenant, subject.document)
        self._catalog.delete_document(subject.document)
        if state is FileState.QUARANTINED:
            self._aside.keep(subject, reason, detail)
            self._ledger.commit_quarantined(claim, reason=reason)
        self._tell(report, subject.source, state, reason=reason, detail=detail)

    def _record(
        self,
        action: Action,
        outcome: Outcome,
        details: dict[str, Json],
        subjects: Collection[str] = (),
    ) -> None:
        principal = self._target.principal
        self._audit.append(
            event_of(
                principal,
                action,
                outcome,
                request_id=self._run,
                purpose=str(self._target.purpose),
                policy=self._policies.digest,
                subjects=sorted(subjects)[:_MOST_SUBJECTS],
                details=details,
            )
        )

    def _tell(
        self,
        report: Report,
        source: SourceFile,
        state: FileState,
        *,
        document: str = "",
        chunks: int = 0,
        reason: str = "",
        detail: str = "",
    ) -> None:
        result = FileResult(source.name, state, chunks, reason, document, detail)
        report.add(result)
        self._on_result(result)


def _entry(ready: Ready, access: str, chunks: int, subjects: frozenset[str]) -> DocumentEntry:
    work = ready.work
    return DocumentEntry(
        document=work.document,
        tenant=work.labels.tenant,
        collection=work.labels.collection,
        title=ready.title,
        media_type=ready.media_type,
        access_class=access,
        subjects=subjects,
        generation=work.generation,
        chunks=chunks,
        treated=ready.transformed[0].methods,
        indexed_at=datetime.now(UTC),
        dated=ready.dated,
    )


def _batches(works: Iterable[Work]) -> Iterator[Batch]:
    """Group files so that the models work on many texts at once, within bounded memory."""
    some: list[Work] = []
    size = 0
    for work in works:
        some.append(work)
        size += len(work.data or b"")
        if len(some) == _BATCH_FILES or size >= _BATCH_BYTES:
            yield Batch(tuple(some))
            some, size = [], 0
    if some:
        yield Batch(tuple(some))
