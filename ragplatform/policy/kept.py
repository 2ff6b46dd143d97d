"""Copies of every set of policies that was in force, by digest.

A record of the audit log names the policies that it was decided under by their digest alone. The
copies let an auditor read them years later, when the folder of policies has long moved on.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ragplatform.errors import PolicyError
from ragplatform.policy.rules import SCHEMA_NAME, digest_of

_DIGEST_CHARS: Final = 64


class KeptPolicies:
    """A folder that holds a folder for each set of policies, named by its digest.

    A copy is never written over: what is there under a digest either has it or is not read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, texts: Mapping[str, str]) -> None:
        """Keep a copy of the policies, durably, unless there is one.

        Raises ``PolicyError`` when it cannot be kept: no decision may rest on policies that
        nobody could show afterwards.
        """
        digest = digest_of(texts)
        if self.texts(digest) is not None:
            return
        making = self._folder / f".{digest[:16]}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            making.mkdir(mode=0o700)
            for name, text in texts.items():
                _put(making / name, text.encode())
            _sync(making)
            self._settle(making, digest)
            _sync(self._folder)
        except OSError as error:
            raise PolicyError(
                f"the policies cannot be kept in {self._folder}: {error.strerror}; free the disk "
                "or mend the folder, and move aside what lies under their digest"
            ) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _settle(self, made: Path, digest: str) -> None:
        try:
            made.rename(self._folder / digest)
        except OSError:
            # Another process may have been first, and then its copy is as good.
            if self.texts(digest) is None:
                raise

    def texts(self, digest: str) -> dict[str, str] | None:
        """Return the policies of a digest by file name, or None when no true copy is there."""
        folder = self._folder / digest
        if len(digest) != _DIGEST_CHARS or not digest.isalnum() or not folder.is_dir():
            return None
        try:
            found = {path.name: path.read_bytes().decode() for path in sorted(folder.iterdir())}
        except (OSError, UnicodeDecodeError):
            return None
        return found if SCHEMA_NAME in found and digest_of(found) == digest else None


def _put(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
