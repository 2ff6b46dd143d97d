"""The archive and the quarantine of a deployment under test, over its real vault."""

from pathlib import Path

from ingest.aside import Aside
from ragplatform.adapters.archived import decode_archived, encode_archived
from ragplatform.archive import SealedArchive
from ragplatform.audit.storage import Disk
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles


def sealed_in(data: Path, vault: Vault) -> SealedFiles:
    """Return the sealed files in a data folder, where a deployment has them."""
    return SealedFiles(data / "sealed", keys=vault, name_key=bytes(32), storage=Disk())


def aside_in(data: Path, files: SealedFiles) -> Aside:
    """Return the quarantine in a data folder; the caller closes it."""
    return Aside(f"sqlite:///{data / 'catalog.db'}", files=files, most_bytes=10_000_000)


def archive_in(data: Path, vault: Vault) -> SealedArchive:
    """Return the archive in a data folder, where a deployment has it."""
    return archive_of(sealed_in(data, vault))


def archive_of(files: SealedFiles) -> SealedArchive:
    """Return the archive that lies in sealed files."""
    return SealedArchive(files, encode=encode_archived, decode=decode_archived)
