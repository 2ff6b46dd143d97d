"""A job made of its parts, by default with its stages in this process."""

from collections.abc import Callable
from datetime import date

from ingest.aside import Aside
from ingest.aside_run import AsideOfRun
from ingest.changes import Retry
from ingest.engine import Engine, InProcess
from ingest.job import Job
from ingest.keeping import LEGAL_HOLD
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.prepare import Parser, Preparer
from ingest.quarantine_rules import QuarantineRules
from ingest.removal import Keeps
from ingest.report import FileResult
from ingest.stages import Stages, pipeline
from ingest.sweep import Guard
from ingest.work import Fingerprinter, Target
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.model import Labels
from ragplatform.policy.engine import Policies
from ragplatform.ports import Archive, Embedder, Index, TermWeigher
from ragplatform.privacy.gate import Privacy, Treatment


def _today() -> date:
    return date(2026, 11, 26)


UNGUARDED = Guard(percent=100, documents=0)


class KeptByLabels:
    """Keeps what its labels hold or name a day to come for; there are no cases and no rules."""

    def why_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return what the labels say."""
        if labels.retain_until >= "2026-11-26":
            return f"it has to be kept until {labels.retain_until}"
        return self.why_held(entry, labels)

    def why_aside_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return what the labels say."""
        return self.why_kept(entry, labels)

    def why_held(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return whether the labels hold it."""
        held = LEGAL_HOLD in labels.restrictions
        return "its labels put it on legal hold" if held else None


def stages_of(
    *,
    target: Target,
    parser: Parser,
    privacy: Treatment,
    policies: Policies,
    embedder: Embedder,
    weigher: TermWeigher,
    largest_file: int,
) -> Stages:
    """Return the stages."""
    preparer = Preparer(
        target=target,
        parser=parser,
        privacy=privacy,
        policies=policies,
        largest_file=largest_file,
    )
    return Stages(preparer=preparer, privacy=privacy, embedder=embedder, weigher=weigher)


def job_here(
    *,
    run: str,
    target: Target,
    parser: Parser,
    privacy: Privacy,
    policies: Policies,
    embedder: Embedder,
    weigher: TermWeigher,
    index: Index,
    archive: Archive,
    catalog: SqlCatalog,
    ledger: Ledger,
    audit: TenantLogs,
    aside: Aside,
    name_key: bytes,
    largest_file: int,
    on_result: Callable[[FileResult], None],
    guard: Guard = UNGUARDED,
    stop: Callable[[], bool] = lambda: False,
    retry: Retry | None = None,
    engine: Engine | None = None,
    keeping: Keeps | None = None,
    rules: QuarantineRules | None = None,
    silence_documents: int = 20,
) -> Job:
    """Return the job, whose stages run in this process unless an engine is given."""
    version = pipeline(parser=parser, privacy=privacy)
    stages = stages_of(
        target=target,
        parser=parser,
        privacy=privacy,
        policies=policies,
        embedder=embedder,
        weigher=weigher,
        largest_file=largest_file,
    )
    return Job(
        run=run,
        target=target,
        fingerprint=Fingerprinter(
            target=target,
            subject_ref=privacy.subject_ref,
            pipeline=version,
            name_key=name_key,
            largest_file=largest_file,
        ),
        members=Members(parser=parser),
        engine=engine or InProcess(make=lambda: stages),
        privacy=privacy,
        policies=policies,
        index=index,
        encoder=embedder.version,
        archive=archive,
        catalog=catalog,
        ledger=ledger,
        audit=audit,
        aside=AsideOfRun(
            run=run,
            target=target,
            aside=aside,
            rules=rules
            or QuarantineRules((), expecting=frozenset(), today=lambda: date(2026, 11, 26)),
            silence_documents=silence_documents,
        ),
        on_result=on_result,
        keeping=keeping or KeptByLabels(),
        guard=guard,
        stop=stop,
        retry=retry,
    )
