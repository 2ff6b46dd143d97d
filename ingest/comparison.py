"""What a run or a plan compares sources with the ledger by, made of its parts."""

from dataclasses import dataclass

from ingest.changes import Changes, Retry
from ingest.containers import Containers
from ingest.ledger import Ledger
from ingest.members import Members
from ingest.removal import Recorder, Remover, WhyKept
from ingest.sweep import Absent, Guard
from ingest.work import Fingerprinter, Target
from ragplatform.catalog import SqlCatalog
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed, what lies in what, what is gone, and who takes it out."""

    remover: Remover
    containers: Containers
    changes: Changes
    absent: Absent


def comparison(
    *,
    run: str,
    target: Target,
    fingerprint: Fingerprinter,
    members: Members,
    privacy: Privacy,
    index: Index,
    archive: Archive,
    catalog: SqlCatalog,
    ledger: Ledger,
    record: Recorder,
    why_kept: WhyKept,
    guard: Guard,
    retry: Retry | None,
    dry: bool = False,
) -> Comparison:
    """Return the parts, which share one remover; with ``dry`` it changes nothing."""
    remover = Remover(
        run=run,
        privacy=privacy,
        index=index,
        archive=archive,
        catalog=catalog,
        ledger=ledger,
        record=record,
        why_kept=why_kept,
        dry=dry,
    )
    containers = Containers(run=run, ledger=ledger, catalog=catalog, remover=remover)
    changes = Changes(
        target=target,
        fingerprint=fingerprint,
        members=members,
        containers=containers,
        ledger=ledger,
        retry=retry,
    )
    absent = Absent(target=target, fingerprint=fingerprint, ledger=ledger, guard=guard)
    return Comparison(remover, containers, changes, absent)
