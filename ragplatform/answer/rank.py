"""The order of what a search found: from the index's candidates to the passages that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ragplatform.model import Hit
from ragplatform.privacy.tokens import tokens_in

# Fusion goes by ranks: the one passage that holds the question's pseudonym, first among terms and
# far behind among meanings, comes after some that are middling in both. Among this many it is.
CANDIDATES: Final = 60


@dataclass(frozen=True, slots=True)
class Sought:
    """What a question looks for: its cleared text, and how many passages are wanted.

    ``named`` are the pseudonyms in the question, ``meant`` further ones for what it names.
    """

    text: str = field(repr=False)
    limit: int
    named: frozenset[str] = frozenset()
    meant: frozenset[str] = frozenset()

    @property
    def depth(self) -> int:
        """How many candidates the index must give for the order to be right."""
        return max(self.limit, CANDIDATES if self.named or self.meant else 0)


def best(hits: Sequence[Hit], sought: Sought) -> list[Hit]:
    """Return up to ``sought.limit`` of the hits, best first; ``hits`` are in the index's order."""
    return named_first(hits, (sought.named, sought.meant), sought.limit)


def named_first(hits: Sequence[Hit], asked: Sequence[frozenset[str]], limit: int) -> list[Hit]:
    """Return up to ``limit`` hits: first those that hold a pseudonym of the first set, and so on.

    Within each group, and among those that hold none, the order stays.
    """
    held = [tokens_in(f"{hit.passage.title} {hit.passage.chunk.text}") for hit in hits]

    def place(at: int) -> int:
        return next((n for n, wanted in enumerate(asked) if wanted & held[at]), len(asked))

    order = sorted(range(len(hits)), key=place)
    return [hits[at] for at in order[:limit]]
