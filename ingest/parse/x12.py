"""X12 interchanges (837 claims, 835 payments and others) as text, cut by patient."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ingest.parse.document import Claims, ParsedDocument, Part, SubjectId, TextBuilder
from ingest.parse.kind import Kind
from ingest.parse.x12_text import SETS, day, line
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

_MAX_SEGMENTS: Final = 2_000_000
_ENVELOPE: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})
# Members' numbers of an insurer or a public programme, by the qualifier in NM108.
_MEMBER: Final = frozenset({"MI", "HN", "MR", "MC", "II"})
# Days of service, statement and claim, by the qualifier in DTP01 and DTM01.
_SERVICE: Final = frozenset({"472", "434", "435", "096", "232", "233", "150", "151"})
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, its elements from 0 (its name), and where it stands in the text."""

    elements: tuple[str, ...] = field(repr=False)
    component: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """The segment's name, ``CLM``."""
        return self.elements[0]

    def get(self, number: int) -> str:
        """Return an element, "" for one that is not there."""
        return self.elements[number].strip() if number < len(self.elements) else ""


@dataclass(slots=True)
class _Person:
    """Whoever a claim is about: the subscriber, or somebody insured with them."""

    key: str
    ids: list[SubjectId]


def parse_x12(data: bytes, *, max_chars: int) -> ParsedDocument:
    """Return each transaction as a section and each claim as one inside it.

    Raises ``ParseError`` (``malformed``, ``no_text``, ``resource_limit``).
    """
    segments = list(_segments(decode(data)[0]))
    builder = TextBuilder(max_chars=max_chars)
    for segment in segments:
        if segment.name == "ST":
            title = SETS.get(segment.get(1), "transaction")
            builder.heading(f"X12 {segment.get(1)} {title}", 1)
        elif segment.name in {"CLM", "CLP"}:
            builder.heading(f"Claim {segment.get(1)}", 2)
        if segment.name not in _ENVELOPE:
            builder.add(line(segment.elements, segment.component))
    builder.claim(_claims(segments))
    return builder.finish(Kind.X12.value)


def split_x12(data: bytes) -> tuple[Part, ...]:
    """Return one part for each patient: their claims, with the loops around them."""
    text, encoding = decode(data)
    if encoding != "utf-8" or not text.isascii():
        return ()
    mine: dict[str, dict[tuple[int, int], None]] = {}
    for people, ranges in _loops(list(_segments(text))):
        owner = " and ".join(person.key for person in people)
        mine.setdefault(owner or "about-nobody", {}).update(dict.fromkeys(ranges))
    if len(mine) < 2:
        return ()
    return tuple(Part(owner, tuple(sorted(ranges))) for owner, ranges in mine.items())


def _segments(text: str) -> Iterator[Segment]:
    """Yield the segments of one interchange after the other.

    The header has a fixed length and declares the delimiters (ASC X12.5). Raises ``ParseError``
    (``malformed``, ``resource_limit``).
    """
    return islice(_unbounded(text), _MAX_SEGMENTS)


def _unbounded(text: str) -> Iterator[Segment]:
    at = len(text) - len(text.lstrip("\ufeff \r\n\t"))
    element = component = end_mark = ""
    while at < len(text):
        if text.startswith("ISA", at) or not end_mark:
            element, component, end_mark = _delimiters(text, at)
        stop = text.find(end_mark, at)
        stop = len(text) if stop < 0 else stop
        row = tuple(text[at:stop].strip().split(element))
        if row[0]:
            yield Segment(row, component, at, min(stop + 1, len(text)))
        at = stop + 1
        while at < len(text) and text[at] in " \r\n\t":
            at += 1


def _delimiters(text: str, at: int) -> tuple[str, str, str]:
    header = text[at : at + 106]
    if not header.startswith("ISA") or len(header) < 106:
        raise ParseError("malformed", "the interchange header (ISA) is damaged")
    element, component, end_mark = header[3], header[104], header[105]
    distinct = len({element, component, end_mark}) == 3
    if not distinct or any(mark.isalnum() for mark in (element, component, end_mark)):
        raise ParseError("malformed", "the interchange header (ISA) declares no delimiters")
    return element, component, end_mark


class _Loops:
    """Follows the loops of one file: which segments stand above the present one, and about whom."""

    def __init__(self) -> None:
        self.header: list[Segment] = []
        self.levels: dict[str, list[Segment]] = {}
        self.claim: list[Segment] = []

    def begin(self, segment: Segment) -> None:
        """Forget what an interchange, a group or a transaction that begins here replaces."""
        outer = {"ISA": (), "GS": ("ISA",), "ST": ("ISA", "GS")}[segment.name]
        self.header = [one for one in self.header if one.name in outer]
        self.levels = {}

    def above(self) -> list[Segment]:
        """Return the segments that belong to the present claim besides its own."""
        return [*self.header, *(s for level in sorted(self.levels) for s in self.levels[level])]


def _loops(segments: list[Segment]) -> Iterator[tuple[list[_Person], list[tuple[int, int]]]]:
    """Yield, for each claim, whom it is about and which ranges of the file say it."""
    state = _Loops()
    for segment in segments:
        if segment.name in {"ISA", "GS", "ST", "SE", "GE", "IEA", "HL", "CLM", "CLP", "PLB", "LX"}:
            if segment.name == "LX" and not _ends_claim(state):
                state.claim.append(segment)
                continue
            yield from _closed(state)
        if segment.name in {"ISA", "GS", "ST"}:
            state.begin(segment)
        if segment.name == "HL":
            level = segment.get(3)
            state.levels = {one: s for one, s in state.levels.items() if one < level}
            state.levels[level] = [segment]
        elif segment.name in {"CLM", "CLP", "PLB"} or state.claim:
            state.claim.append(segment)
        elif state.levels:
            state.levels[max(state.levels)].append(segment)
        elif segment.name not in {"SE", "GE", "IEA"}:
            state.header.append(segment)
    yield from _closed(state)


def _ends_claim(state: _Loops) -> bool:
    """Return whether an LX begins a new group: in payments it does, in claims it is a line."""
    return not state.claim or state.claim[0].name != "CLM"


def _closed(state: _Loops) -> Iterator[tuple[list[_Person], list[tuple[int, int]]]]:
    claim, state.claim = state.claim, []
    if claim:
        above = state.above()
        people = _people(above, claim)
        yield people, [(segment.start, segment.end) for segment in (*above, *claim)]


def _people(above: list[Segment], claim: list[Segment]) -> list[_Person]:
    """Return whom a claim is about: patient, and subscriber where that is somebody else.

    Two names under one member number are two people of a family: the second is known by the
    claim's account number alone.
    """
    account = claim[0].get(1) if claim[0].name in {"CLM", "CLP"} else ""
    people: dict[tuple[str, str], _Person] = {}
    taken: set[str] = set()
    for segment in (*above, *claim):
        if segment.name != "NM1" or segment.get(1) not in {"IL", "QC"}:
            continue
        name = (segment.get(3).casefold(), segment.get(4).casefold())
        number = segment.get(9) if segment.get(8) in _MEMBER else ""
        if name in people or (number and number in taken and name == ("", "")):
            continue
        own = [SubjectId("member", number)] if number and number not in taken else []
        taken.add(number)
        spoken = " ".join(filter(None, (segment.get(4), segment.get(3))))
        people[name] = _Person(f"member {number}" if own else spoken or "unknown", own)
    if not people and account:
        return [_Person(f"account {account}", [SubjectId("account", account)])]
    for person in people.values():
        if account and (len(people) == 1 or not person.ids):
            person.ids.append(SubjectId("account", account))
        if not person.ids:
            person.ids.append(SubjectId("unknown", person.key))
    return list(people.values())


def _claims(segments: list[Segment]) -> Claims:
    people: dict[str, _Person] = {}
    for about, _ in _loops(segments):
        for person in about:
            known = people.setdefault(person.key, _Person(person.key, []))
            known.ids += [one for one in person.ids if one not in known.ids]
    for segment in segments:
        # Enrolments and enquiries hold no claims, but people all the same.
        if segment.name == "NM1" and segment.get(1) in {"IL", "QC"} and not people:
            people = {one.key: one for one in _enrolled(segments)}
    created = next((day(s.get(4)) for s in segments if s.name == "GS"), "")
    served = max(filter(_DAY.fullmatch, _served(segments)), default="")
    kinds = dict.fromkeys(s.get(1) for s in segments if s.name == "ST")
    return Claims(
        subjects=tuple(tuple(person.ids) for person in people.values()),
        date=served or (created if len(created) == 10 else ""),
        type=f"X12 {'/'.join(kinds)}" if kinds else "X12",
    )


def _served(segments: list[Segment]) -> Iterator[str]:
    """Yield the last day of every service, statement and claim period."""
    for segment in segments:
        if segment.name in {"DTP", "DTM"} and segment.get(1) in _SERVICE:
            yield day(segment.get(3 if segment.name == "DTP" else 2))[-10:]


def _enrolled(segments: list[Segment]) -> Iterator[_Person]:
    for segment in segments:
        if segment.name == "NM1" and segment.get(1) in {"IL", "QC"}:
            spoken = f"{segment.get(4)} {segment.get(3)}".strip()
            number = segment.get(9)
            kind = "member" if segment.get(8) in _MEMBER else "id"
            key = SubjectId(kind, number) if number else SubjectId("unknown", spoken or "?")
            yield _Person(f"{number}/{spoken}", [key])
