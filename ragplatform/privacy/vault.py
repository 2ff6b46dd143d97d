"""The vault: the values behind pseudonyms, each encrypted under a key of its subject.

Destroying a subject's key makes its values unreadable for good; what the database file held of
them is overwritten.
"""

import hmac
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from ragplatform.errors import (
    ForgottenError,
    InvalidRequestError,
    TamperedError,
    UnavailableError,
    VaultError,
)
from ragplatform.migrations import bring_up
from ragplatform.ports import KeyEncryption, WrappedKey
from ragplatform.privacy.clues import Clue, fits, stored
from ragplatform.privacy.key_encryption import MasterKeyEncryption
from ragplatform.privacy.keys import KEY_BYTES, Keys
from ragplatform.privacy.pseudonyms import Pseudonyms, Tokeniser
from ragplatform.privacy.sealing import check_value, seal_text, unseal_text
from ragplatform.privacy.vault_orphans import Orphans
from ragplatform.privacy.vault_tables import (
    CHECK,
    CLUES,
    CLUES_BY_NAME,
    ORPHANS,
    SUBJECTS,
    VALUES,
    VALUES_OF_SUBJECT,
    VALUES_OF_TOKENS,
    of_subject,
)
from ragplatform.tables import Joined, insert, open_engine

# SQLite's default limit on bound variables is 32,766, PostgreSQL's 65,535; smaller plans faster.
_BATCH: Final = 500
# A surname of more people than this finds nobody better than the words around it do.
MOST_NAMESAKES: Final = 20
_MOST_CLUES: Final = 200
_CHECKPOINT_TRIES: Final = 50
_CHECKPOINT_PAUSE_S: Final = 0.1


class Vault:
    """Makes pseudonyms, keeps the values behind them, gives them back, forgets them.

    Safe to use from several threads and processes. Every method that touches the database raises
    ``UnavailableError`` when it does not answer, and ``TamperedError`` when what it holds is not
    what was written.
    """

    def __init__(
        self, url: str, *, master: bytes, key_encryption: KeyEncryption | None = None
    ) -> None:
        """Open the vault, creating its tables when they are missing.

        Without ``key_encryption`` subjects' keys are wrapped under the master secret; it must open
        every version that stored keys were wrapped under. Raises ``VaultError`` when the master key
        is not the one the vault was made with.
        """
        keys = Keys(master)
        self._pseudonyms = Pseudonyms(keys)
        self._check = check_value(keys)
        self._keks = key_encryption or MasterKeyEncryption(keys)
        self._engine = open_engine(url, begin_immediate=True)
        self._begun_with = {
            begin: self._engine.execution_options(begin_with=begin)
            for begin in ("BEGIN", "BEGIN IMMEDIATE", "")
        }
        self._joined = Joined()
        self.orphans = Orphans(self._transaction)
        self._lite = self._engine.dialect.name == "sqlite"
        self._process = os.getpid()
        with ExitStack() as undo:
            undo.callback(self.close)
            with self._transaction() as connection:
                bring_up(connection, "vault")
                self._check_keys(connection)
            undo.pop_all()

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
        given = list(values)
        pairs = [(self.token(tenant, entity, value), value) for entity, value in given]
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
                        "sealed": seal_text(key, value, "value", tenant, subject_ref, token),
                    }
                    for token, value in batch
                ]
                connection.execute(
                    insert(connection.dialect, VALUES).on_conflict_do_nothing(), rows
                )
            clues = self._clues(tenant, subject_ref, key, given)
            for batch in _batches(clues):
                connection.execute(
                    insert(connection.dialect, CLUES).on_conflict_do_nothing(), batch
                )
        return [token for token, _ in pairs]

    def reveal(self, tenant: str, tokens: Iterable[str]) -> dict[str, str]:
        """Return the values behind the tokens; tokens that no subject has any more are left out.

        Raises ``TamperedError`` when a value was changed or moved, rather than leave it out.
        """
        found: dict[str, str] = {}
        # Most passages are about few people, whose keys need opening once.
        unwrap = lru_cache(partial(self._key_of, tenant))
        with self._transaction("BEGIN") as connection:
            for batch in _batches(dict.fromkeys(tokens)):
                rows = connection.execute(VALUES_OF_TOKENS, {"tenant": tenant, "tokens": batch})
                for token, subject, sealed, wrapped, kek in rows:
                    if token not in found:
                        bound = ("value", tenant, subject, token)
                        key = unwrap(subject, kek, wrapped)
                        found[token] = unseal_text(key, sealed, *bound, what="value")
        return found

    def values_of(self, tenant: str, subject_ref: str) -> dict[str, str]:
        """Return all that is kept under the subject's key: value by token.

        Raises ``TamperedError`` when a value was changed or moved.
        """
        mine = {"tenant": tenant, "subject": subject_ref}
        with self._transaction("BEGIN") as connection:
            return {
                row.token: unseal_text(
                    self._unwrap(tenant, row.subject, row),
                    row.sealed,
                    *("value", tenant, row.subject, row.token),
                    what="value",
                )
                for row in connection.execute(VALUES_OF_SUBJECT, mine)
            }

    def kept_of(self, tenant: str, subject_ref: str) -> int:
        """Return how many values are kept under the subject's key, and 1 more for the key."""
        tables = (VALUES, SUBJECTS)
        with self._transaction("BEGIN") as connection:
            return sum(
                connection.execute(
                    sa.select(sa.func.count())
                    .select_from(table)
                    .where(of_subject(table, tenant, subject_ref))
                ).scalar_one()
                for table in tables
            )

    def namesakes(
        self, tenant: str, asked: Iterable[Clue], *, prefer: frozenset[str] = frozenset()
    ) -> frozenset[str]:
        """Return the tokens of values that fit one of the clues, at most ``MOST_NAMESAKES``.

        Those of the subjects in ``prefer`` come first. No value is opened. Raises
        ``TamperedError`` when a clue was changed or moved.
        """
        wanted = {self._pseudonyms.clue(tenant, one.key): one.detail for one in asked}
        if not wanted:
            return frozenset()
        asked_for = {
            "tenant": tenant,
            "clues": list(wanted),
            "first": sorted(prefer)[:_BATCH],
            "most": _MOST_CLUES,
        }
        found: dict[str, None] = {}
        with self._transaction("BEGIN") as connection:
            for row in connection.execute(CLUES_BY_NAME, asked_for):
                bound = ("clue", tenant, row.subject, row.clue, row.token)
                key = self._unwrap(tenant, row.subject, row)
                if fits(wanted[row.clue], unseal_text(key, row.sealed, *bound, what="clue")):
                    found[row.token] = None
        return frozenset(list(found)[:MOST_NAMESAKES])

    def destroy_subject(self, tenant: str, subject_ref: str) -> int:
        """Destroy the subject's key and values for good; return how many values went.

        When the call returns, neither is left in the database's files. Raises
        ``UnavailableError`` when readers keep the write-ahead log from being cut: the values are
        unreachable already, and calling again finishes the work.
        """
        with self._transaction() as connection:
            count = _delete_subject(connection, tenant, subject_ref)
        if self._lite:
            self._cut_log()
        return count

    def retire(self, tenant: str, subject_ref: str) -> int | None:
        """Destroy, as ``destroy_subject``, the key of a subject that is marked as an orphan.

        Return None, with nothing done, for one that is not marked any more: its key was used.
        """
        with self.together():
            if not self.orphans.stands(tenant, subject_ref):
                return None
            with self._transaction() as connection:
                count = _delete_subject(connection, tenant, subject_ref)
        if self._lite:
            self._cut_log()
        return count

    def file_key(self, tenant: str, refs: Collection[str], salt: bytes, *, make: bool) -> bytes:
        """Return the 32-byte key of one sealed file, which all the subjects' keys give together.

        Destroying any one of the subjects puts it out of reach. ``salt`` is random and the file's
        own, so that no key seals two. With ``make`` subjects without a key get one. Raises
        ``ForgottenError`` when one has none, ``InvalidRequestError`` without a subject.

        Source: RFC 5869; the input is the concatenation of the keys in order of the references.
        """
        wanted = sorted(set(refs))
        if not wanted:
            raise InvalidRequestError("a sealed file needs a subject to be erased with")
        with self._transaction("BEGIN IMMEDIATE" if make else "BEGIN") as connection:
            if make:
                keys = [self._subject_key(connection, tenant, ref) for ref in wanted]
            else:
                keys = self._keys_of(connection, tenant, wanted)
        if len(keys) < len(wanted):
            raise ForgottenError("what this was sealed under was destroyed: it stays unreadable")
        info = f"ragplatform/sealed-file/v1/{tenant}".encode()
        return HKDF(SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(b"".join(keys))

    def rotate(self, *, batch: int = _BATCH) -> int:
        """Wrap every subject's key anew under the version in use; return how many were wrapped.

        Each batch is one transaction: a rotation that was killed goes on where it stopped, and
        meanwhile keys of both versions are read. Values and tokens are not touched, so nothing is
        embedded again. When it returns 0, no stored key needs an older version; the keys that
        were replaced are then in no file of the database. Raises ``TamperedError`` at a key that is
        not what was written.
        """
        total = 0
        while wrapped := self._rewrap(batch):
            total += wrapped
        if self._lite:
            self._cut_log()
        return total

    def key_versions(self) -> dict[str, int]:
        """Return how many subjects' keys are wrapped under each version."""
        query = sa.select(SUBJECTS.c.kek, sa.func.count()).group_by(SUBJECTS.c.kek)
        with self._transaction("BEGIN") as connection:
            return {str(version): int(count) for version, count in connection.execute(query)}

    def _clues(
        self, tenant: str, subject: str, key: bytes, values: Iterable[tuple[str, str]]
    ) -> Iterator[dict[str, str | bytes]]:
        for entity, value in values:
            token = self.token(tenant, entity, value)
            for one in stored(entity, value):
                clue = self._pseudonyms.clue(tenant, one.key)
                bound = ("clue", tenant, subject, clue, token)
                yield {
                    "tenant": tenant,
                    "clue": clue,
                    "token": token,
                    "subject": subject,
                    "sealed": seal_text(key, one.detail, *bound),
                }

    def _rewrap(self, batch: int) -> int:
        old = (
            sa.select(SUBJECTS)
            .where(SUBJECTS.c.kek != self._keks.version)
            .order_by(SUBJECTS.c.tenant, SUBJECTS.c.subject)
            .limit(batch)
            .with_for_update()
        )
        with self._transaction() as connection:
            rows = connection.execute(old).all()
            for row in rows:
                key = self._unwrap(row.tenant, row.subject, row)
                new = self._keks.wrap(key, tenant=row.tenant, subject=row.subject)
                connection.execute(
                    sa.update(SUBJECTS)
                    .where(of_subject(SUBJECTS, row.tenant, row.subject))
                    .values(wrapped_key=new.wrapped, kek=new.version)
                )
        return len(rows)

    def close(self) -> None:
        """Release the database. Calling it again does nothing."""
        self._engine.dispose()

    def _check_keys(self, connection: sa.Connection) -> None:
        row = {"id": 1, "digest": self._check}
        connection.execute(insert(connection.dialect, CHECK).values(row).on_conflict_do_nothing())
        found = connection.execute(sa.select(CHECK.c.digest).where(CHECK.c.id == 1)).scalar_one()
        if not hmac.compare_digest(self._check, bytes(found)):
            raise VaultError(
                "the vault was made with another master key; restore that key, "
                "or point the settings at the vault that belongs to this one"
            )

    def _subject_key(self, connection: sa.Connection, tenant: str, subject: str) -> bytes:
        new = self._keks.wrap(os.urandom(KEY_BYTES), tenant=tenant, subject=subject)
        fresh = {
            "tenant": tenant,
            "subject": subject,
            "wrapped_key": new.wrapped,
            "kek": new.version,
        }
        connection.execute(
            insert(connection.dialect, SUBJECTS).values(fresh).on_conflict_do_nothing()
        )
        # Whoever takes a key means to keep something under it.
        connection.execute(sa.delete(ORPHANS).where(of_subject(ORPHANS, tenant, subject)))
        # Another process may have been first: what counts is what the table holds now. The lock
        # keeps a destruction from running between this look and the values that follow.
        query = sa.select(SUBJECTS.c.wrapped_key, SUBJECTS.c.kek).with_for_update()
        mine = of_subject(SUBJECTS, tenant, subject)
        return self._unwrap(tenant, subject, connection.execute(query.where(mine)).one())

    def _keys_of(
        self, connection: sa.Connection, tenant: str, subjects: Sequence[str]
    ) -> list[bytes]:
        """Return the keys of those subjects that have one, in the order of the sorted subjects."""
        found: dict[str, bytes] = {}
        for batch in _batches(subjects):
            here = (SUBJECTS.c.tenant == tenant) & SUBJECTS.c.subject.in_(batch)
            for row in connection.execute(sa.select(SUBJECTS).where(here)):
                found[row.subject] = self._unwrap(tenant, row.subject, row)
        return [found[one] for one in subjects if one in found]

    def _unwrap(self, tenant: str, subject: str, row: Any) -> bytes:  # queries of two shapes
        return self._key_of(tenant, subject, row.kek, row.wrapped_key)

    def _key_of(self, tenant: str, subject: str, kek: str, wrapped: bytes) -> bytes:
        return self._keks.unwrap(WrappedKey(kek, wrapped), tenant=tenant, subject=subject)

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
    def together(self) -> Iterator[None]:
        """Make all that this thread does here meanwhile one transaction, done whole or not at all.

        On SQLite it keeps every other writer waiting: nothing slow belongs in it.
        """
        with self._joined.over(self._transaction()):
            yield

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sa.Connection]:
        if (joined := self._joined.connection) is not None:
            yield joined
            return
        if self._process != os.getpid():
            # A connection must not cross a fork: two processes would share one file lock.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        try:
            with self._begun_with[begin].begin() as connection:
                yield connection
        except OperationalError as error:
            raise UnavailableError("the vault's database did not answer") from error
        except DatabaseError as error:
            raise TamperedError("the vault's database is damaged; restore it") from error
        except SQLAlchemyError as error:
            raise UnavailableError("the vault's database could not be used") from error


def _delete_subject(connection: sa.Connection, tenant: str, subject: str) -> int:
    """Delete all of a subject; return how many values there were."""
    connection.execute(sa.delete(CLUES).where(of_subject(CLUES, tenant, subject)))
    values = sa.delete(VALUES).where(of_subject(VALUES, tenant, subject))
    count = int(connection.execute(values).rowcount)
    for table in (SUBJECTS, ORPHANS):
        connection.execute(sa.delete(table).where(of_subject(table, tenant, subject)))
    return count


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch
