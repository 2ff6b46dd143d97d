"""How a text is cut into terms: words without their endings, and codes whole as well as in parts.

A word is a run of letters and digits, in lower case, without accents. Words joined by single marks
that hold a digit are a code, and a code is one more term besides its parts:

- a figure without the commas of its thousands: ``$1,250.50`` gives ``1250.50``;
- digits joined by hyphens, and letters with digits joined by anything, run together: ``4548-4``,
  ``0002-8215-01``, ``E11.9``, ``IL-2`` and ``2024-03-05`` are found by ``45484``, ``0002821501``,
  ``E119``, ``IL2`` and ``20240305`` too;
- a number with a unit gives both: ``20mg`` is found by ``20 mg``.

Letters alone that a hyphen joins are run together as well (``x-ray``, ``xray``), and an acronym
with full stops is one word. A pseudonym ``[PERSON:q7f2m9k4abcd2345]`` gives the term of its type
and, whole, the term of its value.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

# Letters that no decomposition takes apart.
_LETTERS: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss"}
)
# Combining marks of Latin, Greek and Cyrillic letters. Those of other scripts are letters' parts.
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_COMPOUND: Final = re.compile(
    r"\[(?P<type>[a-z][a-z0-9_]*):(?P<value>[a-z0-9]{16})\]"
    r"|[^\W_]+(?:(?:[-._&]|(?<=\d)[,:/](?=\d))[^\W_]+)*"
)
_PART: Final = re.compile(r"[^\W_]+")
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_WITH_UNIT: Final = re.compile(r"(\d+)([a-z]{1,4})")
_JOINS: Final = re.compile("[-_&]")
_ACRONYM: Final = re.compile(r"[a-z](?:\.[a-z])+")
# A longer run is an address of a page, or a line of a form.
_LONGEST_CODE: Final = 40


def terms_of(text: str) -> Iterator[str]:
    """Yield the terms of a text in order, each as often as it stands there; words have endings."""
    for found in _COMPOUND.finditer(folded(text)):
        compound = found[0]
        if found["value"]:
            yield from _PART.findall(found["type"])
            yield found["value"]
        elif compound.isalnum():
            yield compound
            yield from _amount(compound)
        else:
            yield from _compound(compound)


def folded(text: str) -> str:
    """Return the text in lower case and without accents."""
    if text.isascii():
        return text.lower()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", plain).translate(_LETTERS)


def _compound(compound: str) -> Iterator[str]:
    if _ACRONYM.fullmatch(compound):
        yield compound.replace(".", "")
        return
    parts = _PART.findall(compound)
    yield from parts
    for part in parts:
        yield from _amount(part)
    if whole := _whole(compound):
        yield whole


def _whole(compound: str) -> str:
    """Return the one term of a code, or "" for words that only stand beside each other."""
    if len(compound) > _LONGEST_CODE:
        return ""
    if _THOUSANDS.fullmatch(compound):
        return compound.replace(",", "")
    bare = _JOINS.sub("", compound)
    if not any(map(str.isdigit, compound)):
        return bare if bare.isalnum() else ""
    # Between digits alone a mark may mean something: 4.5 is not 45.
    return bare if not any(map(str.isalpha, compound)) else "".join(_PART.findall(compound))


def _amount(word: str) -> Iterator[str]:
    if split := _WITH_UNIT.fullmatch(word):
        yield from split.groups()
