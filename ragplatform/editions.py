"""Editions of the index: which there are, and which one answers.

Vectors of two encoders, or weights of two weighers, mean nothing beside each other. So each pair
has an edition of its own, in a place of its own, and one row of this table says which edition
answers. Changing that row is the switch: one transaction, seen by the next question of every
process. Both kinds of engine go by it: a folder's name, or an alias on a server, says nothing of
the encoder that questions must be embedded by.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.errors import (
    ConfigurationError,
    IndexUnavailableError,
    InvalidRequestError,
)
from ragplatform.migrations import bring_up
from ragplatform.ports import Edition
from ragplatform.tables import insert, open_engine, transaction

METADATA: Final = sa.MetaData()
_EDITIONS: Final = sa.Table(
    "index_editions",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("encoder", sa.String(128), nullable=False),
    sa.Column("weigher", sa.String(128), nullable=False),
    sa.Column("dim", sa.Integer, nullable=False),
    sa.Column("place", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
)
# No request is between embedding and search for as long as this.
_STRAGGLERS_S: Final = 120.0


class EditionState(StrEnum):
    """What an edition is there for."""

    BUILDING = "building"
    ANSWERING = "answering"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class EditionRow:
    """One edition. ``place`` is what its folder's or collection's name has behind it."""

    name: str
    model: str
    encoder: str
    weigher: str
    dim: int
    place: str
    state: EditionState
    since: datetime


# Made once, for every question asks it.
_ANSWERING: Final = (
    sa.select(_EDITIONS)
    .where(_EDITIONS.c.state == EditionState.ANSWERING.value)
    .order_by(_EDITIONS.c.since)
)


def edition_name(encoder: str, weigher: str) -> str:
    """Return the name of the edition whose vectors and weights these versions make."""
    return hashlib.sha256(f"{encoder}\0{weigher}".encode()).hexdigest()[:12]


class EditionBook:
    """The table of editions. Safe to use from several threads and processes.

    All methods raise ``UnavailableError`` when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        """Open the database, creating the table when it is missing."""
        self._engine = open_engine(url, begin_immediate=False)
        with self._transaction() as connection:
            bring_up(connection, "editions")

    def answering(self) -> EditionRow | None:
        """Return the edition that answers, or None before there is one."""
        with self._transaction() as connection:
            row = connection.execute(_ANSWERING).first()
        return None if row is None else _row_of(row)

    def all(self) -> list[EditionRow]:
        """Return every edition, oldest first."""
        query = sa.select(_EDITIONS).order_by(_EDITIONS.c.since, _EDITIONS.c.name)
        with self._transaction() as connection:
            return [_row_of(row) for row in connection.execute(query)]

    def add(self, *, model: str, encoder: str, weigher: str, dim: int) -> EditionRow:
        """Return the edition of these versions, added where there was none.

        The first of all answers at once, in the place that indexes had before there were editions.
        One that had retired is built anew.
        """
        name = edition_name(encoder, weigher)
        with self._transaction() as connection:
            first = connection.execute(sa.select(sa.func.count()).select_from(_EDITIONS)).scalar()
            values = {
                "name": name,
                "model": model,
                "encoder": encoder,
                "weigher": weigher,
                "dim": dim,
                "place": f"~{name}" if first else "",
                "state": EditionState.BUILDING.value if first else EditionState.ANSWERING.value,
                "since": _now(),
            }
            new = insert(connection.dialect, _EDITIONS).values(values).on_conflict_do_nothing()
            connection.execute(new)
            retired = (_EDITIONS.c.name == name) & (_EDITIONS.c.state == EditionState.RETIRED.value)
            anew = {"state": EditionState.BUILDING.value, "model": model, "since": _now()}
            connection.execute(_EDITIONS.update().where(retired).values(anew))
            row = connection.execute(sa.select(_EDITIONS).where(_EDITIONS.c.name == name)).one()
        return _row_of(row)

    def switch(self, name: str) -> None:
        """Let this edition answer from now on, and the one that did retire, both or neither.

        Raises ``InvalidRequestError`` when there is none of that name.
        """
        with self._transaction() as connection:
            for where, state in (
                (_EDITIONS.c.state == EditionState.ANSWERING.value, EditionState.RETIRED),
                (_EDITIONS.c.name == name, EditionState.ANSWERING),
            ):
                values = {"state": state.value, "since": _now()}
                changed = connection.execute(_EDITIONS.update().where(where).values(values))
            if not changed.rowcount:
                raise InvalidRequestError(f"there is no edition {name}")

    def drop(self, name: str) -> None:
        """Forget an edition. Raises ``InvalidRequestError`` for the one that answers."""
        gone = (_EDITIONS.c.name == name) & (_EDITIONS.c.state != EditionState.ANSWERING.value)
        with self._transaction() as connection:
            if not connection.execute(_EDITIONS.delete().where(gone)).rowcount:
                raise InvalidRequestError(f"there is no edition {name} that does not answer")

    def close(self) -> None:
        """Close all connections. Calling it again does nothing."""
        self._engine.dispose()

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the table of editions")


class FollowedEditions:
    """Implements ``Editions`` by the book: a switch is followed with the next question."""

    def __init__(
        self,
        *,
        book: EditionBook,
        first: Edition,
        open_one: Callable[[EditionRow], Edition],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._now = first
        self._open_one = open_one
        self._clock = clock
        self._lock = threading.Lock()
        self._before: list[tuple[float, Edition]] = []

    def current(self) -> Edition:
        """Return the edition that answers now, opened where this process has not yet.

        Raises ``IndexUnavailableError`` when this process cannot make its vectors: it runs an older
        program, or has other models, and must be started again.
        """
        row = self._book.answering()
        if row is None or row.name == self._now.name:
            return self._now
        with self._lock:
            if row.name != self._now.name:
                self._follow(row)
            return self._now

    def still(self, edition: Edition) -> bool:
        """Return whether the edition is the one that answers."""
        row = self._book.answering()
        return row is not None and row.name == edition.name

    def close(self) -> None:
        """Close every index that was opened. Calling it again does nothing."""
        with self._lock:
            for _, edition in self._before:
                edition.index.close()
            self._before = []
            self._now.index.close()
        self._book.close()

    def _follow(self, row: EditionRow) -> None:
        try:
            opened = self._open_one(row)
        except ConfigurationError as error:
            raise IndexUnavailableError(
                f"the index was switched to edition {row.name}, which this process cannot ask: "
                "start it again"
            ) from error
        now = self._clock()
        for at, edition in self._before:
            if now - at > _STRAGGLERS_S:
                edition.index.close()
        self._before = [one for one in self._before if now - one[0] <= _STRAGGLERS_S]
        self._before.append((now, self._now))
        self._now = opened


class OneEdition:
    """Implements ``Editions`` where there is one and no other will come."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition

    def current(self) -> Edition:
        """Return it."""
        return self._edition

    def still(self, edition: Edition) -> bool:
        """Return whether the edition is this one."""
        return edition.name == self._edition.name

    def close(self) -> None:
        """Close its index."""
        self._edition.index.close()


def _row_of(row: sa.Row[Any]) -> EditionRow:
    return EditionRow(
        name=row.name,
        model=row.model,
        encoder=row.encoder,
        weigher=row.weigher,
        dim=row.dim,
        place=row.place,
        state=EditionState(row.state),
        since=datetime.fromisoformat(row.since),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
