"""Key-encryption keys: derived from the master secret, or versioned files that can be rotated."""

import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ragplatform.errors import VaultError
from ragplatform.ports import KeyEncryption, WrappedKey
from ragplatform.privacy.keys import KEY_BYTES, Keys
from ragplatform.privacy.sealing import seal, unseal

MASTER_VERSION: Final = "master"
_FILE: Final = re.compile(r"(\d{1,9})\.key")


class MasterKeyEncryption:
    """Wraps under a key of the tenant that is derived from the master secret. Has one version."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @property
    def version(self) -> str:
        """The one version."""
        return MASTER_VERSION

    def wrap(self, key: bytes, *, tenant: str, subject: str) -> WrappedKey:
        """Return the key wrapped, bound to its tenant and subject."""
        kek = self._keys.derive("vault-kek", tenant)
        return WrappedKey(MASTER_VERSION, seal(kek, key, "subject-key", tenant, subject))

    def unwrap(self, wrapped: WrappedKey, *, tenant: str, subject: str) -> bytes:
        """Return the key. Raises ``TamperedError``, or ``VaultError`` for another version."""
        if wrapped.version != MASTER_VERSION:
            raise _absent()
        kek = self._keys.derive("vault-kek", tenant)
        return unseal(kek, wrapped.wrapped, "subject-key", tenant, subject, what="wrapped key")


class KeyFiles:
    """Wraps under the newest of the files ``1.key``, ``2.key``, ... of a folder.

    Each holds 32 bytes in hexadecimal and is readable by its owner alone. A file that appears while
    the process runs is found when a key wrapped under it is met. ``older`` opens what was wrapped
    before there were files.
    """

    def __init__(self, folder: Path, *, older: KeyEncryption) -> None:
        """Read the folder. Raises ``VaultError`` when it holds no key, or one that is not right."""
        self._folder = folder
        self._older = older
        self._lock = threading.Lock()
        self._keys = self._read()

    @property
    def version(self) -> str:
        """The version of the newest file that was read."""
        return f"file-{max(self._keys)}"

    def wrap(self, key: bytes, *, tenant: str, subject: str) -> WrappedKey:
        """Return the key wrapped under the newest file, bound to its tenant and subject."""
        keys = self._keys
        number = max(keys)
        version = f"file-{number}"
        kek = keys[number].derive("vault-kek", tenant)
        return WrappedKey(version, seal(kek, key, "subject-key", version, tenant, subject))

    def unwrap(self, wrapped: WrappedKey, *, tenant: str, subject: str) -> bytes:
        """Return the key. Raises ``TamperedError``, or ``VaultError`` when its file is not here."""
        version = wrapped.version
        if not version.startswith("file-"):
            return self._older.unwrap(wrapped, tenant=tenant, subject=subject)
        kek = self._file(version.removeprefix("file-")).derive("vault-kek", tenant)
        bound = ("subject-key", version, tenant, subject)
        return unseal(kek, wrapped.wrapped, *bound, what="wrapped key")

    def _file(self, number: str) -> Keys:
        if not (number.isascii() and number.isdigit()):
            raise _absent()
        if int(number) not in self._keys:
            with self._lock:
                self._keys = self._read()
        if int(number) not in self._keys:
            raise _absent()
        return self._keys[int(number)]

    def _read(self) -> Mapping[int, Keys]:
        try:
            paths = sorted(self._folder.iterdir())
        except OSError as error:
            raise VaultError(f"{self._folder}: cannot be read ({error.strerror})") from error
        found = {int(name[1]): _key(path) for path in paths if (name := _FILE.fullmatch(path.name))}
        if not found:
            raise VaultError(
                f"{self._folder}: holds no key; make one with `ragplatform vault new-key`"
            )
        return found


def new_key_file(folder: Path, announce: Callable[[str], None]) -> Path:
    """Make the next key file of the folder, durable, and return its path.

    ``announce`` is told its name before the key is in force; what it raises keeps it from being so.
    Keys are wrapped under it from then on; ``Vault.rotate`` moves those that there are. Copy it to
    where the other keys are kept before that: what is wrapped under a lost file is lost.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    numbers = [int(name[1]) for path in folder.iterdir() if (name := _FILE.fullmatch(path.name))]
    path = folder / f"{max(numbers, default=0) + 1}.key"
    # Written under another name first: a process must never read half a key.
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    announce(path.name)
    # A link never replaces: of two that make the same number, the second fails.
    os.link(part, path)
    part.unlink()
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)
    return path


def _key(path: Path) -> Keys:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise VaultError(f"{path}: cannot be read as {KEY_BYTES} bytes in hexadecimal") from error
    if stat.S_IMODE(mode) & 0o077:
        raise VaultError(f"{path}: open to other users; run chmod 600 {path}")
    return Keys(secret)


def _absent() -> VaultError:
    return VaultError(
        "a key of the vault is wrapped under a version that is not at hand; restore its key file"
    )
