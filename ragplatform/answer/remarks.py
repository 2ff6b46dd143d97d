"""What the platform adds to an answer: what contradicts it, and what passages leave open."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ragplatform.answer import conflicts, evidence
from ragplatform.answer.conflicts import Place, Source
from ragplatform.answer.judging import LINK, Sentence
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.answer.support import Evidence
from ragplatform.model import SentenceKind
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import tokens_in

_DIFFERS: Final = "But another passage says:"


def make(privacy: Privacy, retrieved: Retrieved, said: Sequence[Sentence]) -> list[Sentence]:
    """Return the remarks on an answer of these sentences; often none."""
    return list(_conflicts(privacy, retrieved, said))


def _conflicts(
    privacy: Privacy, retrieved: Retrieved, said: Sequence[Sentence]
) -> Iterator[Sentence]:
    passages = evidence.about(retrieved)
    named = tokens_in(retrieved.question.text) | retrieved.meant
    sources = [Source(Evidence(one.texts), one.passage.subjects) for one in passages]
    for place in conflicts.find(_places(said, passages), sources):
        passage = passages[place.passage]
        text = " ".join(passage.texts[place.sentence].split())
        if LINK.search(text) or evidence.about_others(named, text):
            continue
        # A document's own bracketed number would read as a citation of ours.
        quote = re.sub(r"\[(\d{1,3})\]", r"(\1)", text)
        citation = evidence.cite(privacy, retrieved, passage, place.sentence, place.sentence)
        yield Sentence(f"{_DIFFERS} {quote} [{passage.number}]", SentenceKind.CONFLICT, (citation,))


def _places(said: Sequence[Sentence], passages: Sequence[ClearedPassage]) -> list[Place]:
    """Return where the cited evidence stands."""
    cited = [(c.chunk, c.start, c.end) for one in said for c in one.citations]
    return [
        Place(number, at)
        for number, passage in enumerate(passages)
        for at, (start, end) in enumerate(passage.ranges)
        if any(
            chunk == passage.passage.chunk.id and first <= start and end <= last
            for chunk, first, last in cited
        )
    ]
