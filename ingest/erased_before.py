"""What the audit logs say of erasures, read once for many certificates."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.query import find_logs, lines_from, origin_of
from ragplatform.audit.record import canonical, decode
from ragplatform.model import Json

Where = tuple[str, int]
"""A record's place: origin and index."""

_ERASURES: Final = frozenset({Action.ERASED, Action.SEAL_DESTROYED})
# Most lines are ruled out by these alone, at a tenth of the cost of parsing them.
_NEEDLES: Final = tuple(
    canonical({"action": str(action)})[1:-1] for action in (*_ERASURES, Action.SUBJECT_REPORTED)
)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """One record of an erasure: its place, its line, and what of all that was asked it is about."""

    where: Where
    line: bytes = field(repr=False)
    document: str
    subjects: frozenset[str]


@dataclass(frozen=True, slots=True)
class Told:
    """The records of erasures, and of the reports on people that left, both oldest first."""

    erasures: tuple[OnRecord, ...]
    reports: tuple[tuple[Where, frozenset[str]], ...]

    def reports_on(self, subjects: Collection[str]) -> list[Json]:
        """Return the records of reports on these people, by log and number."""
        wanted = frozenset(subjects)
        return [f"{origin}/{index}" for (origin, index), about in self.reports if about & wanted]


def read_erasures(
    logs: Path, *, tenant: str, subjects: frozenset[str], documents: frozenset[str]
) -> Told:
    """Return what a tenant's logs say of these people and documents, each log read once."""
    erasures: list[OnRecord] = []
    reports: list[tuple[Where, frozenset[str]]] = []
    taken = set(documents)
    for log in find_logs(logs, tenant=tenant):
        origin = origin_of(log)
        for line in lines_from(log):
            if not any(needle in line for needle in _NEEDLES):
                continue
            record = decode(line, origin=origin)
            if record.tenant != tenant or record.outcome is not Outcome.SUCCESS:
                continue
            about = subjects.intersection(record.subjects)
            where, document = (origin, record.index), str(record.details.get("document", ""))
            if record.action is Action.SUBJECT_REPORTED and about:
                reports.append((where, about))
            elif record.action in _ERASURES and (about or document in taken):
                erasures.append(OnRecord(where, line, document, about))
                # Another erasure may have begun it, for others whom it was about too.
                if document:
                    taken.add(document)
    return Told(tuple(erasures), tuple(reports))
