"""What a rule is: where it is tried, what it matches there, and what the value must pass."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span

PROVEN: Final = 1.0
LABELLED: Final = 0.9
LIKELY: Final = 0.75
POSSIBLE: Final = 0.5
WEAK: Final = 0.4

# How far before a number a word may stand that says what the number is, in characters.
REACH: Final = 60

Check: TypeAlias = Callable[[str], bool]
Shape: TypeAlias = tuple[int, ...]
Tried: TypeAlias = Callable[[str, int], re.Match[str] | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that is tried at its anchors only, never along the whole text.

    ``words`` are lower-case words at whose start it is tried; ``digits`` are lengths of the run of
    digits at whose start it is tried; with ``codes`` it is tried at each word that mixes letters
    and digits. The value is the group ``v``, or else the whole match; a group named like a type is
    a value of that type. ``check`` refuses values that cannot be of the type: a labelled value
    that fails it is still somebody's number, of the type ``otherwise`` unless that is empty.
    ``context`` must be found shortly before the match, ``unless`` must not. With ``back`` the value
    stands before the anchor, whose text must then end in one of ``ends`` when there are any: the
    pattern is searched from so many characters before the anchor, and must reach over it; ``here``
    must then match at the anchor itself. ``follows`` holds the characters that may stand behind
    the digits of an anchor, all when it is empty.
    """

    name: str
    entity: str
    pattern: re.Pattern[str]
    score: float
    words: tuple[str, ...] = ()
    digits: tuple[int, ...] = ()
    codes: bool = False
    check: Check | None = None
    otherwise: str = ""
    context: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    back: int = 0
    ends: tuple[str, ...] = ()
    follows: str = ""
    here: re.Pattern[str] | None = None

    @property
    def tried(self) -> Tried:
        """What gives the match at an anchor, if there is one: called for each anchor."""
        if not self.back:
            return self.pattern.match
        return self._before

    def _before(self, text: str, at: int) -> re.Match[str] | None:
        if self.ends and not text.endswith(self.ends, max(0, at - self.back), at):
            return None
        if self.here is not None and self.here.match(text, at) is None:
            return None
        for found in self.pattern.finditer(text, max(0, at - self.back), at + self.back):
            if found.end() > at:
                return found
        return None

    def spans(self, text: str, found: re.Match[str], at: int) -> Iterator[Span]:
        """Yield what a match at this anchor says, if it says anything."""
        if not self._fits(text, at):
            return
        groups = found.re.groupindex
        named = [group for group in groups if group.isupper() and found.start(group) >= 0]
        for group in named:
            yield span(*found.span(group), group, self.score, self.name)
        start, end = found.span("v") if "v" in groups else found.span()
        if start >= end or (named and "v" not in groups):
            return
        if self.check is None or self.check(text[start:end]):
            yield span(start, end, self.entity, self.score, self.name)
        elif self.otherwise:
            yield span(start, end, self.otherwise, LIKELY, self.name)

    def _fits(self, text: str, at: int) -> bool:
        if self.unless is not None and said_before(self.unless, text, at):
            return False
        return self.context is None or said_before(self.context, text, at)


@dataclass(frozen=True, slots=True)
class Number:
    """A kind of number, known by how its digits are grouped and by its check digits.

    ``shapes`` are the lengths of its groups, as ``(3, 2, 4)``. Without one of the ``context`` words
    before it a number scores ``alone``; 0 means that it is then no such number.
    """

    name: str
    entity: str
    shapes: tuple[Shape, ...]
    check: Check
    score: float
    alone: float
    context: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Family:
    """Rules that belong together, usable by themselves.

    ``phrases`` are asked about each phrase of digits, ``finders`` read the whole text, by anchors
    of their own; both find the types of ``finds``.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    numbers: tuple[Number, ...] = ()
    phrases: tuple[Callable[[str, int, int], Iterator[Span]], ...] = ()
    finders: tuple[Callable[[str], Iterator[Span]], ...] = ()
    finds: tuple[str, ...] = ()

    @property
    def entities(self) -> frozenset[str]:
        """The types that the family finds."""
        named = {
            group for rule in self.rules for group in rule.pattern.groupindex if group.isupper()
        }
        ruled = {rule.entity for rule in self.rules} | {rule.otherwise for rule in self.rules}
        return frozenset(
            (named | ruled | {number.entity for number in self.numbers} | set(self.finds)) - {""}
        )


def span(start: int, end: int, entity: str, score: float, source: str) -> Span:
    """Return a span of the type, in the type's category."""
    return Span(start, end, entity, CATEGORY_OF[entity], score, source)


def said_before(context: re.Pattern[str], text: str, at: int) -> bool:
    """Return whether one of the words stands shortly before the place."""
    return context.search(text, max(0, at - REACH), at) is not None


def words(listed: str) -> tuple[str, ...]:
    """Return the words of a text as anchors."""
    return tuple(listed.split())


def any_of(listed: str) -> re.Pattern[str]:
    """Return a pattern of whole words, any case; a space in ``a_b`` is written ``_``."""
    written = "|".join(re.escape(word).replace("_", r"[\s_.-]?") for word in listed.split())
    return re.compile(rf"(?i)(?<![^\W_])(?:{written})s?(?![^\W_])")


def shapes(*written: str) -> tuple[Shape, ...]:
    """Return the group lengths of forms written as ``3-2-4``."""
    return tuple(tuple(int(part) for part in one.split("-")) for one in written)


def any_shape(*lengths: int) -> tuple[Shape, ...]:
    """Return the usual groupings of numbers of these lengths: none, and equal groups of 2 to 5."""
    found: list[Shape] = []
    for length in lengths:
        found.append((length,))
        for size in (2, 3, 4, 5):
            whole, rest = divmod(length, size)
            if whole < 2:
                continue
            groups = (size,) * whole
            found += [(*groups, rest), (rest, *groups)] if rest else [groups]
    return tuple(dict.fromkeys(found))


def has_digits(least: int) -> Check:
    """Return a check that a value holds so many digits."""

    def check(value: str) -> bool:
        return sum(char.isdigit() for char in value) >= least

    return check


# Between a label and its value: "No.", "number", "is", a colon, a quote and a colon as in JSON,
# a tab or table bar, an HTML tag, one line end. All bounded.
NUMBER_WORD: Final = (
    r"(?:numbers?|nos?(?:\.|\b)|num\b\.?|nr\b\.?|n[º°o]s?\b\.?|n[úu]m(?:ero)?s?\b\.?|num[ée]ros?"
    r"|nummer|numero|ids?|identifier|identification|code|kennzeichen|#)"
)
_LINK: Final = (
    r"[ \t\xa0]{0,3}(?:is|was|are|of|es|est|lautet|ist)?(?![A-Za-z])"
    r"[\"'”]?(?:</?[a-z]{1,10}>){0,3}[ \t\xa0]{0,3}(?:,(?=\S)|[:#=|>\-–]{0,3})[ \t\xa0]{0,8}"
    r"\r?\n?[ \t\xa0|]{0,8}[#\"'“(\[<]??(?:</?[a-z]{1,10}>)?"
)
_NUMBERED: Final = rf"[ \t\xa0_\-/]{{0,3}}\(?{NUMBER_WORD}\)?(?![A-Za-z])"
TO: Final = rf"(?:{_NUMBERED}){{0,2}}{_LINK}"
TO_NUMBERED: Final = rf"(?:{_NUMBERED}){{1,2}}{_LINK}"
TO_COLON: Final = rf"(?:(?:{_NUMBERED}){{1,2}}{_LINK}|[ \t\xa0]{{0,3}}[\"']?[:=|\t](?!//){_LINK})"

CODE: Final = r"(?P<v>[A-Za-z0-9*](?:[A-Za-z0-9*]|[-./_](?=[A-Za-z0-9*])){2,39})(?![A-Za-z0-9])"
SPACED: Final = (
    r"(?P<v>[A-Za-z0-9*](?:[A-Za-z0-9*]|[-./_](?=[A-Za-z0-9*])){1,29}"
    r"(?:[ \xa0][0-9X*]{2,12}(?![A-Za-z0-9/:%])){0,5})(?![A-Za-z0-9])"
)
LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIRST: Final = re.compile(r"[a-zß-ÿ]+")
_LABEL_ENDS: Final = r"(?=[^A-Za-zß-ÿ]|numbers?\b|no\b|num\b|id\b|code\b|nummer\b)"
_NUMBER_ENDS: Final = ("", "number", "no", "num", "id", "code", "nummer")


def labelled(
    entity: str,
    labels: Sequence[str] | str,
    value: str = CODE,
    *,
    to: str = TO,
    least: int = 3,
    score: float = LABELLED,
    check: Check | None = None,
    otherwise: str = "",
    unless: re.Pattern[str] | None = None,
) -> Rule:
    """Return a rule for values behind labels: phrases in lower case, parted by ``|``.

    Words of a phrase may be joined, or parted by a blank, dash or underscore.
    """
    phrases = labels.split("|") if isinstance(labels, str) else list(labels)
    anchors: set[str] = set()
    for phrase in phrases:
        first = _FIRST.match(phrase)
        if first is None:
            raise ValueError(f"a label starts with a small letter, {phrase!r} does not")
        joined = "".join(_FIRST.findall(phrase))
        plural = {first[0] + "s"} if len(first[0]) > 2 else set()
        anchors.update({first[0]} | plural | {joined + end for end in _NUMBER_ENDS})
    # The longest first: the shorter would leave the rest of the label to be read as the value.
    written = "|".join(
        re.escape(phrase).replace(r"\ ", r"[ \t\xa0_\-]{0,2}").replace("'", "['’]?")
        for phrase in sorted(phrases, key=len, reverse=True)
    )
    pattern = re.compile(rf"(?i)(?<!\d)(?:{written})s?\.?{_LABEL_ENDS}{to}{value}")
    return Rule(
        f"labelled_{entity.lower()}",
        entity,
        pattern,
        PROVEN if check else score,
        tuple(sorted(anchors)),
        check=check or has_digits(least),
        otherwise=otherwise,
        unless=unless,
    )
