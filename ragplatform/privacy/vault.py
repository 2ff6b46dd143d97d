"""The vault: the values behind pseudonyms, each encrypted under a key of its subject.

Destroying a subject's key makes its values unreadable for good; what the database file held of
them is overwritten.
"""

import hmac
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from ragplatform.errors import TamperedError, UnavailableError, VaultError
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.pseudonyms import Pseudonyms, Tokeniser
from ragplatform.privacy.sealing import Sealing

_METADATA: Final = sa.MetaData()
_CHECK: Final = sa.Table(
    "vault_check",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
_SUBJECTS: Final = sa.Table(
    "vault_subjects",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
)
_VALUES: Final = sa.Table(
    "vault_values",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("vault_values_by_subject", "tenant", "subject"),
)
# SQLite's default limit on bound variables is 32,766, PostgreSQL's 65,535; smaller plans faster.
_BATCH: Final = 500
_BUSY_MS: Final = 30_000
_CHECKPOINT_TRIES: Final = 50
_CHECKPOINT_PAUSE_S: Final = 0.1


class Vault:
    """Makes pseudonyms, keeps the values behind them, gives them back, forgets them.

    Safe to use from several threads and processes. Every method that touches the database raises
    ``UnavailableError`` when it does not answer, and ``TamperedError`` when what it holds is not
    what was written.
    """

    def __init__(self, url: str, *, master: bytes) -> None:
        """Open the vault, creating its tables when they are missing.

        Raises ``VaultError`` when the master key is not the one the vault was made with.
        """
        keys = Keys(master)
        self._pseudonyms = Pseudonyms(keys)
        self._sealing = Sealing(keys)
        # Parameters hold tokens and ciphertext; even those have no place in an error message.
        self._engine = sa.create_engine(url, hide_parameters=True)
        self._lite = self._engine.dialect.name == "sqlite"
        self._process = os.getpid()
        if self._lite:
            sa.event.listen(self._engine, "connect", _set_up_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        with self._transaction() as connection:
            for table in _METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
            self._check_keys(connection)

    def token(self, tenant: str, entity: str, value: str) -> str:
        """Return the value's pseudonym. Nothing is written; equal for equal values of a tenant."""
        return self._pseudonyms.token(tenant, entity, value)

    def tokeniser(self, tenant: str) -> Tokeniser:
        """Return ``token`` bound to one tenant."""
        return self._pseudonyms.tokeniser(tenant)

    def subject_ref(self, tenant: str, raw_id: str) -> str:
        """Return the keyed reference of a subject: ``s_`` and 24 characters, never its raw id."""
        return self._pseudonyms.subject_ref(tenant, raw_id)

    def date_shift(self, tenant: str, subject_ref: str) -> int:
        """Return by how many days the subject's dates move: -365 to 365, never 0."""
        return self._pseudonyms.date_shift(tenant, subject_ref)

    def store(self, tenant: str, subject_ref: str, values: Iterable[tuple[str, str]]) -> list[str]:
        """Keep (entity, value) pairs under the subject's key; return their tokens, in order.

        A value that the subject already has is left as it is. Durable when the call returns.
        """
        pairs = [(self.token(tenant, entity, value), value) for entity, value in values]
        if not pairs:
            return []
        with self._transaction() as connection:
            key = self._subject_key(connection, tenant, subject_ref)
            for batch in _batches(dict(reversed(pairs)).items()):
                rows = [
                    {
                        "tenant": tenant,
                        "token": token,
                        "subject": subject_ref,
                        "sealed": self._sealing.seal(key, tenant, subject_ref, token, value),
                    }
                    for token, value in batch
                ]
                connection.execute(self._insert(_VALUES).on_conflict_do_nothing(), rows)
        return [token for token, _ in pairs]

    def reveal(self, tenant: str, tokens: Iterable[str]) -> dict[str, str]:
        """Return the values behind the tokens; tokens that no subject has any more are left out.

        Raises ``TamperedError`` when a value was changed or moved, rather than leave it out.
        """
        found: dict[str, str] = {}
        with self._transaction("BEGIN") as connection:
            for batch in _batches(dict.fromkeys(tokens)):
                for row in connection.execute(_rows_of(tenant, batch)):
                    if row.token not in found:
                        key = self._sealing.unwrap(tenant, row.subject, row.wrapped_key)
                        found[row.token] = self._sealing.open(
                            key, tenant, row.subject, row.token, row.sealed
                        )
        return found

    def destroy_subject(self, tenant: str, subject_ref: str) -> int:
        """Destroy the subject's key and values for good; return how many values went.

        When the call returns, neither is left in the database's files. Raises
        ``UnavailableError`` when readers keep the write-ahead log from being cut: the values are
        unreachable already, and calling again finishes the work.
        """
        with self._transaction() as connection:
            mine = (_VALUES.c.tenant == tenant) & (_VALUES.c.subject == subject_ref)
            count = int(connection.execute(sa.delete(_VALUES).where(mine)).rowcount)
            mine = (_SUBJECTS.c.tenant == tenant) & (_SUBJECTS.c.subject == subject_ref)
            connection.execute(sa.delete(_SUBJECTS).where(mine))
        if self._lite:
            self._cut_log()
        return count

    def close(self) -> None:
        """Release the database. Calling it again does nothing."""
        self._engine.dispose()

    def _check_keys(self, connection: sa.Connection) -> None:
        wanted = self._sealing.check()
        row = {"id": 1, "digest": wanted}
        connection.execute(self._insert(_CHECK).values(row).on_conflict_do_nothing())
        found = connection.execute(sa.select(_CHECK.c.digest).where(_CHECK.c.id == 1)).scalar_one()
        if not hmac.compare_digest(wanted, bytes(found)):
            raise VaultError(
                "the vault was made with another master key; restore that key, "
                "or point the settings at the vault that belongs to this one"
            )

    def _subject_key(self, connection: sa.Connection, tenant: str, subject: str) -> bytes:
        fresh = {
            "tenant": tenant,
            "subject": subject,
            "wrapped_key": self._sealing.new_key(tenant, subject),
        }
        connection.execute(self._insert(_SUBJECTS).values(fresh).on_conflict_do_nothing())
        # Another process may have been first: what counts is what the table holds now. The lock
        # keeps a destruction from running between this look and the values that follow.
        mine = (_SUBJECTS.c.tenant == tenant) & (_SUBJECTS.c.subject == subject)
        query = sa.select(_SUBJECTS.c.wrapped_key).where(mine).with_for_update()
        return self._sealing.unwrap(tenant, subject, connection.execute(query).scalar_one())

    def _insert(self, table: sa.Table) -> Any:  # the two dialects share no type
        return sqlite.insert(table) if self._lite else postgresql.insert(table)

    def _cut_log(self) -> None:
        """Move the write-ahead log into the database and cut it to nothing."""
        for _ in range(_CHECKPOINT_TRIES):
            with self._transaction("") as connection:
                answer = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            if answer[0] == 0:
                return
            time.sleep(_CHECKPOINT_PAUSE_S)
        raise UnavailableError(
            "the subject is forgotten, but readers keep old bytes in the vault's log: call again"
        )

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sa.Connection]:
        if self._process != os.getpid():
            # A connection must not cross a fork: two processes would share one file lock.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        engine = self._engine.execution_options(begin_with=begin)
        try:
            with engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise UnavailableError("the vault's database did not answer") from error
        except DatabaseError as error:
            raise TamperedError("the vault's database is damaged; restore it") from error
        except SQLAlchemyError as error:
            raise UnavailableError("the vault's database could not be used") from error


def _rows_of(tenant: str, tokens: Sequence[str]) -> sa.Select[Any]:
    subject = (_VALUES.c.tenant == _SUBJECTS.c.tenant) & (_VALUES.c.subject == _SUBJECTS.c.subject)
    return (
        sa.select(_VALUES.c.token, _VALUES.c.subject, _VALUES.c.sealed, _SUBJECTS.c.wrapped_key)
        .join(_SUBJECTS, subject)
        .where(_VALUES.c.tenant == tenant, _VALUES.c.token.in_(tokens))
        .order_by(_VALUES.c.token, _VALUES.c.subject)
    )


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _set_up_sqlite(connection: Any, _record: object) -> None:  # a DBAPI connection
    # Transactions are begun by our own hook, so that a writer takes the lock before it reads.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    # Deleted keys and values are overwritten with zeros, not only unlinked.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    if begin := connection.get_execution_options().get("begin_with", "BEGIN IMMEDIATE"):
        connection.exec_driver_sql(begin)
