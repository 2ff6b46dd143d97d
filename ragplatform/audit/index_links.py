"""What the index keeps of one record: who and why, and the passages, documents and people it names.

Each kind of thing is found in a record's details by one function here, and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.index_tables import (
    DOCUMENTS,
    OPENINGS,
    PASSAGES,
    SUBJECTS,
    to_stored,
)
from ragplatform.audit.layout import tenant_of
from ragplatform.audit.query import Line
from ragplatform.audit.record import Record, decode
from ragplatform.errors import TamperedError
from ragplatform.model import Json

# Stands for people whom a record counts and does not name: more of them than fit.
UNNAMED: Final = "*"

Row = dict[str, Any]


class How(StrEnum):
    """What a record says of a thing that it names; of two, the earlier in this list stands."""

    REVEALED = "revealed"
    """A value of it was shown in clear."""
    SHOWN = "shown"
    """It was shown to the actor, or put before the model that answers the actor."""
    CITED = "cited"
    DROPPED = "dropped"
    """It was found, and policy's second look denied it: nobody saw it."""
    DENIED = "denied"
    OPENED = "opened"
    IN_FORCE = "in_force"
    """A glass that was broken earlier was open at the time."""
    ENDED = "ended"
    REVIEWED = "reviewed"
    CONCERNED = "concerned"
    """The act was about it, and showed nothing of it."""


# Ways in which somebody came to know something.
DISCLOSED: Final = frozenset({How.REVEALED, How.SHOWN})

_RANK: Final = {how: place for place, how in enumerate(How)}
# What these name was in the passages that they show, or was withheld with them.
_SHOWING: Final = frozenset({Action.RETRIEVED, Action.SOURCE_VIEWED})
_OPENING: Final = {
    Action.BROKE_GLASS: How.OPENED,
    Action.GLASS_ENDED: How.ENDED,
    Action.REVIEWED: How.REVIEWED,
}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one record: its own, and those of each table of things that it names."""

    record: Row
    links: Mapping[sa.Table, list[Row]]


def rows_of(line: Line, *, origin: str) -> Rows:
    """Return the rows of the record that a line of the log holds.

    Raises ``TamperedError`` when the line is no record, or one of a tenant whose log this is not.
    """
    record = decode(line.data, origin=origin)
    owner = tenant_of(origin)
    if owner and record.tenant != owner:
        # Its reviewers would see what another tenant's log says of them.
        raise TamperedError(f"{origin}/{record.index} names a tenant whose log this is not")
    own = {"origin": plain(origin), "position": record.index}
    at = {"tenant": plain(record.tenant), "at": to_stored(record.time)}
    return Rows(
        own | at | _record_row(record) | {"segment": line.segment, "place": line.place},
        {
            PASSAGES: [
                own | at | {"passage": name, "how": how, "document": document}
                for name, (how, document) in passages_of(record).items()
            ],
            DOCUMENTS: [own | at | row for row in _named("document", documents_of(record))],
            SUBJECTS: [own | at | row for row in _named("subject", subjects_of(record))],
            OPENINGS: [own | at | row for row in _named("opening", openings_of(record))],
        },
    )


def passages_of(record: Record) -> dict[str, tuple[How, str]]:
    """Return the passages that a record names: what became of each, and its document or ""."""
    how = _outcome(record, How.SHOWN)
    found = {
        _text(one.get("chunk")): (how, _text(one.get("document")))
        for one in _objects(record.details.get("passages"))
    }
    if chunk := _text(record.details.get("chunk")):
        found.setdefault(chunk, (_of_one(record), _text(record.details.get("document"))))
    for cited in _texts(record.details.get("cited")):
        found.setdefault(cited, (How.CITED, ""))
    return {name: what for name, what in found.items() if name}


def documents_of(record: Record) -> dict[str, How]:
    """Return the documents that a record names, and what became of each."""
    pairs = [(document, how) for how, document in passages_of(record).values()]
    pairs.append((_text(record.details.get("document")), _of_one(record)))
    return _strongest(pairs)


def subjects_of(record: Record) -> dict[str, How]:
    """Return the keyed references of the people a record is about, and what became of each.

    ``UNNAMED`` is among them where it is about more people than it names, as records of format 1
    can be; later ones name everybody, with further records where one is too short.
    """
    shown = _outcome(record, How.SHOWN)
    pairs: list[tuple[str, How]] = []
    for one in _objects(record.details.get("passages")):
        named = list(_texts(one.get("subjects")))
        pairs += [(subject, shown) for subject in named]
        total = one.get("subjects_total")
        if record.format == 1 and isinstance(total, int) and total > len(named):
            pairs.append((UNNAMED, shown))
    how = shown if record.action in _SHOWING else _of_one(record)
    pairs += [(plain(subject), how) for subject in record.subjects]
    return _strongest(pairs)


def openings_of(record: Record) -> dict[str, How]:
    """Return the breakings of the glass that a record names: those in force, or the one meant."""
    pairs = [(opening, How.IN_FORCE) for opening in _texts(record.details.get("glass"))]
    how = _outcome(record, _OPENING.get(record.action, How.CONCERNED))
    pairs.append((_text(record.details.get("opening")), how))
    return _strongest(pairs)


def plain(text: str) -> str:
    """Return the text as both databases can hold it: PostgreSQL's has no character zero."""
    return text.replace("\x00", "\ufffd")


def _record_row(record: Record) -> Row:
    return {
        "action": str(record.action),
        "outcome": str(record.outcome),
        "actor": plain(record.actor),
        "via": plain(record.client),
        "purpose": plain(record.purpose or ""),
        "request": plain(record.request_id),
        "trace": plain(record.trace),
        "policy": plain(record.policy),
        "leaf": record.leaf,
    }


def _of_one(record: Record) -> How:
    """Return what became of the one thing that a record is about."""
    if record.action is Action.DISAGREED:
        return How.DROPPED
    return _outcome(record, How.REVEALED if record.action is Action.REVEALED else How.CONCERNED)


def _outcome(record: Record, succeeded: How) -> How:
    return succeeded if record.outcome is Outcome.SUCCESS else How.DENIED


def _strongest(pairs: Iterable[tuple[str, How]]) -> dict[str, How]:
    found: dict[str, How] = {}
    for name, how in pairs:
        if name and (name not in found or _RANK[how] < _RANK[found[name]]):
            found[name] = how
    return found


def _named(thing: str, found: Mapping[str, How]) -> list[Row]:
    return [{thing: name, "how": how} for name, how in found.items()]


def _text(value: Json) -> str:
    return plain(value) if isinstance(value, str) else ""


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        yield from (plain(one) for one in value if isinstance(one, str))


def _objects(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))
