"""Finds every planted identifier in a demo document: the gold that detection is measured on."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from demo.dialect import Source, plain

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
# HIPAA Safe Harbor counts every element of a date that is more exact than the year.
_DATE = re.compile(
    rf"\d{{4}}-\d{{2}}-\d{{2}}|\d{{2}}/\d{{2}}/\d{{4}}"
    rf"|{_MONTH} \d{{1,2}}(?:, \d{{4}})?(?!\d)|{_MONTH} \d{{4}}"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A value of the cast, whose it is, and where it may appear. Places belong to nobody."""

    tenant: str
    entity: str
    value: str
    person: str | None


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody in the demo."""

    values: tuple[Known, ...]
    person_of: dict[str, str]


def read_cast(path: Path) -> Cast:
    """Return the cast, with its longest values first."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    values = [
        Known(person["tenant"], entity, value, person["key"])
        for person in data["person"]
        for entity, found in person["values"].items()
        for value in found
    ]
    values += [
        Known(place["tenant"], place["entity"], value, None)
        for place in data["place"]
        for value in place["values"]
    ]
    values.sort(key=lambda known: (-len(known.value), known.value))
    keys = {p["subject"]: p["key"] for p in data["person"] if "subject" in p}
    return Cast(tuple(values), keys)


def planted(source: Source, cast: Cast) -> list[dict[str, str | int | None]]:
    """Return one row for each different identifier in the document.

    Dates and places belong to the document's one subject, or to nobody where it has several.
    """
    text = plain(source)
    alone = cast.person_of[source.subjects[0]] if len(source.subjects) == 1 else None
    counts: dict[tuple[str, str, str | None], int] = {}
    for known in cast.values:
        if known.tenant != source.tenant:
            continue
        pattern = rf"(?<!\w){re.escape(known.value)}(?!\w)"
        text, count = re.subn(pattern, lambda hit: "\0" * len(hit[0]), text)
        if count:
            counts[known.entity, known.value, known.person or alone] = count
    if source.subjects:
        for hit in _DATE.finditer(text):
            row = ("DATE_TIME", hit[0], alone)
            counts[row] = counts.get(row, 0) + 1
    file = f"{source.tenant}/{source.path}"
    return [
        {"file": file, "entity": entity, "value": value, "person": person, "count": count}
        for (entity, value, person), count in sorted(counts.items(), key=str)
    ]
