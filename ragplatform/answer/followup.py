"""A follow-up in words that stand alone: "and her potassium?" after a question that names her.

Works on questions that are cleared for today's scope, and puts nothing into them that is not
theirs: whom an earlier answer named has no effect, and whom the caller may no longer see is a mask,
which stands for nobody.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ragplatform.answer.terms import TOKEN, content
from ragplatform.model import Cleared
from ragplatform.privacy.gate import Privacy

# A conversation's topic is rarely further back, and each question costs a search for identifiers.
MOST_EARLIER: Final = 3
# One audit record seals them all beside the question.
_LONGEST_TOGETHER: Final = 6000

_OPENING: Final = re.compile(
    r"^\s*(?:(?:and|but|or|so|then|also|ok(?:ay)?|now)\b[\s,]*)*"
    r"(?:(?:what|how)\s+about\b|what\s+of\b|(?:the\s+)?same\s+(?:question\s+)?for\b"
    r"|(?:and|but|or|also)\b)\s*(?:(?:for|of|in|at|on|with)\b\s*)?(?P<rest>.*?)[\s?.!]*$",
    re.I | re.S,
)
_BARE: Final = re.compile(
    r"^\s*(?:and\s+|but\s+|so\s+)?(?:why|when|where|how|who|how\s+(?:much|many|often|long|far)|which"
    r"|since\s+when|until\s+when|by\s+whom|in\s+what\s+way)(?:\s+(?:not|so|exactly|then))?[\s?.!]*$",
    re.I,
)
_PERSONAL: Final = re.compile(r"\b(?:he|she|him|hers?|his)\b", re.I)
_OTHER: Final = re.compile(
    r"\b(?:its?|they|them|theirs?|this|that(?=\s*[?.!]*$)|these|those|the same)\b", re.I
)
_POSSESSIVE: Final = re.compile(r"(?:his|her)\b(?=\s+\w)", re.I)
_PERSON: Final = re.compile(r"\[PERSON:[a-z2-7]{16}\]")
_YEAR: Final = re.compile(r"\b(?:FY\s?)?(?:19|20)\d\d\b")
_NAME: Final = re.compile(r"(?<=\s)[A-Z][\w&.-]*(?:\s+[A-Z][\w&.-]*)*")
# With so many words of meaning before it, a pronoun refers to something in the question itself.
_OWN_ANTECEDENT: Final = 4


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where something stands in a text."""

    start: int
    end: int

    @classmethod
    def of(cls, found: re.Match[str]) -> "_Cut":
        return cls(found.start(), found.end())


def depends(question: str) -> bool:
    """Return whether a question may need an earlier one to be understood."""
    return bool(_OPENING.match(question) or _BARE.match(question) or _reference(question))


def needed(question: str, history: Sequence[str], longest: int) -> tuple[str, ...]:
    """Return the earlier questions that may be needed to understand one, oldest first.

    None that is longer than ``longest``: half a question could hold half an identifier.
    """
    if not depends(question):
        return ()
    usable = [text for one in history if len(one) <= longest and (text := one.strip())]
    taken: list[str] = []
    for text in reversed(usable[-MOST_EARLIER:]):
        if sum(map(len, taken)) + len(text) > _LONGEST_TOGETHER:
            break
        taken.insert(0, text)
    return tuple(taken)


def complete(privacy: Privacy, questions: Sequence[Cleared]) -> Cleared:
    """Return the last question in words that stand alone; the earlier ones come first, in order.

    All are cleared for one scope, the one of now. A question that depends on none stays as it is.
    """
    standing = questions[0]
    for question in questions[1:]:
        standing = _complete(privacy, standing, question) if depends(question.text) else question
    return standing


def _complete(privacy: Privacy, earlier: Cleared, question: Cleared) -> Cleared:
    opening = _OPENING.match(question.text)
    if opening and opening["rest"] and not _PERSONAL.search(opening["rest"]):
        rest = privacy.excerpt(opening["rest"], question)
        if place := _counterpart(earlier.text, rest.text):
            return _replaced(privacy, earlier, place, rest)
        if people := _people(earlier.text):
            return privacy.join([question, *_excerpts(privacy, people, earlier)], " ")
        return privacy.join([question, earlier], " ")
    person = _PERSONAL.search(question.text)
    people = _people(earlier.text)
    if person and people and not _PERSON.search(question.text):
        (name,) = _excerpts(privacy, people[-1:], earlier)
        return _replaced(privacy, question, _Cut.of(person), name)
    return privacy.join([question, earlier], " ")


def _reference(question: str) -> bool:
    """Return whether a pronoun refers to something outside the question."""
    person = _PERSONAL.search(question)
    if person and not _PERSON.search(question[: person.start()]):
        return not _NAME.search(question[: person.start()])
    other = _OTHER.search(question)
    if other is None:
        return False
    before = question[: other.start()]
    return len(content(before)) + len(TOKEN.findall(before)) < _OWN_ANTECEDENT


def _counterpart(earlier: str, rest: str) -> _Cut | None:
    """Return what the rest of a follow-up takes the place of in the earlier question."""
    for kind in (_PERSON, _YEAR):
        if kind.search(rest) and (found := kind.search(earlier)):
            return _Cut.of(found)
    # A name for a name, where both have but one: "and for Corning?" after a question of 3M.
    names, asked = list(_NAME.finditer(TOKEN.sub(_blank, earlier))), _NAME.findall(f" {rest}")
    if len(names) == 1 and len(asked) == 1 and len(content(rest)) <= len(content(asked[0])):
        return _Cut.of(names[0])
    return None


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _people(text: str) -> list[str]:
    return list(dict.fromkeys(_PERSON.findall(text)))


def _excerpts(privacy: Privacy, parts: Sequence[str], source: Cleared) -> list[Cleared]:
    return [privacy.excerpt(part, source) for part in parts]


def _replaced(privacy: Privacy, text: Cleared, place: _Cut, by: Cleared) -> Cleared:
    before = privacy.excerpt(text.text[: place.start], text)
    after = privacy.excerpt(text.text[place.end :], text)
    if _POSSESSIVE.match(text.text, place.start):
        return privacy.compose("{before}{name}'s{after}", before=before, name=by, after=after)
    return privacy.compose("{before}{name}{after}", before=before, name=by, after=after)
