"""By what a value is asked for when it is not spelt as the document spells it.

A surname alone may be several people, so it gets no pseudonym in common with a whole name. Beside
each value the vault keeps keyed clues instead: the surname, the surname with the first name or its
initial, the first name; of a record number its digits without leading zeros.
"""

import re
from dataclasses import dataclass
from typing import Final

from ragplatform.privacy.names import Name, parse
from ragplatform.privacy.normalise import CODES, normalise

# Fewer digits are part of too many numbers.
_SHORTEST_NUMBER: Final = 4
_LETTERS: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Clue:
    """What is looked up, ``key``, and what must not speak against it, ``detail``."""

    key: str
    detail: str


def stored(entity: str, value: str) -> list[Clue]:
    """Return the clues under which a document's value is found."""
    if entity != "PERSON":
        return _number(entity, value)
    name = parse(normalise(entity, value))
    if name is None:
        return []
    keys = [f"family {name.family}"]
    if name.given:
        first = name.given[0]
        keys += [f"initial {first[0]} {name.family}"]
        if len(first) > 1:
            keys += [f"first {first}", f"whole {first} {name.family}"]
    return [Clue(key, name.initials) for key in keys]


def asked(entity: str, value: str) -> list[Clue]:
    """Return the clues by which a question's value may be found, the narrowest that it gives."""
    if entity != "PERSON":
        return _number(entity, value)
    name = parse(normalise(entity, value))
    if name is None:
        return []
    if not name.given:
        # One word is a surname or a first name.
        return [Clue(f"family {name.family}", ""), Clue(f"first {name.family}", "")]
    first = name.given[0]
    if len(first) == 1:
        return [Clue(f"initial {first} {name.family}", name.initials)]
    keys = [Clue(f"whole {first} {name.family}", name.initials)]
    if len(orders(value)) > 1:
        keys.append(Clue(f"whole {name.family} {first}", name.family[0]))
    return keys


def orders(value: str) -> list[str]:
    """Return a name as it is written, and one of two words with its last word first too.

    "Romero Brian" is how forms and lists write Brian Romero; a comma would say which is which.
    """
    words = value.split()
    plain = len(words) == 2 and "," not in value and all(len(word) > 2 for word in words)
    return [value, " ".join(reversed(words))] if plain else [value]


def other_ways(entity: str, value: str) -> list[str]:
    """Return other ways to write a name: shorter ones, for documents that say less may mean the
    same person, and its two words in the other order.
    """
    name = parse(value) if entity == "PERSON" else None
    if name is None or not name.given:
        return []
    return [*_shorter(name), *orders(value)[1:]]


def _shorter(name: Name) -> list[str]:
    first, family = name.given[0], name.family
    ways = [f"{first} {family}", f"{first[0]} {family}", family]
    if len(name.given) > 1:
        ways.append(f"{first[0]} {name.given[1][0]} {family}")
    return ways


def fits(wanted: str, held: str) -> bool:
    """Return whether two details do not speak against each other: "j" fits "ja", "jb" does not."""
    return all(one == other for one, other in zip(wanted, held, strict=False))


def _number(entity: str, value: str) -> list[Clue]:
    if entity not in CODES:
        return []
    folded = normalise(entity, value)
    digits = re.sub(r"\D", "", folded).lstrip("0")
    if len(digits) < _SHORTEST_NUMBER:
        return []
    return [Clue(f"number {digits}", "".join(_LETTERS.findall(folded)))]
