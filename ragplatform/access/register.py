"""The register: who is related to whom, who consents to what, and who broke the glass.

Every question reads it afresh, so whatever is removed from it is out of the next question. It holds
keyed references of people, never their raw ids; reasons are sealed. What it is told is on the audit
log before it comes here; see ``desk``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast
from uuid import uuid4

import sqlalchemy as sa

from ragplatform.access.tables import (
    CONSENTS,
    FEEDS,
    FOREVER,
    OPENINGS,
    RELATIONS,
    UNMASKED,
    USES,
    moment,
    stamp,
)
from ragplatform.errors import UnavailableError
from ragplatform.migrations import bring_up
from ragplatform.model import Consent, Principal, Purpose, Standing
from ragplatform.ports import Directory
from ragplatform.tables import insert, open_engine, transaction

# SQLite's default limit on bound variables is 32,766, and a relation has six.
_BATCH: Final = 1000
# The feed of relations that are entered one by one; it never grows old.
BY_HAND: Final = "by-hand"


@dataclass(frozen=True, slots=True)
class Relation:
    """That a principal is related to a subject from one moment until another, None: for good."""

    principal: str
    subject: str
    starts: datetime
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """Where relations come from. Older than ``max_age_s``, nothing of it counts."""

    name: str
    refreshed: datetime
    max_age_s: int | None
    relations: int


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """What a subject has said of a purpose, from one moment until another, None: for good."""

    subject: str
    purpose: Purpose
    consent: Consent
    starts: datetime
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """One breaking of the glass, and what became of it.

    ``sealed`` holds reason and raw subject; it is empty when the subject was erased.
    """

    id: str
    tenant: str
    principal: str
    subject: str
    purpose: Purpose
    starts: datetime
    ends: datetime
    sealed: bytes = field(repr=False)
    uses: int = 0
    verdict: str | None = None
    reviewer: str | None = None
    reviewed: datetime | None = None
    note: bytes | None = field(default=None, repr=False)


def _part(kind: str, first: Any, second: Any, *where: Any, times: Any = ()) -> sa.Select[Any]:
    """Return a part of the query for a standing, in the columns that all its parts have."""
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    columns = (sa.literal_column(f"'{kind}'"), first, second, *(times or (zero, zero)))
    names = ("kind", "first", "second", "refreshed", "max_age_s")
    labelled = (column.label(name) for column, name in zip(columns, names, strict=True))
    return sa.select(*labelled).where(*where)


def _in_force(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    now = sa.bindparam("now", type_=sa.BigInteger)
    return (table.c.tenant == sa.bindparam("tenant"), table.c.starts <= now, table.c.ends > now)


# One query, for every question asks it: what it tells is of one moment, and a database at the other
# end of a network is asked once.
_STANDING: Final = sa.union_all(
    _part(
        "feed",
        FEEDS.c.feed,
        sa.literal_column("''"),
        FEEDS.c.tenant == sa.bindparam("tenant"),
        FEEDS.c.max_age_s.is_not(None),
        times=(FEEDS.c.refreshed, FEEDS.c.max_age_s),
    ),
    _part(
        "relation",
        RELATIONS.c.subject,
        RELATIONS.c.feed,
        *_in_force(RELATIONS),
        RELATIONS.c.principal == sa.bindparam("principal"),
    ),
    _part(
        "consent",
        CONSENTS.c.subject,
        CONSENTS.c.consent,
        *_in_force(CONSENTS),
        CONSENTS.c.purpose == sa.bindparam("purpose"),
    ),
    _part(
        "opening",
        OPENINGS.c.id,
        OPENINGS.c.subject,
        *_in_force(OPENINGS),
        OPENINGS.c.principal == sa.bindparam("principal"),
        OPENINGS.c.purpose == sa.bindparam("purpose"),
    ),
)


@dataclass(slots=True)
class _Held:
    """What the rows of ``_STANDING`` tell."""

    dark: set[str] = field(default_factory=set)
    relations: list[tuple[str, str]] = field(default_factory=list)
    consenting: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    openings: dict[str, str] = field(default_factory=dict)

    def add(
        self, kind: str, first: str, second: str, refreshed: int, max_age_s: int, *, now: datetime
    ) -> None:
        """Take one row."""
        if kind == "feed":
            if (now - _moment(refreshed)).total_seconds() > max_age_s:
                self.dark.add(first)
        elif kind == "relation":
            self.relations.append((first, second))
        elif kind == "consent":
            # A word that is none of ours was written past this program: it closes, not opens.
            given = second == Consent.GIVEN.value
            (self.consenting if given else self.refusing).add(first)
        else:
            self.openings[first] = second

    def related(self) -> frozenset[str]:
        """Return whom the feeds relate that are not dark."""
        return frozenset(subject for subject, feed in self.relations if feed not in self.dark)


class Register:
    """The register in a SQL database; fulfils ``ports.Standings``.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when the
    database does not answer, and are durable when they return.
    """

    def __init__(
        self,
        url: str,
        *,
        subject_ref: Callable[[str, str], str],
        directories: Sequence[Directory],
        now: Callable[[], datetime],
    ) -> None:
        """Open the database, creating the tables that are missing.

        ``subject_ref`` turns a tenant and the raw id that a directory gives into a keyed reference.
        """
        self._subject_ref = subject_ref
        self._directories = tuple(directories)
        self._now = now
        # Every question reads here: a read must not queue behind a writer for the lock.
        self._engine = open_engine(url, begin_immediate=False)
        with self._transaction() as connection:
            bring_up(connection, "register")

    def standing(self, principal: Principal, purpose: Purpose) -> Standing:
        """Return how the principal stands to the people of its tenant now, for this purpose."""
        # First, for they may take a while, and what the register holds must be of this moment.
        asked, silent = self._asked(principal)
        now = self._now()
        told = {
            "tenant": principal.tenant,
            "principal": principal.id,
            "purpose": purpose.value,
            "now": stamp(now),
        }
        with self._transaction() as connection:
            rows = connection.execute(_STANDING, told).all()
        held = _Held()
        for row in rows:
            held.add(*row, now=now)
        return Standing(
            principal=principal,
            purpose=purpose,
            related=principal.subjects | held.related() | asked,
            opened=frozenset(held.openings.values()),
            consenting=frozenset(held.consenting),
            refusing=frozenset(held.refusing),
            glass=tuple(sorted(held.openings)),
            dark=tuple(sorted({*held.dark, *silent})),
        )

    def unmasked(self, principal: Principal, chunk: str) -> frozenset[str]:
        """Return the pseudonyms in a passage that the principal unmasked, while that lasts."""
        query = sa.select(UNMASKED.c.token).where(
            UNMASKED.c.tenant == principal.tenant,
            UNMASKED.c.principal == principal.id,
            UNMASKED.c.chunk == chunk,
            UNMASKED.c.ends > stamp(self._now()),
        )
        with self._transaction() as connection:
            return frozenset(connection.execute(query).scalars())

    def unmask(self, principal: Principal, chunk: str, token: str, ends: datetime) -> None:
        """Let the principal see one value of one passage until then."""
        row = {
            "tenant": principal.tenant,
            "principal": principal.id,
            "chunk": chunk,
            "token": token,
            "ends": stamp(ends),
        }
        with self._transaction() as connection:
            # What is over is of no use to anybody, and the audit log holds that it was.
            connection.execute(sa.delete(UNMASKED).where(UNMASKED.c.ends <= stamp(self._now())))
            new = insert(self._engine.dialect, UNMASKED).values(row)
            keys = ["tenant", "principal", "chunk", "token"]
            connection.execute(
                new.on_conflict_do_update(index_elements=keys, set_={"ends": new.excluded.ends})
            )

    def relate(self, tenant: str, relations: Sequence[Relation]) -> None:
        """Add relations by hand; an earlier one by hand of the same two people is replaced."""
        with self._transaction() as connection:
            self._refresh(connection, tenant, BY_HAND, None)
            self._add(connection, tenant, BY_HAND, relations)

    def replace_feed(
        self, tenant: str, feed: str, relations: Sequence[Relation], max_age_s: int | None
    ) -> None:
        """Put these relations in place of all that the feed said before, at once."""
        own = (RELATIONS.c.tenant == tenant) & (RELATIONS.c.feed == feed)
        with self._transaction() as connection:
            self._refresh(connection, tenant, feed, max_age_s)
            connection.execute(sa.delete(RELATIONS).where(own))
            self._add(connection, tenant, feed, relations)

    def unrelate(self, tenant: str, principal: str, subject: str) -> int:
        """Remove every relation of the two people, whatever feed it is of; return how many."""
        statement = sa.delete(RELATIONS).where(
            RELATIONS.c.tenant == tenant,
            RELATIONS.c.principal == principal,
            RELATIONS.c.subject == subject,
        )
        with self._transaction() as connection:
            return connection.execute(statement).rowcount

    def related_to(self, tenant: str, subject: str) -> list[Relation]:
        """Return who is related to the subject, whatever the feed, past and to come."""
        query = (
            sa.select(RELATIONS)
            .where(RELATIONS.c.tenant == tenant, RELATIONS.c.subject == subject)
            .order_by(RELATIONS.c.principal, RELATIONS.c.starts)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [
            Relation(row.principal, row.subject, _moment(row.starts), moment(row.ends))
            for row in rows
        ]

    def feeds(self, tenant: str) -> list[Feed]:
        """Return the tenant's feeds by name."""
        count = sa.func.count(RELATIONS.c.subject)
        same = (FEEDS.c.tenant == RELATIONS.c.tenant) & (FEEDS.c.feed == RELATIONS.c.feed)
        query = (
            sa.select(FEEDS.c.feed, FEEDS.c.refreshed, FEEDS.c.max_age_s, count)
            .join(RELATIONS, same, isouter=True)
            .where(FEEDS.c.tenant == tenant)
            .group_by(FEEDS.c.feed, FEEDS.c.refreshed, FEEDS.c.max_age_s)
            .order_by(FEEDS.c.feed)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [Feed(row[0], _moment(row[1]), row[2], row[3]) for row in rows]

    def set_consent(self, tenant: str, entry: ConsentEntry, identity: str) -> None:
        """Make this what the subject says of the purpose from its start on.

        Whatever was said before ends there. ``Consent.SILENT`` takes it back. A consent that ends
        takes back no refusal of the time after it: whoever said no meant it until then too.
        """
        starts, ends = stamp(entry.starts), _stamp(entry.ends)
        given = entry.consent is Consent.GIVEN
        same = (
            (CONSENTS.c.tenant == tenant)
            & (CONSENTS.c.subject == entry.subject)
            & (CONSENTS.c.purpose == entry.purpose.value)
        )
        row = {
            "id": identity,
            "tenant": tenant,
            "subject": entry.subject,
            "purpose": entry.purpose.value,
            "consent": entry.consent.value,
            "starts": starts,
            "ends": ends,
        }
        refused = same & (CONSENTS.c.consent == Consent.REFUSED.value)
        after = refused & (CONSENTS.c.starts >= ends) if given else sa.false()
        with self._transaction() as connection:
            if given:
                _split(connection, refused, ends)
            connection.execute(sa.delete(CONSENTS).where(same, CONSENTS.c.starts >= starts, ~after))
            before = same & (CONSENTS.c.starts < starts) & (CONSENTS.c.ends > starts)
            connection.execute(sa.update(CONSENTS).where(before).values(ends=starts))
            if entry.consent is not Consent.SILENT:
                connection.execute(sa.insert(CONSENTS).values(row))

    def consents(self, tenant: str, subject: str) -> list[ConsentEntry]:
        """Return all that the subject has said, past and to come, in order of time."""
        query = (
            sa.select(CONSENTS)
            .where(CONSENTS.c.tenant == tenant, CONSENTS.c.subject == subject)
            .order_by(CONSENTS.c.starts, CONSENTS.c.purpose)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [
            ConsentEntry(
                subject=row.subject,
                purpose=Purpose(row.purpose),
                consent=Consent(row.consent),
                starts=_moment(row.starts),
                ends=moment(row.ends),
            )
            for row in rows
        ]

    def open_glass(self, opening: Opening, *, most: int) -> bool:
        """Put an opening in force; return False where the principal has ``most`` in force."""
        row = {
            "id": opening.id,
            "tenant": opening.tenant,
            "principal": opening.principal,
            "subject": opening.subject,
            "purpose": opening.purpose.value,
            "starts": stamp(opening.starts),
            "ends": stamp(opening.ends),
            "sealed": opening.sealed,
        }
        own = sa.select(sa.func.count()).where(
            OPENINGS.c.tenant == opening.tenant,
            OPENINGS.c.principal == opening.principal,
            OPENINGS.c.ends > stamp(self._now()),
        )
        values = [sa.literal(value, OPENINGS.c[name].type) for name, value in row.items()]
        new = sa.insert(OPENINGS).from_select(
            list(row), sa.select(*values).where(own.scalar_subquery() < most)
        )
        with self._transaction() as connection:
            if connection.dialect.name == "postgresql":
                # SQLite writes one after another; here two at once would not see each other.
                person = sa.func.hashtext(f"{opening.tenant}/{opening.principal}")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(person)))
            return connection.execute(new.returning(OPENINGS.c.id)).first() is not None

    def end_glass(self, opening: str) -> None:
        """End an opening now, unless it is over already."""
        now = stamp(self._now())
        mine = (OPENINGS.c.id == opening) & (OPENINGS.c.ends > now)
        with self._transaction() as connection:
            connection.execute(sa.update(OPENINGS).where(mine).values(ends=now))

    def opening(self, tenant: str, opening: str) -> Opening | None:
        """Return one opening of the tenant, or None."""
        found = self._openings(OPENINGS.c.tenant == tenant, OPENINGS.c.id == opening)
        return found[0] if found else None

    def openings(
        self, tenant: str, *, principal: str | None = None, reviewed: bool | None = None
    ) -> list[Opening]:
        """Return the tenant's openings, newest first: of one principal, reviewed or not, or all."""
        conditions = [OPENINGS.c.tenant == tenant]
        if principal is not None:
            conditions.append(OPENINGS.c.principal == principal)
        if reviewed is not None:
            empty = OPENINGS.c.verdict.is_(None)
            conditions.append(~empty if reviewed else empty)
        return self._openings(*conditions)

    def sign_off(self, opening: str, *, verdict: str, reviewer: str, note: bytes) -> bool:
        """Keep a reviewer's verdict; return False when another one was there already."""
        values = {
            "verdict": verdict,
            "reviewer": reviewer,
            "reviewed": stamp(self._now()),
            "note": note,
        }
        mine = (OPENINGS.c.id == opening) & OPENINGS.c.verdict.is_(None)
        with self._transaction() as connection:
            return connection.execute(sa.update(OPENINGS).where(mine).values(values)).rowcount > 0

    def note_use(self, standing: Standing, request_id: str, subjects: frozenset[str]) -> None:
        """Note, for each opening in force about these people, that the request made use of it."""
        if not subjects & standing.opened:
            return
        at = stamp(self._now())
        used = sa.select(OPENINGS.c.id, sa.literal(request_id), sa.literal(at)).where(
            OPENINGS.c.id.in_(standing.glass),
            OPENINGS.c.subject.in_(subjects & standing.opened),
        )
        new = insert(self._engine.dialect, USES).from_select(["opening", "request", "at"], used)
        with self._transaction() as connection:
            connection.execute(new.on_conflict_do_nothing())

    def forget(self, tenant: str, subject: str) -> int:
        """Remove what is kept of the subject; return how many entries went.

        An opening ends and loses its reason and raw subject, and waits for its verdict still:
        erasing a person must not take an abuse of their records out of sight.
        """
        now = stamp(self._now())
        with self._transaction() as connection:
            gone = sum(
                connection.execute(
                    sa.delete(table).where(table.c.tenant == tenant, table.c.subject == subject)
                ).rowcount
                for table in (RELATIONS, CONSENTS)
            )
            own = (OPENINGS.c.tenant == tenant) & (OPENINGS.c.subject == subject)
            connection.execute(
                sa.update(OPENINGS).where(own, OPENINGS.c.ends > now).values(ends=now)
            )
            emptied = sa.update(OPENINGS).where(own).values(sealed=b"", note=None)
            return gone + connection.execute(emptied).rowcount

    def close(self) -> None:
        """Close all connections. Calling it again does nothing."""
        self._engine.dispose()

    def _asked(self, principal: Principal) -> tuple[frozenset[str], list[str]]:
        """Return whom the directories say the principal is related to, and which count for nothing.

        A directory that does not answer, or answers with what is too old, relates nobody.
        """
        found: set[str] = set()
        dark = []
        for directory in self._directories:
            try:
                answer = directory.relatives(principal)
            except UnavailableError:
                dark.append(directory.name)
                continue
            # The time is taken behind the answer, which may be of this very moment.
            if not 0 <= (self._now() - answer.as_of).total_seconds() <= directory.max_age_s:
                dark.append(directory.name)
                continue
            found.update(self._subject_ref(principal.tenant, raw) for raw in answer.subjects)
        return frozenset(found), dark

    def _refresh(
        self, connection: sa.Connection, tenant: str, feed: str, max_age_s: int | None
    ) -> None:
        row = {
            "tenant": tenant,
            "feed": feed,
            "refreshed": stamp(self._now()),
            "max_age_s": max_age_s,
        }
        new = insert(self._engine.dialect, FEEDS).values(row)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["tenant", "feed"],
                set_={"refreshed": new.excluded.refreshed, "max_age_s": new.excluded.max_age_s},
            )
        )

    def _add(
        self, connection: sa.Connection, tenant: str, feed: str, relations: Sequence[Relation]
    ) -> None:
        rows = {
            (one.principal, one.subject): {
                "tenant": tenant,
                "principal": one.principal,
                "subject": one.subject,
                "feed": feed,
                "starts": stamp(one.starts),
                "ends": _stamp(one.ends),
            }
            for one in relations
        }
        listed = list(rows.values())
        for start in range(0, len(listed), _BATCH):
            new = insert(self._engine.dialect, RELATIONS).values(listed[start : start + _BATCH])
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=["tenant", "principal", "subject", "feed"],
                    set_={"starts": new.excluded.starts, "ends": new.excluded.ends},
                )
            )

    def _openings(self, *conditions: sa.ColumnElement[bool]) -> list[Opening]:
        uses = (
            sa.select(sa.func.count())
            .select_from(USES)
            .where(USES.c.opening == OPENINGS.c.id)
            .scalar_subquery()
        )
        query = (
            sa.select(OPENINGS, uses.label("uses"))
            .where(*conditions)
            .order_by(OPENINGS.c.starts.desc(), OPENINGS.c.id)
        )
        with self._transaction() as connection:
            return [_opening(row) for row in connection.execute(query)]

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the access register")


def _split(connection: sa.Connection, rows: sa.ColumnElement[bool], at: int) -> None:
    """Let what holds before and after a moment go on as an entry of its own from there."""
    over: dict[str, Any] = {"id": sa.literal(uuid4().hex), "starts": sa.literal(at)}
    columns: list[Any] = [over.get(column.name, column) for column in CONSENTS.c]
    later = sa.select(*columns).where(rows, CONSENTS.c.starts < at, CONSENTS.c.ends > at)
    names = [column.name for column in CONSENTS.c]
    connection.execute(sa.insert(CONSENTS).from_select(names, later))


def _opening(row: Any) -> Opening:
    return Opening(
        id=row.id,
        tenant=row.tenant,
        principal=row.principal,
        subject=row.subject,
        purpose=Purpose(row.purpose),
        starts=_moment(row.starts),
        ends=_moment(row.ends),
        sealed=row.sealed,
        uses=row.uses,
        verdict=row.verdict,
        reviewer=row.reviewer,
        reviewed=None if row.reviewed is None else moment(row.reviewed),
        note=row.note,
    )


def _stamp(ends: datetime | None) -> int:
    return FOREVER if ends is None else stamp(ends)


def _moment(value: int) -> datetime:
    return cast("datetime", moment(value))
