"""Whether the index says what the log says: row by row, under the log's verified root."""

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_links import Row, Rows, plain, rows_of
from ragplatform.audit.index_tables import METADATA, RECORDS
from ragplatform.audit.merkle import Tree
from ragplatform.audit.query import groups
from ragplatform.audit.verify import VerifyReport

_LINKS: Final = tuple(
    table for table in METADATA.sorted_tables if table.name not in {"audit_logs", "audit_records"}
)
_ABREAST: Final = 1_000


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What was found. ``ok``: each record that the index holds of the log is as the log has it."""

    origin: str
    ok: bool
    records: int
    """How many records were compared and found equal, from the first."""
    behind: int
    """How many records of the log the index does not hold yet."""
    problem: str = ""
    """The first difference, in plain words; empty without one."""


def check_index(index: AuditIndex, log: Path, verified: VerifyReport) -> IndexReport:
    """Compare the index with a log that was verified just now.

    1. The log is good. 2. Every record that the index is said to hold is read again, and its rows
    made anew are those of the index. 3. What was read has the root that was verified. 4. The index
    holds nothing of the log beyond that.
    """
    origin = verified.origin
    if not verified.ok:  # 1
        return IndexReport(origin, ok=False, records=0, behind=0, problem=verified.problem)
    with index.reading() as connection:
        held = index.cursor(connection, origin).records
        stored = _Stored(connection, origin)
        tree = Tree()
        for wanted in itertools.islice(_from_log(log, origin), verified.records):
            if tree.size < held and (difference := stored.difference(tree.size, wanted)):  # 2
                return IndexReport(origin, False, tree.size, 0, difference)
            tree.append(wanted.record["leaf"])
        problem = ""
        if base64.b64encode(tree.root()).decode() != verified.root:  # 3
            problem = "the log changed while it was read: run the check again"
        elif held > tree.size:
            problem = f"the index says that it holds {held} records, the log has {tree.size}"
        elif (stray := stored.beyond(held)) is not None:  # 4
            problem = f"the index holds record {stray}, which it should not"
    equal = min(held, tree.size)
    return IndexReport(origin, not problem, equal, tree.size - equal, problem)


def _from_log(log: Path, origin: str) -> Iterator[Rows]:
    for group in groups(log):
        for line in group.lines:
            yield rows_of(line, origin=origin)


class _Stored:
    """What the index holds of one log, fetched by the thousand."""

    def __init__(self, connection: sa.Connection, origin: str) -> None:
        self._connection = connection
        self._origin = origin
        self._first = -_ABREAST
        self._rows: dict[sa.Table, dict[int, list[Row]]] = {}

    def difference(self, position: int, wanted: Rows) -> str:
        """Return in what the index differs on one record, or ""; positions are asked in order."""
        if position >= self._first + _ABREAST:
            self._first = position
            self._rows = {table: self._fetch(table) for table in (RECORDS, *_LINKS)}
        name = f"{self._origin}/{position}"
        own = self._rows[RECORDS].get(position)
        if own is None:
            return f"the index has lost record {name}"
        differing = [one for one, value in wanted.record.items() if own[0].get(one) != value]
        differing += [
            table.name
            for table in _LINKS
            if _sorted(wanted.links[table]) != _sorted(self._rows[table].get(position, []))
        ]
        return (
            f"the index differs from record {name} in {', '.join(differing)}" if differing else ""
        )

    def beyond(self, held: int) -> int | None:
        """Return the position of a row that is not among the first ``held``, or None."""
        for table in (RECORDS, *_LINKS):
            outside = (table.c.position < 0) | (table.c.position >= held)
            query = sa.select(sa.func.min(table.c.position)).where(self._own(table), outside)
            stray = self._connection.execute(query).scalar_one()
            if stray is not None:
                return int(stray)
        return None

    def _fetch(self, table: sa.Table) -> dict[int, list[Row]]:
        within = table.c.position.between(self._first, self._first + _ABREAST - 1)
        found: dict[int, list[Row]] = {}
        query = sa.select(table).where(self._own(table), within)
        for row in self._connection.execute(query).mappings():
            found.setdefault(row["position"], []).append(dict(row))
        return found

    def _own(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return table.c.origin == plain(self._origin)


def _sorted(rows: list[Row]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted((name, str(value)) for name, value in row.items()) for row in rows)
