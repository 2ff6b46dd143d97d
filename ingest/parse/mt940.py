"""SWIFT account statements (MT940, MT942, MT950): balances and bookings as lines."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from ingest.parse.document import Claims, ParsedDocument, Part, SubjectId, TextBuilder
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_TAG: Final = re.compile(r"^:(\d{2}[A-Z]?):", re.MULTILINE)
_LABELS: Final = {
    "13": "Created",
    "13D": "Created",
    "20": "Reference",
    "21": "Related reference",
    "25": "Account",
    "25P": "Account",
    "28": "Statement number",
    "28C": "Statement number",
    "34F": "Smallest amount reported",
    "60F": "Opening balance",
    "60M": "Intermediate opening balance",
    "62F": "Closing balance",
    "62M": "Intermediate closing balance",
    "64": "Available balance",
    "65": "Forward balance",
    "86": "Details",
    "90C": "Sum of credits",
    "90D": "Sum of debits",
}
_BALANCE: Final = re.compile(r"([CD])(\d{6})([A-Z]{3})([\d,]+)")
# Value date, booking date, sign, funds code, amount, type, reference, bank's reference.
# Source: SWIFT user handbook, category 9, field 61.
_BOOKING: Final = re.compile(
    r"(\d{6})(\d{4})?(R?[CD])([A-Z])?(\d[\d,]*)(?:([NFS][A-Z0-9]{3}))?([^/\n]*)(?://([^\n]*))?"
    r"(?:\n(.*))?",
    re.DOTALL,
)
_SIGNS: Final = {"C": "credit", "D": "debit", "RC": "reversed credit", "RD": "reversed debit"}
_SUBFIELD: Final = re.compile(r"\?(\d{2})")
_SUBFIELDS: Final = {"30": "bank", "31": "account", "32": "name", "34": "return reason"}


def parse_mt940(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return each statement as a section, each booking as a line with its details after it.

    The accounts are the claimed subjects. Raises ``ParseError`` (``malformed``, ``no_text``,
    ``resource_limit``).
    """
    text = decode(data)[0].replace("\r\n", "\n").replace("\r", "\n")
    builder = TextBuilder(max_chars=max_chars)
    accounts: dict[SubjectId, None] = {}
    dates: list[str] = []
    for start, end in _statements(text):
        fields = list(_fields(text[start:end]))
        account = _account(fields)
        builder.heading("Account statement", 1)
        currency = ""
        for tag, value in fields:
            if found := _BALANCE.match(value) if tag[:2] in {"60", "62"} else None:
                currency = found[3]
                dates.append(_day(found[2]))
            builder.add(_line(tag, value, currency))
        # A statement of nobody's account is somebody's all the same.
        accounts[account or SubjectId("unknown", f"statement {start}")] = None
    if not accounts:
        raise ParseError("malformed", "no statement with an account (:25:) was found")
    people = tuple((account,) for account in accounts)
    builder.claim(Claims(people, max(dates, default=""), type="account statement"))
    return builder.finish(Kind.MT940.value)


def split_mt940(data: bytes) -> tuple[Part, ...]:
    """Return one part for each account of a file about several."""
    text, encoding = decode(data)
    if encoding != "utf-8" or not text.isascii():
        return ()
    mine: dict[str, list[tuple[int, int]]] = {}
    for start, end in _statements(text):
        account = _account(list(_fields(text[start:end].replace("\r\n", "\n"))))
        mine.setdefault(account.value if account else "unknown", []).append((start, end))
    if len(mine) < 2:
        return ()
    return tuple(Part(key, tuple(ranges)) for key, ranges in mine.items())


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each statement stands: from its reference (:20:) to the next one's."""
    starts = [found.start() for found in re.finditer(r"^:20:", text, re.MULTILINE)]
    yield from pairwise([*starts, len(text)])


def _fields(statement: str) -> Iterator[tuple[str, str]]:
    found = list(_TAG.finditer(statement))
    ends = [one.start() for one in found[1:]] + [len(statement)]
    for one, end in zip(found, ends, strict=True):
        # A statement ends at a line with a hyphen; the next one's header blocks may follow.
        value = re.split(r"\n-(?:\}|\n|$)|\n?\{[1-5]:", statement[one.end() : end])[0]
        yield one[1], value.strip()


def _account(fields: list[tuple[str, str]]) -> SubjectId | None:
    raw = next((value.split("\n")[0] for tag, value in fields if tag in {"25", "25P"}), "")
    bank, slash, number = raw.rpartition("/")
    number = "".join(number.split())
    return SubjectId("account", number, bank if slash else "") if number else None


def _line(tag: str, value: str, currency: str) -> str:
    label = _LABELS.get(tag, f"Field {tag}")
    if tag == "61" and (found := _BOOKING.fullmatch(value)):
        return _booking(found, currency)
    if found := _BALANCE.match(value):
        sign = "credit" if found[1] == "C" else "debit"
        return f"{label} on {_day(found[2])}: {_amount(found[4])} {found[3]} {sign}"
    if tag == "86":
        return f"{label}: {_details(value)}"
    return f"{label}: {' '.join(value.split())}" if value else ""


def _booking(found: re.Match[str], currency: str) -> str:
    valued, booked, sign, _, amount, kind, reference, banks, more = found.groups()
    line = f"{_day(valued)}: {_SIGNS[sign]} {_amount(amount)} {currency}".rstrip()
    if booked:
        line += f"; booked {booked[:2]}-{booked[2:]}"
    for label, text in (("type", kind), ("reference", reference), ("bank reference", banks)):
        if text and text.strip() not in {"", "NONREF"}:
            line += f"; {label} {text.strip()}"
    return f"{line}; {' '.join(more.split())}" if more else line


def _details(value: str) -> str:
    """Return what a booking is for; the German subfields ``?20`` and so on get their names."""
    flat = value.replace("\n", "")
    if not _SUBFIELD.search(flat):
        return " ".join(value.split())
    parts = _SUBFIELD.split(flat)
    text = [parts[0]]
    for number, part in zip(parts[1::2], parts[2::2], strict=True):
        label = _SUBFIELDS.get(number)
        text.append(f"{label}: {part};" if label else part)
    return " ".join(" ".join(text).split()).removesuffix(";")


def _day(digits: str) -> str:
    # Two digits of a year: statements of before 1980 do not exist in this format.
    century = "19" if digits[:2] >= "80" else "20"
    return f"{century}{digits[:2]}-{digits[2:4]}-{digits[4:6]}"


def _amount(raw: str) -> str:
    return raw.replace(",", ".").rstrip(".")
