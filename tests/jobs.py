"""A job whose stages run in this process, made of its parts."""

from collections.abc import Callable

from ingest.engine import InProcess
from ingest.job import Job
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.prepare import Parser, Preparer, Target
from ingest.report import FileResult
from ingest.stages import Stages, pipeline
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.policy.engine import Policies
from ragplatform.ports import Embedder, Index, TermWeigher
from ragplatform.privacy.gate import Privacy


def stages_of(
    *,
    target: Target,
    parser: Parser,
    privacy: Privacy,
    policies: Policies,
    embedder: Embedder,
    weigher: TermWeigher,
    name_key: bytes,
    largest_file: int,
) -> Stages:
    """Return the stages, with the version that their parts have."""
    preparer = Preparer(
        target=target,
        parser=parser,
        privacy=privacy,
        policies=policies,
        pipeline=pipeline(parser=parser, privacy=privacy, embedder=embedder, weigher=weigher),
        name_key=name_key,
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
    catalog: SqlCatalog,
    ledger: Ledger,
    keeping: Keeping,
    audit: TenantLogs,
    name_key: bytes,
    largest_file: int,
    on_result: Callable[[FileResult], None],
) -> Job:
    """Return the job."""
    stages = stages_of(
        target=target,
        parser=parser,
        privacy=privacy,
        policies=policies,
        embedder=embedder,
        weigher=weigher,
        name_key=name_key,
        largest_file=largest_file,
    )
    return Job(
        run=run,
        target=target,
        preparer=stages.preparer,
        members=Members(parser=parser),
        engine=InProcess(make=lambda: stages),
        privacy=privacy,
        policies=policies,
        index=index,
        catalog=catalog,
        ledger=ledger,
        keeping=keeping,
        audit=audit,
        on_result=on_result,
    )
