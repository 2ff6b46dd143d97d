"""Databases of every age are brought to the tables in use, without loss, on both engines."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from ingest import aside, erasure_orders, holds, ledger_tables, queue
from ingest.sources import marks
from ragplatform import catalog, editions
from ragplatform.access import tables as register
from ragplatform.audit import index_tables
from ragplatform.batches import tables as batches
from ragplatform.errors import ConfigurationError
from ragplatform.migrations import PARTS, bring_up, standing, version_table
from ragplatform.privacy import vault_tables
from ragplatform.tables import open_engine

METADATA = {
    "catalog": catalog._METADATA,
    "ledger": ledger_tables.METADATA,
    "queue": queue._METADATA,
    "register": register.METADATA,
    "vault": vault_tables.METADATA,
    "audit_index": index_tables.METADATA,
    "quarantine": aside.METADATA,
    "holds": holds.METADATA,
    "sources": marks.METADATA,
    "editions": editions.METADATA,
    "batches": batches.METADATA,
    "erasures": erasure_orders.METADATA,
}
# What the oldest databases of a part lacked.
OLDEST = {
    "catalog": [
        "ALTER TABLE documents DROP COLUMN treated",
        "ALTER TABLE documents DROP COLUMN taken_in_at",
        "ALTER TABLE documents DROP COLUMN dated",
        "ALTER TABLE documents DROP COLUMN kind",
        "DROP TABLE document_labels",
    ],
    "ledger": [
        "DROP INDEX ingest_sources_by_container",
        *(
            f"ALTER TABLE ingest_sources DROP COLUMN {name}"
            for name in ("source", "container", "contents")
        ),
        *(
            f"ALTER TABLE ingest_runs DROP COLUMN {name}"
            for name in (*("source", "ended", "heard_at", "progress", "cancelled_at", "arguments"),)
        ),
    ],
    "vault": ["ALTER TABLE vault_subjects DROP COLUMN kek", "DROP TABLE vault_clues"],
}
ROWS = {
    "catalog": "INSERT INTO access_classes VALUES ('c1', 'mercy', '{}')",
    "ledger": (
        "INSERT INTO ingest_runs (run, tenant, collection, holder, started_at, finished_at, counts)"
        " VALUES ('r1', 'mercy', 'clinical', 'h', 'now', '', '{}')"
    ),
    "queue": "INSERT INTO ingest_events VALUES ('r1', 1, 'file', '{}')",
    "register": "INSERT INTO access_feeds VALUES ('mercy', 'ward', 1, NULL)",
    "vault": "INSERT INTO vault_subjects (tenant, subject, wrapped_key) VALUES ('m', 's_1', 'k')",
    "editions": "INSERT INTO index_editions VALUES ('e', 'm', 'st', 'bm', 4, '', 'retired', 'now')",
    "batches": "INSERT INTO batch_inputs VALUES ('f', 'mercy', 'dr', 'TREAT', 1, 0)",
    "holds": "INSERT INTO legal_holds VALUES ('m', 'c_1', 'document', 'd1', 'k', 'legal', 'now')",
    "audit_index": "INSERT INTO audit_logs VALUES ('api', 0, 0, 0, 0, 'l')",
    "quarantine": (
        "INSERT INTO quarantine_items VALUES ('mercy', 'd1', 'clinical', 'k', 'g', 's', 'empty', "
        "'{}', '[]', 1, 1, 'r', 'job', 'now', 'waiting', '[]', '', '', '')"
    ),
    "sources": "INSERT INTO source_marks VALUES ('mercy', 'ward', 'k1', 'm1')",
    "erasures": "INSERT INTO erasure_named VALUES ('e1', 1, 'subject', 's_1', 'waiting', '', '')",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    database: Callable[[], str] = request.getfixturevalue("postgres")
    return database()


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = open_engine(url, begin_immediate=False)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def before_revisions(url: str, part: str, changes: list[str]) -> None:
    """Make a part's tables as programs did that had no revisions, and a row in one of them."""
    row = ROWS[part]
    if url.startswith("postgresql"):
        row = row.replace("'k'", "'k'::bytea").replace("'l'", "'l'::bytea")
    with connected(url) as connection:
        METADATA[part].create_all(connection)
        for change in changes:
            connection.exec_driver_sql(change)
        connection.exec_driver_sql(row)


def differences(connection: sa.Connection, part: str) -> list[object]:
    """Return in what the database differs from the tables that the program works with."""
    own = set(METADATA[part].tables)

    def mine(thing: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in own

    options = {"compare_type": True, "compare_server_default": True, "include_object": mine}
    context = MigrationContext.configure(connection, opts=options)
    found = list(compare_metadata(context, METADATA[part]))
    keys = sa.inspect(connection)
    return found + [
        name
        for name, table in METADATA[part].tables.items()
        if keys.get_pk_constraint(name)["constrained_columns"] != table.primary_key.columns.keys()
    ]


def test_every_part_that_keeps_tables_has_revisions() -> None:
    assert set(PARTS) == set(METADATA)


@pytest.mark.parametrize("part", PARTS)
def test_an_empty_database_gets_exactly_the_tables_in_use(url: str, part: str) -> None:
    with connected(url) as connection:
        assert bring_up(connection, part).at == ""
        assert differences(connection, part) == []
        assert standing(connection, part).current


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("oldest", [False, True])
def test_a_database_from_before_revisions_is_adopted_with_its_rows(
    url: str, part: str, oldest: bool
) -> None:
    before_revisions(url, part, OLDEST.get(part, []) if oldest else [])

    with connected(url) as connection:
        bring_up(connection, part)

        assert differences(connection, part) == []
        table = ROWS[part].split()[2]
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 1


def test_what_an_adopted_row_lacked_has_its_default(url: str) -> None:
    before_revisions(url, "vault", OLDEST["vault"])

    with connected(url) as connection:
        bring_up(connection, "vault")
        assert connection.exec_driver_sql("SELECT kek FROM vault_subjects").scalar() == "master"


def test_all_parts_share_a_database_and_each_knows_its_own(url: str) -> None:
    with connected(url) as connection:
        for part in PARTS:
            bring_up(connection, part)
        for part in PARTS:
            assert differences(connection, part) == []


@pytest.mark.parametrize("part", PARTS)
def test_a_database_that_a_newer_program_changed_is_refused(url: str, part: str) -> None:
    with connected(url) as connection:
        bring_up(connection, part)
        connection.exec_driver_sql(f"UPDATE {version_table(part)} SET version_num = '9999'")

    with connected(url) as connection, pytest.raises(ConfigurationError, match="newer program"):
        bring_up(connection, part)


def test_a_revision_that_fails_leaves_the_database_as_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_revisions(url, "vault", OLDEST["vault"])
    real = sa.Column

    def failing(*arguments: object, **keywords: object) -> sa.Column[object]:
        if arguments[0] == "clue":
            raise RuntimeError("cut off here")
        return real(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(sa, "Column", failing)
    with pytest.raises(RuntimeError), connected(url) as connection:
        bring_up(connection, "vault")
    monkeypatch.undo()

    with connected(url) as connection:
        columns = sa.inspect(connection).get_columns("vault_subjects")
        assert "kek" not in {column["name"] for column in columns}
        assert bring_up(connection, "vault").at == ""
        assert differences(connection, "vault") == []


def test_threads_that_open_at_once_bring_a_database_up_once(url: str) -> None:
    def opened(part: str) -> None:
        with connected(url) as connection:
            bring_up(connection, part)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(opened, [*PARTS, *PARTS]))
    with connected(url) as connection:
        assert all(standing(connection, part).current for part in PARTS)
