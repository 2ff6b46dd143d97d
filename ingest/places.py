"""Places outside index, vault, catalog and ledger that may hold something of a document."""

from typing import Protocol


class Place(Protocol):
    """Somewhere that copies lie: what erasure has to go through too.

    All methods may be repeated, and raise ``UnavailableError`` when the place does not answer.
    """

    @property
    def name(self) -> str:
        """What the place is called on a certificate: a word of this program."""

    def erase_document(self, tenant: str, document: str) -> int:
        """Erase what lies there of a document; return how many things went."""

    def erase_subject(self, tenant: str, subject: str) -> int:
        """Erase what lies there of a person, by reference; return how many things went."""

    def left_of(self, tenant: str, document: str) -> int:
        """Return how many things of a document lie there."""
