"""A backup is whole or absent, is taken while others write, and comes back where nothing is."""

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragplatform.backup import (
    MANIFEST,
    Backup,
    Layout,
    check_backup,
    make_backup,
    restore_backup,
)
from ragplatform.errors import InvalidRequestError, TamperedError


def layout(data: Path) -> Layout:
    """A deployment's parts in a folder, with something in each."""
    return Layout(
        databases={"catalog": f"sqlite:///{data / 'catalog.db'}"},
        folders={"sealed": data / "sealed", "audit": data / "audit"},
        twice=frozenset({"sealed"}),
        keys={"secrets": data / "keys"},
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("sealed/ab/one.sealed", "audit/api/checkpoint", "keys/master.key"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "audit/api/segment-000000000000.jsonl").write_text("{}\n")
    (folder / "audit/api/lock").touch()
    with sqlite3.connect(folder / "catalog.db") as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (number INTEGER)")
        connection.execute("INSERT INTO kept VALUES (7)")
    connection.close()
    return folder


def backed_up(data: Path, *, with_keys: bool = False) -> tuple[Path, Backup]:
    target = data.parent / "backup"
    made = make_backup(
        layout(data), target, backup="b1", version="1", config="c", with_keys=with_keys
    )
    return target, made


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if not path.name.startswith("catalog.db")
    }


@pytest.mark.parametrize("with_keys", [False, True])
def test_what_was_backed_up_comes_back_and_keys_only_where_they_were_asked_for(
    data: Path, tmp_path: Path, with_keys: bool
) -> None:
    target, made = backed_up(data, with_keys=with_keys)

    found = restore_backup(layout(tmp_path / "new"), target)

    wanted = files(data)
    if not with_keys:
        del wanted["keys/master.key"]
    assert files(tmp_path / "new") == wanted
    assert found == made
    with sqlite3.connect(tmp_path / "new" / "catalog.db") as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
    connection.close()
    modes = {p.stat().st_mode & 0o077 for p in (tmp_path / "new").rglob("*") if p.is_file()}
    assert modes == {0}


def test_nothing_is_ever_overwritten(data: Path, tmp_path: Path) -> None:
    target, _ = backed_up(data)

    with pytest.raises(InvalidRequestError, match="not empty"):
        restore_backup(layout(data), target)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "catalog.db").touch()
    with pytest.raises(InvalidRequestError, match="holds tables"):
        restore_backup(layout(tmp_path / "other"), target)
    with pytest.raises(InvalidRequestError, match="there already"):
        backed_up(data)


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[0] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: _flip(folder / "sealed/ab/one.sealed"),
        lambda folder: (folder / "databases/catalog").unlink(),
        lambda folder: (folder / "sealed/ab/more").touch(),
    ],
    ids=["altered", "missing", "added"],
)
def test_a_backup_that_is_not_what_was_written_is_not_put_back(
    data: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    target, _ = backed_up(data)
    harm(target)

    with pytest.raises(TamperedError):
        check_backup(target)
    with pytest.raises(TamperedError):
        restore_backup(layout(tmp_path / "new"), target)

    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="no backup"):
        check_backup(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 99}))
    with pytest.raises(InvalidRequestError):
        check_backup(tmp_path)


def test_a_backup_that_could_not_be_made_leaves_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(Exception, match="could not be written"):
        backed_up(data)

    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]


def test_a_database_that_is_written_to_meanwhile_is_copied_as_it_was_at_one_moment(
    data: Path, tmp_path: Path
) -> None:
    engine = sa.create_engine(f"sqlite:///{data / 'catalog.db'}")
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            with engine.begin() as connection:
                # Both or neither: a copy in the middle would have an odd number.
                for _ in range(2):
                    connection.exec_driver_sql("INSERT INTO kept VALUES (8)")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        target, _ = backed_up(data)
    finally:
        done.set()
        writer.join()
        engine.dispose()

    with sqlite3.connect(target / "databases" / "catalog") as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM kept WHERE number = 8").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert count % 2 == 0


def test_newer_audit_logs_that_outlived_the_deployment_are_taken_instead(
    data: Path, tmp_path: Path
) -> None:
    target, _ = backed_up(data)
    newer = tmp_path / "newer" / "api"
    newer.mkdir(parents=True)
    (newer / "checkpoint").write_text("newer")

    restore_backup(layout(tmp_path / "new"), target, audit=newer.parent)

    assert (tmp_path / "new/audit/api/checkpoint").read_text() == "newer"


def test_what_lies_behind_a_link_in_a_backup_is_not_put_back(data: Path, tmp_path: Path) -> None:
    target, _ = backed_up(data)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "rules.cedar").write_text("permit (principal, action, resource);")
    (target / "policies").symlink_to(elsewhere)

    with pytest.raises(TamperedError, match="link"):
        check_backup(target)


def test_a_manifest_below_the_manifest_is_a_file_like_others(data: Path) -> None:
    (data / "sealed" / MANIFEST).write_text("{}")
    target, _ = backed_up(data)
    check_backup(target)
    (target / "sealed" / MANIFEST).write_text("[]")

    with pytest.raises(TamperedError):
        check_backup(target)
