"""What a run would do: what is new, changed and gone, and how long that may take. Nothing is done.

Files are read and compared with the ledger, and archives are opened, as a run does; nothing is
written but that the program started.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ingest.aside_run import AsideOfRun
from ingest.changes import Changed, Changes, Finding, Refused, Retry, Settled
from ingest.containers import Containers
from ingest.ledger import Entry, Ledger, State
from ingest.members import Members
from ingest.removal import Keeps, Removed, Remover, Why
from ingest.report import FileState, Report
from ingest.runs import Run
from ingest.sources import GivenLabels, SourceFile
from ingest.sweep import Absent, Guard, MassRemovalError, Sweep
from ingest.work import Fingerprinter, Target, Work
from ragplatform.audit.events import Action, Outcome
from ragplatform.catalog import SqlCatalog
from ragplatform.model import Json
from ragplatform.ports import Archive, Index
from ragplatform.privacy.gate import Privacy

# How many earlier runs a time is guessed by: an encoder or a machine of long ago says little.
_GUESSED_BY: Final = 10


class Foreseen(StrEnum):
    """What a run would make of a file."""

    NEW = "new"
    CHANGED = "changed"
    # The same bytes under other labels or through another pipeline.
    AGAIN = "again"
    # Begun before and not finished, or failed.
    UNFINISHED = "unfinished"
    UNCHANGED = "unchanged"
    UNPACKED = "unpacked"
    QUARANTINED = "quarantined"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"
    GONE = "gone"
    KEPT = "kept"


_TO_DO = (Foreseen.NEW, Foreseen.CHANGED, Foreseen.AGAIN, Foreseen.UNFINISHED)


@dataclass(frozen=True, slots=True)
class Planned:
    """One file of a plan. ``size`` is in bytes, 0 where nothing is to be done."""

    name: str = field(repr=False)
    foreseen: Foreseen
    size: int = 0
    reason: str = ""
    labels: GivenLabels | None = None

    def line(self) -> dict[str, Json]:
        """Return it for machines."""
        line: dict[str, Json] = {
            "event": "plan",
            "name": self.name,
            "foreseen": str(self.foreseen),
            "bytes": self.size,
        }
        if self.reason:
            line["reason"] = self.reason
        if (given := self.labels) is not None:
            line |= {
                "sensitivity": given.sensitivity.name.lower(),
                "department": given.department,
                "restrictions": sorted(given.restrictions),
                "retain_until": given.retain_until,
                "subjects": len(given.subjects),
            }
        return line


@dataclass(slots=True)
class Plan:
    """The counts of a plan. ``refused`` says why what is gone would not be taken out."""

    counts: Counter[Foreseen] = field(default_factory=Counter)
    bytes: int = 0
    refused: dict[str, Json] = field(default_factory=dict)

    def add(self, planned: Planned) -> None:
        """Count one file."""
        self.counts[planned.foreseen] += 1
        self.bytes += planned.size

    @property
    def to_do(self) -> int:
        """How many documents would be taken in."""
        return sum(self.counts[one] for one in _TO_DO)

    @property
    def exit_code(self) -> int:
        """0 when all can go in, 1 when some are or would be put aside, 2 when a run would fail."""
        if self.refused:
            return 2
        aside = self.counts[Foreseen.QUARANTINED] + self.counts[Foreseen.REFUSED]
        return 1 if aside else 0

    def summary(self, estimate: "Estimate | None") -> dict[str, Json]:
        """Return the counts for people and machines."""
        return {
            **{str(one): self.counts[one] for one in Foreseen},
            "to_do": self.to_do,
            "bytes": self.bytes,
            "estimate_s": None if estimate is None else round(estimate.seconds, 1),
            "estimated_from_runs": 0 if estimate is None else estimate.runs,
            "not_removed": self.refused,
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a run may take, and from how many earlier runs that was guessed."""

    seconds: float
    runs: int


def estimate(plan: Plan, earlier: Sequence[Run]) -> Estimate | None:
    """Return how long the plan may take by the rates of earlier runs, None without any.

    ``earlier`` are the newest first, and the first few that had work count. Documents cost time by
    their bytes and each for itself: the greater of the two guesses holds.
    """
    worked = [one for one in earlier if one.progress.documents and one.progress.bytes]
    worked = worked[:_GUESSED_BY]
    if not worked:
        return None
    spent = sum(one.progress.elapsed_s for one in worked)
    by_bytes = plan.bytes * spent / sum(one.progress.bytes for one in worked)
    by_number = plan.to_do * spent / sum(one.progress.documents for one in worked)
    return Estimate(max(by_bytes, by_number) if plan.to_do else 0.0, len(worked))


class Planner:
    """Foresees what a run over the same sources would do."""

    def __init__(
        self, *, changes: Changes, containers: Containers, remover: Remover, absent: Absent
    ) -> None:
        """``remover`` is a dry one, and so are the containers that ``changes`` opens."""
        self._changes = changes
        self._containers = containers
        self._remover = remover
        self._absent = absent

    def plan(
        self, sources: Iterable[SourceFile], sweep: Sweep | None, plan: Plan
    ) -> Iterator[Planned]:
        """Yield what would become of each file; ``plan`` counts them."""
        for planned in self._planned(sources, sweep, plan):
            plan.add(planned)
            yield planned

    def _planned(
        self, sources: Iterable[SourceFile], sweep: Sweep | None, plan: Plan
    ) -> Iterator[Planned]:
        for finding in self._changes.among(sources, Report(run="")):
            yield _foreseen(finding)
            yield from _gone(self._containers.finish(last=False))
        yield from _gone(self._containers.finish(last=True))
        if sweep is None:
            return
        try:
            missing = self._absent.of(sweep)
        except MassRemovalError as error:
            plan.refused = error.counts | {"detail": str(error)}
            return
        yield from _gone(self._remover.remove(missing, Why.LEFT_SOURCE))


def planner_of(
    *,
    target: Target,
    fingerprint: Fingerprinter,
    members: Members,
    privacy: Privacy,
    index: Index,
    archive: Archive,
    catalog: SqlCatalog,
    ledger: Ledger,
    aside: AsideOfRun,
    keeping: Keeps,
    guard: Guard,
    retry: Retry | None,
) -> Planner:
    """Return a planner over the same parts as a job's."""
    remover = Remover(
        run="",
        privacy=privacy,
        index=index,
        archive=archive,
        catalog=catalog,
        ledger=ledger,
        record=_unrecorded,
        keeping=keeping,
        aside=aside,
        dry=True,
    )
    aside.begin(_undecided, keeping)
    containers = Containers(run="", ledger=ledger, catalog=catalog, remover=remover)
    changes = Changes(
        target=target,
        fingerprint=fingerprint,
        members=members,
        containers=containers,
        ledger=ledger,
        aside=aside,
        retry=retry,
    )
    absent = Absent(target=target, fingerprint=fingerprint, ledger=ledger, guard=guard)
    return Planner(changes=changes, containers=containers, remover=remover, absent=absent)


def _unrecorded(details: dict[str, Json], subjects: Collection[str]) -> None:
    raise AssertionError("a plan removes nothing, and so has nothing to record")


def _undecided(
    action: Action,
    outcome: Outcome,
    details: dict[str, Json],
    subjects: Collection[str] = (),
) -> None:
    raise AssertionError("a plan decides about nothing, and so has nothing to record")


def _foreseen(finding: Finding) -> Planned:
    if isinstance(finding, Changed):
        work = finding.work
        size = len(work.data or b"")
        return Planned(
            work.source.name, _kind(work, finding.known), size, labels=work.source.labels
        )
    if isinstance(finding, Refused):
        source = finding.subject.source if isinstance(finding.subject, Work) else finding.subject
        return Planned(source.name, Foreseen.REFUSED, reason=finding.refusal.reason)
    return Planned(finding.name, _settled(finding), reason=finding.reason)


def _kind(work: Work, known: Entry | None) -> Foreseen:
    if known is None or known.state is State.GONE:
        return Foreseen.NEW
    if known.state is State.PENDING:
        return Foreseen.UNFINISHED
    return Foreseen.AGAIN if known.sha256 == work.sha256 else Foreseen.CHANGED


def _settled(finding: Settled) -> Foreseen:
    if finding.state is FileState.UNCHANGED:
        return Foreseen.UNCHANGED
    return Foreseen(str(finding.state))


def _gone(removed: Iterable[Removed]) -> Iterator[Planned]:
    for one in removed:
        if one.was_document:
            foreseen = Foreseen.KEPT if one.kept else Foreseen.GONE
            yield Planned(one.entry.display_name or one.entry.document, foreseen, reason=one.kept)
