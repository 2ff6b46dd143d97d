"""The book of batches: which there are, whose, how far, and who works on which line.

A line is taken by one worker under a short lease, which it renews while it works. One whose worker
died is taken again, at once on the same machine, elsewhere when the lease is over; one that ended
is never taken again, and its end is noted once.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform import principals
from ragplatform.batches.tables import BATCHES, INPUTS, LINES
from ragplatform.holder import is_alive, this_process
from ragplatform.migrations import bring_up
from ragplatform.model import Principal, Purpose
from ragplatform.tables import open_engine, transaction

LEASE_S: Final = 30.0
# A line at which this many attempts failed, or took their workers with them, is given up.
MOST_ATTEMPTS: Final = 3


class BatchState(StrEnum):
    """How far a batch is, in OpenAI's words. The last three are final."""

    IN_PROGRESS = "in_progress"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the batch."""
        return self not in {BatchState.IN_PROGRESS, BatchState.CANCELLING}


class LineState(StrEnum):
    """How far a line is. ``DONE`` has an answer, ``FAILED`` a reason why there is none."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchInput:
    """A file of requests that somebody brought; its bytes lie sealed under its id."""

    file: str
    tenant: str
    owner: str
    purpose: Purpose
    bytes: int
    created: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. Times are seconds since 1970, 0 for what did not happen.

    ``principal`` is the submitter with the rights last shown here, at ``seen``.
    """

    batch: str
    tenant: str
    principal: Principal
    seen: float
    purpose: Purpose
    endpoint: str
    input_file: str
    state: BatchState
    created: float
    expires: float
    ended: float
    cancelled: float


@dataclass(frozen=True, slots=True)
class Taken:
    """A line that is this worker's to do; ``attempt`` counts from 1."""

    batch: Batch
    number: int
    attempt: int


class BatchBook:
    """The book in a SQL database, by default the catalog's file.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when the
    database does not answer; every write is durable when they return.
    """

    def __init__(
        self, url: str, *, lease_s: float = LEASE_S, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the database, creating the tables that are missing."""
        self._lease_s = lease_s
        self._clock = clock
        self._holder = f"{this_process()}|{uuid.uuid4().hex}"
        self._engine = open_engine(url, begin_immediate=True)
        with self._transaction() as connection:
            bring_up(connection, "batches")

    # Files

    def bring(self, one: BatchInput) -> None:
        """Note a file that was brought."""
        row = {
            "file": one.file,
            "tenant": one.tenant,
            "owner": one.owner,
            "purpose": one.purpose.value,
            "bytes": one.bytes,
            "created": one.created,
        }
        with self._transaction() as connection:
            connection.execute(INPUTS.insert().values(row))

    def inputs(self, tenant: str, owner: str, purpose: Purpose) -> list[BatchInput]:
        """Return somebody's files for a purpose, newest first."""
        query = sa.select(INPUTS).where(
            INPUTS.c.tenant == tenant, INPUTS.c.owner == owner, INPUTS.c.purpose == purpose.value
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(INPUTS.c.created.desc())).all()
        return [_input_of(row) for row in rows]

    def old_inputs(self, before: float) -> list[BatchInput]:
        """Return the files of all tenants that were brought before a moment."""
        query = sa.select(INPUTS).where(INPUTS.c.created < before)
        with self._transaction() as connection:
            return [_input_of(row) for row in connection.execute(query)]

    def drop_input(self, file: str) -> None:
        """Forget a file."""
        with self._transaction() as connection:
            connection.execute(sa.delete(INPUTS).where(INPUTS.c.file == file))

    # Batches

    def submit(self, one: Batch, lines: int) -> None:
        """Note a batch with so many lines, all of which wait."""
        row = {
            "batch": one.batch,
            "tenant": one.tenant,
            "owner": one.principal.id,
            "principal": principals.to_json(one.principal),
            "seen": one.seen,
            "purpose": one.purpose.value,
            "endpoint": one.endpoint,
            "input_file": one.input_file,
            "state": one.state.value,
            "created": one.created,
            "expires": one.expires,
            "ended": one.ended,
            "cancelled": one.cancelled,
            "last_turn": one.created,
        }
        waiting = {"state": LineState.WAITING.value, "holder": "", "lease_until": 0.0,
                   "attempts": 0, "bytes": 0}  # fmt: skip
        with self._transaction() as connection:
            connection.execute(BATCHES.insert().values(row))
            connection.execute(
                LINES.insert(),
                [{"batch": one.batch, "number": n, **waiting} for n in range(1, lines + 1)],
            )

    def lookup(self, tenant: str, batch: str) -> Batch | None:
        """Return a batch of the tenant, or None."""
        query = sa.select(BATCHES).where(BATCHES.c.tenant == tenant, BATCHES.c.batch == batch)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _batch_of(row)

    def batches(
        self, tenant: str, owner: str, purpose: Purpose, *, after: str | None, limit: int
    ) -> list[Batch]:
        """Return somebody's batches for a purpose, newest first, behind ``after``."""
        query = sa.select(BATCHES).where(
            BATCHES.c.tenant == tenant, BATCHES.c.owner == owner, BATCHES.c.purpose == purpose.value
        )
        if after is not None:
            moment = sa.select(BATCHES.c.created).where(BATCHES.c.batch == after)
            query = query.where(BATCHES.c.created < moment.scalar_subquery())
        query = query.order_by(BATCHES.c.created.desc(), BATCHES.c.batch).limit(limit)
        with self._transaction() as connection:
            return [_batch_of(row) for row in connection.execute(query)]

    def open_batches(self, tenant: str, owner: str) -> int:
        """Return how many of somebody's batches are not through."""
        query = sa.select(sa.func.count()).where(
            BATCHES.c.tenant == tenant,
            BATCHES.c.owner == owner,
            BATCHES.c.state.in_([s.value for s in BatchState if not s.final]),
        )
        with self._transaction() as connection:
            return connection.execute(query).scalar() or 0

    def works_on(self, tenant: str, file: str) -> bool:
        """Return whether a batch that is not through has the file as its requests."""
        query = sa.select(sa.func.count()).where(
            BATCHES.c.tenant == tenant,
            BATCHES.c.input_file == file,
            BATCHES.c.state.in_([s.value for s in BatchState if not s.final]),
        )
        with self._transaction() as connection:
            return bool(connection.execute(query).scalar())

    def seen(self, principal: Principal) -> None:
        """Note that somebody showed a credential, and with what rights."""
        theirs = sa.and_(
            BATCHES.c.tenant == principal.tenant,
            BATCHES.c.owner == principal.id,
            BATCHES.c.state == BatchState.IN_PROGRESS.value,
        )
        now = {"principal": principals.to_json(principal), "seen": self._clock()}
        with self._transaction() as connection:
            connection.execute(BATCHES.update().where(theirs).values(now))

    def counts(self, batch: str) -> Mapping[LineState, int]:
        """Return how many lines of a batch are in each state."""
        query = (
            sa.select(LINES.c.state, sa.func.count())
            .where(LINES.c.batch == batch)
            .group_by(LINES.c.state)
        )
        with self._transaction() as connection:
            found = {LineState(state): number for state, number in connection.execute(query)}
        return Counter(found)

    def ended_lines(self, batch: str, state: LineState) -> list[tuple[int, int]]:
        """Return number and bytes of the lines of a batch that ended so, in order."""
        query = sa.select(LINES.c.number, LINES.c.bytes).where(
            LINES.c.batch == batch, LINES.c.state == state.value
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(LINES.c.number)).all()
        return [(row.number, row.bytes) for row in rows]

    def cancel(self, batch: str) -> None:
        """Let no further line of a batch begin; those at work end by themselves."""
        one = sa.and_(BATCHES.c.batch == batch, BATCHES.c.state == BatchState.IN_PROGRESS.value)
        said = {"state": BatchState.CANCELLING.value, "cancelled": self._clock()}
        with self._transaction() as connection:
            connection.execute(BATCHES.update().where(one).values(said))

    def remove(self, batch: str) -> None:
        """Drop a batch and its lines."""
        with self._transaction() as connection:
            connection.execute(sa.delete(LINES).where(LINES.c.batch == batch))
            connection.execute(sa.delete(BATCHES).where(BATCHES.c.batch == batch))

    def ended_before(self, moment: float) -> list[Batch]:
        """Return the batches of all tenants that ended before a moment."""
        query = sa.select(BATCHES).where(BATCHES.c.ended > 0, BATCHES.c.ended < moment)
        with self._transaction() as connection:
            return [_batch_of(row) for row in connection.execute(query)]

    # Work

    def take(self, passed_over: Sequence[str] = ()) -> Taken | None:
        """Return the next line, now this worker's, or None.

        Batches take turns: the one whose last line began longest ago is served. ``passed_over``
        are left out.
        """
        now = self._clock()
        with self._transaction() as connection:
            row = connection.execute(self._next(now, passed_over, _dead(connection))).one_or_none()
            if row is None:
                return None
            taken = {
                "state": LineState.RUNNING.value,
                "holder": self._holder,
                "lease_until": now + self._lease_s,
                "attempts": row.attempts + 1,
            }
            connection.execute(_update(row.batch, row.number).values(taken))
            turn = BATCHES.update().where(BATCHES.c.batch == row.batch)
            connection.execute(turn.values(last_turn=now))
            return Taken(_batch_of(row), row.number, row.attempts + 1)

    def _next(self, now: float, passed_over: Sequence[str], dead: Sequence[str]) -> sa.Select[Any]:
        left = sa.or_(LINES.c.lease_until < now, LINES.c.holder.in_(dead))
        free = sa.or_(
            LINES.c.state == LineState.WAITING.value,
            sa.and_(LINES.c.state == LineState.RUNNING.value, left),
        )
        return (
            sa.select(BATCHES, LINES.c.number, LINES.c.attempts)
            .join(LINES, LINES.c.batch == BATCHES.c.batch)
            .where(
                BATCHES.c.state == BatchState.IN_PROGRESS.value,
                BATCHES.c.expires > now,
                BATCHES.c.batch.not_in(passed_over),
                free,
            )
            .order_by(BATCHES.c.last_turn, LINES.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )

    def renew(self, taken: Sequence[Taken]) -> None:
        """Lengthen the leases of lines that this worker has in hand."""
        until = {"lease_until": self._clock() + self._lease_s}
        mine = LINES.c.holder == self._holder
        with self._transaction() as connection:
            for one in taken:
                line = _update(one.batch.batch, one.number)
                connection.execute(line.where(mine).values(until))

    def end_line(self, taken: Taken, state: LineState, size: int) -> bool:
        """Note the end of a line; return False when it was another worker's by then."""
        done = {"state": state.value, "holder": "", "lease_until": 0.0, "bytes": size}
        mine = LINES.c.holder == self._holder
        with self._transaction() as connection:
            found = connection.execute(
                _update(taken.batch.batch, taken.number).where(mine).values(done)
            )
            return bool(found.rowcount)

    def give_back(self, taken: Taken, *, counted: bool = False) -> None:
        """Let a line be taken again; unless the attempt is ``counted``, as if it had not been."""
        waits = {
            "state": LineState.WAITING.value,
            "holder": "",
            "lease_until": 0.0,
            "attempts": taken.attempt if counted else taken.attempt - 1,
        }
        mine = LINES.c.holder == self._holder
        with self._transaction() as connection:
            connection.execute(_update(taken.batch.batch, taken.number).where(mine).values(waits))

    def endable(self) -> list[tuple[Batch, BatchState]]:
        """Return the batches that are to end now, and how: no line of them is at work."""
        now, open_ = self._clock(), [s.value for s in BatchState if not s.final]
        at_work = sa.exists().where(
            LINES.c.batch == BATCHES.c.batch,
            LINES.c.state == LineState.RUNNING.value,
            LINES.c.lease_until >= now,
        )
        left = sa.exists().where(
            LINES.c.batch == BATCHES.c.batch,
            LINES.c.state.in_([LineState.WAITING.value, LineState.RUNNING.value]),
        )
        query = sa.select(BATCHES, left.label("left")).where(BATCHES.c.state.in_(open_), ~at_work)
        found = []
        with self._transaction() as connection:
            for row in connection.execute(query):
                if not row.left:
                    found.append((_batch_of(row), BatchState.COMPLETED))
                elif row.state == BatchState.CANCELLING.value:
                    found.append((_batch_of(row), BatchState.CANCELLED))
                elif row.expires <= now:
                    found.append((_batch_of(row), BatchState.EXPIRED))
        return found

    def end(self, batch: str, state: BatchState) -> None:
        """Note the end of a batch."""
        one = BATCHES.update().where(BATCHES.c.batch == batch, BATCHES.c.ended == 0)
        with self._transaction() as connection:
            connection.execute(one.values(state=state.value, ended=self._clock()))

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with transaction(self._engine, "the book of batches") as connection:
            yield connection


def _dead(connection: sa.Connection) -> list[str]:
    """Return the workers of this machine that have lines and are gone."""
    query = sa.select(LINES.c.holder).where(LINES.c.state == LineState.RUNNING.value).distinct()
    holders = connection.execute(query).scalars().all()
    return [one for one in holders if not is_alive(one.rpartition("|")[0])]


def _update(batch: str, number: int) -> sa.Update:
    return LINES.update().where(LINES.c.batch == batch, LINES.c.number == number)


def _input_of(row: sa.Row[Any]) -> BatchInput:
    return BatchInput(row.file, row.tenant, row.owner, Purpose(row.purpose), row.bytes, row.created)


def _batch_of(row: sa.Row[Any]) -> Batch:
    return Batch(
        batch=row.batch,
        tenant=row.tenant,
        principal=principals.from_json(row.principal),
        seen=row.seen,
        purpose=Purpose(row.purpose),
        endpoint=row.endpoint,
        input_file=row.input_file,
        state=BatchState(row.state),
        created=row.created,
        expires=row.expires,
        ended=row.ended,
        cancelled=row.cancelled,
    )
