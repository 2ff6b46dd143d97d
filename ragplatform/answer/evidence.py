"""Which passages may speak for an answer: those about whom the question is."""

from collections.abc import Sequence

from ragplatform.answer.quotes import Origin
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.answer.support import Evidence
from ragplatform.model import Citation
from ragplatform.privacy.tokens import entity_of, tokens_in


def known(retrieved: Retrieved) -> frozenset[str]:
    """Return the pseudonyms of the evidence: no other may come out as a name."""
    texts = [retrieved.question.text, *(t for p in retrieved.passages for t in p.texts)]
    return frozenset[str]().union(*(tokens_in(text) for text in texts))


def about(retrieved: Retrieved) -> Sequence[ClearedPassage]:
    """Return the passages about whom the question names, if there are any.

    They are those of documents that name the person, and those about the same one subject, since
    few passages of a long letter repeat the name. The right words about the wrong patient are
    worse than no answer. A whole name counts before a part of it, and only where nobody is named as
    in the question does it count whom else it may mean. Passages that speak to a model are left
    out.
    """
    passages = tuple(one for one in retrieved.passages if not one.orders)
    held = [tokens_in(" ".join(p.texts)) for p in passages]
    there = frozenset[str]().union(*held)
    tiers = (retrieved.spelt, tokens_in(retrieved.question.text), retrieved.meant)
    named = next((some for some in tiers if some & there), frozenset())
    naming = [p.passage for p, tokens in zip(passages, held, strict=True) if named & tokens]
    documents = {passage.document for passage in naming}
    subjects = {passage.subjects for passage in naming if len(passage.subjects) == 1}
    found = [
        p for p in passages if p.passage.document in documents or p.passage.subjects in subjects
    ]
    return found or passages


def about_others(named: frozenset[str], sentence: str) -> bool:
    """Return whether the sentence names people, and none of whom the question names."""
    people = {token for token in tokens_in(sentence) if entity_of(token) == "PERSON"}
    asked = {token for token in named if entity_of(token) == "PERSON"}
    return bool(people and asked) and not people & asked


def origin(passage: ClearedPassage) -> Origin:
    """Return where what is quoted of the passage is from. What gives orders vouches for nothing."""
    found = passage.passage
    said = Evidence(()) if passage.orders else passage.evidence
    return Origin(found.document, found.title, found.chunk.heading, said)


def cite(retrieved: Retrieved, passage: ClearedPassage, first: int, last: int) -> Citation:
    """Return the citation of the passage's sentences ``first`` to ``last``, for their reader."""
    quote = " ".join(" ".join(passage.texts[first : last + 1]).split())
    chunk = passage.passage.chunk
    page = chunk.page_at(passage.ranges[first][0] - chunk.start)
    return Citation(
        number=passage.number,
        chunk=chunk.id,
        document=passage.passage.document,
        title=retrieved.reveal(passage.passage.title),
        page=page,
        page_label=chunk.label_of(page),
        start=passage.ranges[first][0],
        end=passage.ranges[last][1],
        quote=retrieved.reveal(quote),
    )
