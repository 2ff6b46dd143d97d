"""The line that one event becomes, and back."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ragplatform.audit.details import LONGEST_DETAIL
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.merkle import leaf_hash
from ragplatform.audit.seal import DEPLOYMENT_KEY, RECORD_KEY, TENANT_KEY, Sealed, Sealer
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.vocabulary import require_known
from ragplatform.errors import AuditError, ForgottenError, TamperedError
from ragplatform.model import Json

# Format 2 says in fields of their own what format 1 said in details or not at all: client, proof,
# policy, subjects and trace.
FORMAT: Final = 2

# An entry of a tlog-tiles bundle has a 16-bit length, and the first record of a group is given the
# digest of the commit line above it, 75 bytes. Source: C2SP tlog-tiles, "Log entries".
MAX_RECORD_BYTES: Final = 65_535 - 75

# Made once: it costs as much to make as a record to write.
_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)

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
    client: str = ""
    """Through whom the actor acted; "" for nobody."""
    proof: str = ""
    """How the actor proved who it is; "" where nobody asked, and in records of format 1."""
    policy: str = ""
    """The digest of the policies in force; "" where none decided."""
    subjects: tuple[str, ...] = ()
    """Keyed references of those whom the act was about, sorted."""
    trace: str = ""
    """The W3C trace id; that of the request where the caller gave none."""
    format: int = FORMAT
    """The format that its line is written in."""


def canonical(value: Json) -> bytes:
    """Return the one way to write a value: sorted keys, no white space, UTF-8.

    Raises ``ValueError`` for what JSON cannot hold, such as NaN or half a surrogate pair.
    """
    return _ENCODER.encode(value).encode()


def stamp(moment: datetime) -> str:
    """Return the moment as RFC 3339 in UTC, to the microsecond, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def encode(event: AuditEvent, *, index: int, time: str, sealer: Sealer) -> bytes:
    """Return the canonical line of the event, without line feed; its sealed parts encrypted.

    Raises ``AuditError`` when the event cannot be recorded as it stands.
    """
    try:
        require_known(Action(event.action), event.details, event.sealed)
        line = canonical(
            {
                "action": Action(event.action).value,
                "actor": _short(event.actor),
                "client": _short(event.client),
                "details": dict(event.details),
                "format": FORMAT,
                "index": index,
                "outcome": Outcome(event.outcome).value,
                "policy": _short(event.policy),
                "proof": _short(event.proof),
                "purpose": None if event.purpose is None else _short(event.purpose),
                "request": _short(event.request_id),
                "sealed": _sealed(event, index, sealer),
                "subjects": sorted(map(_short, set(event.subjects))),
                "tenant": _short(event.tenant),
                "time": time,
                "trace": _short(event.trace or event.request_id),
            }
        )
    except (ValueError, TypeError) as error:
        raise AuditError(f"a {event.action!s} event cannot be recorded: {error}") from error
    except (OSError, TamperedError, ForgottenError) as error:
        raise AuditError(f"a {event.action!s} event cannot be sealed: {error}") from error
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
        # A format to come is not guessed at: there is no reader for it.
        said = _READERS[raw["format"]](raw)
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
            client=said["client"],
            proof=said["proof"],
            policy=said["policy"],
            subjects=tuple(said["subjects"]),
            trace=said["trace"],
            format=raw["format"],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TamperedError(f"a line of the audit log {origin!r} is not a record") from error


def unseal(record: Record, sealing_key: bytes, seeds: SealSeeds | None = None) -> dict[str, str]:
    """Return the sealed parts of a record in clear, by name; none if it has none.

    ``sealing_key`` is that of the record's tenant or, where ``record.sealed.version`` is
    ``DEPLOYMENT_KEY``, that of the deployment.
    ``seeds`` are those of the record's log, needed where it is ``RECORD_KEY``.
    Who calls this must have asked policy, and recorded ``Action.UNSEALED`` with the reason, first.

    Raises ``TamperedError`` when a bit differs from what was sealed, or the key does, and
    ``ForgottenError`` when its seed was destroyed.
    """
    if record.sealed is None:
        return {}
    sealer = Sealer(record.origin, sealing_key, seeds)
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


def _said_in_format_1(raw: dict[str, Any]) -> dict[str, Any]:
    """Return what format 2 has fields for, as records of format 1 said it in their details."""
    details = raw["details"]
    parts = [*details.get("passages", ()), *details.get("named", ()), details]
    subjects = {details.get("subject"), *(part.get("subject") for part in parts)}
    for part in parts:
        subjects |= set(part.get("subjects", ()))
    return {
        "client": details.get("via", ""),
        "proof": "",
        "policy": details.get("policy", ""),
        "subjects": sorted(filter(None, subjects)),
        "trace": raw["request"],
    }


def _parse_sealed(raw: dict[str, Json]) -> Sealed:
    parts = raw["parts"]
    if not isinstance(parts, dict):
        raise TypeError("sealed parts are an object")
    # Records from before there were versions name none.
    version = raw.get("version", DEPLOYMENT_KEY)
    if version not in {DEPLOYMENT_KEY, TENANT_KEY, RECORD_KEY}:
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
    if len(text) > LONGEST_DETAIL:
        raise ValueError(
            f"a text of {len(text)} characters, more than {LONGEST_DETAIL}: details hold ids, "
            "counts, digests and decisions; clear text belongs into sealed"
        )
    return text


_READERS: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    1: _said_in_format_1,
    FORMAT: lambda raw: raw,
}
