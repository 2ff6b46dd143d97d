"""The archive of a deployment under test, over its real vault."""

from pathlib import Path

from ragplatform.adapters.archived import decode_archived, encode_archived
from ragplatform.archive import SealedArchive
from ragplatform.audit.storage import Disk
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles


def archive_in(data: Path, vault: Vault) -> SealedArchive:
    """Return the archive in a data folder, where a deployment has it."""
    files = SealedFiles(data / "sealed", keys=vault, name_key=bytes(32), storage=Disk())
    return SealedArchive(files, encode=encode_archived, decode=decode_archived)
