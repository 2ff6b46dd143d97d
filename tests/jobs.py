"""A job made of its parts, by default with its stages in this process."""

from collections.abc import Callable
from datetime import date

from ingest.changes import Retry
from ingest.engine import Engine, InProcess
from ingest.job import Job
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.prepare import Parser, Preparer
from ingest.removal import kept_by_labels
from ingest.report import FileResult
from ingest.stages import Stages, pipeline
from ingest.sweep import Guard
from ingest.work import Fingerprinter, Target
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.policy.engine import Policies
from ragplatform.ports import Archive, Embedder, Index, TermWeigher
from ragplatform.privacy.gate import Privacy, Treatment

UNGUARDED = Guard(percent=100, documents=0)


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
    name_key: bytes,
    largest_file: int,
    on_result: Callable[[FileResult], None],
    guard: Guard = UNGUARDED,
    stop: Callable[[], bool] = lambda: False,
    retry: Retry | None = None,
    engine: Engine | None = None,
    keeping: Keeping | None = None,
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
        on_result=on_result,
        why_kept=keeping.why_kept if keeping else kept_by_labels(lambda: date(2026, 11, 26)),
        why_held=keeping.why_held if keeping else lambda entry, labels: None,
        guard=guard,
        stop=stop,
        retry=retry,
    )
