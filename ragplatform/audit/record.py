"""The line that one event becomes, and back."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.seal import DEPLOYMENT_KEY, TENANT_KEY, Sealed, Sealer
from ragplatform.errors import AuditError, TamperedError
from ragplatform.model import Json

FORMAT: Final = 1

# An entry of a tlog-tiles bundle has a 16-bit length, and the first record of a group is given the
# digest of the commit line above it, 75 bytes. Source: C2SP tlog-tiles, "Log entries".
MAX_RECORD_BYTES: Final = 65_535 - 75

# Long enough for any id, digest or reason; too short for a passage to slip in unsealed.
MAX_DETAIL_CHARS: Final = 256

_PART_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it stands in the log, with its place and time (UTC)."""

    origin: str
    index: int
    time: datetime
    action: Action
    outcome: Outcome
    tenant: str
    actor: str
    request_id: str
    purpose: str | None
    details: Mapping[str, Json]
    sealed: Sealed | None = field(repr=False)
    leaf: bytes = field(repr=False)
    """The leaf hash of its line: what a ``Receipt`` carries."""


def canonical(value: Json) -> bytes:
    """Return the one way to write a value: sorted keys, no white space, UTF-8.

    Raises ``ValueError`` for what JSON cannot hold, such as NaN or half a surrogate pair.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def stamp(moment: datetime) -> str:
    """Return the moment as RFC 3339 in UTC, to the microsecond, so that text sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def encode(event: AuditEvent, *, index: int, time: str, sealer: Sealer) -> bytes:
    """Return the canonical line of the event, without line feed; its sealed parts encrypted.

    Raises ``AuditError`` when the event cannot be recorded as it stands.
    """
    try:
        line = canonical(
            {
                "action": Action(event.action).value,
                "actor": _short(event.actor),
                "details": {_short(k): _checked(v) for k, v in event.details.items()},
                "format": FORMAT,
                "index": index,
                "outcome": Outcome(event.outcome).value,
                "purpose": None if event.purpose is None else _short(event.purpose),
                "request": _short(event.request_id),
                "sealed": _sealed(event, index, sealer),
                "tenant": _short(event.tenant),
                "time": time,
            }
        )
    except (ValueError, TypeError) as error:
        raise AuditError(f"a {event.action!s} event cannot be recorded: {error}") from error
    if len(line) > MAX_RECORD_BYTES:
        raise AuditError(
            f"a {event.action!s} event takes {len(line)} bytes, at most {MAX_RECORD_BYTES} can be "
            "recorded: shorten its sealed parts"
        )
    return line


def decode(line: bytes, *, origin: str) -> Record:
    """Return the record that a line holds.

    Raises ``TamperedError`` when the line is none that this program would write.
    """
    try:
        raw = json.loads(line)
        sealed = raw["sealed"]
        return Record(
            origin=origin,
            index=raw["index"],
            time=datetime.fromisoformat(raw["time"]),
            action=Action(raw["action"]),
            outcome=Outcome(raw["outcome"]),
            tenant=raw["tenant"],
            actor=raw["actor"],
            request_id=raw["request"],
            purpose=raw["purpose"],
            details=raw["details"],
            sealed=None if sealed is None else _parse_sealed(sealed),
            leaf=leaf_hash(line),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TamperedError(f"a line of the audit log {origin!r} is not a record") from error


def unseal(record: Record, sealing_key: bytes) -> dict[str, str]:
    """Return the sealed parts of a record in clear, by name; none if it has none.

    ``sealing_key`` is that of the record's tenant or, where ``record.sealed.version`` is
    ``DEPLOYMENT_KEY``, that of the deployment.
    Who calls this must have asked policy, and recorded ``Action.UNSEALED`` with the reason, first.

    Raises ``TamperedError`` when a bit differs from what was sealed, or the key does.
    """
    if record.sealed is None:
        return {}
    sealer = Sealer(record.origin, sealing_key)
    return sealer.open(record.sealed, tenant=record.tenant, index=record.index)


def _sealed(event: AuditEvent, index: int, sealer: Sealer) -> Json:
    if not event.sealed:
        return None
    for name in event.sealed:
        if not _PART_NAME.fullmatch(name):
            raise ValueError("the name of a sealed part is not a lower-case word")
    box = sealer.seal(event.sealed, tenant=event.tenant, index=index)
    return {
        "key": base64.b64encode(box.key).decode(),
        "parts": {name: base64.b64encode(part).decode() for name, part in box.parts.items()},
        "version": box.version,
    }


def _parse_sealed(raw: dict[str, Json]) -> Sealed:
    parts = raw["parts"]
    if not isinstance(parts, dict):
        raise TypeError("sealed parts are an object")
    # Records from before there were versions name none.
    version = raw.get("version", DEPLOYMENT_KEY)
    if version not in {DEPLOYMENT_KEY, TENANT_KEY}:
        raise ValueError("sealed in a way that this program does not know")
    return Sealed(
        version=int(str(version)),
        key=base64.b64decode(str(raw["key"]), validate=True),
        parts={name: base64.b64decode(str(part), validate=True) for name, part in parts.items()},
    )


def _short(text: str) -> str:
    # The message must not repeat the text: it may be what must not be written anywhere.
    if not isinstance(text, str):
        raise TypeError(f"wanted text, found {type(text).__name__}")
    if len(text) > MAX_DETAIL_CHARS:
        raise ValueError(
            f"a text of {len(text)} characters, more than {MAX_DETAIL_CHARS}: details hold ids, "
            "counts, digests and decisions; clear text belongs into sealed"
        )
    return text


def _checked(value: Json) -> Json:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, dict):
        return {_short(key): _checked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"details cannot hold a {type(value).__name__}")
