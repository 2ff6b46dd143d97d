"""The catalog keeps what it was told, shows it to everybody at once, and notices tampering."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragplatform.catalog import SqlCatalog
from ragplatform.errors import InvalidRequestError, TamperedError, UnavailableError
from ragplatform.model import Labels
from ragplatform.policy.classes import access_class
from tests.state import CLASS, ENTRY, LABELS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def catalog(path: Path) -> Iterator[SqlCatalog]:
    opened = open_catalog(path)
    yield opened
    opened.close()


def open_catalog(path: Path) -> SqlCatalog:
    return SqlCatalog(f"sqlite:///{path}", access_class=access_class)


def tamper(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def test_a_class_that_is_not_its_labels_hash_is_not_registered(catalog: SqlCatalog) -> None:
    with pytest.raises(InvalidRequestError):
        catalog.register(LABELS, "0" * 64)

    assert catalog.classes("mercy") == {}


@pytest.mark.parametrize(
    "change",
    [
        "labels = replace(labels, '[\"vip\"]', '[]')",
        "labels = replace(labels, '\"sensitivity\":2', '\"sensitivity\":9')",
        "labels = 'not json'",
        "labels = '{}'",
        "id = '" + "0" * 64 + "'",
    ],
)
def test_a_class_changed_past_the_catalog_is_found(
    catalog: SqlCatalog, path: Path, change: str
) -> None:
    catalog.register(LABELS, CLASS)
    tamper(path, f"UPDATE access_classes SET {change}")

    with pytest.raises(TamperedError):
        catalog.classes("mercy")


def test_a_class_changed_after_it_was_read_is_found(catalog: SqlCatalog, path: Path) -> None:
    catalog.register(LABELS, CLASS)
    assert catalog.classes("mercy") == {CLASS: LABELS}
    tamper(path, "UPDATE access_classes SET labels = replace(labels, '[\"vip\"]', '[]')")

    for _ in range(2):
        with pytest.raises(TamperedError):
            catalog.classes("mercy")


def test_a_class_moved_to_another_tenant_is_found(catalog: SqlCatalog, path: Path) -> None:
    catalog.register(LABELS, CLASS)
    tamper(path, "UPDATE access_classes SET tenant = 'harbor'")

    with pytest.raises(TamperedError):
        catalog.classes("harbor")


def test_a_document_of_an_unregistered_class_is_refused(catalog: SqlCatalog) -> None:
    with pytest.raises(InvalidRequestError, match="not registered"):
        catalog.put_document(ENTRY)

    assert catalog.documents("mercy") == []


@pytest.mark.parametrize("change", [{"tenant": "harbor"}, {"collection": "banking"}])
def test_a_document_elsewhere_than_its_class_is_refused(
    catalog: SqlCatalog, change: dict[str, str]
) -> None:
    catalog.register(LABELS, CLASS)

    with pytest.raises(InvalidRequestError, match="access class"):
        catalog.put_document(replace(ENTRY, **change))


def test_a_document_is_never_taken_over_by_another_tenant(catalog: SqlCatalog) -> None:
    foreign = Labels("harbor", "clinical")
    catalog.register(LABELS, CLASS)
    catalog.register(foreign, access_class(foreign))
    catalog.put_document(ENTRY)

    with pytest.raises(InvalidRequestError, match="another tenant"):
        catalog.put_document(replace(ENTRY, tenant="harbor", access_class=access_class(foreign)))

    assert catalog.document("d1") == ENTRY


def test_a_time_without_a_zone_is_refused(catalog: SqlCatalog) -> None:
    catalog.register(LABELS, CLASS)

    with pytest.raises(InvalidRequestError, match="time zone"):
        catalog.put_document(replace(ENTRY, indexed_at=ENTRY.indexed_at.replace(tzinfo=None)))


def test_classes_are_those_of_the_tenant_alone(catalog: SqlCatalog) -> None:
    foreign = Labels("harbor", "banking")
    catalog.register(LABELS, CLASS)
    catalog.register(LABELS, CLASS)
    catalog.register(foreign, access_class(foreign))

    assert catalog.classes("mercy") == {CLASS: LABELS}
    assert catalog.classes("harbor") == {access_class(foreign): foreign}
    assert catalog.classes("nobody") == {}


def test_a_document_comes_back_as_it_was_put(catalog: SqlCatalog) -> None:
    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)

    assert catalog.document("d1") == ENTRY
    assert catalog.document("d2") is None


def test_putting_a_document_again_replaces_it(catalog: SqlCatalog) -> None:
    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)
    later = replace(ENTRY, generation="g2", chunks=0, subjects=frozenset())

    catalog.put_document(later)

    assert catalog.documents("mercy", "clinical") == [later]


def test_documents_are_listed_by_tenant_and_collection_in_order(catalog: SqlCatalog) -> None:
    finance = Labels("mercy", "finance")
    for labels in (LABELS, finance):
        catalog.register(labels, access_class(labels))
    second = replace(ENTRY, document="d0")
    bill = replace(ENTRY, document="b", collection="finance", access_class=access_class(finance))
    for entry in (ENTRY, second, bill):
        catalog.put_document(entry)

    assert catalog.documents("mercy", "clinical") == [second, ENTRY]
    assert catalog.documents("mercy") == [bill, second, ENTRY]
    assert catalog.documents("harbor") == []


def test_a_deleted_document_is_gone(catalog: SqlCatalog) -> None:
    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)

    assert catalog.delete_document("d1")
    assert not catalog.delete_document("d1")
    assert catalog.document("d1") is None


def test_the_title_stays_out_of_logs() -> None:
    assert "Discharge" not in repr(ENTRY)


def test_what_one_opening_writes_another_sees_at_once(catalog: SqlCatalog, path: Path) -> None:
    other = open_catalog(path)
    assert other.classes("mercy") == {}

    catalog.register(LABELS, CLASS)
    catalog.put_document(ENTRY)

    assert other.classes("mercy") == {CLASS: LABELS}
    assert other.document("d1") == ENTRY
    other.close()


def test_every_commit_is_synced_to_disk(catalog: SqlCatalog) -> None:
    with catalog._transaction() as connection:
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        foreign_keys = connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one()

    assert (synchronous, journal, foreign_keys) == (2, "wal", 1)


def test_several_processes_open_and_write_together_and_nothing_is_lost(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_some, args=(path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    catalog = open_catalog(path)
    assert len(catalog.documents("mercy")) == 4 * 25
    assert len(catalog.classes("mercy")) == 1 + 4 * 25
    catalog.close()


def write_some(path: Path, worker: int) -> None:
    catalog = open_catalog(path)
    catalog.register(LABELS, CLASS)
    for number in range(25):
        own = Labels("mercy", "clinical", department=f"d{worker}-{number}")
        catalog.register(own, access_class(own))
        catalog.put_document(
            replace(ENTRY, document=f"{worker}-{number}", indexed_at=datetime.now(UTC))
        )
    catalog.close()


def test_a_database_that_cannot_be_opened_is_reported_as_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="catalog did not answer"):
        open_catalog(tmp_path / "absent" / "catalog.db")
