"""Telephone numbers: a cheap look at the digits first, the numbering plans for what passes it.

Source: ITU-T E.164; the plans are those of libphonenumber.
"""

import re
from collections.abc import Iterator
from typing import Final

import phonenumbers

from ragplatform.adapters.rules.rule import (
    LABELLED,
    LIKELY,
    WEAK,
    Family,
    Rule,
    labelled,
    span,
)
from ragplatform.model import Span

# The regions whose national forms are read; a number with its country's code needs none.
REGIONS: Final = ("US", "GB", "DE", "FR", "ES", "IT", "IN", "AU", "IL", "CA", "BR")
# Of these, numbers are written without a leading zero; in the German plan alone nearly any seven
# digits would pass.
_WITHOUT_TRUNK: Final = ("US", "ES", "IN", "IT", "BR", "CA")
_VALID: Final = 0.7
_EXTENSION: Final = (
    r"(?:[ \xa0]?[,;]?[ \xa0]?(?:x|ext(?:ension|n)?\.?|#|poste"
    r"|int\.?|anexo|durchwahl)[ \xa0]?[:.]?[ \xa0]?\d{1,7})?"
)
_WRITTEN: Final = re.compile(r"[+＋]?[(\[]?\d{1,14}(?:[ .\-/()\[\]\xa0\u202f–‑]{1,3}\d{1,12}){0,8}")
_BEHIND: Final = re.compile(_EXTENSION, re.IGNORECASE)
# Three, three and four: the form alone says what it is, with or without the country's code.
_NANP: Final = re.compile(
    r"(?:(?:[+＋]?1|001)[-. ]{0,2})?(?:\(\d{3}\)[ -]{0,2}|\d{3}[-. /])\d{3}[-. ]\d{4}(?![\d])"
)
_WORDS: Final = re.compile(
    r"(?i)(?<![^\W_])(?:t(?:el(?:e(?:ph?one?|fono|fon))?)?|tlf"
    r"|tfno|ph(?:one)?|cell(?:ular|phone)?|mobile|mob"
    r"|call(?:ed|ing)?|reach(?:ed|able)?|contact|dial|ring|fax"
    r"|whatsapp|sms|text|answering|hotline|helpline"
    r"|landline|handy|móvil|movil|portable|cellulare|rufnummer"
    r"|telefonnummer|teléfono|téléphone|numéro|pager"
    r"|voicemail)s?(?![^\W_])[^\n\d]{0,30}$"
)
# "File No. 333-225850" is numbered, and no phone number.
_NUMBERED: Final = re.compile(r"(?i)(?<![a-z])(?:nos?|case|order|ref|id|file)[.#:]{0,2}[ \xa0]?$")
_AFTER: Final = re.compile(
    r"(?i)(?:x\d{1,6})?[ \-,(]{1,3}(?:office|cell|mobile|home|work|phone|fax|main|direct)\b"
)
_YEARS: Final = re.compile(r"[(\[]?(?:(?:19|20)\d{2}[ \-/–.]{1,3}){1,20}(?:19|20)\d{2}[)\]]?$")
_DATE: Final = re.compile(
    r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4})(?!\d|[-./]\d)"
)
# Sums of money, addresses of machines and rounded figures hold as many digits.
_THOUSANDS: Final = re.compile(
    r"\d{1,3}(?:\.\d{3}){2,}(?![.\d-])|\d{1,3}(?:\.\d{1,3}){3}(?![.\d])|\d+\.\d{1,2}(?: |$)"
    r"|\d+000(?!\d)"
)
_SSN: Final = re.compile(r"\d{3}-\d{2}-\d{4}(?!\d)")
_FEWEST: Final = 7
_MOST: Final = 15


def find_phones(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the telephone number of a phrase of digits that stands in the text, if it is one."""
    at = start
    while at > max(0, start - 2) and text[at - 1] in "+＋([":
        at -= 1
    before = text[at - 1] if at else " "
    if (
        before.isalnum()
        or before in "_$€£¥#%=-/"
        or (before in ".," and text[at - 2 : at - 1].isdigit())
    ):
        return
    found = _WRITTEN.match(text, at)
    if found is None:
        return
    written = found[0]
    number = "".join(char for char in written if char.isdigit())
    if not _FEWEST - 1 <= len(number) <= 3 * _MOST:
        return
    if _NUMBERED.search(text, max(0, at - 12), at):
        return
    last = found.end()
    score, length = _score(text, at, last, written, number)
    if score:
        last = at + length
        yield span(at, last + len(_extension(text, last)), "PHONE_NUMBER", score, "phone")


def _score(text: str, at: int, last: int, written: str, number: str) -> tuple[float, int]:
    """Return how sure it is that a phone number starts here, and how long it is as written."""
    follows = text[last : last + 2]
    if follows[:1] == "%" or (follows[:1] in ".,:" and follows[1:].isdigit()):
        return 0.0, 0
    nanp = _NANP.match(written)
    if nanp:
        return LIKELY, nanp.end()
    if (
        _YEARS.match(written)
        or _DATE.match(written)
        or _SSN.match(written)
        or _THOUSANDS.match(written)
    ):
        return 0.0, 0
    if len(number) > _MOST + 3 or (follows[:1].isalpha() and not _extension(text, last)):
        return 0.0, 0
    said = _WORDS.search(text, max(0, at - 45), at) is not None
    if said or _AFTER.match(text, last):
        return (LABELLED if len(number) >= _FEWEST else LIKELY) * (len(number) <= _MOST), len(
            written
        )
    if len(number) < _FEWEST:
        return 0.0, 0
    if _valid(written, number):
        return _VALID if written[0] in "+＋(" or number.startswith("0") else WEAK, len(written)
    return 0.0, 0


def _extension(text: str, at: int) -> str:
    found = _BEHIND.match(text, at)
    return found[0] if found else ""


def _valid(written: str, number: str) -> bool:
    """Return whether the number is valid in some country's plan: its own, or one of the regions."""
    if written[0] in "+＋":
        return _is_valid(written, None)
    groups = len(re.findall(r"\d+", written))
    if groups > 6 or (groups == 1 and len(number) not in {9, 10, 11}):
        return False
    regions = REGIONS if number[0] == "0" else _WITHOUT_TRUNK
    return any(_is_valid(written, region) for region in regions)


def _is_valid(written: str, region: str | None) -> bool:
    try:
        parsed = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed)


_VALUE: Final = (
    r"(?P<v>[+＋]?\(?\d(?:[ .\-/()\xa0\u202f–‑]{0,3}\d){5,15}(?:[ ]?(?:x"
    r"|ext\.?)[ ]?\d{1,6})?)(?![\w])"
)

_LABELLED: Final = (
    labelled(
        "FAX_NUMBER",
        "fax|facsimile|telefax|téléfax|telecopie|télécopie|fax number|f",
        _VALUE,
        least=6,
        score=0.95,
    ),
    labelled(
        "PHONE_NUMBER",
        "tel|telephone|phone|cell|mobile|cellphone|telefon|telefono|teléfono|tlf|tfno|téléphone"
        "|handy|mobil|móvil|cellulare|portable|rufnummer|telefonnummer|pager|contact "
        "number|home phone"
        "|work phone|cell phone|mobile phone|mobile number|phone number|call|call me at|call us at"
        "|whatsapp|hotline|helpline|landline|t|ph|mob|voice",
        _VALUE,
        least=7,
    ),
    Rule(
        "vanity",
        "PHONE_NUMBER",
        re.compile(
            r"(?<![\w-])(?:1-)?8(?:00|88|77|66|55|44|33)-(?=[A-Z\d-]{0,10}[A-Z])[A-Z\d]"
            r"{2,7}(?:-[A-Z\d]{2,7}){0,2}(?![\w-])"
        ),
        LIKELY,
        digits=(1, 3),
        follows="-",
    ),
)

PHONES: Final = Family("phones", _LABELLED, phrases=(find_phones,), finds=("PHONE_NUMBER",))
