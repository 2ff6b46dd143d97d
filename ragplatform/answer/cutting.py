"""How a passage is cut for answers: where its sentences stand, and whether it gives orders.

Both follow from the passage alone, and the same passages are found again and again. So what was
found out is remembered: offsets and a verdict, by a keyed digest of all that they follow from. No
word of a passage is held, so there is nothing in it to erase, and nothing that a scope could see of
another: the digest is of what the gate has let through already.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Final

from ragplatform.answer import sentences
from ragplatform.model import Chunk
from ragplatform.privacy.orders import gives_orders
from ragplatform.privacy.tokens import token_ranges
from ragplatform.recent import Recent

# About 1 kB each.
_REMEMBERED: Final = 16_384


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the sentences of a chunk stand in its text, and whether it speaks to a model."""

    ranges: tuple[tuple[int, int], ...]
    orders: bool


class Cutter:
    """Cuts chunks, each once as long as it is remembered. Safe to share between threads."""

    def __init__(self, *, remembered: int = _REMEMBERED) -> None:
        self._key = os.urandom(32)
        self._known: Recent[bytes, Cut] = Recent(remembered)

    def cut(self, chunk: Chunk) -> Cut:
        """Return how the chunk is cut. No sentence begins or ends inside a value."""
        guarded = [(span.start, span.end) for span in chunk.spans]
        first = chunk.ordinal == 0
        name = self._digest(chunk.text, guarded, first=first)
        found = self._known.get(name)
        if found is None:
            guarded += token_ranges(chunk.text)
            ranges = sentences.whole(chunk.text, guarded, first=first)
            found = Cut(tuple(ranges), gives_orders(chunk.text))
            self._known.put(name, found)
        return found

    def _digest(self, text: str, guarded: list[tuple[int, int]], *, first: bool) -> bytes:
        # The text comes last, so that no text can be read as the end of what stands before it.
        told = f"{first}{guarded}\0{text}".encode(errors="surrogatepass")
        return hashlib.blake2b(told, digest_size=16, key=self._key).digest()
