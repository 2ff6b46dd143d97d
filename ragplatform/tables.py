"""What SQLite and PostgreSQL do differently, for the parts that keep tables in either."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

# Any number will do, as long as nobody else locks it: the first bytes of SHA-256("ragplatform").
_LOCK: Final = 0x31AC5C52


def create_missing(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Create the tables and indexes that are missing, one process at a time.

    PostgreSQL's ``IF NOT EXISTS`` looks before it locks: two processes that start together both
    create, and one of them fails. Its ``CREATE INDEX IF NOT EXISTS`` locks the table even where
    the index is there, against others that write to it: so a table that is there is left alone, for
    it was made together with its indexes. SQLite lets one process write at a time anyway.
    """
    there: set[str] = set()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        there = set(sa.inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in there:
            continue
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))


def insert(dialect: sa.Dialect, table: sa.Table) -> Any:
    """Return an insert that has ``on_conflict_*``: the two dialects' share no base class."""
    return (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
