"""One ingest run: every file through its gates, in small batches, each written on its own.

Here is all that has an order: what changed, who holds it, what is on record, what can be found.
What needs only the file is done by an engine, maybe in many processes at once, and comes back here.
Every step can be repeated: ids are made from content, so a run that was killed anywhere is mended
by running it again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from ingest.aside_run import AsideOfRun
from ingest.changes import Changed, Changes, Refused, Retry
from ingest.containers import Containers
from ingest.engine import Batch, Done, Engine
from ingest.ledger import Claim, Ledger
from ingest.members import Members
from ingest.refusals import Refusal
from ingest.removal import Keeps, Removed, Remover, Why
from ingest.report import FileResult, FileState, Report
from ingest.runs import Ended
from ingest.sources import SourceFile
from ingest.sweep import Absent, Guard, MassRemovalError, Sweep
from ingest.work import Fingerprinter, Target, Work, take_in_hand
from ingest.writer import Writer
from ragplatform.audit.events import MOST_NAMED, Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import ForgottenError, HeldError
from ragplatform.model import Json
from ragplatform.policy.engine import Policies
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy

# Small files share the syncs of a batch: of 448 notes one by one, index and tables took 110 s of
# the clock on a busy disk.
_BATCH_FILES: Final = 64
_BATCH_BYTES: Final = 512 * 1024


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
        keeping: Keeps,
        guard: Guard,
        stop: Callable[[], bool],
        privacy: Privacy,
        policies: Policies,
        index: Index,
        encoder: str,
        archive: Archive,
        catalog: SqlCatalog,
        ledger: Ledger,
        audit: TenantLogs,
        aside: AsideOfRun,
        on_result: Callable[[FileResult], None],
        retry: Retry | None,
    ) -> None:
        """``stop`` says that the run is to end, ``retry`` narrows it to what did not go in."""
        self._run = run
        self._target = target
        self._engine = engine
        self._stop = stop
        self._policies = policies
        self._index = index
        self._archive = archive
        self._catalog = catalog
        self._ledger = ledger
        self._audit = audit
        self._aside = aside
        self._keeping = keeping
        self._on_result = on_result
        self._writer = self._new_writer(privacy, encoder)
        self._remover = self._new_remover(privacy, keeping)
        self._containers = Containers(
            run=run, ledger=ledger, catalog=catalog, remover=self._remover
        )
        self._changes = Changes(
            target=target,
            fingerprint=fingerprint,
            members=members,
            containers=self._containers,
            ledger=ledger,
            aside=aside,
            retry=retry,
        )
        self._absent = Absent(target=target, fingerprint=fingerprint, ledger=ledger, guard=guard)

    def _new_writer(self, privacy: Privacy, encoder: str) -> Writer:
        return Writer(
            claim=self._claim,
            record=self._record,
            privacy=privacy,
            index=self._index,
            encoder=encoder,
            archive=self._archive,
            catalog=self._catalog,
            ledger=self._ledger,
        )

    def _new_remover(self, privacy: Privacy, keeping: Keeps) -> Remover:
        return Remover(
            run=self._run,
            privacy=privacy,
            index=self._index,
            archive=self._archive,
            catalog=self._catalog,
            ledger=self._ledger,
            record=partial(self._record, Action.REMOVED, Outcome.SUCCESS),
            keeping=keeping,
            aside=self._aside,
        )

    def run(
        self, sources: Iterable[SourceFile], report: Report, *, sweep: Sweep | None = None
    ) -> None:
        """Take every source in, quarantine it, or find it unchanged; count it in ``report``.

        What a container no longer holds goes, and with ``sweep`` what the source no longer has.
        A run that is stopped ends after the documents in hand and sweeps nothing.

        Raises ``UnavailableError`` when a part that every file needs is away: what was finished
        stays, and running again goes on from there.
        """
        self._aside.begin(self._record, self._keeping)
        for done in self._engine.run(_batches(self._works(sources, report))):
            report.merge(done.tally)
            self._finish(done, report)
            self._tell_removed(self._containers.finish(last=False), report)
        self._tell_removed(self._containers.finish(last=True), report)
        if sweep is not None and not report.cancelled:
            self._sweep(sweep, report)
        self._aside.warn(report)
        self._record_end(report)

    def _record_end(self, report: Report) -> None:
        details: dict[str, Json] = {
            "states": {str(state): n for state, n in report.states.items()},
            "ended": str(Ended.CANCELLED if report.cancelled else Ended.DONE),
        }
        if report.refused:
            details["not_removed"] = report.refused["gone"]
        self._record(Action.INGEST_FINISHED, Outcome.SUCCESS, details)

    def _finish(self, done: Done, report: Report) -> None:
        """Write what can go in, and put aside what cannot."""
        good = []
        for work, outcome in zip(done.works, done.outcomes, strict=True):
            if isinstance(outcome, Refusal):
                self._refuse(work, outcome, report)
            else:
                good.append((work, outcome))
        for _, prepared in good:
            self._aside.record_waived(prepared.ready)
        written = self._writer.write([prepared for _, prepared in good], report)
        for (work, prepared), refusal in zip(good, written, strict=True):
            if refusal is not None:
                self._refuse(replace(prepared.ready.work, data=work.data), refusal, report)
                continue
            self._aside.taken_in(work)
            self._aside.listen(prepared.ready)
            self._tell(
                report,
                work.source,
                FileState.INDEXED,
                document=work.document,
                chunks=len(prepared.entries),
            )

    def _works(self, sources: Iterable[SourceFile], report: Report) -> Iterator[Work]:
        """Yield the documents that are to be taken in; tell of all others how they end."""
        for found in self._changes.among(sources, report):
            if isinstance(found, Changed):
                if not self._held_back(found.work, report):
                    report.bytes += len(found.work.data or b"")
                    by_hand = self._catalog.labels_by_hand(found.work.document)
                    yield replace(found.work, by_hand=by_hand)
            elif isinstance(found, Refused):
                self._refuse(found.subject, found.refusal, report)
            else:
                document = found.entry.document if found.entry else ""
                ended = FileResult(found.name, found.state, 0, found.reason, document)
                self._told(report, ended)
            if self._stop():
                report.cancelled = True
                return

    def _held_back(self, work: Work, report: Report) -> bool:
        """Return whether the version that is there is on legal hold, and this one has to wait."""
        why = self._remover.why_waits(work.labels.tenant, work.document, work.sha256)
        if why is None:
            return False
        state, document = FileState.ON_HOLD, work.document
        detail = f"the new version waits: {why}"
        self._tell(report, work.source, state, reason=state.value, document=document, detail=detail)
        return True

    def _tell_removed(self, removed: Iterable[Removed], report: Report) -> None:
        for one in removed:
            name = one.entry.display_name or one.entry.document
            state = FileState.KEPT if one.kept else FileState.REMOVED
            if one.was_document:
                document, detail = one.entry.document, one.kept
                self._told(report, FileResult(name, state, document=document, detail=detail))

    def _sweep(self, sweep: Sweep, report: Report) -> None:
        """Take out what the source no longer has, unless that is more than may be believed."""
        with report.stage("sweep"):
            try:
                gone = self._absent.of(sweep)
            except MassRemovalError as error:
                report.refused = error.counts | {"detail": str(error)}
                return
            self._tell_removed(self._remover.remove(gone, Why.LEFT_SOURCE), report)

    def _claim(self, work: Work, name: str) -> Claim:
        return take_in_hand(self._ledger, work, run=self._run, name=name)

    def _refuse(self, subject: Work | SourceFile, refusal: Refusal, report: Report) -> None:
        state, reason, detail = refusal.state, refusal.reason, refusal.detail
        if isinstance(subject, Work) and refusal.labels is not None:
            subject = replace(subject, labels=refusal.labels, subjects=refusal.subjects)
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
        if self._held_back(subject, report):
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
        # The older text must not be read on while the newer one is held back, and a rebuild at work
        # must not bring it back: it looks at the archive last.
        self._archive.forget(subject.labels.tenant, subject.document)
        self._index.remove(subject.labels.tenant, subject.document)
        self._catalog.delete_document(subject.document)
        if state is FileState.QUARANTINED:
            self._aside.keep(subject, reason, detail)
            self._ledger.commit_quarantined(claim, reason=reason)
        document = subject.document
        self._tell(report, subject.source, state, document=document, reason=reason, detail=detail)

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
                subjects=sorted(subjects)[:MOST_NAMED],
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
        self._told(report, FileResult(source.name, state, chunks, reason, document, detail))

    def _told(self, report: Report, result: FileResult) -> None:
        report.add(result)
        self._on_result(result)


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
