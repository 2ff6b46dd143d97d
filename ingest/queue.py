"""Runs that somebody asked for over REST: durable, each taken by one worker, with its events.

What was asked for is kept until it is done. A worker that dies leaves its run to the next one: runs
repeat harmlessly.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform import principals
from ragplatform.errors import BusyError
from ragplatform.holder import is_alive, this_process
from ragplatform.migrations import bring_up
from ragplatform.model import Json, Principal, Purpose
from ragplatform.tables import open_engine, transaction

LEASE_S: Final = 120.0
# A run that took this many workers with it is not given to another.
MOST_ATTEMPTS: Final = 3
# Runs of one tenant that may wait. Whoever asks for more is told to come back.
MOST_WAITING: Final = 1_000
# What is kept of one run for whoever follows it: enough for any list on a screen.
MOST_EVENTS: Final = 10_000

_METADATA: Final = sa.MetaData()

_QUEUE: Final = sa.Table(
    "ingest_queue",
    _METADATA,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("collection", sa.String(63), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("what", sa.String(128), nullable=False),
    sa.Column("asked_by", sa.String(256), nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("holder", sa.String(256), nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32), nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Index("ingest_queue_by_state", "state", "number"),
    sa.Index("ingest_queue_by_tenant", "tenant", "number"),
)

_EVENTS: Final = sa.Table(
    "ingest_events",
    _METADATA,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)


class What(StrEnum):
    """What a run takes in, or does."""

    FILE = "file"
    SOURCE = "source"
    QUARANTINE = "quarantine"
    """A document that was put aside, from the bytes that are kept."""
    ERASURE = "erasure"
    """An order to erase: nothing is taken in."""


class RunState(StrEnum):
    """How far an asked-for run is. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    """It came to its end, and something failed, waits, or was kept: its outcome says what."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in {RunState.QUEUED, RunState.RUNNING}


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """One run that was asked for. ``what`` is an upload's id, a source's name or a document's id.

    ``outcome`` is the run's summary once it is done, or ``{"error": code}``. ``size`` is in bytes.
    """

    run: str
    tenant: str
    collection: str
    kind: What
    what: str
    principal: Principal
    purpose: Purpose
    size: int
    state: RunState
    cancel: bool
    attempts: int
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One thing that happened in a run, numbered from 1."""

    number: int
    kind: str
    body: Mapping[str, Json]


class RunQueue:
    """The queue in a SQL database, by default the catalog's file.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when the
    database does not answer; every write is durable when they return.
    """

    def __init__(self, url: str, *, lease_s: float = LEASE_S) -> None:
        """Open the database, creating the tables that are missing."""
        self._lease_s = lease_s
        self._holder = this_process()
        self._engine = open_engine(url, begin_immediate=True)
        with self._transaction() as connection:
            bring_up(connection, "queue")

    def ask(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        collection: str,
        kind: What,
        what: str,
        run: str,
        size: int = 0,
    ) -> None:
        """Put a run at the end of the queue, under the id that its records will carry."""
        row = {
            "run": run,
            # Of two that ask in the same moment either may be first.
            "number": time.time_ns(),
            "tenant": principal.tenant,
            "collection": collection,
            "kind": kind.value,
            "what": what,
            "asked_by": principal.id,
            # To whom the asker is related plays no part in a run.
            "principal": principals.to_json(replace(principal, subjects=frozenset())),
            "purpose": purpose.value,
            "size": size,
            "state": RunState.QUEUED.value,
            "cancel": False,
            "holder": "",
            "lease_until": 0.0,
            "attempts": 0,
            "asked_at": _now(),
            "started_at": "",
            "finished_at": "",
            "outcome": "{}",
        }
        with self._transaction() as connection:
            connection.execute(_QUEUE.insert().values(row))

    def take(self, ended: list[QueuedRun] | None = None) -> QueuedRun | None:
        """Return the run that has waited longest, now this process's, or None.

        One whose worker is gone counts as waiting. One that has taken ``MOST_ATTEMPTS`` workers
        with it is ended instead, as is one that somebody cancelled: they are added to ``ended``.
        """
        over = ended if ended is not None else []
        with self._transaction() as connection:
            for row in connection.execute(self._takable().with_for_update(skip_locked=True)):
                if row.state == RunState.RUNNING.value and not self._left(row):
                    continue
                if row.attempts >= MOST_ATTEMPTS:
                    self._end(connection, row.run, RunState.FAILED, {"error": "worker_lost"})
                    over.append(_run_of(row))
                    continue
                if row.cancel:
                    self._end(connection, row.run, RunState.CANCELLED, {})
                    over.append(_run_of(row))
                    continue
                taken = {
                    "state": RunState.RUNNING.value,
                    "holder": self._holder,
                    "lease_until": time.time() + self._lease_s,
                    "attempts": row.attempts + 1,
                    "started_at": row.started_at or _now(),
                }
                mine = _QUEUE.c.run == row.run
                connection.execute(_QUEUE.update().where(mine).values(taken))
                return _run_of(connection.execute(sa.select(_QUEUE).where(mine)).one())
        return None

    def _takable(self) -> sa.Select[Any]:
        waiting = _QUEUE.c.state == RunState.QUEUED.value
        running = _QUEUE.c.state == RunState.RUNNING.value
        return (
            sa.select(_QUEUE).where(sa.or_(waiting, running)).order_by(_QUEUE.c.number).limit(100)
        )

    def _left(self, row: sa.Row[Any]) -> bool:
        return row.lease_until < time.time() or not is_alive(row.holder)

    def renew(self, run: str) -> bool:
        """Lengthen this process's lease on the run; return False when it is to end.

        It is to end when somebody asked for that, or when it is another worker's by now.
        """
        mine = sa.and_(_QUEUE.c.run == run, _QUEUE.c.holder == self._holder)
        until = {"lease_until": time.time() + self._lease_s}
        with self._transaction() as connection:
            held = connection.execute(_QUEUE.update().where(mine).values(until)).rowcount
            asked = connection.execute(sa.select(_QUEUE.c.cancel).where(mine)).scalar()
        return bool(held) and not asked

    def give_back(self, run: str) -> None:
        """Let a run that this process held be taken again, as if it had not been."""
        mine = sa.and_(_QUEUE.c.run == run, _QUEUE.c.holder == self._holder)
        waits = {
            "state": RunState.QUEUED.value,
            "holder": "",
            "lease_until": 0.0,
            "attempts": _QUEUE.c.attempts - 1,
        }
        with self._transaction() as connection:
            connection.execute(_QUEUE.update().where(mine).values(waits))

    def cancel(self, run: str) -> None:
        """Ask for the end of a run: at once where it waits, after the document in hand else."""
        one = _QUEUE.c.run == run
        with self._transaction() as connection:
            state = connection.execute(
                sa.select(_QUEUE.c.state).where(one).with_for_update()
            ).scalar()
            if state == RunState.QUEUED.value:
                self._end(connection, run, RunState.CANCELLED, {})
            elif state == RunState.RUNNING.value:
                connection.execute(_QUEUE.update().where(one).values(cancel=True))

    def finish(self, run: str, state: RunState, outcome: Mapping[str, Json]) -> None:
        """Note the end of a run that this process held."""
        with self._transaction() as connection:
            self._end(connection, run, state, outcome)

    def _end(
        self,
        connection: sa.Connection,
        run: str,
        state: RunState,
        outcome: Mapping[str, Json],
    ) -> None:
        done = {
            "state": state.value,
            "finished_at": _now(),
            "lease_until": 0.0,
            "outcome": json.dumps(outcome),
        }
        connection.execute(_QUEUE.update().where(_QUEUE.c.run == run).values(done))
        self._append(connection, run, state.value, outcome)

    def tell(self, run: str, kind: str, body: Mapping[str, Json], *, always: bool = False) -> None:
        """Add an event to the run, for whoever follows it. Beyond the most it is left out.

        One that is told ``always`` never is.
        """
        with self._transaction() as connection:
            self._append(connection, run, kind, body, None if always else MOST_EVENTS)

    def _append(
        self,
        connection: sa.Connection,
        run: str,
        kind: str,
        body: Mapping[str, Json],
        most: int | None = None,
    ) -> None:
        last = sa.select(sa.func.max(_EVENTS.c.number)).where(_EVENTS.c.run == run)
        number = (connection.execute(last).scalar() or 0) + 1
        if most is None or number <= most:
            row = {"run": run, "number": number, "kind": kind, "body": json.dumps(body)}
            connection.execute(_EVENTS.insert().values(row))

    def events(self, run: str, *, after: int = 0, limit: int = 500) -> list[RunEvent]:
        """Return what happened in a run behind the event ``after``, oldest first."""
        query = sa.select(_EVENTS).where(_EVENTS.c.run == run, _EVENTS.c.number > after)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_EVENTS.c.number).limit(limit)).all()
        return [RunEvent(row.number, row.kind, json.loads(row.body)) for row in rows]

    def all_events(self, run: str) -> Iterator[RunEvent]:
        """Yield all that happened in a run, oldest first, page by page."""
        after = 0
        while page := self.events(run, after=after):
            yield from page
            after = page[-1].number

    def lookup(self, tenant: str, run: str) -> QueuedRun | None:
        """Return a run of the tenant, or None."""
        query = sa.select(_QUEUE).where(_QUEUE.c.tenant == tenant, _QUEUE.c.run == run)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _run_of(row)

    def runs(
        self,
        tenant: str,
        *,
        asked_by: str | None = None,
        kind: What | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[QueuedRun]:
        """Return runs of the tenant, newest first, those of one person or kind where one is given.

        ``before`` is the run after which a page goes on.
        """
        query = sa.select(_QUEUE).where(_QUEUE.c.tenant == tenant)
        if asked_by is not None:
            query = query.where(_QUEUE.c.asked_by == asked_by)
        if kind is not None:
            query = query.where(_QUEUE.c.kind == kind.value)
        if before is not None:
            number = sa.select(_QUEUE.c.number).where(_QUEUE.c.run == before)
            query = query.where(_QUEUE.c.number < number.scalar_subquery())
        query = query.order_by(_QUEUE.c.number.desc(), _QUEUE.c.run).limit(limit)
        with self._transaction() as connection:
            return [_run_of(row) for row in connection.execute(query)]

    def waiting(self, tenant: str) -> int:
        """Return how many runs of the tenant wait or are at work."""
        open_ = [state.value for state in RunState if not state.final]
        query = sa.select(sa.func.count()).where(
            _QUEUE.c.tenant == tenant, _QUEUE.c.state.in_(open_)
        )
        with self._transaction() as connection:
            return connection.execute(query).scalar() or 0

    def remove(self, runs: Sequence[str]) -> None:
        """Drop runs and their events."""
        with self._transaction() as connection:
            for table in (_EVENTS, _QUEUE):
                connection.execute(sa.delete(table).where(table.c.run.in_(runs)))

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with transaction(self._engine, "the queue of ingest runs") as connection:
            yield connection


def require_room(queue: RunQueue, tenant: str) -> None:
    """Raise ``BusyError`` when as many runs of the tenant wait as may."""
    if queue.waiting(tenant) >= MOST_WAITING:
        raise BusyError(
            f"{MOST_WAITING} runs of this tenant wait already: nothing was taken; ask again "
            "when some are done",
            retry_after_s=60,
        )


def new_run() -> str:
    """Return an id for a run."""
    return uuid.uuid4().hex


def _run_of(row: sa.Row[Any]) -> QueuedRun:
    return QueuedRun(
        run=row.run,
        tenant=row.tenant,
        collection=row.collection,
        kind=What(row.kind),
        what=row.what,
        principal=principals.from_json(row.principal),
        purpose=Purpose(row.purpose),
        size=row.size,
        state=RunState(row.state),
        cancel=row.cancel,
        attempts=row.attempts,
        asked_at=datetime.fromisoformat(row.asked_at),
        started_at=datetime.fromisoformat(row.started_at) if row.started_at else None,
        finished_at=datetime.fromisoformat(row.finished_at) if row.finished_at else None,
        outcome=json.loads(row.outcome),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
