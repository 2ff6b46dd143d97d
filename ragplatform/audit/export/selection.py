"""Choosing the records that leave: whose, from which log, of when, and of which kinds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ragplatform.audit import query
from ragplatform.audit.details import recordable
from ragplatform.audit.events import Action
from ragplatform.audit.record import Record, decode, stamp
from ragplatform.errors import NotFoundError, TamperedError
from ragplatform.model import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, and the exact line that it stands in: the bytes that the leaf hash is over."""

    record: Record
    line: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The records wanted. Each condition that is set narrows; ``until`` is always set.

    Without an end an export would never be done: it is itself recorded in the log that it reads.
    """

    until: datetime
    """Only records of before this moment."""
    since: datetime | None = None
    """Only records of this moment or later."""
    tenant: str | None = None
    origin: str | None = None
    request_id: str | None = None
    actions: frozenset[Action] = frozenset()
    """Only these; all when empty."""
    archive: Path | None = None
    """Where to look for the segments that are no longer in the logs' own folders."""

    def keeps(self, record: Record) -> bool:
        """Return whether the record is wanted."""
        return (
            record.time < self.until
            and (self.since is None or record.time >= self.since)
            and (self.tenant is None or record.tenant == self.tenant)
            and (self.request_id is None or record.request_id == self.request_id)
            and (not self.actions or record.action in self.actions)
        )

    def said(self) -> dict[str, Json]:
        """Return the conditions as a record of the export names them."""
        return {
            "until": stamp(self.until),
            **({"since": stamp(self.since)} if self.since else {}),
            **({"from_origin": recordable(self.origin)} if self.origin else {}),
            **({"request": recordable(self.request_id)} if self.request_id else {}),
            **({"actions": sorted(map(str, self.actions))} if self.actions else {}),
        }


def logs_of(parent: Path, selection: Selection) -> list[Path]:
    """Return the logs that can hold wanted records, by name.

    Raises ``NotFoundError`` when there are none.
    """
    found = query.find_logs(parent, tenant=selection.tenant)
    if selection.origin is not None:
        found = [log for log in found if log.name == selection.origin]
    if not found:
        raise NotFoundError(f"{parent} holds no audit log that was asked for")
    return found


def entries(logs: Sequence[Path], selection: Selection) -> Iterator[Entry]:
    """Yield the wanted records, log by log and in the order in which they were written.

    Raises ``TamperedError`` at a line that is no record, and where a record is missing between two
    others. Nothing else is verified here.
    """
    for log in logs:
        origin = query.origin_of(log)
        expected = query.first_index(log, selection.archive)
        for line in query.lines_from(log, selection.archive):
            record = decode(line, origin=origin)
            if record.index != expected:
                raise TamperedError(
                    f"record {expected} of {origin} is not where it belongs: run "
                    "`ragplatform audit verify`"
                )
            expected += 1
            if record.time >= selection.until:
                # The times of one log never go back.
                break
            if selection.keeps(record):
                yield Entry(record, line)
