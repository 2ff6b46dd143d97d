"""The rule tier: one reading of the text finds anchors, and each rule is tried only at its own.

Costs: the words are looked up in one table, the digits walked once; nothing else grows with the
text but what stands at an anchor, and every pattern there is bounded.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Final, TypeAlias

from ragplatform.adapters.rules.codes import CODES
from ragplatform.adapters.rules.dates import DATES
from ragplatform.adapters.rules.finance import FINANCE
from ragplatform.adapters.rules.health import HEALTH
from ragplatform.adapters.rules.network import NETWORK
from ragplatform.adapters.rules.papers import PAPERS
from ragplatform.adapters.rules.people import PEOPLE
from ragplatform.adapters.rules.phones import PHONES
from ragplatform.adapters.rules.places import PLACES
from ragplatform.adapters.rules.rule import Family, Number, Rule, Shape, Tried, said_before, span
from ragplatform.adapters.rules.secrets import SECRETS
from ragplatform.model import Span

FAMILIES: Final = (
    HEALTH,
    FINANCE,
    PAPERS,
    CODES,
    PEOPLE,
    PLACES,
    DATES,
    PHONES,
    NETWORK,
    SECRETS,
)
# Changes whenever the engine could find other spans with the same rules.
_ENGINE: Final = "1"
_WORD: Final = re.compile(r"[a-zß-ÿ]+")
_DIGITS: Final = re.compile(r"([0-9]+)(\w*)")
_PHRASE: Final = re.compile(r"[0-9]+(?:[ .\-/()\xa0\u202f–‑]{1,3}[0-9]+){0,40}")
_CHUNK: Final = re.compile(r"[\w./-]{0,48}")
_GROUP: Final = re.compile(r"[0-9]+")
_BETWEEN: Final = frozenset(" .-/\xa0\u202f–‑")
_SIGNS: Final = frozenset(".-/")
_TIGHT: Final = frozenset({"", ".", "-", "/"})
# The longest code that is looked at from its first letter, and the longest of the numbers.
_LONGEST_CODE: Final = 48
_FEWEST_DIGITS: Final = 7
# A phrase of more groups is a row of a table, whose numbers the gaps of more than one blank part.
_MOST_GROUPS: Final = 12

_JOINS: Final = frozenset("-/._ ")
_Rules: TypeAlias = tuple[tuple[Tried, Rule], ...]
# The rules for a run of digits by the character behind it, and those for any other.
_Behind: TypeAlias = tuple[dict[str, _Rules], _Rules]


class RuleTier:
    """Finds personal data by rules. Immutable once made, so safe in any number of threads."""

    def __init__(self, families: Sequence[Family] = FAMILIES) -> None:
        """Sort the rules of the families by their anchors."""
        self._families = tuple(families)
        self._words: dict[str, _Rules] = {}
        self._digits: dict[int, _Rules] = {}
        self._codes: _Rules = ()
        self._numbers: dict[Shape, tuple[Number, ...]] = {}
        for family in families:
            self._add(family)
        self._beginnings = frozenset(
            shape[:length] for shape in self._numbers for length in range(1, len(shape) + 1)
        )
        self._behind = {length: _by_next(rules) for length, rules in self._digits.items()}
        self._phrases = tuple(find for family in families for find in family.phrases)
        self._finders = tuple(find for family in families for find in family.finders)
        self._version = _version(families)

    def _add(self, family: Family) -> None:
        for rule in family.rules:
            entry = (rule.tried, rule)
            for word in dict.fromkeys(rule.words):
                self._words[word] = (*self._words.get(word, ()), entry)
            for length in rule.digits:
                self._digits[length] = (*self._digits.get(length, ()), entry)
            if rule.codes:
                self._codes = (*self._codes, entry)
        for number in family.numbers:
            for shape in dict.fromkeys(number.shapes):
                self._numbers[shape] = (*self._numbers.get(shape, ()), number)

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    @property
    def entities(self) -> frozenset[str]:
        """The types that the tier finds."""
        return frozenset().union(*(family.entities for family in self._families))

    def find(self, text: str) -> list[Span]:
        """Return every candidate in the text, by order of start; they may overlap."""
        found: list[Span] = []
        self._by_words(text, found)
        self._by_digits(text, found)
        for finder in self._finders:
            found.extend(finder(text))
        found = list(dict.fromkeys(found))
        found.sort(key=lambda one: (one.start, one.end, one.entity, one.source))
        return found

    def _by_words(self, text: str, found: list[Span]) -> None:
        rules_of = self._words.get
        for word in _WORD.finditer(_lowered(text)) if self._words else ():
            rules = rules_of(word[0])
            if rules:
                _try(rules, text, word.start(), found)

    def _by_digits(self, text: str, found: list[Span]) -> None:
        phrase_end = chunk_end = 0
        codes = self._codes
        none: _Behind = ({}, ())
        for run in _DIGITS.finditer(text):
            first, digits_end = run.span(1)
            before = text[first - 1] if first else " "
            start = first
            if before.isalpha() or before == "_":
                start = _start_of_word(text, first)
            else:
                before_char, else_ = self._behind.get(digits_end - first, none)
                if rules := before_char.get(text[digits_end : digits_end + 1], else_):
                    _try(rules, text, first, found)
                if first >= phrase_end and digits_end == run.end():
                    phrase_end = self._phrase(text, first, found)
            chunk = start
            if start >= chunk_end and start and text[start - 1] in _JOINS:
                chunk = _start_of_chunk(text, start)
                rest = _CHUNK.match(text, start)
                chunk_end = rest.end() if rest else start
                if chunk < start:
                    _try(codes, text, chunk, found)
            if start < first or digits_end < run.end():
                _try(codes, text, start, found)

    def _phrase(self, text: str, at: int, found: list[Span]) -> int:
        """Search one phrase of digits; return where it ends."""
        phrase = _PHRASE.match(text, at)
        end = phrase.end() if phrase else at
        if end - at < _FEWEST_DIGITS - 1:
            return end
        groups = [group.span() for group in _GROUP.finditer(text, at, end)]
        if text[end : end + 1].isalpha() or text[end : end + 1] == "_":
            groups.pop()
        if self._numbers:
            for number, start, stop in self._numbered(text, groups):
                said = said_before(number.context, text, start)
                score = number.score if said else number.alone
                if score:
                    found.append(span(start, stop, number.entity, score, number.name))
        for find in self._phrases if len(groups) <= _MOST_GROUPS else ():
            taken = 0
            for place, (start, _) in enumerate(groups):
                # A value starts the phrase, or stands behind another number and a wider gap.
                if start >= taken and (
                    place == 0 or text[groups[place - 1][1] : start] not in _TIGHT
                ):
                    for one in find(text, start, end):
                        found.append(one)
                        taken = max(taken, one.end)
        return end

    def _numbered(
        self, text: str, groups: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[Number, int, int]]:
        """Yield each kind of number that some of the neighbouring groups make, with its place."""
        gaps = [text[one[1] : other[0]] for one, other in pairwise(groups)]
        for first, (start, _) in enumerate(groups):
            shape: Shape = ()
            gap = ""
            for last in range(first, min(first + _MOST_GROUPS, len(groups))):
                if last > first:
                    if not _goes_on(gap, gaps[last - 1]):
                        break
                    gap = gaps[last - 1]
                shape = (*shape, groups[last][1] - groups[last][0])
                if shape not in self._beginnings:
                    break
                kinds = self._numbers.get(shape)
                if kinds and _stands_alone(text, start, groups[last][1], gap):
                    stop = groups[last][1]
                    value = text[start:stop]
                    yield from ((kind, start, stop) for kind in kinds if kind.check(value))


def _by_next(rules: _Rules) -> _Behind:
    chars = {char for _, rule in rules for char in rule.follows}
    free = tuple(entry for entry in rules if not entry[1].follows)
    return {
        char: tuple(one for one in rules if not one[1].follows or char in one[1].follows)
        for char in chars
    }, free


def _try(rules: _Rules, text: str, at: int, found: list[Span]) -> None:
    for tried, rule in rules:
        match = tried(text, at)
        if match is not None:
            found.extend(rule.spans(text, match, at))


def _goes_on(gap: str, other: str) -> bool:
    """Return whether one number may have both gaps: the same, or signs as in 11.222.333/0001-81."""
    if other not in _BETWEEN:
        return False
    return not gap or other == gap or (gap in _SIGNS and other in _SIGNS)


def _stands_alone(text: str, start: int, end: int, gap: str) -> bool:
    """Return whether the digits do not go on, in the same grouping, before or behind."""
    before, behind = text[max(0, start - 2) : start], text[end : end + 2]
    for near, beyond in ((before[-1:], before[:1]), (behind[:1], behind[1:])):
        if near in {"-", ".", "/", ","} and beyond.isdigit() and (near == gap or not gap):
            return False
        if near.isalpha() or near == "_":
            return False
    return before[-1:] not in {"$", "€", "£"}


def _lowered(text: str) -> str:
    """Return the text in lower case with every character at its place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def _start_of_word(text: str, at: int) -> int:
    lowest = max(0, at - _LONGEST_CODE)
    while at > lowest and (text[at - 1].isalnum() or text[at - 1] == "_"):
        at -= 1
    return at


def _start_of_chunk(text: str, at: int) -> int:
    """Return where a code starts whose parts are joined by signs, when a letter is among them.

    Parted by blanks, only short words in capitals belong to it, as in "AB 12 34 56 C".
    """
    if text[at - 1] == " ":
        return _start_of_capitals(text, at)
    lowest = max(0, at - _LONGEST_CODE)
    start = at
    while start > lowest and (text[start - 1].isalnum() or text[start - 1] in "-/._"):
        start -= 1
    return start if any(char.isalpha() for char in text[start:at]) else at


def _start_of_capitals(text: str, at: int) -> int:
    for _ in range(2):
        start = at - 1
        while start > max(0, at - 6) and text[start - 1].isalpha() and text[start - 1].isupper():
            start -= 1
        if text[at - 1 : at] != " " or start == at - 1 or text[start - 1 : start].isalnum():
            break
        at = start
    return at


def _version(families: Sequence[Family]) -> str:
    parts = [_ENGINE]
    for family in families:
        parts += [_written(getattr(rule, f.name)) for rule in family.rules for f in fields(rule)]
        parts += [_written(getattr(kind, f.name)) for kind in family.numbers for f in fields(kind)]
        parts += [find.__qualname__ for find in (*family.phrases, *family.finders)]
    return "rules-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _written(value: object) -> str:
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    return getattr(value, "__qualname__", None) or repr(value)
