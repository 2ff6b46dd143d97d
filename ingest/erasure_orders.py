"""Orders to erase many people: who is still to go, who went with which certificate, who stays.

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

_PEOPLE: Final = sa.Table(
    "erasure_people",
    METADATA,
    sa.Column("erasure", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("certificate", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Index("erasure_people_by_state", "erasure", "state", "number"),
)


class PersonState(StrEnum):
    """What became of one person of an order. Only who is certified is gone from every file."""

    WAITING = "waiting"
    CERTIFIED = "certified"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Person:
    """One person of an order, numbered from 1 as they were named; ``why`` says why they stay."""

    number: int
    subject: str
    state: PersonState
    certificate: str = ""
    why: str = ""

    def json(self) -> dict[str, Json]:
        """Return what became of the person."""
        return {
            "number": self.number,
            "subject": self.subject,
            "state": str(self.state),
            "certificate": self.certificate,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an order is: how many people are in each state."""

    erasure: str
    tenant: str
    asked_by: str
    purpose: Purpose
    asked_at: datetime
    counts: Mapping[PersonState, int]

    @property
    def total(self) -> int:
        """How many people were named."""
        return sum(self.counts.values())

    @property
    def done(self) -> bool:
        """Whether nobody is left to go."""
        return not self.counts[PersonState.WAITING]

    def json(self) -> dict[str, Json]:
        """Return the counts."""
        return {
            "erasure": self.erasure,
            "people": self.total,
            **{str(state): self.counts[state] for state in PersonState},
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
        self, erasure: str, principal: Principal, purpose: Purpose, refs: Sequence[str]
    ) -> None:
        """Keep an order to erase these people, by reference, each named once."""
        row = {
            "erasure": erasure,
            "tenant": principal.tenant,
            "asked_by": principal.id,
            "purpose": purpose.value,
            "digest": _digest(refs),
            "asked_at": datetime.now(UTC).isoformat(),
        }
        nothing = {"state": PersonState.WAITING.value, "certificate": "", "why": ""}
        people = [
            {"erasure": erasure, "number": number, "subject": ref, **nothing}
            for number, ref in enumerate(refs, 1)
        ]
        with self._transaction() as connection:
            connection.execute(_ORDERS.insert().values(row))
            connection.execute(_PEOPLE.insert(), people)

    def unfinished(self, principal: Principal, purpose: Purpose, refs: Sequence[str]) -> str | None:
        """Return the newest order of the caller's for the same people that was cut off, or None."""
        waiting = (
            sa.select(_PEOPLE.c.erasure)
            .where(
                _PEOPLE.c.erasure == _ORDERS.c.erasure,
                _PEOPLE.c.state == PersonState.WAITING.value,
            )
            .exists()
        )
        query = sa.select(_ORDERS.c.erasure).where(
            _ORDERS.c.tenant == principal.tenant,
            _ORDERS.c.asked_by == principal.id,
            _ORDERS.c.purpose == purpose.value,
            _ORDERS.c.digest == _digest(refs),
            waiting,
        )
        with self._transaction() as connection:
            found = connection.execute(query.order_by(_ORDERS.c.asked_at.desc()).limit(1))
            return found.scalar()

    def waiting(self, erasure: str, *, limit: int) -> list[Person]:
        """Return the first of those who are still to go."""
        query = sa.select(_PEOPLE).where(
            _PEOPLE.c.erasure == erasure, _PEOPLE.c.state == PersonState.WAITING.value
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_PEOPLE.c.number).limit(limit)).all()
        return [_person_of(row) for row in rows]

    def settle(self, erasure: str, person: Person) -> None:
        """Note what became of a person."""
        mine = sa.and_(_PEOPLE.c.erasure == erasure, _PEOPLE.c.number == person.number)
        done = {
            "state": person.state.value,
            "certificate": person.certificate,
            "why": person.why,
        }
        with self._transaction() as connection:
            connection.execute(_PEOPLE.update().where(mine).values(done))

    def standing(self, tenant: str, erasure: str) -> Standing | None:
        """Return how far an order of the tenant is, or None where there is none of that id."""
        order = sa.select(_ORDERS).where(_ORDERS.c.tenant == tenant, _ORDERS.c.erasure == erasure)
        counts = (
            sa.select(_PEOPLE.c.state, sa.func.count().label("people"))
            .where(_PEOPLE.c.erasure == erasure)
            .group_by(_PEOPLE.c.state)
        )
        with self._transaction() as connection:
            row = connection.execute(order).one_or_none()
            found = {PersonState(one.state): one.people for one in connection.execute(counts)}
        if row is None:
            return None
        return Standing(
            erasure=row.erasure,
            tenant=row.tenant,
            asked_by=row.asked_by,
            purpose=Purpose(row.purpose),
            asked_at=datetime.fromisoformat(row.asked_at),
            counts={state: found.get(state, 0) for state in PersonState},
        )

    def people(self, erasure: str, *, after: int, limit: int) -> list[Person]:
        """Return what became of those behind number ``after``, in order."""
        query = sa.select(_PEOPLE).where(_PEOPLE.c.erasure == erasure, _PEOPLE.c.number > after)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_PEOPLE.c.number).limit(limit)).all()
        return [_person_of(row) for row in rows]

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with transaction(self._engine, "the orders of erasure") as connection:
            yield connection


def _digest(refs: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(refs)).encode()).hexdigest()


def _person_of(row: sa.Row[Any]) -> Person:
    return Person(row.number, row.subject, PersonState(row.state), row.certificate, row.why)
