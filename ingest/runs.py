"""The runs of the job: who works at what, how far it is, and whether it is to end.

The row of a run is its heartbeat too: another process sees from it that the run lives and what it
has done, and asks it there to end.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ingest.ledger_tables import RUNS, SOURCES
from ragplatform.holder import is_alive, is_here, this_process
from ragplatform.model import Json

# A run on another machine that was not heard of for so long is believed to be dead.
SILENCE_S: Final = 900.0


class Ended(StrEnum):
    """How a run came to its end. One that was killed never says so."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run had done when it was last heard: counts, and seconds by stage.

    ``total`` and ``total_bytes`` are what its plan held, 0 where it made none.
    """

    files: int = 0
    documents: int = 0
    chunks: int = 0
    characters: int = 0
    bytes: int = 0
    total: int = 0
    total_bytes: int = 0
    elapsed_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """Return what stands in the ledger."""
        return {
            "files": self.files,
            "documents": self.documents,
            "chunks": self.chunks,
            "characters": self.characters,
            "bytes": self.bytes,
            "total": self.total,
            "total_bytes": self.total_bytes,
            "elapsed_s": round(self.elapsed_s, 3),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "states": dict(self.states),
        }

    def rates(self) -> dict[str, Json]:
        """Return documents, kilobytes and chunks for each second, and shares by stage."""
        elapsed = max(self.elapsed_s, 0.001)
        worked = sum(self.seconds.values()) or 1.0
        return {
            "documents_per_s": round(self.documents / elapsed, 3),
            "kilobytes_per_s": round(self.bytes / elapsed / 1000, 3),
            "chunks_per_s": round(self.chunks / elapsed, 3),
            "by_stage": {
                name: {
                    "seconds": round(seconds, 3),
                    "share": round(seconds / worked, 3),
                    "documents_per_s": round(self.documents / seconds, 3) if seconds else None,
                    "kilobytes_per_s": round(self.bytes / seconds / 1000, 3) if seconds else None,
                }
                for name, seconds in sorted(self.seconds.items(), key=lambda one: -one[1])
            },
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job. ``finished_at`` is None while it works, or when it was cut off.

    ``alive`` says which of the two. ``arguments`` are what it was called with, sealed, or "".
    """

    run: str
    tenant: str
    collection: str
    source: str
    started_at: datetime
    finished_at: datetime | None
    ended: Ended | None
    counts: Mapping[str, int]
    progress: Progress
    heard_at: datetime
    cancelled: bool
    alive: bool
    arguments: str = field(repr=False)

    @property
    def remaining_s(self) -> float | None:
        """How long it may still work by its own pace, None where nobody can tell."""
        done = self.progress
        if not self.alive or not done.total or not done.files:
            return None
        left = max(done.total - done.files, 0)
        return round(done.elapsed_s * left / done.files, 1)

    @property
    def standing(self) -> str:
        """One word: running, cancelling, or how it ended; ``killed`` for one that never said."""
        if self.ended is not None:
            return str(self.ended)
        if self.finished_at is not None:
            return str(Ended.DONE)
        if not self.alive:
            return "killed"
        return "cancelling" if self.cancelled else "running"

    def standing_json(self) -> dict[str, Json]:
        """Return how it stands and how far it is, with its rates, as commands and REST say it."""
        return {
            "standing": self.standing,
            "started_at": self.started_at.isoformat(),
            "heard_at": self.heard_at.isoformat(),
            "finished_at": None if self.finished_at is None else self.finished_at.isoformat(),
            "progress": self.progress.json(),
            "rates": self.progress.rates(),
            "remaining_s": self.remaining_s,
        }


class Runs:
    """The runs in the ledger's database. Made by ``Ledger``, which says when its methods raise."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction
        self._holder = this_process()

    def start(
        self, run: str, *, tenant: str, collection: str, source: str = "", arguments: str = ""
    ) -> None:
        """Note that a run begins. Raises ``UnavailableError`` when its id is taken."""
        now = _now()
        row = {
            "run": run,
            "tenant": tenant,
            "collection": collection,
            "source": source,
            "holder": self._holder,
            "started_at": now,
            "finished_at": "",
            "counts": "{}",
            "heard_at": now,
            "arguments": arguments,
        }
        with self._transaction() as connection:
            connection.execute(RUNS.insert().values(row))

    def beat(self, run: str, progress: Progress, *, lease_s: float) -> bool:
        """Say that the run lives and how far it is; return whether it was asked to end.

        Its hold on what it has in work is lengthened to ``lease_s`` from now.
        """
        said = {"heard_at": _now(), "progress": json.dumps(progress.json())}
        until = datetime.now(UTC).timestamp() + lease_s
        with self._transaction() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run == run).values(said))
            held = sa.and_(SOURCES.c.run == run, SOURCES.c.state == "pending")
            connection.execute(SOURCES.update().where(held).values(lease_until=until))
            asked = sa.select(RUNS.c.cancelled_at).where(RUNS.c.run == run)
            return bool(connection.execute(asked).scalar())

    def finish(
        self,
        run: str,
        counts: Mapping[str, int],
        *,
        ended: Ended = Ended.DONE,
        progress: Progress | None = None,
        keep_arguments: bool = False,
    ) -> None:
        """Note that a run came to its end, and what it counted; it lets go of what it held.

        What it was called with is kept only where the run is to be taken up again.
        """
        now = _now()
        done = {
            "finished_at": now,
            "heard_at": now,
            "ended": str(ended),
            "counts": json.dumps(dict(counts), sort_keys=True),
        }
        if progress is not None:
            done["progress"] = json.dumps(progress.json())
        if not keep_arguments:
            done["arguments"] = ""
        with self._transaction() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run == run).values(done))
            connection.execute(
                SOURCES.update()
                .where(SOURCES.c.run == run, SOURCES.c.state == "pending")
                .values(lease_until=0.0)
            )

    def cancel(self, run: str) -> bool:
        """Ask a run to end after what it has in hand; return False when it ended before."""
        working = sa.and_(RUNS.c.run == run, RUNS.c.finished_at == "")
        with self._transaction() as connection:
            asked = RUNS.update().where(working).values(cancelled_at=_now())
            return connection.execute(asked).rowcount > 0

    def close_off(self, run: str) -> None:
        """Note that another run took up the work of one that was cut off or cancelled."""
        row = RUNS.c.run == run
        now = _now()
        with self._transaction() as connection:
            connection.execute(RUNS.update().where(row).values(arguments=""))
            open_row = sa.and_(row, RUNS.c.finished_at == "")
            ended = {"finished_at": now, "ended": str(Ended.FAILED)}
            connection.execute(RUNS.update().where(open_row).values(ended))

    def with_arguments(self, tenant: str) -> list[Run]:
        """Return the tenant's runs of which it is kept what they were called with."""
        mine = sa.and_(RUNS.c.tenant == tenant, RUNS.c.arguments != "")
        with self._transaction() as connection:
            return [_run_of(row) for row in connection.execute(sa.select(RUNS).where(mine))]

    def drop_arguments(self, run: str) -> None:
        """Keep no more what a run was called with: it cannot be taken up again."""
        with self._transaction() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run == run).values(arguments=""))

    def find(self, run: str) -> Run | None:
        """Return the run of that id, or the only one whose id begins so, or None."""
        like = RUNS.c.run.startswith(run, autoescape=True)
        with self._transaction() as connection:
            rows = connection.execute(sa.select(RUNS).where(like).limit(2)).all()
        exact = [row for row in rows if row.run == run]
        found = exact or rows
        return _run_of(found[0]) if len(found) == 1 else None

    def attempts(self, run: str) -> list[Run]:
        """Return the attempts at a run that waited in the queue, the first one first.

        The first has its id, and the others that with their number behind it.
        """
        found: list[Run] = []
        name = run
        while (one := self.find(name)) is not None and one.run == name:
            found.append(one)
            name = f"{run}-{len(found) + 1}"
        return found

    def latest(
        self, tenant: str | None = None, collection: str | None = None, *, limit: int = 20
    ) -> list[Run]:
        """Return the latest runs, of one tenant and collection or of all, the newest first."""
        query = sa.select(RUNS)
        if tenant is not None:
            query = query.where(RUNS.c.tenant == tenant)
        if collection is not None:
            query = query.where(RUNS.c.collection == collection)
        query = query.order_by(RUNS.c.started_at.desc(), RUNS.c.run).limit(limit)
        with self._transaction() as connection:
            return [_run_of(row) for row in connection.execute(query)]


def _run_of(row: sa.Row[Any]) -> Run:
    done = datetime.fromisoformat(row.finished_at) if row.finished_at else None
    started = datetime.fromisoformat(row.started_at)
    # Rows from before the heartbeat were never heard of again after their start.
    heard = datetime.fromisoformat(row.heard_at) if row.heard_at else started
    silent = datetime.now(UTC) - heard > timedelta(seconds=SILENCE_S)
    return Run(
        run=row.run,
        tenant=row.tenant,
        collection=row.collection,
        source=row.source,
        started_at=started,
        finished_at=done,
        ended=Ended(row.ended) if row.ended else None,
        counts=json.loads(row.counts),
        progress=_progress_of(json.loads(row.progress)),
        heard_at=heard,
        cancelled=bool(row.cancelled_at),
        alive=done is None and (is_alive(row.holder) if is_here(row.holder) else not silent),
        arguments=row.arguments,
    )


def _progress_of(found: Mapping[str, Any]) -> Progress:
    known = Progress.__slots__
    return Progress(**{name: value for name, value in found.items() if name in known})


def _now() -> str:
    return datetime.now(UTC).isoformat()
