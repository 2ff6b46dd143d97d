"""What the platform adds to an answer: what contradicts it, and what passages leave open."""

from collections.abc import Iterator, Sequence

from ragplatform.answer import asked, conflicts, evidence, exits, prompt
from ragplatform.answer.conflicts import DIFFERS, Place, Source
from ragplatform.answer.judging import Sentence
from ragplatform.answer.retrieve import ClearedPassage, Retrieved
from ragplatform.answer.terms import TOKEN, content_terms
from ragplatform.model import SentenceKind
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import tokens_in


def make(privacy: Privacy, retrieved: Retrieved, said: Sequence[Sentence]) -> list[Sentence]:
    """Return the remarks on an answer of these sentences; often none."""
    found = list(_conflicts(retrieved, said))
    if gap := _gap(privacy, retrieved, said):
        found.append(gap)
    return found


def refusal(privacy: Privacy, retrieved: Retrieved) -> tuple[str, str]:
    """Return why there is no answer, as a stable word, and what to say, which is not screened."""
    if not retrieved.passages:
        return "no_passage", prompt.REFUSALS["no_passage"]
    question = retrieved.question
    wanted = asked.read(question.text)
    titles = " ".join(one.passage.title for one in retrieved.passages)
    held = content_terms(titles).union(*(one.evidence.terms for one in retrieved.passages))
    masked = bool(TOKEN.search(titles)) or any(one.evidence.tokens for one in retrieved.passages)
    missing = asked.words_of(question.text, wanted.missing(held, masked=masked))
    told = ", ".join(missing)
    # The asker's own words go through the wall as well: a chat may have pasted them in.
    if not missing or exits.fault(told, ""):
        return "not_supported", prompt.REFUSALS["not_supported"]
    words = privacy.excerpt(told, question)
    return "not_supported", privacy.compose(prompt.UNMENTIONED, words=words).text


def _gap(privacy: Privacy, retrieved: Retrieved, said: Sequence[Sentence]) -> Sentence | None:
    """Return which part of a question of several parts nothing that was said answers, if any."""
    question = retrieved.question
    parts = asked.parts(question.text)
    if len(parts) == 1:
        return None
    titles = " ".join(one.passage.title for one in retrieved.passages)
    for start, end in parts:
        part = question.text[start:end].strip(" ?.,;")
        wanted = asked.read(part)
        held = [content_terms(f"{one.text} {titles}") for one in said]
        open_ = [wanted.specific and wanted.missing(terms) == wanted.specific for terms in held]
        if exits.fault(part, ""):
            continue
        if all(open_) or not any(wanted.answered_by(one.text) for one in said):
            text = privacy.compose(prompt.GAP, part=privacy.excerpt(part, question))
            return Sentence(text.text, SentenceKind.GAP)
    return None


def _conflicts(retrieved: Retrieved, said: Sequence[Sentence]) -> Iterator[Sentence]:
    passages = evidence.about(retrieved)
    named = tokens_in(retrieved.question.text) | retrieved.meant
    sources = [Source(one.evidence, one.passage.subjects) for one in passages]
    for place in conflicts.find(_places(said, passages), sources):
        passage = passages[place.passage]
        text = " ".join(passage.texts[place.sentence].split())
        quote = exits.inert(text)
        fault = exits.fault(quote, quote, retrieved.scope.reveals)
        if fault or evidence.about_others(named, text):
            continue
        citation = evidence.cite(retrieved, passage, place.sentence, place.sentence)
        yield Sentence(f"{DIFFERS} {quote} [{passage.number}]", SentenceKind.CONFLICT, (citation,))


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
