"""Orders to erase people or documents: what is still to go, what went by which certificate.

People stand here by keyed reference alone. An order that was cut off goes on where it stopped.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.migrations import bring_up
from ragplatform.model import Json, Principal, Purpose
from ragplatform.tables import open_engine, transaction

METADATA: Final = sa.MetaData()

_ORDERS: Final = sa.Table(
    "erasure_orders",
    METADATA,
    sa.Column("erasure", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("asked_by", sa.String(256), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Index("erasure_orders_by_digest", "tenant", "digest"),
)

_NAMED: Final = sa.Table(
    "erasure_named",
    METADATA,
    sa.Column("erasure", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("id", sa.String(128), nullable=False),
    sa.Column("fate", sa.String(16), nullable=False),
    sa.Column("certificate", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Index("erasure_named_by_fate", "erasure", "fate", "number"),
)


class Kind(StrEnum):
    """What an order names: all of them people, by reference, or all of them documents, by id."""

    SUBJECT = "subject"
    DOCUMENT = "document"


class Fate(StrEnum):
    """What became of one that an order names. Only what is certified is gone from every file."""

    WAITING = "waiting"
    CERTIFIED = "certified"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Named:
    """One that an order names, numbered from 1 in its order; ``why`` says why it stays."""

    number: int
    kind: Kind
    id: str
    fate: Fate
    certificate: str = ""
    why: str = ""

    def json(self) -> dict[str, Json]:
        """Return what became of it."""
        return {
            "number": self.number,
            str(self.kind): self.id,
            "fate": str(self.fate),
            "certificate": self.certificate,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order is: how many of those that it names met each fate."""

    erasure: str
    asked_by: str
    purpose: Purpose
    asked_at: datetime
    counts: Mapping[Fate, int]

    @property
    def total(self) -> int:
        """How many were named."""
        return sum(self.counts.values())

    @property
    def done(self) -> bool:
        """Whether none is left to go."""
        return not self.counts[Fate.WAITING]

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped before all were dealt with."""
        return not self.done

    @property
    def all_well(self) -> bool:
        """Whether all of them went."""
        return self.counts[Fate.CERTIFIED] == self.total

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "erasure": self.erasure,
            "named": self.total,
            **{str(fate): self.counts[fate] for fate in Fate},
        }


class ErasureOrders:
    """The orders in a SQL database, by default the catalog's file.

    All methods raise ``UnavailableError`` when the database does not answer; every write is durable
    when they return.
    """

    def __init__(self, url: str) -> None:
        """Open the database, creating the tables that are missing."""
        self._engine = open_engine(url, begin_immediate=True)
        with self._transaction() as connection:
            bring_up(connection, "erasures")

    def place(
        self, erasure: str, principal: Principal, purpose: Purpose, kind: Kind, ids: Sequence[str]
    ) -> None:
        """Keep an order to erase these, each named once."""
        row = {
            "erasure": erasure,
            "tenant": principal.tenant,
            "asked_by": principal.id,
            "purpose": purpose.value,
            "digest": _digest(ids),
            "asked_at": datetime.now(UTC).isoformat(),
        }
        nothing = {"fate": Fate.WAITING.value, "certificate": "", "why": ""}
        named = [
            {"erasure": erasure, "number": number, "kind": kind.value, "id": one, **nothing}
            for number, one in enumerate(ids, 1)
        ]
        with self._transaction() as connection:
            connection.execute(_ORDERS.insert().values(row))
            connection.execute(_NAMED.insert(), named)

    def unfinished(self, principal: Principal, purpose: Purpose, ids: Sequence[str]) -> str | None:
        """Return the newest order of the caller's for the same that was cut off, or None."""
        waiting = (
            sa.select(_NAMED.c.erasure)
            .where(
                _NAMED.c.erasure == _ORDERS.c.erasure,
                _NAMED.c.fate == Fate.WAITING.value,
            )
            .exists()
        )
        query = sa.select(_ORDERS.c.erasure).where(
            _ORDERS.c.tenant == principal.tenant,
            _ORDERS.c.asked_by == principal.id,
            _ORDERS.c.purpose == purpose.value,
            _ORDERS.c.digest == _digest(ids),
            waiting,
        )
        with self._transaction() as connection:
            found = connection.execute(query.order_by(_ORDERS.c.asked_at.desc()).limit(1))
            return found.scalar()

    def waiting(self, erasure: str, *, limit: int) -> list[Named]:
        """Return the first of those that are still to go."""
        query = sa.select(_NAMED).where(
            _NAMED.c.erasure == erasure, _NAMED.c.fate == Fate.WAITING.value
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_NAMED.c.number).limit(limit)).all()
        return [_named_of(row) for row in rows]

    def settle(self, erasure: str, named: Named) -> None:
        """Note what became of one."""
        mine = sa.and_(_NAMED.c.erasure == erasure, _NAMED.c.number == named.number)
        done = {"fate": named.fate.value, "certificate": named.certificate, "why": named.why}
        with self._transaction() as connection:
            connection.execute(_NAMED.update().where(mine).values(done))

    def standing(self, tenant: str, erasure: str) -> Standing | None:
        """Return how far an order of the tenant is, or None where there is none of that id."""
        order = sa.select(_ORDERS).where(_ORDERS.c.tenant == tenant, _ORDERS.c.erasure == erasure)
        counts = (
            sa.select(_NAMED.c.fate, sa.func.count().label("named"))
            .where(_NAMED.c.erasure == erasure)
            .group_by(_NAMED.c.fate)
        )
        with self._transaction() as connection:
            row = connection.execute(order).one_or_none()
            found = {Fate(one.fate): one.named for one in connection.execute(counts)}
        if row is None:
            return None
        return Standing(
            erasure=row.erasure,
            asked_by=row.asked_by,
            purpose=Purpose(row.purpose),
            asked_at=datetime.fromisoformat(row.asked_at),
            counts={fate: found.get(fate, 0) for fate in Fate},
        )

    def named(self, erasure: str, *, after: int, limit: int) -> list[Named]:
        """Return what became of those behind number ``after``, in order."""
        query = sa.select(_NAMED).where(_NAMED.c.erasure == erasure, _NAMED.c.number > after)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_NAMED.c.number).limit(limit)).all()
        return [_named_of(row) for row in rows]

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with transaction(self._engine, "the orders of erasure") as connection:
            yield connection


def _digest(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _named_of(row: sa.Row[Any]) -> Named:
    return Named(row.number, Kind(row.kind), row.id, Fate(row.fate), row.certificate, row.why)
