"""The ledger: what became of every source, the truth from which the index can be rebuilt.

One row for each source of a collection, one for each run. Every write is committed durably before
the call returns. Two runs over the same sources cannot both work on one: whoever begins it holds it
until it is settled, its holder's process is gone, or its lease has run out.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from ingest.holder import is_alive, this_process
from ragplatform.errors import ForgottenError, HeldError, UnavailableError
from ragplatform.migrations import bring_up
from ragplatform.tables import insert, open_engine

LEASE_S: Final = 900.0

_METADATA: Final = sa.MetaData()

_SOURCES: Final = sa.Table(
    "ingest_sources",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("collection", sa.String(63), primary_key=True),
    sa.Column("source_key", sa.String(128), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("pipeline", sa.String(128), nullable=False),
    sa.Column("labels_digest", sa.String(128), nullable=False),
    sa.Column("document", sa.String(128), nullable=False),
    sa.Column("generation", sa.String(128), nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(128), nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("live_generation", sa.String(128), nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("holder", sa.String(256), nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False),
    sa.Index("ingest_sources_by_state", "tenant", "state"),
    sa.Index("ingest_sources_by_document", "document"),
)

_RUNS: Final = sa.Table(
    "ingest_runs",
    _METADATA,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("collection", sa.String(63), nullable=False),
    sa.Column("holder", sa.String(256), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32), nullable=False),
    sa.Column("counts", sa.Text, nullable=False),
)


class State(StrEnum):
    """What became of a source."""

    PENDING = "pending"
    INDEXED = "indexed"
    QUARANTINED = "quarantined"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Entry:
    """A source's row.

    ``source_key`` is a keyed digest of the path and ``display_name`` is transformed text: raw names
    never come here. ``generation`` names the version that the row speaks of, ``live_generation``
    the one that the index was last said to hold (``""``: none). ``reason`` is a stable word for a
    quarantined source, else ``""``.
    """

    tenant: str
    collection: str
    source_key: str
    sha256: str
    pipeline: str
    labels_digest: str
    document: str
    generation: str
    display_name: str = field(repr=False)
    state: State
    reason: str
    chunks: int
    live_generation: str
    run: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's right to work on one version of one source. Made only by ``Ledger.begin``."""

    tenant: str
    collection: str
    source_key: str
    generation: str
    run: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job. ``finished_at`` is None while it works, or when it was cut off."""

    run: str
    tenant: str
    collection: str
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, int]
    alive: bool


class Ledger:
    """The ledger in a SQL database, by default the catalog's file.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when the
    database does not answer.
    """

    def __init__(self, url: str, *, lease_s: float = LEASE_S) -> None:
        """Open the database, creating the tables that are missing."""
        self._lease_s = lease_s
        self._holder = this_process()
        self._engine = open_engine(url, begin_immediate=True)
        with self._transaction() as connection:
            bring_up(connection, "ledger")

    def start_run(self, run: str, *, tenant: str, collection: str) -> None:
        """Note that a run begins. Raises ``UnavailableError`` when its id is taken."""
        row = {
            "run": run,
            "tenant": tenant,
            "collection": collection,
            "holder": self._holder,
            "started_at": _now(),
            "finished_at": "",
            "counts": "{}",
        }
        with self._transaction() as connection:
            connection.execute(_RUNS.insert().values(row))

    def finish_run(self, run: str, counts: Mapping[str, int]) -> None:
        """Note that a run came to its end, and what it counted; it lets go of what it held."""
        done = {"finished_at": _now(), "counts": json.dumps(dict(counts), sort_keys=True)}
        with self._transaction() as connection:
            connection.execute(_RUNS.update().where(_RUNS.c.run == run).values(done))
            connection.execute(
                _SOURCES.update()
                .where(_SOURCES.c.run == run, _SOURCES.c.state == State.PENDING)
                .values(lease_until=0.0)
            )

    def runs(self, tenant: str | None = None, *, limit: int = 20) -> list[Run]:
        """Return the latest runs, of one tenant or of all, the newest first."""
        query = sa.select(_RUNS)
        if tenant is not None:
            query = query.where(_RUNS.c.tenant == tenant)
        query = query.order_by(_RUNS.c.started_at.desc(), _RUNS.c.run).limit(limit)
        with self._transaction() as connection:
            return [_run_of(row) for row in connection.execute(query)]

    def lookup(self, tenant: str, collection: str, source_key: str) -> Entry | None:
        """Return what is known of a source, or None."""
        query = sa.select(_SOURCES).where(_at(tenant, collection, source_key))
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _entry_of(row)

    def begin(
        self,
        *,
        tenant: str,
        collection: str,
        source_key: str,
        sha256: str,
        document: str,
        generation: str,
        run: str,
        display_name: str,
        pipeline: str = "",
        labels_digest: str = "",
    ) -> Claim:
        """Take a source in hand before anything of it is written anywhere.

        Raises ``HeldError`` while another live run holds it, and ``ForgottenError`` for one that
        was erased: ``revive`` lets it back in.
        """
        claim = Claim(tenant, collection, source_key, generation, run)
        row = {
            "sha256": sha256,
            "pipeline": pipeline,
            "labels_digest": labels_digest,
            "document": document,
            "generation": generation,
            "display_name": display_name,
            "state": State.PENDING.value,
            "reason": "",
            "run": run,
            "holder": self._holder,
            "lease_until": time.time() + self._lease_s,
            "updated_at": _now(),
        }
        at = _at(tenant, collection, source_key)
        place = {"tenant": tenant, "collection": collection, "source_key": source_key}
        fresh = {**place, **row, "chunks": 0, "live_generation": ""}
        with self._transaction() as connection:
            # Of several runs that meet a new source at once the first inserts it; the others wait
            # for its transaction and find it held.
            new = insert(connection.dialect, _SOURCES).values(fresh).on_conflict_do_nothing()
            # PostgreSQL's driver counts no rows of an insert; what it returns says the same.
            if connection.execute(new.returning(_SOURCES.c.run)).one_or_none() is None:
                known = connection.execute(sa.select(_SOURCES).where(at).with_for_update())
                _require_free(known.one(), run)
                connection.execute(_SOURCES.update().where(at).values(row))
        return claim

    def commit_indexed(self, claim: Claim, *, chunks: int) -> None:
        """Note that all chunks of this version are in the index, and no others.

        Raises ``HeldError`` when the claim is lost: its lease ran out and another run took over.
        """
        live = {"chunks": chunks, "live_generation": claim.generation}
        self._settle(claim, {"state": State.INDEXED.value, **live})

    def commit_quarantined(self, claim: Claim, *, reason: str) -> None:
        """Note why this version cannot go in; the caller took older chunks out of the index first.

        Raises ``HeldError`` when the claim is lost.
        """
        none = {"chunks": 0, "live_generation": ""}
        self._settle(claim, {"state": State.QUARANTINED.value, "reason": reason, **none})

    def _settle(self, claim: Claim, values: dict[str, Any]) -> None:
        held = sa.and_(
            _at(claim.tenant, claim.collection, claim.source_key),
            _SOURCES.c.state == State.PENDING.value,
            _SOURCES.c.run == claim.run,
            _SOURCES.c.generation == claim.generation,
        )
        done = values | {"lease_until": 0.0, "updated_at": _now()}
        with self._transaction() as connection:
            if not connection.execute(_SOURCES.update().where(held).values(done)).rowcount:
                raise HeldError("the claim on this document was lost: run again")

    def forget(self, document: str) -> int:
        """Keep of a document only that it was forgotten; return how many sources it had.

        Content digest, name and labels go, also from free pages and the write-ahead log. The caller
        has erased it from index and vault first.
        """
        names = ("sha256", "pipeline", "labels_digest", "generation", "display_name", "reason")
        gone = dict.fromkeys((*names, "live_generation"), "") | {"state": State.FORGOTTEN.value}
        values = {**gone, "chunks": 0, "lease_until": 0.0, "updated_at": _now()}
        where = _SOURCES.c.document == document
        with self._transaction() as connection:
            count = connection.execute(_SOURCES.update().where(where).values(values)).rowcount
        self._scrub_log()
        return count

    def release(self, tenant: str, collection: str, source_key: str) -> bool:
        """Drop the entry of a quarantined source that turned out to be no document after all.

        Return whether there was one.
        """
        quarantined = sa.and_(
            _at(tenant, collection, source_key), _SOURCES.c.state == State.QUARANTINED.value
        )
        with self._transaction() as connection:
            return connection.execute(sa.delete(_SOURCES).where(quarantined)).rowcount > 0

    def reject(self, tenant: str, collection: str, source_key: str) -> bool:
        """Note that people rejected a quarantined source; return whether it was one."""
        quarantined = sa.and_(
            _at(tenant, collection, source_key), _SOURCES.c.state == State.QUARANTINED.value
        )
        change = _SOURCES.update().where(quarantined).values(reason="rejected", updated_at=_now())
        with self._transaction() as connection:
            return connection.execute(change).rowcount > 0

    def revive(self, tenant: str, collection: str, source_key: str) -> bool:
        """Let a forgotten source be ingested again; return whether it was forgotten."""
        where = sa.and_(
            _at(tenant, collection, source_key), _SOURCES.c.state == State.FORGOTTEN.value
        )
        with self._transaction() as connection:
            return connection.execute(_SOURCES.delete().where(where)).rowcount > 0

    def entries(
        self,
        *,
        tenant: str | None = None,
        collection: str | None = None,
        state: State | None = None,
    ) -> list[Entry]:
        """Return the rows that match all that is given, by tenant, collection and source."""
        query = sa.select(_SOURCES)
        if tenant is not None:
            query = query.where(_SOURCES.c.tenant == tenant)
        if collection is not None:
            query = query.where(_SOURCES.c.collection == collection)
        if state is not None:
            query = query.where(_SOURCES.c.state == state.value)
        order = (_SOURCES.c.tenant, _SOURCES.c.collection, _SOURCES.c.source_key)
        with self._transaction() as connection:
            return [_entry_of(row) for row in connection.execute(query.order_by(*order))]

    def pending(self, tenant: str | None = None) -> list[Entry]:
        """Return what was begun and not settled: in work now, or left by a run that was cut off."""
        return self.entries(tenant=tenant, state=State.PENDING)

    def counts(self, tenant: str | None = None) -> dict[tuple[str, str, State], int]:
        """Return how many sources each tenant and collection has in each state."""
        keys = (_SOURCES.c.tenant, _SOURCES.c.collection, _SOURCES.c.state)
        query = sa.select(*keys, sa.func.count().label("sources")).group_by(*keys)
        if tenant is not None:
            query = query.where(_SOURCES.c.tenant == tenant)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return {(row.tenant, row.collection, State(row.state)): row.sources for row in rows}

    def renew(self, run: str) -> None:
        """Lengthen the lease on all that the run holds; call it well within ``lease_s``."""
        held = sa.and_(_SOURCES.c.run == run, _SOURCES.c.state == State.PENDING.value)
        until = time.time() + self._lease_s
        with self._transaction() as connection:
            connection.execute(_SOURCES.update().where(held).values(lease_until=until))

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise UnavailableError("another run wrote the same row first: try again") from error
        except DBAPIError as error:
            raise UnavailableError("the ledger's database does not answer") from error

    def _scrub_log(self) -> None:
        if self._engine.dialect.name != "sqlite":
            return
        try:
            raw = self._engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()
        except DBAPIError as error:
            raise UnavailableError("the ledger's log could not be emptied: forget again") from error


def _require_free(row: sa.Row[Any], run: str) -> None:
    """Raise unless the run may take the row in hand."""
    if row.state == State.FORGOTTEN.value:
        raise ForgottenError("the document was erased and stays out")
    held = row.state == State.PENDING.value and row.run != run
    if held and row.lease_until > time.time() and is_alive(row.holder):
        raise HeldError(f"run {row.run} is at work on this document: wait for its end")


def _at(tenant: str, collection: str, source_key: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SOURCES.c.tenant == tenant,
        _SOURCES.c.collection == collection,
        _SOURCES.c.source_key == source_key,
    )


def _entry_of(row: sa.Row[Any]) -> Entry:
    values = dict(row._mapping)  # SQLAlchemy's public name for it
    for name in ("holder", "lease_until"):
        del values[name]
    values["state"] = State(row.state)
    values["updated_at"] = datetime.fromisoformat(row.updated_at)
    return Entry(**values)


def _run_of(row: sa.Row[Any]) -> Run:
    done = datetime.fromisoformat(row.finished_at) if row.finished_at else None
    return Run(
        run=row.run,
        tenant=row.tenant,
        collection=row.collection,
        started_at=datetime.fromisoformat(row.started_at),
        finished_at=done,
        counts=json.loads(row.counts),
        alive=done is None and is_alive(row.holder),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
