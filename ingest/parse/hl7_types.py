"""HL7 v2 data types as text: names, addresses, codes and times without their delimiters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ingest.parse.codes import coded, system_name
from ragplatform.errors import ParseError


@dataclass(frozen=True, slots=True)
class Marks:
    """The delimiters of one message."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    @classmethod
    def of(cls, header: str) -> "Marks":
        """Return the delimiters that a header declares. Raises ``ParseError`` for none."""
        declared = header[4:].split(header[3:4] or "|", maxsplit=1)[0].replace("\\\\", "\\")
        if len(header) < 8 or header[3].isalnum() or not 1 <= len(declared) <= 5:
            raise ParseError("malformed", "a message header declares no delimiters")
        # What is not declared has its usual sign (HL7 v2.5.1, 2.5.4).
        signs = declared + "^~\\&"[len(declared) :]
        return cls(header[3], signs[0], signs[1], signs[2], signs[3])

    def plain(self, text: str) -> str:
        """Return the text without escape sequences (HL7 v2.5.1, 2.7)."""
        if self.escape not in text:
            return text.strip()
        escape = re.escape(self.escape)
        pattern = rf"{escape}([^{escape}\r\n]{{0,200}}){escape}"
        return re.sub(pattern, self._unescaped, text).strip()

    def _unescaped(self, found: re.Match[str]) -> str:
        word = found[1]
        signs = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "T": self.subcomponent,
            "E": self.escape,
        }
        if word in signs:
            return signs[word]
        if word.startswith("."):
            return "\n" if word[1:3] in {"br", "sp", "ce"} else " "
        if word[:1] == "X" and re.fullmatch("(?:[0-9A-Fa-f]{2})+", word[1:]):
            return bytes.fromhex(word[1:]).decode("latin-1")
        return ""


def formatted(raw: str, kind: str, marks: Marks) -> str:
    """Return one repetition of a field as text; an unknown type is written part by part."""
    raw = raw.strip()
    if not raw or raw == '""':
        return ""
    shape = _SHAPES.get(kind)
    if shape is not None:
        return " ".join(shape(raw, marks).split())
    if kind in {"TX", "FT", "ST", "NM"}:
        return marks.plain(raw)
    return " ".join(_untyped(raw, marks).split())


def _untyped(raw: str, marks: Marks) -> str:
    """Return a field of unknown type: a code or a time where it looks like one, else its parts."""
    parts = _parts(raw, marks)
    if len(parts) >= 3 and (system_name(parts[2]) or _TABLE.fullmatch(parts[2])):
        return _code(raw, marks)
    said = (part for part in parts if part and part not in _SCHEMES and not _OID.fullmatch(part))
    return " ".join(moment(part) if _STAMP.fullmatch(part) else part for part in said)


# Who gave an identifier out, for machines: to a reader, and to a search for names, it is noise.
_OID: Final = re.compile(r"[0-2](?:\.\d+){3,}")
_SCHEMES: Final = frozenset({"ISO", "UUID", "DNS", "GUID", "HCD"})
_TABLE: Final = re.compile(r"HL7\d{4,5}|L|99[A-Z0-9]{3,6}")
_STAMP: Final = re.compile(r"(?:19|20)\d{6}(?:\d{4,6})?(?:\.\d+)?(?:[+-]\d{4})?")


def moment(raw: str) -> str:
    """Return a time stamp in ISO 8601, as precise as it is; other text as it stands."""
    found = _TIME.match(raw.strip())
    if not found:
        return raw.strip()
    year, month, day, hour, minute, second, zone = found.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if not hour:
        return date
    time = f"{date} {hour}:{minute or '00'}"
    time += f":{second}" if second and second != "00" else ""
    return f"{time} {zone}" if zone else time


_TIME: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2}))?)?)?)?)?(?:\.\d+)?([+-]\d{4})?(?:\^|$)"
)


def person(raw: str, marks: Marks) -> str:
    """Return a name (XPN) in the order in which it is spoken."""
    family, given, middle, suffix, prefix, *_ = [*_parts(raw, marks), *[""] * 5]
    return " ".join(filter(None, (prefix, given, middle, family.split(" ")[0] and family, suffix)))


def _parts(raw: str, marks: Marks) -> list[str]:
    """Return the components; subcomponents are set apart by a space."""
    return [
        " ".join(filter(None, (marks.plain(one) for one in part.split(marks.subcomponent))))
        if marks.subcomponent in part
        else marks.plain(part)
        for part in raw.split(marks.component)
    ]


def _numbered_person(raw: str, marks: Marks) -> str:
    identity, *rest = raw.split(marks.component)
    name = person(marks.component.join(rest), marks)
    identity = marks.plain(identity)
    if not name:
        return identity
    return f"{name} ({identity})" if identity else name


def _address(raw: str, marks: Marks) -> str:
    line, other, city, state, code, country, *_ = [*_parts(raw, marks), *[""] * 6]
    return ", ".join(filter(None, (line, other, city, f"{state} {code}".strip(), country)))


def _telephone(raw: str, marks: Marks) -> str:
    parts = [*_parts(raw, marks), *[""] * 12]
    number = " ".join(filter(None, (parts[5] and f"({parts[5]})", parts[6])))
    spoken = parts[0] or number or parts[11]
    return " ".join(filter(None, (spoken, parts[3])))


def _identifier(raw: str, marks: Marks) -> str:
    parts = [*_parts(raw, marks), *[""] * 5]
    authority = (
        marks.plain(raw.split(marks.component)[3].split(marks.subcomponent, maxsplit=1)[0])
        if (parts[3])
        else ""
    )
    authority = "" if _OID.fullmatch(authority) else authority
    notes = ", ".join(filter(None, (parts[4], authority)))
    return f"{parts[0]} ({notes})" if notes and parts[0] else parts[0]


def _code(raw: str, marks: Marks) -> str:
    parts = [*_parts(raw, marks), *[""] * 9]
    first = coded(parts[1], parts[0], parts[2])
    second = coded(parts[4], parts[3], parts[5])
    text = first or second or parts[8]
    return f"{text} / {second}" if first and second and second != first else text


def _unit(raw: str, marks: Marks) -> str:
    parts = [*_parts(raw, marks), ""]
    return parts[0] or parts[1]


def _structured_number(raw: str, marks: Marks) -> str:
    comparator, first, separator, second, *_ = [*_parts(raw, marks), *[""] * 4]
    return f"{comparator}{first}{separator}{second}"


def _name_first(raw: str, marks: Marks) -> str:
    return _parts(raw, marks)[0]


def _license(raw: str, marks: Marks) -> str:
    number, place, ends, *_ = [*_parts(raw, marks), "", ""]
    notes = ", ".join(filter(None, (place, ends and f"until {moment(ends)}")))
    return f"{number} ({notes})" if notes else number


def _reference(raw: str, marks: Marks) -> str:
    return _parts(raw, marks)[0]


def _time(raw: str, marks: Marks) -> str:
    parts = raw.split(marks.component)
    return " to ".join(filter(None, (moment(part) for part in parts[:2])))


_SHAPES: Final[Mapping[str, Callable[[str, Marks], str]]] = {
    "XPN": person,
    "XCN": _numbered_person,
    "XAD": _address,
    "XTN": _telephone,
    "CX": _identifier,
    "DLN": _license,
    "EI": _name_first,
    "CWE": _code,
    "CE": _code,
    "CNE": _code,
    "XON": _name_first,
    "HD": _name_first,
    "SN": _structured_number,
    "RP": _reference,
    "UNIT": _unit,
    **dict.fromkeys(("TS", "DT", "DTM", "DR"), _time),
}
