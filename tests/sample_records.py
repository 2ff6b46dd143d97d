"""One record of every action, with every detail of its entry, read from a real log."""

from pathlib import Path

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.query import read
from ragplatform.audit.record import Record
from ragplatform.model import Json
from tests.fakes_audit import open_log
from tests.sample_events import sample

POLICY = "c0" * 32
SUBJECTS = ("s_9f31aaaa", "s_00000001")
PASSAGES: list[dict[str, Json]] = [
    {
        "chunk": f"d1-{number}",
        "document": "d1",
        "generation": "3",
        "access_class": "a1b2",
        "subjects": [SUBJECTS[0]],
        "subjects_total": 1,
        "policies": ["treating-clinician-reads"],
    }
    for number in range(3)
]

# What a name from outside may look like, for every format to survive.
HOSTILE = "u:=cmd|\"' /C calc'!A0\\\r\n<b>\u2028\x1b[2J\x85{}\t"


def details(action: Action) -> dict[str, Json]:
    """Return all details that the action's entry lists; the passages are some of one document."""
    found = sample(action, whole=True)
    if action is Action.SOURCE_VIEWED:
        return found | {"passages": PASSAGES[:1]}
    # Another action's detail of that name is a count.
    listed = isinstance(found.get("passages"), list)
    return found | {"passages": PASSAGES} if listed else found


def events(outcome: Outcome = Outcome.SUCCESS, *, actor: str = "u:anna") -> list[AuditEvent]:
    """Return an event of every action."""
    own = {Action.STARTED, Action.STOPPED, Action.KEY_MADE}
    return [
        AuditEvent(
            action=action,
            outcome=outcome,
            tenant="" if action in own else "mercy",
            actor=actor,
            request_id="" if action in own else f"{number:032x}",
            purpose=None if action in own else "TREAT",
            details=details(action),
            sealed={"question": "who has it?"} if action is Action.ASKED else {},
            client="" if action in own else "ward-app",
            policy=POLICY,
            subjects=SUBJECTS,
            trace=f"{number + 1000:032x}",
        )
        for number, action in enumerate(Action)
    ]


def records(folder: Path, outcome: Outcome = Outcome.SUCCESS, **changes: str) -> list[Record]:
    """Return a record of every action, as read back from a log in the folder."""
    with open_log(folder, origin="api.mercy") as log:
        for event in events(outcome, **changes):
            log.append(event)
    return read(folder)
