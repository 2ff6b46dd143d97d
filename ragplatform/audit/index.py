"""The audit index: a database table over the logs, which follows them and proves nothing.

It may be dropped at any time and made anew from the logs. ``index_check`` says whether it is equal
to them; ``index_query`` reads it; ``index_tables`` has its shape.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.audit.index_links import Rows, plain, rows_of
from ragplatform.audit.index_tables import LOGS, METADATA, RECORDS
from ragplatform.audit.layout import segments
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.query import Group, groups, line_at, origin_of
from ragplatform.errors import TamperedError
from ragplatform.tables import create_missing, insert, open_engine, transaction

# Records that go in with one commit: enough that the commit costs little, few enough that others
# who want to write wait for a fraction of a second.
_BATCH: Final = 2_000
# After so many at once the database looks anew at how its values lie.
_MANY: Final = 10_000
_LINKS: Final = tuple(table for table in METADATA.sorted_tables if table not in {LOGS, RECORDS})


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the index follows one log."""

    records: int = 0
    segment: int = 0
    next_place: int = 0
    last_place: int = 0
    last_leaf: bytes = b""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """How many records went in, and whether the index then held all that were durable."""

    records: int
    complete: bool

    def __add__(self, other: "CaughtUp") -> "CaughtUp":
        return CaughtUp(self.records + other.records, self.complete and other.complete)


class AuditIndex:
    """The index in a SQL database. Safe to use from several threads and processes.

    The database is opened at the first use, creating the tables that are missing: questions are
    answered also while the database of their reviewers is away. All methods raise
    ``UnavailableError`` when it does not answer.
    """

    def __init__(self, url: str) -> None:
        # Who catches up reads how far the others are and then writes: none may write between.
        self._engine = open_engine(url, begin_immediate=True)
        self._reader = self._engine.execution_options(begin_with="BEGIN")
        self._opening = threading.Lock()
        self._opened = False

    def close(self) -> None:
        """Close all connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the index and does not wait for writers."""
        self._open()
        with transaction(self._reader, _PART) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection

    def catch_up(self, logs: Iterable[Path], *, most: int | None = None) -> CaughtUp:
        """Take in what the logs hold and the index does not, at most about so many records.

        May be called by several at once, and cut off at any moment: what is in the index and how
        far it follows the log change together. Nothing is verified; ``index_check`` does that.

        Raises ``TamperedError`` where a log is not the one that the index follows, or holds a line
        that is no record, and ``NotFoundError`` for a folder without a log.
        """
        total = CaughtUp(0, complete=True)
        for log in logs:
            left = None if most is None else max(0, most - total.records)
            total += self._follow(log, origin_of(log), left)
        if total.records >= _MANY:
            with transaction(self._engine, _PART) as connection:
                # Without knowing how the values lie, both databases may read a table from end to
                # end. PostgreSQL looks by itself, but a minute later.
                for table in METADATA.sorted_tables:
                    connection.exec_driver_sql(f"ANALYZE {table.name}")
        return total

    def rebuild(self, logs: Sequence[Path]) -> CaughtUp:
        """Drop what the index holds of these logs, and take it in anew."""
        self._open()
        for log in logs:
            origin = plain(origin_of(log))
            with transaction(self._engine, _PART) as connection:
                for table in (*_LINKS, RECORDS, LOGS):
                    connection.execute(sa.delete(table).where(table.c.origin == origin))
        return self.catch_up(logs)

    def cursor(self, connection: sa.Connection, origin: str, *, lock: bool = False) -> Cursor:
        """Return how far the index follows the log of this origin."""
        query = sa.select(LOGS).where(LOGS.c.origin == plain(origin))
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            return Cursor()
        return Cursor(row.records, row.segment, row.next_place, row.last_place, row.last_leaf)

    def _open(self) -> None:
        with self._opening:
            if not self._opened:
                with transaction(self._engine, _PART) as connection:
                    create_missing(connection, METADATA)
                self._opened = True

    def _follow(self, log: Path, origin: str, most: int | None) -> CaughtUp:
        with self.reading() as connection:
            cursor = self.cursor(connection, origin)
        _require_same_log(log, origin, cursor)
        done = 0
        while _has_more(log, cursor):
            step = _BATCH if most is None else min(_BATCH, most - done)
            if step <= 0:
                return CaughtUp(done, complete=False)
            taken, cursor = self._take_in(log, origin, step)
            if taken == 0:
                break
            done += taken
        return CaughtUp(done, complete=True)

    def _take_in(self, log: Path, origin: str, step: int) -> tuple[int, Cursor]:
        """Take in the next groups; return how many records they had, and how far it is now."""
        with transaction(self._engine, _PART) as connection:
            # A row to lock: two that begin with an empty index would both find none.
            start = {"origin": plain(origin), **_columns(Cursor())}
            connection.execute(
                insert(connection.dialect, LOGS).values(start).on_conflict_do_nothing()
            )
            cursor = self.cursor(connection, origin, lock=True)
            taken, after = _next_rows(log, origin, cursor, step)
            if taken:
                _write(connection, taken)
                own = LOGS.c.origin == plain(origin)
                connection.execute(sa.update(LOGS).where(own).values(_columns(after)))
        return len(taken), after


def _next_rows(log: Path, origin: str, cursor: Cursor, step: int) -> tuple[list[Rows], Cursor]:
    """Return the rows of whole groups behind the cursor, of ``step`` records or a few more."""
    rows: list[Rows] = []
    for group in groups(log, segment=cursor.segment, place=cursor.next_place):
        for line in group.lines:
            rows.append(rows_of(line, origin=origin))
            found, wanted = rows[-1].record["position"], cursor.records + len(rows) - 1
            if found != wanted:
                raise TamperedError(
                    f"the audit log {origin} goes on with record {found} where {wanted} belongs: "
                    "were segments archived or removed, catch up before; else run `audit verify`"
                )
        after = _cursor_after(cursor.records + len(rows), group)
        if len(rows) >= step:
            break
    return rows, after if rows else cursor


def _cursor_after(records: int, group: Group) -> Cursor:
    last = group.lines[-1]
    return Cursor(records, group.segment, group.end, last.place, leaf_hash(last.data))


def _write(connection: sa.Connection, taken: Sequence[Rows]) -> None:
    connection.execute(sa.insert(RECORDS), [rows.record for rows in taken])
    for table in _LINKS:
        if links := [row for rows in taken for row in rows.links[table]]:
            connection.execute(sa.insert(table), links)


def _has_more(log: Path, cursor: Cursor) -> bool:
    """Return whether bytes stand behind the cursor; they need not be a whole group yet."""
    for first, path in segments(log):
        if first == cursor.segment and path.stat().st_size > cursor.next_place:
            return True
        if first > cursor.segment:
            return True
    return False


def _require_same_log(log: Path, origin: str, cursor: Cursor) -> None:
    if cursor.records == 0:
        return
    try:
        last = line_at(log, cursor.segment, cursor.last_place)
    except TamperedError:
        last = b""
    if last is not None and leaf_hash(last) != cursor.last_leaf:
        raise TamperedError(
            f"the audit log {origin} is not the one that the index follows: it was cut off, put "
            "back or altered; run `audit verify`, and `audit index rebuild` if it is good"
        )


def _columns(cursor: Cursor) -> dict[str, Any]:
    return {
        "records": cursor.records,
        "segment": cursor.segment,
        "next_place": cursor.next_place,
        "last_place": cursor.last_place,
        "last_leaf": cursor.last_leaf,
    }


_PART: Final = "the audit index"
