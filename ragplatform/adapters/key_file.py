"""Changes to the files of keys and users: one at a time, each at once and for good."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import KeyEntry, UserEntry
from ragplatform.errors import ConfigurationError
from ragplatform.model import Principal


class KeyFile:
    """The two files; ``clock`` gives seconds since 1970."""

    def __init__(self, keys: Path, users: Path, *, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._users = users
        self._clock = clock

    def begin(self) -> None:
        """Write a key file without keys where there is none: nobody may call."""
        with self._alone():
            if not self._keys.is_file():
                self._write_keys([])

    def entries(self) -> list[KeyEntry]:
        """Return the keys, those included that have ended. Raises ``ConfigurationError``."""
        return api_keys.read_keys(self._keys) if self._keys.is_file() else []

    def users(self) -> list[UserEntry]:
        """Return the users of clients. Raises ``ConfigurationError``."""
        return api_keys.read_users(self._users) if self._users.is_file() else []

    def find(self, name: str, tenant: str) -> Principal:
        """Return whom keys or entries of that id stand for; an empty tenant means the only one.

        Raises ``ConfigurationError`` when there is none, or one in several tenants.
        """
        people = [entry.principal for entry in self.users()]
        people += [entry.principal for entry in self.entries()]
        found = {one.tenant: one for one in people if one.id == name and tenant in {"", one.tenant}}
        if len(found) != 1:
            raise ConfigurationError(
                f"{name} is in {len(found)} tenants: name one that `ragplatform keys list` shows"
            )
        return next(iter(found.values()))

    def add(self, principal: Principal, *, days: int | None, acts_for: str) -> str:
        """Return a new key for the principal. Those that it had stop working."""
        key = api_keys.new_key(principal.id)
        expires = None if days is None else self._in(timedelta(days=days))
        with self._alone():
            others = [entry for entry in self.entries() if not _same(entry, principal)]
            entry = KeyEntry(api_keys.digest(key), principal, expires, acts_for)
            self._write_keys([*others, entry])
        return key

    def rotate(self, principal: Principal, *, overlap: timedelta, days: int | None) -> str:
        """Return a new key like the newest of the principal, whose keys end after the overlap.

        The new one ends in ``days``, or when the old one would have ended.
        Raises ``ConfigurationError`` when there is no key that is in force.
        """
        key, now = api_keys.new_key(principal.id), self._in(timedelta())
        with self._alone():
            entries = self.entries()
            in_force = [
                entry
                for entry in entries
                if _same(entry, principal) and (entry.expires is None or entry.expires > now)
            ]
            if not in_force:
                raise ConfigurationError(f"{principal.id} has no key in force to rotate")
            last = in_force[-1]
            expires = last.expires if days is None else now + timedelta(days=days)
            ends = now + overlap
            old = [
                replace(entry, expires=min(ends, entry.expires or ends))
                for entry in in_force
                if overlap
            ]
            others = [entry for entry in entries if not _same(entry, principal)]
            new = replace(last, sha256=api_keys.digest(key), expires=expires)
            self._write_keys([*others, *old, new])
        return key

    def revoke(self, principal: Principal) -> int:
        """Remove every key and every user entry of the principal; return how many went."""
        with self._alone():
            keys, users = self.entries(), self.users()
            kept_keys = [entry for entry in keys if not _same(entry, principal)]
            kept_users = [entry for entry in users if not _same(entry, principal)]
            if kept_keys != keys:
                self._write_keys(kept_keys)
            if kept_users != users:
                self._write_users(kept_users)
        return len(keys) + len(users) - len(kept_keys) - len(kept_users)

    def list_user(self, entry: UserEntry) -> None:
        """Write down whom a client means; an entry of the same client and ``sub`` is replaced."""
        with self._alone():
            others = [
                one for one in self.users() if (one.client, one.sub) != (entry.client, entry.sub)
            ]
            self._write_users([*others, entry])

    def _in(self, time: timedelta) -> datetime:
        # Whole seconds, as people read them.
        return datetime.fromtimestamp(int(self._clock()), UTC) + time

    def _write_keys(self, entries: Sequence[KeyEntry]) -> None:
        _replace(self._keys, "\n".join(api_keys.render_key(entry) for entry in entries))

    def _write_users(self, entries: Sequence[UserEntry]) -> None:
        _replace(self._users, "\n".join(api_keys.render_user(entry) for entry in entries))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a lock beside the files, so that two commands do not lose each other's change."""
        self._keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self._keys.with_suffix(".lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _same(entry: KeyEntry | UserEntry, principal: Principal) -> bool:
    found = entry.principal
    return (found.tenant, found.id) == (principal.tenant, principal.id)


def _replace(path: Path, text: str) -> None:
    """Replace the file at once and for good: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
    # Until the folder is on the disk, a power cut could bring a revoked key back.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
