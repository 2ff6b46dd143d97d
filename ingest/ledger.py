"""The ledger: what became of every source, the truth from which the index can be rebuilt.

One row for each source of a collection. Every write is committed durably before the call returns.
Two runs over the same sources cannot both work on one: whoever begins it holds it until it is
settled, its holder's process is gone, or its lease has run out.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from ingest.graves import Graves
from ingest.ledger_tables import GRAVES, SOURCES
from ingest.runs import Runs
from ragplatform.errors import ForgottenError, HeldError, UnavailableError
from ragplatform.holder import is_alive, this_process
from ragplatform.migrations import bring_up
from ragplatform.tables import Joined, insert, open_engine

LEASE_S: Final = 900.0
CONTENTS_OPEN: Final = "open"
# SQLite's default limit on bound variables is 32,766; shorter lists are planned faster.
_BATCH: Final = 500


class State(StrEnum):
    """What became of a source."""

    PENDING = "pending"
    INDEXED = "indexed"
    QUARANTINED = "quarantined"
    FORGOTTEN = "forgotten"
    # A file that is no document itself; its row says that all in it is settled.
    UNPACKED = "unpacked"
    # What its source or its archive no longer has.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source comes from: its configured source, and the key of what it lies in."""

    source: str = ""
    container: str = ""


NOWHERE: Final = Place()


@dataclass(frozen=True, slots=True)
class Entry:
    """A source's row.

    ``source_key`` is a keyed digest of the path and ``display_name`` is transformed text: raw names
    never come here. ``generation`` names the version that the row speaks of, ``live_generation``
    the one that the index was last said to hold (``""``: none). ``reason`` is a stable word for a
    quarantined source, else ``""``. ``source`` is the id of the configured source that it comes
    from, ``container`` the key of the source that it lies in; both may be ``""``. ``contents`` is
    the generation for which all that lies in it is settled, ``CONTENTS_OPEN`` when not all is, and
    ``""`` when nothing lies in it.
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
    source: str = ""
    container: str = ""
    contents: str = ""

    @property
    def place(self) -> Place:
        """Where it comes from."""
        return Place(self.source, self.container)

    @property
    def is_there(self) -> bool:
        """Whether something of it may be found or kept: neither gone nor erased before."""
        return self.state not in {State.GONE, State.FORGOTTEN}


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's right to work on one version of one source. Made only by ``Ledger.begin``."""

    tenant: str
    collection: str
    source_key: str
    generation: str
    run: str


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
        self._joined = Joined()
        with self._transaction() as connection:
            bring_up(connection, "ledger")
        self.runs = Runs(self._transaction)
        self.graves = Graves(self._transaction)

    def lookup(self, tenant: str, collection: str, source_key: str) -> Entry | None:
        """Return what is known of a source, or None."""
        query = sa.select(SOURCES).where(_at(tenant, collection, source_key))
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _entry_of(row)

    def known(self, tenant: str, collection: str, source_keys: Collection[str]) -> dict[str, Entry]:
        """Return what is known of many sources, by key; those unknown are left out."""
        found: dict[str, Entry] = {}
        with self._transaction() as connection:
            for keys in _batches(source_keys):
                query = sa.select(SOURCES).where(
                    SOURCES.c.tenant == tenant,
                    SOURCES.c.collection == collection,
                    SOURCES.c.source_key.in_(keys),
                )
                for row in connection.execute(query):
                    found[row.source_key] = _entry_of(row)
        return found

    def buried(
        self, tenant: str, collection: str, documents: Mapping[str, str]
    ) -> dict[str, Entry]:
        """Return entries of those sources, by key to document, that are known as erased alone.

        A ledger that was restored has no row of what came in and was erased after its backup.
        """
        gone = self.graves.among(tenant, documents.values())
        return {
            key: _forgotten(tenant, collection, key, document)
            for key, document in documents.items()
            if document in gone
        }

    def inside(self, tenant: str, collection: str, container: str) -> list[Entry]:
        """Return the rows of what lies in a container, by key; not of what lies deeper."""
        query = sa.select(SOURCES).where(
            SOURCES.c.tenant == tenant,
            SOURCES.c.collection == collection,
            SOURCES.c.container == container,
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(SOURCES.c.source_key)).all()
        return [_entry_of(row) for row in rows]

    def sources_of(self, tenant: str, document: str) -> list[Entry]:
        """Return the rows of a document whose content is known."""
        query = sa.select(SOURCES).where(
            SOURCES.c.tenant == tenant, SOURCES.c.document == document, SOURCES.c.sha256 != ""
        )
        with self._transaction() as connection:
            return [_entry_of(row) for row in connection.execute(query)]

    def keys_of(self, tenant: str, collection: str, source: str) -> list[str]:
        """Return the keys of what a source was last known to have, not of what lies inside it."""
        gone = (State.GONE.value, State.FORGOTTEN.value)
        query = sa.select(SOURCES.c.source_key).where(
            SOURCES.c.tenant == tenant,
            SOURCES.c.collection == collection,
            SOURCES.c.source == source,
            SOURCES.c.container == "",
            SOURCES.c.state.not_in(gone),
        )
        with self._transaction() as connection:
            return list(connection.execute(query.order_by(SOURCES.c.source_key)).scalars())

    def put_in_place(self, tenant: str, collection: str, place: Place, keys: list[str]) -> None:
        """Note where sources were met that the ledger knows from another place, or from none."""
        with self._transaction() as connection:
            for some in _batches(keys):
                at = sa.and_(
                    SOURCES.c.tenant == tenant,
                    SOURCES.c.collection == collection,
                    SOURCES.c.source_key.in_(some),
                )
                moved = {"source": place.source, "container": place.container}
                connection.execute(SOURCES.update().where(at).values(moved))

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
        place: Place = NOWHERE,
        contents: str | None = None,
    ) -> Claim:
        """Take a source in hand before anything of it is written anywhere.

        Raises ``HeldError`` while another live run holds it, and ``ForgottenError`` for one that
        was erased: ``revive`` lets it back in. ``contents`` is left as it is unless it is given.
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
            "source": place.source,
            "container": place.container,
        }
        if contents is not None:
            row["contents"] = contents
        at = _at(tenant, collection, source_key)
        key = {"tenant": tenant, "collection": collection, "source_key": source_key}
        fresh = {**key, **row, "chunks": 0, "live_generation": ""}
        with self._transaction() as connection:
            _require_unburied(connection, tenant, document)
            # Of several runs that meet a new source at once the first inserts it; the others wait
            # for its transaction and find it held.
            new = insert(connection.dialect, SOURCES).values(fresh).on_conflict_do_nothing()
            # PostgreSQL's driver counts no rows of an insert; what it returns says the same.
            if connection.execute(new.returning(SOURCES.c.run)).one_or_none() is None:
                known = connection.execute(sa.select(SOURCES).where(at).with_for_update())
                _require_free(known.one(), run)
                connection.execute(SOURCES.update().where(at).values(row))
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

    def close_container(
        self, tenant: str, collection: str, source_key: str, generation: str
    ) -> None:
        """Note that all that lies in this version of a container is settled."""
        same = sa.and_(_at(tenant, collection, source_key), SOURCES.c.generation == generation)
        with self._transaction() as connection:
            connection.execute(SOURCES.update().where(same).values(contents=generation))

    def commit_unpacked(self, claim: Claim) -> None:
        """Note that the source is no document, and that all that lies in it is settled.

        The caller took out what of it was indexed when it was one. Raises ``HeldError`` when the
        claim is lost.
        """
        self._settle(claim, {"state": State.UNPACKED.value, "chunks": 0, "live_generation": ""})

    def commit_gone(self, claim: Claim) -> None:
        """Keep of a source only that it is gone; the caller took it out of index and vault first.

        Raises ``HeldError`` when the claim is lost.
        """
        self._settle(claim, {"state": State.GONE.value, "chunks": 0, **_blank()})

    def _settle(self, claim: Claim, values: dict[str, Any]) -> None:
        held = sa.and_(
            _at(claim.tenant, claim.collection, claim.source_key),
            SOURCES.c.state == State.PENDING.value,
            SOURCES.c.run == claim.run,
            SOURCES.c.generation == claim.generation,
        )
        done = values | {"lease_until": 0.0, "updated_at": _now()}
        with self._transaction() as connection:
            if not connection.execute(SOURCES.update().where(held).values(done)).rowcount:
                raise HeldError("the claim on this document was lost: run again")

    def forget(self, document: str) -> int:
        """Keep of a document only that it was forgotten; return how many sources it had.

        Content digest, name and labels go, also from free pages and the write-ahead log. The caller
        has erased it from index and vault first. Its mark stays, which says that it was erased.
        """
        gone = _blank() | {"state": State.FORGOTTEN.value}
        values = {**gone, "chunks": 0, "lease_until": 0.0, "updated_at": _now()}
        where = SOURCES.c.document == document
        with self._transaction() as connection:
            for tenant in set(
                connection.execute(sa.select(SOURCES.c.tenant).where(where)).scalars()
            ):
                grave = {"tenant": tenant, "mark": document, "document": document}
                connection.execute(
                    insert(connection.dialect, GRAVES).values(grave).on_conflict_do_nothing()
                )
            count = connection.execute(SOURCES.update().where(where).values(values)).rowcount
        self._scrub_log()
        return count

    def reject(self, tenant: str, collection: str, source_key: str) -> bool:
        """Note that people rejected a quarantined source; return whether it was one."""
        quarantined = sa.and_(
            _at(tenant, collection, source_key), SOURCES.c.state == State.QUARANTINED.value
        )
        change = SOURCES.update().where(quarantined).values(reason="rejected", updated_at=_now())
        with self._transaction() as connection:
            return connection.execute(change).rowcount > 0

    def is_held(self, entry: Entry) -> bool:
        """Return whether a live run has the source in hand now."""
        query = sa.select(SOURCES).where(
            _at(entry.tenant, entry.collection, entry.source_key),
            SOURCES.c.state == State.PENDING.value,
        )
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return row is not None and row.lease_until > time.time() and is_alive(row.holder)

    def reopen(self, entry: Entry) -> bool:
        """Let the next run take an indexed source in again, as one whose passages are lost.

        Return False, with nothing done, when the entry is not what the ledger says any more.
        """
        same = sa.and_(
            _at(entry.tenant, entry.collection, entry.source_key),
            SOURCES.c.state == State.INDEXED.value,
            SOURCES.c.generation == entry.generation,
        )
        open_again = {
            "state": State.PENDING.value,
            "generation": "",
            "live_generation": "",
            "chunks": 0,
            "lease_until": 0.0,
            "updated_at": _now(),
        }
        with self._transaction() as connection:
            return connection.execute(SOURCES.update().where(same).values(open_again)).rowcount > 0

    def revive(self, tenant: str, collection: str, source_key: str) -> bool:
        """Let a forgotten source be ingested again; return whether it was forgotten."""
        where = sa.and_(
            _at(tenant, collection, source_key), SOURCES.c.state == State.FORGOTTEN.value
        )
        document = sa.select(SOURCES.c.document).where(where).scalar_subquery()
        grave = sa.and_(GRAVES.c.tenant == tenant, GRAVES.c.document == document)
        with self._transaction() as connection:
            connection.execute(GRAVES.delete().where(grave))
            return connection.execute(SOURCES.delete().where(where)).rowcount > 0

    def entries(
        self,
        *,
        tenant: str | None = None,
        collection: str | None = None,
        state: State | None = None,
    ) -> list[Entry]:
        """Return the rows that match all that is given, by tenant, collection and source."""
        query = sa.select(SOURCES)
        if tenant is not None:
            query = query.where(SOURCES.c.tenant == tenant)
        if collection is not None:
            query = query.where(SOURCES.c.collection == collection)
        if state is not None:
            query = query.where(SOURCES.c.state == state.value)
        order = (SOURCES.c.tenant, SOURCES.c.collection, SOURCES.c.source_key)
        with self._transaction() as connection:
            return [_entry_of(row) for row in connection.execute(query.order_by(*order))]

    def pending(self, tenant: str | None = None) -> list[Entry]:
        """Return what was begun and not settled: in work now, or left by a run that was cut off."""
        return self.entries(tenant=tenant, state=State.PENDING)

    def counts(self, tenant: str | None = None) -> dict[tuple[str, str, State], int]:
        """Return how many sources each tenant and collection has in each state."""
        keys = (SOURCES.c.tenant, SOURCES.c.collection, SOURCES.c.state)
        query = sa.select(*keys, sa.func.count().label("sources")).group_by(*keys)
        if tenant is not None:
            query = query.where(SOURCES.c.tenant == tenant)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return {(row.tenant, row.collection, State(row.state)): row.sources for row in rows}

    def of_older_pipelines(self, tenant: str | None = None) -> dict[tuple[str, str], int]:
        """Return how many documents of each collection an older pipeline took in than its newest.

        Those from before the pipeline was noted are not among them.
        """
        keys = (SOURCES.c.tenant, SOURCES.c.collection)
        last = sa.func.max(SOURCES.c.updated_at)
        indexed = sa.and_(SOURCES.c.state == State.INDEXED.value, SOURCES.c.pipeline != "")
        query = (
            sa.select(*keys, sa.func.count().label("documents"))
            .where(indexed if tenant is None else indexed & (SOURCES.c.tenant == tenant))
            .group_by(*keys, SOURCES.c.pipeline)
            .order_by(*keys, last.desc())
        )
        older: dict[tuple[str, str], int] = {}
        with self._transaction() as connection:
            for row in connection.execute(query):
                # The first of each collection is the newest one.
                place = (row.tenant, row.collection)
                older[place] = older[place] + row.documents if place in older else 0
        return {place: count for place, count in older.items() if count}

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that this thread does here meanwhile one transaction, done whole or not at all.

        On SQLite it keeps every other writer waiting: nothing slow belongs in it.
        """
        with self._joined.over(self._transaction()):
            yield

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        if (joined := self._joined.connection) is not None:
            yield joined
            return
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


def _require_unburied(connection: sa.Connection, tenant: str, document: str) -> None:
    mine = sa.and_(GRAVES.c.tenant == tenant, GRAVES.c.mark == document)
    if connection.execute(sa.select(GRAVES.c.mark).where(mine).limit(1)).one_or_none() is not None:
        raise ForgottenError("the document was erased and stays out")


def _forgotten(tenant: str, collection: str, source_key: str, document: str) -> Entry:
    blank = _blank()
    return Entry(
        tenant=tenant,
        collection=collection,
        source_key=source_key,
        document=document,
        state=State.FORGOTTEN,
        chunks=0,
        run="",
        updated_at=datetime.now(UTC),
        **blank,
    )


def _blank() -> dict[str, Any]:
    """Return the columns that could say something of a document, emptied."""
    names = ("sha256", "pipeline", "labels_digest", "generation", "display_name", "reason")
    return dict.fromkeys((*names, "live_generation", "contents"), "")


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _at(tenant: str, collection: str, source_key: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        SOURCES.c.tenant == tenant,
        SOURCES.c.collection == collection,
        SOURCES.c.source_key == source_key,
    )


def _entry_of(row: sa.Row[Any]) -> Entry:
    values = dict(row._mapping)  # SQLAlchemy's public name for it
    for name in ("holder", "lease_until"):
        del values[name]
    values["state"] = State(row.state)
    values["updated_at"] = datetime.fromisoformat(row.updated_at)
    return Entry(**values)


def _now() -> str:
    return datetime.now(UTC).isoformat()
