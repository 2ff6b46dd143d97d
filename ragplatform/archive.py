"""The archive: what the index holds, once more, sealed, one file for each document's generation.

An index can be lost with its disk, and sources may be gone by then: mails, uploads, a bucket that
was emptied. What was indexed is kept here as it was, transformed text and vectors, under the keys
of its document and of everybody it is about, and dies with each of them.
"""

from collections.abc import Callable, Mapping
from typing import Final

from ragplatform.errors import ForgottenError, NotFoundError
from ragplatform.ports import Archived
from ragplatform.sealed_files import Place, SealedFiles

KIND: Final = "archive"


class SealedArchive:
    """Implements ``Archive`` over sealed files."""

    def __init__(
        self,
        files: SealedFiles,
        *,
        encode: Callable[[Archived], bytes],
        decode: Callable[[bytes], Archived],
    ) -> None:
        """``encode`` and ``decode`` turn a generation into bytes and back."""
        self._files = files
        self._encode = encode
        self._decode = decode

    def keep(self, archived: Archived) -> None:
        """Keep one generation of one document in place of any earlier copy of it.

        Durable when the call returns. Raises ``ValueError`` unless all passages are of one
        generation of one document.
        """
        whose = {(p.labels.tenant, p.document, p.generation) for p in archived.passages}
        if len(whose) != 1:
            raise ValueError("wanted the passages of one generation of one document")
        place = _place(*whose.pop())
        about = frozenset[str]().union(*(one.subjects for one in archived.passages))
        self._files.put(place, self._encode(archived), subjects=about)

    def read(self, tenant: str, document: str, generation: str) -> Archived | None:
        """Return a generation, or None when it is not kept or its key was destroyed.

        Raises ``TamperedError`` when it is not what was kept.
        """
        try:
            return self._decode(self._files.get(_place(tenant, document, generation)))
        except (NotFoundError, ForgottenError):
            return None

    def has(self, tenant: str, document: str, generation: str) -> bool:
        """Return whether the generation is kept. Nothing is opened."""
        return self._files.holds(_place(tenant, document, generation))

    def generations(self, tenant: str) -> Mapping[str, frozenset[str]]:
        """Return which generations are kept of each of the tenant's documents."""
        found: dict[str, set[str]] = {}
        for place in self._files.places(tenant, kind=KIND):
            found.setdefault(place.document, set()).add(place.name)
        return {document: frozenset(names) for document, names in found.items()}

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Remove the document's other generations; return how many went."""
        kept = self._files.places(tenant, document=document, kind=KIND)
        return sum(self._files.delete(one) for one in kept if one.name != keep_generation)

    def forget(self, tenant: str, document: str) -> int:
        """Remove all that is kept of a document; return how many generations went.

        Whoever takes a document out of the index calls this first: what makes the index again looks
        here last. The key is the vault's: where a document is erased, it is destroyed there.
        """
        kept = self._files.places(tenant, document=document, kind=KIND)
        return sum(self._files.delete(one) for one in kept)


def _place(tenant: str, document: str, generation: str) -> Place:
    return Place(tenant, document, KIND, generation)
