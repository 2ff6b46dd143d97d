"""What a pseudonym and a mask look like in a text, and how foreign look-alikes lose their power."""

import re
from collections.abc import Iterator
from typing import Final

# Citation markers are ``[1]``, so neither form can be mistaken for one.
TOKEN: Final = re.compile(r"\[([A-Z][A-Z0-9_]*):([a-z2-7]{16})\]")
MASK: Final = re.compile(r"\[([A-Z][A-Z0-9_]*)\]")
_EITHER: Final = re.compile(r"\[([A-Z][A-Z0-9_]*)(?::[a-z2-7]{16})?\]")
# A stream may be cut in the middle of a token; this is what its first half looks like.
OPEN_TOKEN: Final = re.compile(r"\[(?:[A-Z][A-Z0-9_]*(?::[a-z2-7]{0,16})?)?\Z")
# The longest type name has 21 letters; with bracket, colon and 16 characters, 64 are ample.
LONGEST_TOKEN: Final = 64

_WORDS: Final = {
    "PERSON": "person",
    "US_SSN": "social security number",
    "US_ITIN": "taxpayer number",
    "IBAN_CODE": "bank account",
    "NPI": "provider number",
    "NRP": "group",
    "IP_ADDRESS": "network address",
    "URL": "web address",
    "DATE_TIME": "date",
}


def mask(entity: str) -> str:
    """Return what stands in a text in place of a masked value."""
    return f"[{entity}]"


def plain_word(entity: str) -> str:
    """Return the everyday word for a type, for text that is read by an encoder."""
    return _WORDS.get(entity, entity.replace("_", " ").lower())


def embed_view(text: str) -> str:
    """Return the text with each token and mask as a plain word for its type.

    This is what is embedded densely: vectors made from it carry no identity, not even a pseudonym.
    """
    return _EITHER.sub(lambda found: plain_word(found[1]), text)


def token_ranges(text: str) -> list[tuple[int, int]]:
    """Return where pseudonyms stand in the text, in order."""
    return [found.span() for found in TOKEN.finditer(text)]


def tokens_in(text: str) -> frozenset[str]:
    """Return the pseudonyms that stand in the text."""
    return frozenset(found[0] for found in TOKEN.finditer(text))


def entity_of(token: str) -> str:
    """Return the type that a token names, or "" when it is no token."""
    found = TOKEN.fullmatch(token)
    return found[1] if found else ""


def look_alikes(text: str) -> Iterator[re.Match[str]]:
    """Yield everything in the text that has the form of a token or a mask."""
    return _EITHER.finditer(text)


def blank(text: str) -> str:
    """Return the text with tokens and masks as spaces, every other offset unchanged.

    A detector must not take our own marks for personal data, nor mask a pseudonym by half.
    """
    return _EITHER.sub(lambda found: " " * len(found[0]), text)
