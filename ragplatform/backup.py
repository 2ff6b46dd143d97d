"""Copies of a deployment, made while it works, and a deployment put back from one.

What is copied, in this order, so that no later copy knows less than an earlier one needs:

1. the sealed files (archive, quarantine): every passage that the ledger will call indexed;
2. catalog, ledger, register and editions: one database, as it was at one moment;
3. the vault: the keys of whatever that database names;
4. the sealed files again: what came in between;
5. the audit logs, each checkpoint before its segments: a record of all that the databases say;
6. the seeds of sealed records, and the policies that were ever in force.

The index is not among them: it is made again from 1 to 3. The audit index is made again from 5. Nor
are the keys, unless they are asked for: whoever has both can read everything.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from ragplatform.errors import (
    ConfigurationError,
    InvalidRequestError,
    TamperedError,
    UnavailableError,
)
from ragplatform.model import Json

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_DATABASES: Final = "databases"
_KEYS: Final = "keys"
_NOT_COPIED: Final = frozenset({"lock"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a deployment has what is copied. ``databases`` are SQLAlchemy URLs by name.

    ``folders`` are copied in their order, those of ``twice`` before the databases as well.
    ``keys`` are files and folders of secrets.
    """

    databases: Mapping[str, str]
    folders: Mapping[str, Path]
    twice: frozenset[str]
    keys: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup, as its manifest describes it. ``sha256`` is that of the manifest."""

    backup: str
    made: datetime
    version: str
    config: str
    keys: bool
    files: Mapping[str, tuple[int, str]]
    sha256: str

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(size for size, _ in self.files.values())

    def summary(self) -> dict[str, Json]:
        """Return what people should know of it."""
        return {
            "backup": self.backup,
            "made": self.made.isoformat(),
            "version": self.version,
            "files": len(self.files),
            "bytes": self.bytes,
            "keys": self.keys,
            "sha256": self.sha256,
        }


def new_backup_id() -> str:
    """Return an id that no other backup has."""
    return uuid.uuid4().hex


def make_backup(
    layout: Layout, target: Path, *, backup: str, version: str, config: str, with_keys: bool
) -> Backup:
    """Copy the deployment to ``target``, which must not exist; it is whole or it is absent.

    Raises ``InvalidRequestError`` when there is something, ``UnavailableError`` when a part cannot
    be read or the copy not be written, ``ConfigurationError`` without PostgreSQL's own tools.
    """
    if target.exists():
        raise InvalidRequestError(f"{target} is there already: name a folder that is not")
    draft = target.with_name(f".{target.name}.{backup[:8]}.draft")
    made = datetime.now(UTC)
    try:
        draft.mkdir(mode=0o700, parents=True)
        for name in sorted(layout.twice):
            _copy_folder(layout.folders[name], draft / name)
        (draft / _DATABASES).mkdir(mode=0o700)
        for name, url in layout.databases.items():
            _copy_database(url, draft / _DATABASES / name)
        for name, folder in layout.folders.items():
            _copy_folder(folder, draft / name)
        if with_keys:
            for name, path in layout.keys.items():
                _copy_folder(path, draft / _KEYS / name)
        found = _write_manifest(draft, backup, made, version, config, keys=with_keys)
        _sync_folders(draft)
        draft.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise UnavailableError(f"the backup could not be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def check_backup(folder: Path) -> Backup:
    """Return a backup whose every file is what the manifest says, with none more or less.

    Raises ``TamperedError`` naming the first file that is not, ``InvalidRequestError`` where there
    is no backup.
    """
    found = read_manifest(folder)
    paths = list(folder.rglob("*"))
    if links := sorted(str(path.relative_to(folder)) for path in paths if path.is_symlink()):
        # What lies behind one is in no manifest, and would be put back all the same.
        raise TamperedError(f"{links[0]} of the backup is a link: nothing of ours writes one")
    there = {
        path.relative_to(folder).as_posix()
        for path in paths
        if path.is_file() and path != folder / MANIFEST
    }
    if odd := sorted(there ^ found.files.keys()):
        raise TamperedError(f"{odd[0]} is in the backup or in its manifest, and not in both")
    for name, (size, digest) in found.files.items():
        path = folder / name
        if path.stat().st_size != size or _digest(path) != digest:
            raise TamperedError(f"{name} of the backup is not what was written")
    return found


def read_manifest(folder: Path) -> Backup:
    """Return what the backup's manifest says; nothing of the rest is looked at."""
    try:
        raw = (folder / MANIFEST).read_bytes()
        said = json.loads(raw)
        if said["format"] != FORMAT:
            raise InvalidRequestError(f"{folder} is a backup of another format: {said['format']}")
        return Backup(
            backup=str(said["backup"]),
            made=datetime.fromisoformat(said["made"]),
            version=str(said["version"]),
            config=str(said["config"]),
            keys=bool(said["keys"]),
            files={str(n): (int(size), str(sha)) for n, (size, sha) in said["files"].items()},
            sha256=hashlib.sha256(raw).hexdigest(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(f"{folder} holds no backup: see the cause") from error


def restore_backup(
    layout: Layout, source: Path, *, audit: Path | None = None, audit_name: str = "audit"
) -> Backup:
    """Put a deployment back where there is none, after checking every file of the backup.

    ``audit`` are newer logs of the same deployment to be taken instead of the backup's. Raises
    ``InvalidRequestError`` when any part of a deployment is there: nothing is ever overwritten.
    """
    found = check_backup(source)
    _require_nothing_there(layout, keys=found.keys)
    try:
        for name, folder in layout.folders.items():
            chosen = audit if audit is not None and name == audit_name else source / name
            _copy_folder(chosen, folder)
        if found.keys:
            for name, path in layout.keys.items():
                _copy_folder(source / _KEYS / name, path)
        for name, url in layout.databases.items():
            _put_database(source / _DATABASES / name, url)
    except OSError as error:
        raise UnavailableError(
            f"the deployment could not be put back: {error}; empty its folders and try again"
        ) from error
    return found


def _require_nothing_there(layout: Layout, *, keys: bool) -> None:
    paths = [*layout.folders.values(), *(layout.keys.values() if keys else ())]
    for path in paths:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise InvalidRequestError(f"{path} is not empty: restore where there is no deployment")
    for name, url in layout.databases.items():
        if not _is_empty(url):
            raise InvalidRequestError(
                f"the database of the {name} holds tables: restore into an empty one"
            )


def _is_empty(url: str) -> bool:
    made = sa.make_url(url)
    if made.get_backend_name() == "sqlite":
        return not Path(made.database or "").exists()
    engine = sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return not sa.inspect(connection).get_table_names()


def _copy_database(url: str, target: Path) -> None:
    """Copy a database as it is at one moment, while others write to it."""
    made = sa.make_url(url)
    if made.get_backend_name() != "sqlite":
        _run_tool("pg_dump", made, "--format=custom", f"--file={target}")
        _sync(target)
        return
    path = Path(made.database or "")
    if not path.exists():
        # Nothing was ever stored there.
        return
    with (
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        try:
            # Source: SQLite's online backup API. All at once, for a copy in steps begins anew at
            # every write of another process.
            source.backup(copy)
        except sqlite3.Error as error:
            raise UnavailableError("a database could not be copied: try again") from error
    target.chmod(0o600)
    _sync(target)


def _put_database(source: Path, url: str) -> None:
    made = sa.make_url(url)
    if not source.exists():
        return
    if made.get_backend_name() != "sqlite":
        _run_tool("pg_restore", made, "--exit-on-error", "--no-owner", str(source))
        return
    target = Path(made.database or "")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _copy_file(source, target)


def _run_tool(tool: str, url: sa.URL, *options: str) -> None:
    """Run one of PostgreSQL's own tools on a database. The password goes by the environment."""
    if shutil.which(tool) is None:
        raise ConfigurationError(
            f"{tool} is not installed here: install PostgreSQL's client programs, of the server's "
            "version or newer"
        )
    bare = url.set(drivername="postgresql", password=None)
    environment = {**os.environ, "PGPASSWORD": url.password or ""}
    address = bare.render_as_string(hide_password=False)
    done = subprocess.run(
        [tool, f"--dbname={address}", *options],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        # What it says may quote a row.
        raise UnavailableError(f"{tool} ended with {done.returncode}: run it by hand to see why")


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a file or a folder's regular files, those that are named by others last."""
    if source.is_file():
        _copy_file(source, target)
        return
    for path in _in_order(source):
        with contextlib.suppress(FileNotFoundError):
            # One that went since it was listed is one that was erased or retired.
            _copy_file(path, target / path.relative_to(source))


def _in_order(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; of an audit log, its checkpoint before its segments.

    Copied the other way round, the segments would lack what the checkpoint vouches for.
    """

    def rank(path: Path) -> tuple[str, bool, str]:
        return str(path.parent), path.name.startswith("segment-"), path.name

    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    yield from sorted((one for one in files if one.name not in _NOT_COPIED), key=rank)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f"{target.name}.draft")
    with source.open("rb") as old, draft.open("wb") as new:
        shutil.copyfileobj(old, new, 1024 * 1024)
        new.flush()
        os.fsync(new.fileno())
    draft.chmod(0o600)
    draft.rename(target)


def _write_manifest(
    folder: Path, backup: str, made: datetime, version: str, config: str, *, keys: bool
) -> Backup:
    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, _digest(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    said = {
        "format": FORMAT,
        "backup": backup,
        "made": made.isoformat(),
        "version": version,
        "config": config,
        "keys": keys,
        "files": files,
    }
    path = folder / MANIFEST
    path.write_text(json.dumps(said, indent=1, sort_keys=True), encoding="utf-8")
    _sync(path)
    return read_manifest(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folders(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def parts_of(backup: Backup) -> Sequence[str]:
    """Return which parts a backup has, by the first word of their paths."""
    return sorted({name.partition("/")[0] for name in backup.files})
