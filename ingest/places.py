"""Places outside index, vault, catalog and ledger that may hold something of a document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ragplatform.catalog import DocumentEntry
from ragplatform.model import Labels
from ragplatform.sealed_files import SealedFiles


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document that was put aside, as the catalog would know it; ``kept`` says why it stays."""

    entry: DocumentEntry
    labels: Labels
    kept: str | None


class Place(Protocol):
    """Somewhere that copies lie: what erasure has to go through too.

    All methods may be repeated, and raise ``UnavailableError`` when the place does not answer.
    """

    @property
    def name(self) -> str:
        """What the place is called on a certificate: a word of this program."""

    def erase_document(self, tenant: str, document: str) -> int:
        """Erase what lies there of a document; return how many things went."""

    def erase_subjects(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, int]:
        """Erase what lies there of people, by reference; return how many things went of each."""

    def waiting(self, tenant: str, document: str) -> Waiting | None:
        """Return a document that lies there although no catalog knows it, or None."""

    def why_kept(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, str]:
        """Return of whom of these people something that lies there has to stay, and why."""

    def left_of(self, tenant: str, document: str) -> int:
        """Return how many things of a document lie there."""


class SealedPlace:
    """Sealed files: what waits in quarantine or of uploads, and the archive of passages."""

    name: Final = "sealed_files"

    def __init__(self, files: SealedFiles) -> None:
        self._files = files

    def erase_document(self, tenant: str, document: str) -> int:
        """Remove the document's files; without their keys they are unreadable on copies too."""
        return self._files.forget(tenant, document)

    def erase_subjects(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, int]:
        """Remove the files about these people."""
        return self._files.forget_subjects(tenant, subjects)

    def waiting(self, tenant: str, document: str) -> Waiting | None:
        """Return None: what these files are of is known elsewhere."""
        return None

    def why_kept(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, str]:
        """Return nobody: what these files are of says elsewhere whether it may go."""
        return {}

    def left_of(self, tenant: str, document: str) -> int:
        """Return how many files of the document there are."""
        return sum(1 for _ in self._files.places(tenant, document=document))
