"""The same person again: by surname, by first name, by initials, last name first, in capitals."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ragplatform.model import AGAIN, Span
from ragplatform.privacy.eponyms import framed, titled
from ragplatform.privacy.lists import is_plain
from ragplatform.privacy.names import Name, parse

# What may stand between two parts of one name: a blank, a line's end, a comma ("Smith, John"), an
# initial ("John A. Smith"), the caret of HL7 ("SMITH^JOHN").
_GAP: Final = re.compile(r"(?:,|\^)?\s{0,3}(?:[^\W\d_](?:\.\s{0,2}|\s{1,2}|\^)){0,2}")
_LONGEST_GAP: Final = 10
_INITIALS_BEFORE: Final = re.compile(
    r"(?<![\w.])(?:[^\W\d_]\.\s?){1,3}\Z|(?<![\w.])[^\W\d_]{1,2}\s\Z"
)
_INITIALS_BEHIND: Final = re.compile(
    r"(?:,\s?|\s)((?:[^\W\d_]\.\s?){1,2}(?!\w)|[^\W\d_]{1,2}(?=[,;:)\n]|\Z))|\^([^\W\d_])\b"
)
_INITIALS_ROOM: Final = 9
_SHORTEST: Final = 3
_LOWER_BEFORE: Final = re.compile(r"(?<![\w.])([a-z]{2,})[ \t]\Z")
_CAPITAL_BEHIND: Final = re.compile(r"\s[A-Z]")
_ARTICLES: Final = frozenset("the a an this that each every no of in at to".split())


@dataclass(frozen=True, slots=True)
class Part:
    """One spelling of a part of known people's names.

    ``people`` are their numbers. A weak part counts only beside another part or a title.
    """

    text: str
    people: frozenset[int]
    weak: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A part that stands in the text."""

    start: int
    end: int
    part: Part


@dataclass(slots=True)
class _Run:
    """Parts of one person's name that stand together."""

    people: frozenset[int]
    found: list[Found] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.found[0].start

    @property
    def end(self) -> int:
        return self.found[-1].end


class People:
    """The people of one text, and where else in it they are named."""

    def __init__(self, text: str, spans: Iterable[Span]) -> None:
        self._text = text
        self._names: list[Name] = []
        self._spans: list[Span] = []
        known: dict[tuple[tuple[str, ...], str], int] = {}
        for span in spans:
            name = parse(text[span.start : span.end])
            if name is None:
                continue
            key = (tuple(word.lower() for word in name.given), name.family.lower())
            if key not in known:
                known[key] = len(self._names)
                self._names.append(name)
                self._spans.append(span)
            elif span.score > self._spans[known[key]].score:
                self._spans[known[key]] = span

    def parts(self) -> list[Part]:
        """Return every spelling to look for: as written, in capitals, capitalised, lower case."""
        people: dict[str, set[int]] = {}
        for number, name in enumerate(self._names):
            for word in (*name.given, name.family):
                if len(word) > 1:
                    people.setdefault(word, set()).add(number)
        spelt: dict[str, set[int]] = {}
        for word, numbers in people.items():
            for spelling in {word, word.upper(), word.lower(), word.capitalize()}:
                spelt.setdefault(spelling, set()).update(numbers)
        return [Part(word, frozenset(who), _is_weak(word)) for word, who in spelt.items()]

    def spans(self, found: Sequence[Found]) -> Iterator[Span]:
        """Yield a span for each place where one of them is named.

        ``found`` are the places of ``parts``, by start, none overlapping another.
        """
        for run in self._runs(found):
            if self._counts(run):
                number = min(run.people)
                letters = set().union(*(self._letters(who) for who in run.people))
                start = self._from(run.start, letters)
                end = self._to(run, letters)
                yield again(self._spans[number], start, end)

    def _letters(self, number: int) -> set[str]:
        name = self._names[number]
        return {*name.initials, name.family[0].lower()}

    def _runs(self, found: Sequence[Found]) -> Iterator[_Run]:
        run: _Run | None = None
        for one in found:
            shared = run.people & one.part.people if run else frozenset()
            if run and shared and self._joins(run, one):
                run.people = frozenset(shared)
                run.found.append(one)
                continue
            if run:
                yield run
            run = _Run(one.part.people, [one])
        if run:
            yield run

    def _joins(self, run: _Run, one: Found) -> bool:
        gap = one.start - run.end
        if gap > _LONGEST_GAP or _GAP.fullmatch(self._text, run.end, one.start) is None:
            return False
        folded = one.part.text.lower()
        return all(folded != other.part.text.lower() for other in run.found)

    def _counts(self, run: _Run) -> bool:
        if len(run.found) > 1:
            return True
        (one,) = run.found
        if framed(self._text, one.start, one.end):
            return False
        if not one.part.weak or titled(self._text, one.start):
            return True
        return one.part.text[0].isupper() and (
            self._in_running_text(one)
            or self._has_initial(run)
            or self._text.startswith(("'s", "’s"), one.end)
        )

    def _in_running_text(self, one: Found) -> bool:
        """Return whether an ordinary word is capitalised where hardly more than a name is.

        "Seen by Brown today", and not "Brown sputum" nor "the Brown Building".
        """
        if one.part.text.isupper() or len(one.part.text) < _SHORTEST:
            return False
        before = _LOWER_BEFORE.search(self._text, max(0, one.start - 24), one.start)
        behind = _CAPITAL_BEHIND.match(self._text, one.end)
        return before is not None and before[1] not in _ARTICLES and behind is None

    def _has_initial(self, run: _Run) -> bool:
        letters = set().union(*(self._letters(who) for who in run.people))
        return self._from(run.start, letters) < run.start or self._to(run, letters) > run.end

    def _from(self, start: int, letters: set[str]) -> int:
        low = max(0, start - _INITIALS_ROOM)
        found = _INITIALS_BEFORE.search(self._text, low, start)
        if found and set(_letters_of(found[0])) <= letters:
            return found.start()
        return start

    def _to(self, run: _Run, letters: set[str]) -> int:
        found = _INITIALS_BEHIND.match(self._text, run.end, run.end + _INITIALS_ROOM)
        if found:
            held = found[1] or found[2]
            if held.upper() == held and set(_letters_of(held)) <= letters:
                return run.end + len(found[0].rstrip())
        return run.end


def _letters_of(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalpha())


def _is_weak(word: str) -> bool:
    return len(word) < _SHORTEST or word.islower() or is_plain(word)


def again(span: Span, start: int, end: int) -> Span:
    """Return the span of another place of the same value."""
    source = span.source if span.source.startswith(AGAIN) else f"{AGAIN}{span.source}"
    return Span(start, end, span.entity, span.category, span.score, source)


def apart(spans: Sequence[Found]) -> list[Found]:
    """Return the places by start, the longest of those that overlap."""
    kept: list[Found] = []
    for one in sorted(spans, key=lambda found: (found.start, -found.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept
