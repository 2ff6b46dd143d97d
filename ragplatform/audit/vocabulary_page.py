"""The vocabulary as people and programs read it: one page, or one document of JSON."""

from collections.abc import Sequence
from typing import Final

from ragplatform.audit.details import Detail, Kind
from ragplatform.audit.record import FORMAT
from ragplatform.audit.vocabulary import VOCABULARY
from ragplatform.model import Json

_FIELDS: Final = {
    "`index`, `time`": "Place in its log, and when: UTC, to the microsecond, never backwards.",
    "`tenant`": "Whose log it stands in; empty for acts of the deployment itself.",
    "`actor`": "Who: a person, a job, a user of the host, or `system`.",
    "`client`": "Through whom: the registered client that speaks for a person, or empty.",
    "`proof`": "By which credential the actor is known: `key:`, `token:` or `client:` and the "
    "beginning of its SHA-256.",
    "`purpose`": "The declared purpose of use; null where none is declared.",
    "`request`": "All records of one request, ingest run or erasure have the same.",
    "`trace`": "The trace id of the caller's `traceparent` (W3C Trace Context); the request id "
    "without a valid one.",
    "`policy`": "Digest of the policies in force; empty where none decide.",
    "`subjects`": "Keyed references of everybody whom the act is about, never their ids.",
    "`details`": "What the tables below list, and nothing else.",
    "`sealed`": "Encrypted parts, for reviewers with a reason.",
}


def _head() -> str:
    kinds = ", ".join(f"`{kind}`" for kind in Kind)
    rows = "".join(f"| {name} | {meaning} |\n" for name, meaning in _FIELDS.items())
    return (
        "# The events of the audit log\n\n"
        "Written by `ragplatform audit vocabulary`; a test says that this page equals it.\n\n"
        f"Records are of format {FORMAT}. Beside its action and its outcome (`success`, `denied`, "
        f"`failure`) each holds:\n\n| field | meaning |\n| --- | --- |\n{rows}\n"
        "An event that says anything else is refused, and then the act does not happen. Format 1, "
        "written by earlier\nreleases, kept `policy`, `client` (as `via`) and `subjects` among the "
        f"details, and is read as if it were format {FORMAT}.\n\n"
        f"Types: {kinds}. A `?` marks what may be absent.\n\n"
    )


def markdown() -> str:
    """Return the page docs/audit-events.md."""
    parts = [_head()]
    for action, entry in VOCABULARY.items():
        since = f" Since format {entry.since}." if entry.since > 1 else ""
        parts.append(f"## `{action}`\n\n{entry.meaning}{since}\n")
        if entry.details:
            parts.append("\n| detail | type | meaning |\n| --- | --- | --- |\n")
            parts += [f"{row}\n" for row in _rows(entry.details, "")]
        if entry.sealed:
            named = ", ".join(f"`{name}`" for name in entry.sealed)
            parts.append(f"\nMay be sealed in it: {named}.\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def as_json() -> Json:
    """Return the vocabulary for programs."""
    return {
        "format": FORMAT,
        "actions": {
            str(action): {
                "meaning": entry.meaning,
                "since": entry.since,
                "details": [_json(one) for one in entry.details],
                "sealed": list(entry.sealed),
            }
            for action, entry in VOCABULARY.items()
        },
    }


def _rows(details: Sequence[Detail], above: str) -> list[str]:
    rows = []
    for one in details:
        mark = "" if one.required else "?"
        rows.append(f"| `{above}{one.name}`{mark} | {one.type_name} | {one.meaning} |")
        rows += _rows(one.parts, f"{above}{one.name}.")
    return rows


def _json(detail: Detail) -> Json:
    return {
        "name": detail.name,
        "kind": str(detail.kind),
        "many": detail.many,
        "required": detail.required,
        "meaning": detail.meaning,
        "parts": [_json(part) for part in detail.parts],
    }
