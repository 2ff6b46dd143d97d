"""Asking the index: which records fit, page by page, each with its place in the evidence."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_links import How, plain
from ragplatform.audit.index_tables import (
    DOCUMENTS,
    OPENINGS,
    PASSAGES,
    RECORDS,
    SUBJECTS,
    from_stored,
    to_stored,
)
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.query import line_at
from ragplatform.audit.record import Record, decode
from ragplatform.errors import InvalidRequestError, TamperedError

MOST_PER_PAGE: Final = 1000
_LONGEST_CURSOR: Final = 512
# The tables of things that records name, by the condition that asks for one of them.
_THINGS: Final = {
    "passage": PASSAGES,
    "document": DOCUMENTS,
    "subject": SUBJECTS,
    "opening": OPENINGS,
}
_WORDS: Final = {
    "actor": RECORDS.c.actor,
    "purpose": RECORDS.c.purpose,
    "policy": RECORDS.c.policy,
    "request": RECORDS.c.request,
    "trace": RECORDS.c.trace,
    "action": RECORDS.c.action,
    "outcome": RECORDS.c.outcome,
}


class UnsafeAllTenants(Enum):
    """In place of a tenant: the records of all, and of the deployment; for who has the files."""

    ALL = "all"


Whose = str | UnsafeAllTenants


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which records are wanted: those that fit all that is given. ``tenant`` is never left out.

    ``since`` is the earliest time wanted and ``until`` the first that is not; ``subject`` is a
    keyed reference. ``glass_of`` asks for what names a glass that this person broke. ``how`` says
    what may have become of the passage, document, subject or opening; empty: anything.
    """

    tenant: Whose
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    purpose: str | None = None
    action: Action | None = None
    outcome: Outcome | None = None
    policy: str | None = None
    request: str | None = None
    trace: str | None = None
    passage: str | None = None
    document: str | None = None
    subject: str | None = None
    opening: str | None = None
    glass_of: str | None = None
    how: frozenset[str] = frozenset()
    oldest_first: bool = False

    @property
    def shape(self) -> list[str]:
        """The names of the conditions that are given, without their values."""
        return [
            one.name
            for one in fields(self)
            if one.name != "tenant" and getattr(self, one.name) not in (None, frozenset(), False)
        ]

    def digest(self) -> str:
        """Return what binds a cursor to this query: the digest of all its conditions."""
        given = {one.name: _canonical(getattr(self, one.name)) for one in fields(self)}
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the index knows it.

    ``origin``, ``index`` and ``leaf`` name it in the evidence: `audit prove ORIGIN INDEX` proves
    that it stands there. ``segment`` and ``place`` say where in the files.
    """

    origin: str
    index: int
    leaf: bytes = field(repr=False)
    time: datetime
    action: str
    outcome: str
    tenant: str
    actor: str
    via: str
    purpose: str | None
    request_id: str
    trace: str
    policy: str
    segment: int
    place: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the records, in order; ``cursor`` asks for the next ones, None: there are none."""

    entries: tuple[Entry, ...]
    cursor: str | None


def select_page(
    index: AuditIndex, query: AuditQuery, *, limit: int, cursor: str | None = None
) -> Page:
    """Return up to ``limit`` records, newest first unless asked otherwise, from the cursor on.

    Records that are added meanwhile move no page: newest first, they come before the first.

    Raises ``InvalidRequestError`` for a cursor of another query, and for times without a zone.
    """
    if not 1 <= limit <= MOST_PER_PAGE:
        raise InvalidRequestError(f"limit: wanted 1 to {MOST_PER_PAGE}")
    statement, order = _statement(query)
    if cursor is not None:
        after = sa.tuple_(*(sa.literal(part) for part in _place_of(query, cursor)))
        here = sa.tuple_(*order)
        statement = statement.where(here > after if query.oldest_first else here < after)
    wanted = order if query.oldest_first else [column.desc() for column in order]
    with index.reading() as connection:
        rows = connection.execute(statement.order_by(*wanted).limit(limit + 1)).all()
    entries = tuple(entry_of(row) for row in rows[:limit])
    more = len(rows) > limit
    return Page(entries, _cursor(query, entries[-1]) if more else None)


def find_entry(index: AuditIndex, tenant: Whose, origin: str, position: int) -> Entry | None:
    """Return one record of the tenant's by its place in the logs, or None."""
    if not 0 <= position < 2**63:
        return None
    statement = sa.select(RECORDS).where(
        RECORDS.c.origin == plain(origin),
        RECORDS.c.position == position,
        *of_tenant(AuditQuery(tenant), RECORDS),
    )
    with index.reading() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else entry_of(row)


def evidence_of(entry: Entry, log: Path | None) -> Record | None:
    """Return the record itself, from the log; None where its segment is not on this host.

    Raises ``TamperedError`` when what stands there is not what the index took in.
    """
    line = None if log is None else line_at(log, entry.segment, entry.place)
    if line is None:
        return None
    if leaf_hash(line) != entry.leaf:
        raise TamperedError(
            f"record {entry.origin}/{entry.index} differs between log and index: run "
            "`audit verify` and `audit index check`"
        )
    record = decode(line, origin=entry.origin)
    # Who can write the index alone must not move a record to another tenant's reviewers.
    if (record.tenant, record.index) != (entry.tenant, entry.index):
        raise TamperedError(
            f"the index has record {entry.origin}/{entry.index} as another: run `audit index check`"
        )
    return record


def count_of(query: AuditQuery) -> sa.Select[int]:
    """Return the statement that counts the records that fit."""
    statement, _ = _statement(query)
    return sa.select(sa.func.count()).select_from(statement.subquery())


def openings_by(query: AuditQuery) -> sa.Select[str]:
    """Return the statement for the openings that ``query.glass_of`` made, whenever it was."""
    same = (OPENINGS.c.origin == RECORDS.c.origin) & (OPENINGS.c.position == RECORDS.c.position)
    made = (RECORDS.c.actor == plain(query.glass_of or "")) & (OPENINGS.c.how == How.OPENED)
    return (
        sa.select(OPENINGS.c.opening)
        .select_from(RECORDS.join(OPENINGS, same))
        .where(RECORDS.c.action == str(Action.BROKE_GLASS), made, *of_tenant(query, RECORDS))
    )


def key_of(entry: Entry) -> tuple[str, int]:
    """Return what names a record among all logs."""
    return entry.origin, entry.index


def links_of(
    connection: sa.Connection, table: sa.Table, entries: Sequence[Entry]
) -> dict[tuple[str, int], dict[str, How]]:
    """Return, for each of the entries that has some, the things that it names in one table."""
    found: dict[tuple[str, int], dict[str, How]] = {}
    thing = next(name for name, one in _THINGS.items() if one is table)
    columns = (table.c.origin, table.c.position, table.c[thing], table.c.how)
    # By log: SQLite looks no pair of columns up in a list of pairs, but reads the whole table.
    for origin, of_log in groupby(sorted(map(key_of, entries)), key=itemgetter(0)):
        positions = [position for _, position in of_log]
        own = (table.c.origin == origin) & table.c.position.in_(positions)
        for row in connection.execute(sa.select(*columns).where(own)):
            found.setdefault((row[0], row[1]), {})[row[2]] = How(row[3])
    return found


def entry_of(row: sa.Row[Any]) -> Entry:
    """Return the entry that a row of the table of records holds."""
    return Entry(
        origin=row.origin,
        index=row.position,
        leaf=row.leaf,
        time=from_stored(row.at),
        action=row.action,
        outcome=row.outcome,
        tenant=row.tenant,
        actor=row.actor,
        via=row.via,
        purpose=row.purpose or None,
        request_id=row.request,
        trace=row.trace,
        policy=row.policy,
        segment=row.segment,
        place=row.place,
    )


def _statement(query: AuditQuery) -> tuple[sa.Select[Any], Sequence[sa.ColumnElement[Any]]]:
    """Return the statement without order or limit, and the columns that put it in order."""
    table: sa.FromClause = RECORDS
    conditions: list[sa.ColumnElement[bool]] = []
    things = [name for name in _THINGS if getattr(query, name) is not None]
    for name in things:
        link = _THINGS[name]
        same = (link.c.origin == RECORDS.c.origin) & (link.c.position == RECORDS.c.position)
        table = table.join(link, same)
        conditions.append(link.c[name] == plain(getattr(query, name)))
    if query.how:
        if not things:
            raise InvalidRequestError("how: wanted a passage, document, subject or opening too")
        conditions.append(_THINGS[things[-1]].c.how.in_(sorted(query.how)))
    conditions += [
        column == plain(str(value))
        for name, column in _WORDS.items()
        if (value := getattr(query, name)) is not None
    ]
    if query.glass_of is not None:
        named = (
            sa.select(OPENINGS.c.origin, OPENINGS.c.position)
            .where(OPENINGS.c.opening.in_(openings_by(query)), *of_tenant(query, OPENINGS))
            .distinct()
            .subquery()
        )
        same = (named.c.origin == RECORDS.c.origin) & (named.c.position == RECORDS.c.position)
        table = table.join(named, same)
    # The index of the table that narrows most gives its rows in order.
    leading = _THINGS[things[0]] if things else RECORDS
    conditions += _within(leading, query)
    order = [leading.c["at"], leading.c.origin, leading.c.position]
    return sa.select(RECORDS).select_from(table).where(*conditions), order


def _within(table: sa.Table, query: AuditQuery) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on tenant and time; whatever is joined to the table follows it."""
    conditions = of_tenant(query, table, RECORDS)
    if query.since is not None:
        conditions.append(table.c["at"] >= _stored("since", query.since))
    if query.until is not None:
        conditions.append(table.c["at"] < _stored("until", query.until))
    return conditions


def of_tenant(query: AuditQuery, *tables: sa.Table) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that keep each of the tables to the query's tenant."""
    if isinstance(query.tenant, UnsafeAllTenants):
        return []
    return [table.c.tenant == plain(query.tenant) for table in tables]


def _stored(name: str, moment: datetime) -> int:
    if moment.utcoffset() is None:
        raise InvalidRequestError(f"{name}: a time needs a zone, such as 2026-01-31T00:00:00Z")
    return to_stored(moment)


def _cursor(query: AuditQuery, last: Entry) -> str:
    place = [query.digest(), to_stored(last.time), last.origin, last.index]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _place_of(query: AuditQuery, cursor: str) -> tuple[int, str, int]:
    refused = InvalidRequestError("cursor: not one of this query; ask again without it")
    if len(cursor) > _LONGEST_CURSOR:
        raise refused
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        digest, at, origin, position = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, TypeError) as error:
        raise refused from error
    right = isinstance(at, int) and isinstance(origin, str) and isinstance(position, int)
    # A cursor grants nothing: the conditions are those of the query that it comes with.
    if digest != query.digest() or not right or max(abs(at), abs(position)) >= 2**63:
        raise refused
    return at, plain(origin), position


def _canonical(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, bool | None) else str(value)
