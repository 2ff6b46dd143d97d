"""HL7 v2 messages in ER7, one or many, as the lines that a clerk or nurse would write."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from ingest.parse.document import Claims, ParsedDocument, Part, SubjectId, TextBuilder
from ingest.parse.embedded import add_embedded, decode_base64
from ingest.parse.hl7_fields import LINE_SEGMENTS, SEGMENTS, event_name
from ingest.parse.hl7_types import Marks, formatted, moment, person
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9\s]|$)")
_ENVELOPES: Final = frozenset({"FHS", "BHS", "BTS", "FTS"})
_MAX_SEGMENTS: Final = 1_000_000
# Field 5 of CX says what a number is (table 0203); a PID-3 without it is the hospital's own.
_KINDS: Final = {"MR": "mrn", "": "mrn", "PI": "mrn", "SS": "ssn", "MB": "member", "PT": "patient"}
_ORDER: Final = ("mrn", "patient", "member", "id", "ssn")
# Every value but these in PV1-16 (table 0099 is each hospital's own) asks for discretion.
_NOBODY_SPECIAL: Final = frozenset({"", "N", "0", "NO", '""'})


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name, its fields by their numbers, and where it stands in the text."""

    name: str
    fields: tuple[str, ...] = field(repr=False)
    start: int
    end: int

    def get(self, number: int) -> str:
        """Return a field, "" for one that is not there."""
        return self.fields[number] if number < len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message with the delimiters that its MSH declares."""

    marks: Marks
    segments: tuple[Segment, ...]

    @property
    def type(self) -> str:
        """The message's type and event, ``ORU^R01``."""
        parts = self.segments[0].get(9).split(self.marks.component)
        return "^".join(parts[:2]).strip("^")


def parse_hl7(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return each message as a section, each field that says something with its label.

    Raises ``ParseError`` (``malformed``, ``no_text``, ``resource_limit``).
    """
    text, _ = decode(data)
    messages = list(_messages(text))
    if not messages:
        raise ParseError("malformed", "no message header (MSH) was found")
    builder = TextBuilder(max_chars=max_chars)
    for message in messages:
        _write(message, builder)
    builder.claim(_claims(messages))
    return builder.finish(Kind.HL7.value)


def split_hl7(data: bytes) -> tuple[Part, ...]:
    """Return one part for each patient of a batch, with the messages about that patient."""
    text, encoding = decode(data)
    if encoding != "utf-8":
        return ()
    mine: dict[str, list[tuple[int, int]]] = {}
    for message in _messages(text):
        for owner, start, end in _shares(message):
            mine.setdefault(owner, []).append((start, end))
    if len(mine) < 2:
        return ()
    if text.isascii():
        return tuple(Part(owner, tuple(ranges)) for owner, ranges in mine.items())
    place = _byte_places(text, {at for rows in mine.values() for pair in rows for at in pair})
    return tuple(
        Part(owner, tuple((place[start], place[end]) for start, end in ranges))
        for owner, ranges in mine.items()
    )


def _shares(message: Message) -> Iterator[tuple[str, int, int]]:
    """Yield whose share of a message stands where.

    Results of several patients in one message are cut before each PID, the header going with each;
    any other message about several (a merge, a swap of beds) is about all of them together.
    """
    first, last = message.segments[0], message.segments[-1]
    people = [(at, s) for at, s in enumerate(message.segments) if s.name == "PID"]
    owners = list(dict.fromkeys(_owner(segment, message.marks) for _, segment in people))
    if len(owners) < 2 or not message.type.startswith("ORU"):
        yield " and ".join(owners), first.start, last.end
        return
    ends = [message.segments[at - 1].end for at, _ in people[1:]] + [last.end]
    header = message.segments[people[0][0] - 1].end
    for (_, segment), end in zip(people, ends, strict=True):
        owner = _owner(segment, message.marks)
        yield owner, first.start, header
        yield owner, segment.start, end


def _owner(segment: Segment, marks: Marks) -> str:
    ids = _ids(segment, marks)
    return f"{ids[0].kind}:{ids[0].system}|{ids[0].value}" if ids else "unknown"


def _byte_places(text: str, places: set[int]) -> dict[int, int]:
    found, char, byte = {}, 0, 0
    for place in sorted(places):
        byte += len(text[char:place].encode("utf-8"))
        char = place
        found[place] = byte
    return found


def _messages(text: str) -> Iterator[Message]:
    """Yield the messages of a file, each from its MSH to the next or to the batch's trailer."""
    marks, segments = None, list[Segment]()
    for start, end in _segment_ranges(text):
        line = text[start:end].strip()
        name = line[:3]
        if name == "MSH" or name in _ENVELOPES:
            if marks and segments:
                yield Message(marks, tuple(segments))
            marks, segments = (Marks.of(line) if name == "MSH" else None), []
        if marks:
            segments.append(Segment(name, _fields(line, marks), start, end))
        if len(segments) > _MAX_SEGMENTS:
            raise ParseError("resource_limit", f"a message of over {_MAX_SEGMENTS} segments")
    if marks and segments:
        yield Message(marks, tuple(segments))


def _segment_ranges(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each segment stands; a line that begins none goes on with the one before."""
    start = end = -1
    for found in re.finditer(r"[^\r\n]+", text):
        begins = found.start() + len(found[0]) - len(found[0].lstrip(" \t\x0b\x1c\ufeff"))
        if _SEGMENT.match(text, begins):
            if start >= 0:
                yield start, end
            start = begins
        if start >= 0:
            end = found.end()
    if start >= 0:
        yield start, end


def _fields(line: str, marks: Marks) -> tuple[str, ...]:
    fields = line.removesuffix("\\r").split(marks.field)
    if fields[0] in {"MSH", "BHS", "FHS"}:
        # MSH-1 is the delimiter itself (HL7 v2.5.1, 2.15.9.1).
        fields.insert(1, marks.field)
    return tuple(fields)


def _write(message: Message, builder: TextBuilder) -> None:
    marks = message.marks
    builder.heading(f"HL7 message {message.type} {event_name(message.type)}".strip(), 1)
    before = ("", "")
    for segment in message.segments:
        if segment.name == "OBX":
            before = _observation(segment, marks, builder, before)
            continue
        before = ("", "")
        if segment.name == "NTE":
            builder.add(f"Note: {marks.plain(segment.get(3))}" if segment.get(3) else "")
            continue
        title, rows = _rows(segment, marks)
        if segment.name in LINE_SEGMENTS or segment.name not in SEGMENTS:
            line = "; ".join(f"{label}: {value}" for label, value in rows)
            builder.add(f"{title}: {line}" if line else "")
        elif rows:
            builder.heading(title, 2)
            for label, value in rows:
                builder.add(f"{label}: {value}")


def _rows(segment: Segment, marks: Marks) -> tuple[str, list[tuple[str, str]]]:
    """Return a segment's title and its fields as pairs of a label and a readable value."""
    title, known = SEGMENTS.get(segment.name, (f"Segment {segment.name}", {}))
    rows = []
    for number, raw in enumerate(segment.fields[1:], start=1):
        label, kind = known.get(number, (f"field {number}", ""))
        if raw in {"", '""'} or not label:
            continue
        repeats = [formatted(one, kind, marks) for one in raw.split(marks.repetition)]
        if kind == "CX":
            # A social security number among the record numbers is called what it is.
            rows += [("SSN", one.split(" (")[0]) for one in repeats if "(SS" in one]
            repeats = [one for one in repeats if "(SS" not in one]
        if value := ", ".join(filter(None, repeats)):
            rows.append((label, value))
    return title, rows


def _observation(
    segment: Segment, marks: Marks, builder: TextBuilder, before: tuple[str, str]
) -> tuple[str, str]:
    """Write one result, ``Glucose (LOINC 1554-5): 182 mg/dl``; return its name and type.

    The lines of a report come as many results of one name, which is written once.
    """
    kind = segment.get(2).strip()
    name = formatted(segment.get(3), "CWE", marks)
    if kind == "ED":
        _attachment(segment.get(5), marks, builder)
        return name, kind
    repeats = segment.get(5).split(marks.repetition)
    value = ", ".join(filter(None, (formatted(one, kind, marks) for one in repeats)))
    if kind in {"TX", "FT", "ST"} and (name, kind) == before:
        builder.add(value)
        return before
    unit = formatted(segment.get(6), "UNIT", marks)
    line = f"{name}: {value} {unit}".rstrip() if name else f"{value} {unit}".strip()
    for number, label, shape in _RESULT_MORE:
        if more := formatted(segment.get(number), shape, marks):
            line += f"; {label} {more}"
    builder.add(line)
    return name, kind


_RESULT_MORE: Final = (
    (7, "reference range", ""),
    (8, "flag", ""),
    (11, "status", ""),
    (14, "observed", "TS"),
    (16, "by", "XCN"),
)


def _attachment(raw: str, marks: Marks, builder: TextBuilder) -> None:
    parts = [marks.plain(part) for part in raw.split(marks.component)]
    if len(parts) < 5:
        builder.warn("attachment_not_read")
        return
    data = decode_base64(parts[4]) if parts[3].lower() == "base64" else parts[4].encode()
    media = {"PDF": "application/pdf", "HTML": "text/html"}.get(parts[2].upper(), "text/plain")
    add_embedded(builder, data, media)


def _claims(messages: list[Message]) -> Claims:
    people: dict[str, tuple[SubjectId, ...]] = {}
    markings: set[str] = set()
    types = [kind for kind, _ in groupby(message.type for message in messages)]
    dates = []
    for message in messages:
        dates.append(moment(message.segments[0].get(7))[:10])
        for segment in message.segments:
            if segment.name == "PID" and (ids := _ids(segment, message.marks)):
                people.setdefault(_owner(segment, message.marks), ids)
            if segment.name == "PID" and not ids:
                # Somebody it is about, known by nothing: never to be taken for another one's.
                people.setdefault(
                    "unknown", (SubjectId("unknown", person(segment.get(5), message.marks) or "?"),)
                )
            if segment.name == "PV1" and segment.get(16).strip() not in _NOBODY_SPECIAL:
                markings.add("vip")
            if segment.name == "PD1" and segment.get(12).strip() == "Y":
                markings.add("restricted")
    return Claims(
        subjects=tuple(people.values()),
        date=max((date for date in dates if len(date) == 10), default=""),
        type=types[0] if len(types) == 1 else "batch",
        markings=frozenset(markings),
    )


def _ids(segment: Segment, marks: Marks) -> tuple[SubjectId, ...]:
    """Return the identifiers of PID-3, else those of PID-2 and PID-4, and PID-19 at the end."""
    found = []
    for number in (3, 2, 4):
        for repeat in segment.get(number).split(marks.repetition):
            parts = [marks.plain(part) for part in repeat.split(marks.component)] + [""] * 5
            if parts[0] and parts[0] != '""':
                authority = parts[3].split(marks.subcomponent)
                system = authority[1] if len(authority) > 1 and authority[1] else authority[0]
                found.append(SubjectId(_KINDS.get(parts[4].upper(), "id"), parts[0], system))
        if found:
            break
    if security := marks.plain(segment.get(19).split(marks.component)[0]).strip('"'):
        found.append(SubjectId("ssn", security))
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.kind)))
