"""What SQLite and PostgreSQL do differently, for the parts that keep tables in either."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from ragplatform.errors import UnavailableError

_BUSY_S: Final = 30.0
_WAL_PAUSE_S: Final = 0.02
_CUT_TRIES: Final = 50
_CUT_PAUSE_S: Final = 0.1


def open_engine(url: str, *, begin_immediate: bool) -> sa.Engine:
    """Return an engine whose commits are durable and whose deleted rows are overwritten.

    With ``begin_immediate`` a SQLite transaction takes the write lock before it reads, so that one
    that reads and then writes cannot fail because another wrote between; the execution option
    ``begin_with`` puts another statement in its place, or none when it is empty. Without, the
    driver begins at the first write, and reads wait for nobody. PostgreSQL needs none of this.
    """
    # Parameters hold tokens, titles and ciphertext: they have no place in an error message.
    if sa.make_url(url).get_backend_name() != "sqlite":
        return sa.create_engine(url, hide_parameters=True)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_S})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    if begin_immediate:
        sa.event.listen(engine, "connect", _leave_begin_to_us)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def transaction(engine: sa.Engine, part: str) -> Iterator[sa.Connection]:
    """Give a connection whose work is committed at the end, or undone by an error.

    ``part`` names whose database it is. Raises ``UnavailableError`` when that does not answer.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        # What the database says in its message may quote the row.
        name = type(error.orig).__name__
        raise UnavailableError(f"{part} did not answer: {name}") from error


def cut_log(engine: sa.Engine, part: str) -> None:
    """Move SQLite's write-ahead log into the database and cut it to nothing.

    Raises ``UnavailableError`` when readers keep old bytes in it all the while. Elsewhere it does
    nothing: what becomes of old rows is PostgreSQL's vacuum's business.
    """
    if engine.dialect.name != "sqlite":
        return
    plain = engine.execution_options(begin_with="")
    for _ in range(_CUT_TRIES):
        with transaction(plain, part) as connection:
            answer = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if answer[0] == 0:
            return
        time.sleep(_CUT_PAUSE_S)
    raise UnavailableError(f"readers keep old bytes in the log of {part}: call again")


class Joined:
    """Lets a thread make one transaction of several of one database: one sync in place of many.

    Whoever opens transactions asks ``connection`` first, and begins none while it is given one.
    """

    def __init__(self) -> None:
        self._own = threading.local()

    @property
    def connection(self) -> sa.Connection | None:
        """The connection of this thread's joined transaction, None outside of one."""
        found: sa.Connection | None = getattr(self._own, "connection", None)
        return found

    @contextmanager
    def over(self, whole: AbstractContextManager[sa.Connection]) -> Iterator[None]:
        """Let what this thread does meanwhile happen in ``whole``, all of it or nothing."""
        with whole as connection:
            if connection.dialect.name == "sqlite":
                _take_lock(connection)
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = None


def insert(dialect: sa.Dialect, table: sa.Table) -> Any:
    """Return an insert that has ``on_conflict_*``: the two dialects' share no base class."""
    return (postgresql if dialect.name == "postgresql" else sqlite).insert(table)


def _set_up_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    deadline = time.monotonic() + _BUSY_S
    while not _switched_to_wal(cursor):
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("the database stayed locked while it was opened")
        time.sleep(_WAL_PAUSE_S)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten with zeros, not only unlinked.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.close()


def _switched_to_wal(cursor: Any) -> bool:  # a DBAPI cursor
    """Return False when others that open the same empty file at this moment were in the way.

    Each of them reads the file and then wants to write it. SQLite sees that none would ever let go
    and tells one that the database is locked at once, whatever time it was given to wait.
    """
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # The lowest byte is the kind; the others say more about it.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _take_lock(connection: sa.Connection) -> None:
    """Take the write lock before anything is read, where the driver would begin at a write."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _leave_begin_to_us(connection: Any, _: ConnectionPoolEntry) -> None:  # a sqlite3.Connection
    connection.isolation_level = None


def _begin_sqlite(connection: sa.Connection) -> None:
    if begin := connection.get_execution_options().get("begin_with", "BEGIN IMMEDIATE"):
        connection.exec_driver_sql(begin)
