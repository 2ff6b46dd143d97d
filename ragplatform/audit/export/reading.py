"""What an export takes out of a record's details: the one place that knows their keys."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ragplatform.audit.record import Record, stamp
from ragplatform.model import Json

_TRACE: Final = re.compile("[0-9a-f]{32}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Named:
    """One passage that a record names, and the digests of the people it is about."""

    chunk: str
    document: str
    subjects: tuple[str, ...]


def uid(record: Record) -> str:
    """Return what names a record in all exports: its log's origin and its index."""
    return f"{record.origin}/{record.index}"


def milliseconds(moment: datetime) -> int:
    """Return the moment in whole milliseconds since 1970, cut and not rounded."""
    passed = moment - _EPOCH
    return passed.days * 86_400_000 + passed.seconds * 1000 + passed.microseconds // 1000


def passages(record: Record) -> tuple[Named, ...]:
    """Return the passages that a record names, in its order; none if it names none."""
    listed = record.details.get("passages")
    rows = listed if isinstance(listed, list) else []
    found = [_named(row) for row in rows if isinstance(row, dict)]
    return tuple(found) or tuple(_alone(record.details))


def subjects(record: Record) -> tuple[str, ...]:
    """Return the digests of the people a record is about, each once, sorted."""
    return record.subjects


def documents(record: Record) -> tuple[str, ...]:
    """Return the documents that a record names, each once, in its order."""
    own = text(record, "document")
    named = [own, *(passage.document for passage in passages(record))]
    return tuple(dict.fromkeys(document for document in named if document))


def policies(record: Record) -> tuple[str, ...]:
    """Return the ids of the policies that decided, each once, in their order."""
    found = _texts(record.details.get("policies"))
    listed = record.details.get("passages")
    for row in listed if isinstance(listed, list) else []:
        if isinstance(row, dict):
            found += _texts(row.get("policies"))
    return tuple(dict.fromkeys(found))


def client(record: Record) -> str:
    """Return through whom the actor acted; empty for nobody."""
    return record.client


def policy(record: Record) -> str:
    """Return the digest of the policies in force; empty where none decided."""
    return record.policy


def trace(record: Record) -> str:
    """Return the W3C trace id, 32 hexadecimal digits; empty where there is none of that form."""
    return record.trace if _TRACE.fullmatch(record.trace) else ""


def text(record: Record, name: str) -> str:
    """Return one detail that is a text; empty if there is none of that name."""
    value = record.details.get(name)
    return value if isinstance(value, str) else ""


def reason(record: Record) -> str:
    """Return why an act was refused or failed, as far as the record says; else empty."""
    words = (text(record, name) for name in ("reason", "refusal", "code", "error"))
    return next(filter(None, words), "")


def sealed_parts(record: Record) -> list[str]:
    """Return the names of the parts that are sealed in the record."""
    return sorted(record.sealed.parts) if record.sealed else []


def flat(record: Record) -> dict[str, Json]:
    """Return all that a record holds, but for the contents of its sealed parts, by name."""
    return {
        "origin": record.origin,
        "index": record.index,
        "leaf": record.leaf.hex(),
        "time": stamp(record.time),
        "action": str(record.action),
        "outcome": str(record.outcome),
        "tenant": record.tenant,
        "actor": record.actor,
        "client": record.client,
        "proof": record.proof,
        "purpose": record.purpose,
        "policy": record.policy,
        "request_id": record.request_id,
        "trace": record.trace,
        "subjects": list(record.subjects),
        "details": plain(record.details),
        "sealed": sealed_parts(record),
    }


def plain(value: Json) -> Json:
    """Return the same value made of dicts and lists alone, as JSON writers want it."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value


def _named(row: Mapping[str, Json]) -> Named:
    chunk, document = row.get("chunk"), row.get("document")
    return Named(
        chunk if isinstance(chunk, str) else "",
        document if isinstance(document, str) else "",
        tuple(_texts(row.get("subjects"))),
    )


def _alone(details: Mapping[str, Json]) -> Iterator[Named]:
    """Yield the one passage of a record that is about no more than one."""
    if isinstance(details.get("chunk"), str):
        # Its subjects are the record's own.
        yield _named({**details, "subjects": []})


def _texts(value: Json) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return []
    return [item for item in value if isinstance(item, str)]
