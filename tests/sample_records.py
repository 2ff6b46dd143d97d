"""One record of every action, with details as the platform writes them, read from a real log."""

from pathlib import Path

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.query import read
from ragplatform.audit.record import Record
from ragplatform.model import Json
from tests.fakes_audit import open_log

POLICY = "c0" * 32
PASSAGES: list[Json] = [
    {
        "chunk": f"d1-{number}",
        "document": "d1",
        "generation": 3,
        "access_class": "a1b2",
        "subjects": ["s-9f31", f"s-{number}"],
        "subjects_total": 2,
        "policies": ["treating-clinician-reads"],
    }
    for number in range(3)
]
_ASKED: dict[str, Json] = {"scope": "5c", "policy": POLICY, "via": "ward-app"}

DETAILS: dict[Action, dict[str, Json]] = {
    Action.STARTED: {"policy": POLICY},
    Action.RECOVERED: {"file": "segment-000000000000.jsonl", "bytes": 17},
    Action.AUTHENTICATED_FAILED: {"attempts": 4},
    Action.TURNED_AWAY: {"requests": 9},
    Action.DENIED: {"reason": "empty scope", **_ASKED},
    Action.ASKED: _ASKED,
    Action.SEARCHED: {"passages": PASSAGES, "revealed": {"NAME": 1}, **_ASKED},
    Action.RETRIEVED: {"passages": PASSAGES, "revealed": {"NAME": 1}, "glass": ["g-1"], **_ASKED},
    Action.ANSWERED: {
        "mode": "generated",
        "model": "smollm2-135m",
        "cited": ["d1-0"],
        "dropped": {"unsupported": 1},
        "redactions": {"NAME": 2},
        "refusal": "",
        **_ASKED,
    },
    Action.REFUSED: {"refusal": "no_passage", "model": "smollm2-135m", **_ASKED},
    Action.ABANDONED: {"pieces_sent": 3, **_ASKED},
    Action.FAILED: {"code": "generator_unavailable", "ratio": 0.25, **_ASKED},
    Action.SOURCE_VIEWED: {"passages": PASSAGES[:1], **_ASKED},
    Action.REVEALED: {"chunk": "d1-0", "document": "d1", "entity": "NAME", **_ASKED},
    Action.DISAGREED: {"chunk": "d1-0", "document": "d1", "policies": [], "errors": ["e"]},
    Action.INGESTED: {"document": "d1", "generation": 3, "chunks": 7, "found": {"NAME": 2}},
    Action.QUARANTINED: {"document": "d1", "reason": "no labels", "state": "quarantined"},
    Action.ERASED: {"document": "d1", "subject": "s-9f31"},
    Action.EGRESS_BLOCKED: {"host": "telemetry.example.com"},
    Action.UNSEALED: {"origin": "api.mercy", "index": 4},
    Action.EXPORTED: {"format": "ocsf", "records": 12, "sha256": "ab" * 32},
    Action.KEY_MADE: {"key": "vault-2.key"},
    Action.KEYS_ROTATED: {"v1": 3},
    Action.RELATIONS_CHANGED: {"act": "removed", "principal": "u:anna", "subject": "s-9f31"},
    Action.CONSENT_CHANGED: {"subject": "s-9f31", "for": "HRESCH", "consent": "given"},
    Action.FEED_DARK: {"feed": "wards"},
    Action.BROKE_GLASS: {"opening": "g-1", "subject": "s-9f31", "ends": "2026-11-26T12:00:00"},
    Action.GLASS_ENDED: {"opening": "g-1"},
    Action.REVIEWED: {"opening": "g-1", "verdict": "justified"},
    Action.API_KEY_MADE: {"principal": "u:anna"},
}

# What a name from outside may look like, for every format to survive.
HOSTILE = "u:=cmd|\"' /C calc'!A0\\\r\n<b>\u2028\x1b[2J\x85{}\t"


def events(outcome: Outcome = Outcome.SUCCESS, *, actor: str = "u:anna") -> list[AuditEvent]:
    """Return an event of every action."""
    return [
        AuditEvent(
            action=action,
            outcome=outcome,
            tenant="" if action in {Action.STARTED, Action.STOPPED, Action.KEY_MADE} else "mercy",
            actor=actor,
            request_id="" if action is Action.STARTED else f"{number:032x}",
            purpose=None if action is Action.STARTED else "TREAT",
            details=DETAILS.get(action, {}),
            sealed={"question": "who has it?"} if action is Action.ASKED else {},
        )
        for number, action in enumerate(Action)
    ]


def records(folder: Path, outcome: Outcome = Outcome.SUCCESS, **changes: str) -> list[Record]:
    """Return a record of every action, as read back from a log in the folder."""
    with open_log(folder, origin="api.mercy") as log:
        for event in events(outcome, **changes):
            log.append(event)
    return read(folder)
