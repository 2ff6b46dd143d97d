"""What a thread does together is kept whole or not at all, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.ledger import Ledger, State
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import HeldError
from ragplatform.policy.classes import access_class
from ragplatform.privacy.vault import Vault
from tests.state import CLASS, ENTRY, LABELS, begin

MASTER = bytes(range(32))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


def cut_off(part: Ledger | Vault, act: Callable[[], object]) -> None:
    with part.together():
        act()
        raise RuntimeError("cut off")


def test_the_ledger_keeps_all_that_was_begun_and_settled_together(url: str) -> None:
    ledger = Ledger(url)
    with ledger.together():
        for number in range(3):
            ledger.commit_indexed(begin(ledger, key=f"k{number}"), chunks=1)

    assert [entry.state for entry in ledger.entries()] == [State.INDEXED] * 3
    ledger.close()


def test_of_what_was_cut_off_the_ledger_keeps_nothing(url: str) -> None:
    ledger = Ledger(url)
    with pytest.raises(RuntimeError):
        cut_off(ledger, lambda: begin(ledger))

    assert ledger.entries() == []
    begin(ledger)
    assert len(ledger.entries()) == 1
    ledger.close()


def test_one_held_by_another_run_leaves_the_rest_of_them_standing(url: str) -> None:
    ledger = Ledger(url)
    begin(ledger, key="held", run="another")
    with ledger.together():
        begin(ledger, key="free")
        with pytest.raises(HeldError):
            begin(ledger, key="held")

    assert {entry.source_key: entry.run for entry in ledger.entries()} == {
        "held": "another",
        "free": "r1",
    }
    ledger.close()


def test_another_thread_has_no_part_in_it(url: str) -> None:
    catalog = SqlCatalog(url, access_class=access_class)
    seen: list[object] = []
    with catalog.together():
        catalog.register(LABELS, CLASS)
        catalog.put_document(ENTRY)
        reader = threading.Thread(target=lambda: seen.append(catalog.document(ENTRY.document)))
        reader.start()
        reader.join()

    assert seen == [None]
    assert catalog.document(ENTRY.document) == ENTRY
    catalog.close()


def test_the_vault_keeps_or_loses_values_together(url: str) -> None:
    vault = Vault(url, master=MASTER)
    with vault.together():
        kept = [vault.store("mercy", f"s_{n}", [("PERSON", f"Person {n}")])[0] for n in range(3)]
    with pytest.raises(RuntimeError):
        cut_off(vault, lambda: vault.store("mercy", "s_9", [("PERSON", "Nobody")]))

    lost = vault.token("mercy", "PERSON", "Nobody")
    assert sorted(vault.reveal("mercy", [*kept, lost])) == sorted(kept)
    vault.close()
