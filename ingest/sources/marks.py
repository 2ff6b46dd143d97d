"""What is remembered of configured sources from one run to the next.

A mark says that a thing of this version had this content, without naming either: it is a keyed
digest over both. The content's own digest stands in the ledger alone and goes with the document.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import sqlalchemy as sa

from ragplatform.migrations import bring_up
from ragplatform.tables import insert, open_engine, transaction

_T = TypeVar("_T")

METADATA: Final = sa.MetaData()
# SQLite's default limit on bound variables is 32,766; each row takes four.
_BATCH: Final = 500

_MARKS: Final = sa.Table(
    "source_marks",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("source", sa.String(63), primary_key=True),
    sa.Column("source_key", sa.String(128), primary_key=True),
    sa.Column("mark", sa.String(64), nullable=False),
)

_CURSORS: Final = sa.Table(
    "source_cursors",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("source", sa.String(63), primary_key=True),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("settings", sa.String(64), nullable=False),
    sa.Column("listed_at", sa.String(32), nullable=False),
)


class Marks:
    """The marks and the cursor of one source of one tenant.

    All methods raise ``UnavailableError`` when the database does not answer.
    """

    def __init__(self, url: str, *, tenant: str, source: str, key: bytes) -> None:
        """Open the database, creating the tables that are missing. ``key`` is the tenant's."""
        self._at = {"tenant": tenant, "source": source}
        self._key = key
        self._engine = open_engine(url, begin_immediate=False)
        with self._transaction() as connection:
            bring_up(connection, "sources")

    def mark(self, version: str, sha256: str) -> str:
        """Return the mark of content of this digest under this version."""
        text = f"{version}\0{sha256}"
        return hmac.new(
            self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()

    def known(self, keys: Collection[str]) -> dict[str, str]:
        """Return the marks that are known of these sources, by key."""
        found: dict[str, str] = {}
        with self._transaction() as connection:
            for some in _batches(list(keys)):
                query = sa.select(_MARKS.c.source_key, _MARKS.c.mark).where(
                    _same(_MARKS, self._at), _MARKS.c.source_key.in_(some)
                )
                found |= {row.source_key: row.mark for row in connection.execute(query)}
        return found

    def keep(self, marks: Mapping[str, str]) -> None:
        """Remember marks by key, each in the place of the one before."""
        rows = [{**self._at, "source_key": key, "mark": mark} for key, mark in marks.items()]
        with self._transaction() as connection:
            for some in _batches(rows):
                new = insert(connection.dialect, _MARKS).values(some)
                place = [_MARKS.c.tenant, _MARKS.c.source, _MARKS.c.source_key]
                connection.execute(
                    new.on_conflict_do_update(
                        index_elements=place, set_={"mark": new.excluded.mark}
                    )
                )

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget what is not among these."""
        there = frozenset(keys)
        query = sa.select(_MARKS.c.source_key).where(_same(_MARKS, self._at))
        with self._transaction() as connection:
            gone = [key for key in connection.execute(query).scalars() if key not in there]
            for some in _batches(gone):
                at = sa.and_(_same(_MARKS, self._at), _MARKS.c.source_key.in_(some))
                connection.execute(_MARKS.delete().where(at))

    def cursor(self, settings: str) -> str:
        """Return the cursor that was kept under the same settings, else ``""``.

        Under other settings what did not change is to be looked at too.
        """
        query = sa.select(_CURSORS).where(_same(_CURSORS, self._at))
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return row.cursor if row is not None and row.settings == settings else ""

    def keep_cursor(self, cursor: str, settings: str) -> None:
        """Remember where the next listing goes on."""
        now = datetime.now(UTC).isoformat()
        said = {"cursor": cursor, "settings": settings, "listed_at": now}
        with self._transaction() as connection:
            new = insert(connection.dialect, _CURSORS).values({**self._at, **said})
            place = [_CURSORS.c.tenant, _CURSORS.c.source]
            connection.execute(new.on_conflict_do_update(index_elements=place, set_=said))

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with transaction(self._engine, "the database of the sources") as connection:
            yield connection


def _same(table: sa.Table, at: Mapping[str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.tenant == at["tenant"], table.c.source == at["source"])


def _batches(rows: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]
