"""The names of people in a question, where the detector saw half of one, or none.

A note says "Patient:" before a name; a question gives it little to stand on, and a tagger reads
"known about Sigrid Vasquez" as a firm and a person. A name that is half seen has another pseudonym
than the whole one, and finds other people. All here follows from the question's own words: whether
anybody bears a name changes nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from ragplatform.model import Span
from ragplatform.privacy.lists import is_plain
from ragplatform.privacy.names import CREDENTIALS, PARTICLES, TITLES

_WORD: Final = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
# What a tagger takes half a name for. Anything else that it finds is no part of a name.
_MISTAKEN: Final = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "NRP"})
_POSSESSIVE: Final = re.compile(r"[’']s$", re.I)
_BEFORE_HYPHEN: Final = re.compile(r"(?<!\w)([^\W\d_]{1,40})-\Z")
_BEHIND_HYPHEN: Final = re.compile(r"-([^\W\d_]{1,40})")
_FIRST: Final = re.compile(r"(?:\A|[.?!:;\n])[\s\W]*\Z")
# Words that join a question together, and stand in no name.
_JOINING: Final = frozenset(
    "a about after all also am an and any are as at be been before between by can could did do "
    "does during for from get give given had has have her him his how i if in into is it its "
    "latest last list may me might my need needs new no not of off on or our over patient "
    "patients please show since so take takes taking tell than that the their them then there "
    "these they this those through to under until up was we were what when where whether which "
    "while who whom whose why will with would you your".split()
)
_MOST_WORDS: Final = 5
# A question of thirty words has about as many guesses. A pasted page is searched by what was found.
_MOST: Final = 100
_MOST_READ: Final = 120


@dataclass(frozen=True, slots=True)
class Guess:
    """Words that may be one whole name. ``capitals``: each part of it begins with one."""

    start: int
    end: int
    capitals: bool


def whole(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans, those of PERSON over all the words that surely belong to the name.

    Such a word stands right beside it, begins with a capital and is no word of its own; at the
    beginning of a sentence it must be taken for a name of some kind too.
    """
    words = list(_WORD.finditer(text))
    done: list[Span] = []
    left = sorted(spans, key=lambda span: span.start)
    for span in left:
        if done and span.start < done[-1].end:
            # It lies in a name; what of it does not is hidden all the same.
            done[-1] = replace(done[-1], end=max(done[-1].end, span.end))
            continue
        if span.entity != "PERSON":
            done.append(span)
            continue
        start = _edge(text, words, left, span, back=True)
        end = _edge(text, words, left, span, back=False)
        while done and done[-1].end > start:
            start = min(start, done.pop().start)
        done.append(replace(span, start=start, end=end))
    return done


def guesses(text: str, spans: Sequence[Span]) -> list[Guess]:
    """Return two to five words each that may be a whole name that is not among the spans.

    None contains a part of a name without the rest of it, or of anything else that was found.
    """
    words = list(islice(_WORD.finditer(text), _MOST_READ))
    found = [one for at in range(len(words)) for one in _from(text, words, at) if _free(one, spans)]
    found.sort(key=lambda one: not one.capitals)
    return found[:_MOST]


def trimmed(text: str, span: Span) -> str:
    """Return a name without the word that hardly belongs to it, or "" where all may.

    Taken for its part are a verb behind it, "maria lopez take", and one that begins the sentence.
    """
    words = list(_WORD.finditer(text, span.start, span.end))
    if span.entity != "PERSON" or len(words) < 3:
        return ""
    if words[-1][0].islower():
        return text[span.start : words[-2].end()]
    return text[words[1].start() : span.end] if _begins(text, words[0]) else ""


def _edge(
    text: str, words: list[re.Match[str]], spans: Sequence[Span], span: Span, *, back: bool
) -> int:
    """Return how far the name reaches before or behind the span."""
    edge = _unhyphenated(text, span.start if back else span.end, back=back)
    beside = [w for w in words if (w.end() <= edge if back else w.start() >= edge)]
    near = (beside[::-1] if back else beside)[: _MOST_WORDS - 1]
    alone = 0
    for word in near:
        gap = text[word.end() : edge] if back else text[edge : word.start()]
        if gap not in {" ", ". "} or (gap == ". " and not _is_initial(text, edge, word, back=back)):
            break
        if back and _POSSESSIVE.search(word[0]):
            break
        over = next((s for s in spans if s.start < word.end() and word.start() < s.end), None)
        alone += over is None
        if alone > 1 or not _belongs(text, word, over):
            break
        edge = word.start() if back else word.start() + len(_POSSESSIVE.sub("", word[0]))
    return edge


def _unhyphenated(text: str, edge: int, *, back: bool) -> int:
    """Return the edge, moved to the word's own where a hyphen stands at it: "Friedrich-Karl"."""
    found = (
        _BEFORE_HYPHEN.search(text, max(0, edge - 42), edge)
        if back
        else _BEHIND_HYPHEN.match(text, edge)
    )
    if found is None or not found[1][0].isupper():
        return edge
    return found.start() if back else found.end()


def _is_initial(text: str, edge: int, word: re.Match[str], *, back: bool) -> bool:
    """Return whether the point in the gap is an initial's: "J. Smith" and not "saw Smith. John"."""
    return len(word[0]) == 1 if back else edge < 2 or not text[edge - 2].isalpha()


def _belongs(text: str, word: re.Match[str], over: Span | None) -> bool:
    """Return whether a word beside a name is part of it; ``over`` is what was found of it."""
    if over is not None and over.entity == "PERSON":
        return True
    if over is not None and (over.entity not in _MISTAKEN or over.end - over.start > len(word[0])):
        return False
    if len(word[0]) == 1:
        return _capital(word[0]) and text.startswith(".", word.end())
    if over is None and _begins(text, word):
        return False
    return _capital(word[0]) and not word[0].isupper() and not _common(word[0])


def _begins(text: str, word: re.Match[str]) -> bool:
    """Return whether a sentence begins with the word."""
    return _FIRST.search(text, max(0, word.start() - 8), word.start()) is not None


def _from(text: str, words: list[re.Match[str]], at: int) -> Iterator[Guess]:
    """Yield what may be a name that begins with a word."""
    first = words[at]
    if _joins(first[0]):
        return
    for last in range(at + 1, min(at + _MOST_WORDS, len(words))):
        if not _together(text, words[last - 1], words[last]) or _joins(words[last][0]):
            return
        run = words[at : last + 1]
        if words[last][0] not in PARTICLES:
            capitals = all(_capital(word[0]) or word[0] in PARTICLES for word in run)
            yield Guess(first.start(), words[last].end(), capitals)


def _together(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    gap = text[one.end() : other.start()]
    return not _POSSESSIVE.search(one[0]) and (
        gap in {" ", ", "} or (gap in {".", ". "} and len(one[0]) == 1)
    )


def _free(guess: Guess, spans: Sequence[Span]) -> bool:
    for span in spans:
        if span.end <= guess.start or guess.end <= span.start:
            continue
        inside = guess.start <= span.start and span.end <= guess.end
        if span.entity not in _MISTAKEN:
            return False
        if span.entity == "PERSON" and (
            not inside or (span.start, span.end) == (guess.start, guess.end)
        ):
            return False
    return True


def _capital(word: str) -> bool:
    return word[0].isupper()


def _common(word: str) -> bool:
    folded = word.lower()
    return _joins(folded) or is_plain(word) or folded in CREDENTIALS or word in PARTICLES


def _joins(word: str) -> bool:
    """Return whether the word is in no name; "Will" and "May" are names as well."""
    return word in _JOINING or word.lower() in TITLES
