"""Vault, catalog and ledger keep their promises on SQLite and on PostgreSQL alike."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import IO

import pytest
import sqlalchemy as sa

from ingest.ledger import Ledger, State
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import HeldError, InvalidRequestError, TamperedError, VaultError
from ragplatform.policy.classes import access_class
from ragplatform.privacy.key_encryption import KeyFiles, MasterKeyEncryption, new_key_file
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.vault import Vault
from tests.state import CLASS, ENTRY, LABELS, begin

ROOT = Path(__file__).resolve().parents[2]
MASTER = bytes(range(32))
SUBJECTS = 25


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a maker of empty databases; each call gives the URL of one more."""
    if request.param == "sqlite":
        numbers = count()
        return lambda: f"sqlite:///{tmp_path / f'state{next(numbers)}.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def vault(url: str) -> Iterator[Vault]:
    opened = Vault(url, master=MASTER)
    yield opened
    opened.close()


def changed(url: str, statement: str) -> int:
    """Run a statement past the part that owns the table; return how many rows it touched."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql(statement).rowcount
    engine.dispose()
    return rows


def person(number: int) -> tuple[str, list[tuple[str, str]]]:
    return f"s_{number}", [("PERSON", f"Person {number}"), ("US_SSN", f"{number:09d}")]


def test_another_master_key_is_refused(url: str, vault: Vault) -> None:
    with pytest.raises(VaultError, match="another master key"):
        Vault(url, master=bytes(32))


def test_a_value_comes_back_to_its_tenant_alone_until_its_subject_is_destroyed(
    vault: Vault,
) -> None:
    tokens = vault.store("mercy", *person(1))

    assert vault.reveal("harbor", tokens) == {}
    assert set(vault.reveal("mercy", tokens).values()) == {"Person 1", "000000001"}
    assert vault.destroy_subject("mercy", "s_1") == len(tokens)
    assert vault.reveal("mercy", tokens) == {}


@pytest.mark.parametrize("column", ["vault_values.sealed", "vault_subjects.wrapped_key"])
def test_what_was_put_in_anothers_place_is_refused(url: str, vault: Vault, column: str) -> None:
    tokens = {n: vault.store("mercy", *person(n)) for n in range(2)}
    table, name = column.split(".")
    other = f"(SELECT max({name}) FROM {table} b WHERE b.subject = 's_1')"

    assert changed(url, f"UPDATE {table} SET {name} = {other} WHERE subject = 's_0'") > 0

    with pytest.raises(TamperedError):
        vault.reveal("mercy", tokens[0])
    assert "Person 1" in vault.reveal("mercy", tokens[1]).values()


def test_keys_are_wrapped_anew_and_every_value_stays_readable(
    url: str, vault: Vault, tmp_path: Path
) -> None:
    tokens = [token for n in range(SUBJECTS) for token in vault.store("mercy", *person(n))]
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    new_key_file(folder, print)
    files = KeyFiles(folder, older=MasterKeyEncryption(Keys(MASTER)))
    later = Vault(url, master=MASTER, key_encryption=files)

    assert later.rotate(batch=7) == SUBJECTS
    assert later.rotate() == 0
    assert len(later.reveal("mercy", tokens)) == len(tokens)
    later.close()


SESSIONS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from ragplatform.privacy.vault import Vault
from tests.contract.test_database import MASTER, SUBJECTS, person
vault = Vault(sys.argv[1], master=MASTER)
def session(n):
    subject, values = person(n % SUBJECTS)
    tokens = vault.store("mercy", subject, values)
    return vault.reveal("mercy", tokens) != dict(zip(tokens, [value for _, value in values]))
with ThreadPoolExecutor(8) as pool:
    sys.exit(1 if any(pool.map(session, range(int(sys.argv[2]), 250, 2))) else 0)
"""


@pytest.mark.slow
def test_sessions_of_two_processes_never_get_anothers_value(url: str, vault: Vault) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", SESSIONS, url, str(n)], cwd=ROOT) for n in range(2)
    ]

    assert [worker.wait(timeout=200) for worker in workers] == [0, 0]
    wanted = {vault.token("mercy", "PERSON", f"Person {n}"): f"Person {n}" for n in range(SUBJECTS)}
    assert vault.reveal("mercy", wanted) == wanted


def test_a_document_is_replaced_and_deleted(url: str) -> None:
    catalog = SqlCatalog(url, access_class=access_class)
    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)
    later = replace(ENTRY, generation="g2", chunks=0, subjects=frozenset())

    assert catalog.document("d1") == ENTRY
    catalog.put_document(later)
    assert catalog.documents("mercy", "clinical") == [later]
    catalog.delete_document("d1")
    assert catalog.document("d1") is None
    catalog.close()


def test_an_older_catalog_s_documents_were_not_counted_and_new_ones_are(url: str) -> None:
    older = SqlCatalog(url, access_class=access_class)
    older.register(LABELS, CLASS)
    older.put_document(ENTRY)
    older.close()
    changed(url, "ALTER TABLE documents DROP COLUMN treated")

    with ThreadPoolExecutor(4) as pool:
        opened = [pool.submit(SqlCatalog, url, access_class=access_class) for _ in range(4)]
    catalog, *others = [one.result() for one in opened]

    assert catalog.document("d1") == replace(ENTRY, treated=None)
    catalog.put_document(ENTRY)
    assert catalog.document("d1") == ENTRY
    for one in (catalog, *others):
        one.close()


def test_an_older_vault_s_keys_are_opened_under_the_master_key(url: str, vault: Vault) -> None:
    tokens = vault.store("mercy", *person(1))
    changed(url, "ALTER TABLE vault_subjects DROP COLUMN kek")
    later = Vault(url, master=MASTER)

    assert len(later.reveal("mercy", tokens)) == len(tokens)
    assert changed(url, "UPDATE vault_subjects SET kek = kek") == 1
    later.close()


@pytest.mark.parametrize("counts", ["not json", "[]", '{"PERSON":{"vanish":1}}'])
def test_counts_that_cannot_be_read_are_an_alarm_and_not_zero(url: str, counts: str) -> None:
    catalog = SqlCatalog(url, access_class=access_class)
    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)
    changed(url, f"UPDATE documents SET treated = '{counts}'")

    with pytest.raises(TamperedError, match="counts"):
        catalog.document("d1")
    catalog.close()


def test_a_document_is_never_taken_over_by_another_tenant(url: str) -> None:
    catalog = SqlCatalog(url, access_class=access_class)
    theirs = replace(LABELS, tenant="harbor")
    for labels in (LABELS, theirs):
        catalog.register(labels, access_class(labels))
    catalog.put_document(ENTRY)

    with pytest.raises(InvalidRequestError, match="another tenant"):
        catalog.put_document(replace(ENTRY, tenant="harbor", access_class=access_class(theirs)))

    assert catalog.document("d1") == ENTRY
    catalog.close()


def test_a_class_moved_to_another_tenant_is_found(url: str) -> None:
    catalog = SqlCatalog(url, access_class=access_class)
    catalog.register(LABELS, CLASS)

    assert changed(url, "UPDATE access_classes SET tenant = 'harbor'") == 1

    with pytest.raises(TamperedError):
        catalog.classes("harbor")
    catalog.close()


OPENERS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from ingest.ledger import Ledger
from ragplatform.catalog import SqlCatalog
from ragplatform.policy.classes import access_class
from ragplatform.privacy.vault import Vault
from tests.contract.test_database import MASTER
makers = (
    lambda url: Vault(url, master=MASTER),
    lambda url: SqlCatalog(url, access_class=access_class),
    lambda url: Ledger(url),
)
with ThreadPoolExecutor(3) as pool:
    for line in sys.stdin:
        url = line.strip()
        for part in list(pool.map(lambda make: make(url), makers)):
            part.close()
        print("opened", flush=True)
"""


def test_all_parts_of_several_processes_may_open_an_empty_database_at_the_same_moment(
    new_url: Callable[[], str],
) -> None:
    rounds = 30 if new_url().startswith("sqlite") else 2
    with ExitStack() as running:
        openers = [running.enter_context(opener()) for _ in range(3)]
        for _ in range(rounds):
            url = new_url()
            for process in openers:
                lines_of(process.stdin).write(f"{url}\n")
                lines_of(process.stdin).flush()
            said = [lines_of(process.stdout).readline() for process in openers]
            assert said == ["opened\n"] * len(openers)


def lines_of(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def opener() -> Iterator[subprocess.Popen[str]]:
    """Start a process that opens all parts of each database whose URL it is sent."""
    command = [sys.executable, "-c", OPENERS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_of_many_runs_at_once_exactly_one_gets_the_source(url: str) -> None:
    def attempt(number: int) -> bool:
        book = Ledger(url)
        try:
            begin(book, run=f"r{number}")
        except HeldError:
            return False
        finally:
            book.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(8))).count(True) == 1


def test_a_source_goes_from_pending_to_indexed_to_its_next_version(url: str) -> None:
    ledger = Ledger(url)
    assert ledger.lookup("mercy", "clinical", "k1") is None

    ledger.commit_indexed(begin(ledger, version="g1"), chunks=5)
    begin(ledger, run="r2", version="g2")
    entry = ledger.lookup("mercy", "clinical", "k1")
    ledger.close()

    assert entry is not None
    assert (entry.state, entry.generation) == (State.PENDING, "g2")
    # The index still holds the old version: a rebuild must know that.
    assert (entry.live_generation, entry.chunks) == ("g1", 5)
