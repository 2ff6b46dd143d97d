"""An engine waits for others that open the same file, within a bound, and erases what goes."""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from ragplatform.tables import open_engine


def locked(path: Path) -> sqlite3.Connection:
    """Return a connection that keeps everybody else from the file."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


def answer(engine: sa.Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


def test_a_file_that_stays_locked_is_given_up_after_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragplatform.tables._BUSY_S", 0.05)
    other = locked(tmp_path / "a.db")

    with pytest.raises(OperationalError, match="stayed locked"):
        open_engine(f"sqlite:///{tmp_path / 'a.db'}", begin_immediate=True).connect()
    other.close()


def test_a_file_that_is_let_go_within_the_wait_is_opened(tmp_path: Path) -> None:
    other = locked(tmp_path / "a.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}", begin_immediate=True)
    threading.Timer(0.2, other.close).start()

    assert answer(engine, "PRAGMA journal_mode") == "wal"
    engine.dispose()


def test_what_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database" * 100)

    with pytest.raises(sa.exc.DatabaseError, match="not a database"):
        open_engine(f"sqlite:///{tmp_path / 'a.db'}", begin_immediate=True).connect()


@pytest.mark.parametrize("begin_immediate", [True, False])
def test_every_connection_is_durable_and_erases(tmp_path: Path, begin_immediate: bool) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}", begin_immediate=begin_immediate)

    assert answer(engine, "PRAGMA synchronous") == 2  # FULL
    assert answer(engine, "PRAGMA secure_delete") == 1
    assert answer(engine, "PRAGMA foreign_keys") == 1
    engine.dispose()


def test_only_a_transaction_that_begins_by_itself_reads_while_another_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragplatform.tables._BUSY_S", 0.05)
    url = f"sqlite:///{tmp_path / 'a.db'}"
    writer, reader = (open_engine(url, begin_immediate=now) for now in (True, False))

    with writer.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        assert answer(reader, "SELECT count(*) FROM sqlite_master") == 0
        with pytest.raises(OperationalError, match="locked"):
            answer(writer, "SELECT 1")
    writer.dispose()
    reader.dispose()
