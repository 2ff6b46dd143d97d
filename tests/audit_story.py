"""Events as the emitters make them, and a short story of a ward made of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ragplatform.audit.events import Action, AuditEvent, Outcome
from tests.fakes_audit import open_logs

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
ANNA, BEN, CARA = (f"s_{letter * 24}" for letter in "abc")
POLICY = "ab" * 32


def passage(chunk: str, *subjects: str, total: int | None = None) -> dict[str, Any]:
    """Return a passage as records name it."""
    return {
        "chunk": chunk,
        "document": f"doc-{chunk}",
        "generation": "g1",
        "access_class": "cd" * 32,
        "subjects": list(subjects),
        "subjects_total": len(subjects) if total is None else total,
        "policies": ["health.treat"],
    }


def act(action: Action, actor: str = "dr", **changes: Any) -> AuditEvent:
    """Return an event of mercy, by a doctor who treats, unless told otherwise."""
    details = {"policy": POLICY, **changes.pop("details", {})}
    fields: dict[str, Any] = {
        "outcome": Outcome.SUCCESS,
        "tenant": "mercy",
        "request_id": "r",
        "purpose": "TREAT",
        **changes,
    }
    return AuditEvent(action=action, actor=actor, details=details, **fields)


def retrieved(actor: str, *passages: dict[str, Any], **changes: Any) -> AuditEvent:
    """Return that passages were shown to somebody."""
    details = {"passages": list(passages), "revealed": {}, **changes.pop("details", {})}
    return act(Action.RETRIEVED, actor, details=details, **changes)


STORY = (
    # 0: p1 and p2 to the doctor. 1: p1 to a researcher, by a client.
    retrieved("dr", passage("p1", ANNA), passage("p2", BEN), request_id="r1"),
    retrieved("res", passage("p1", ANNA), purpose="HRESCH", details={"via": "webui"}),
    # 2: an answer cites p1. 3: policy's second look drops p2. 4: a source is denied.
    act(Action.ANSWERED, request_id="r1", details={"cited": ["p1"], "mode": "extractive"}),
    act(Action.DISAGREED, outcome=Outcome.DENIED, details={"chunk": "p2", "document": "doc-p2"}),
    act(Action.SOURCE_VIEWED, "dr2", outcome=Outcome.DENIED, details={"chunk": "p1"}),
    # 5: dr2 breaks the glass for Cara. 6: and sees p3. 7: and p2, of another. 8: and a value.
    act(Action.BROKE_GLASS, "dr2", purpose="ETREAT",
        details={"opening": "o1", "subject": CARA, "ends": "2026-03-01T09:00:00+00:00"}),
    retrieved("dr2", passage("p3", CARA), purpose="ETREAT", details={"glass": ["o1"]}),
    retrieved("dr2", passage("p2", BEN), purpose="ETREAT", details={"glass": ["o1"]}),
    act(Action.REVEALED, "dr2", purpose="ETREAT",
        details={"chunk": "p3", "document": "doc-p3", "entity": "US_SSN", "glass": ["o1"]}),
    # 9: it ends. 10: somebody else reviews it. 11: consent. 12: a register of many people.
    act(Action.GLASS_ENDED, "dr2", purpose="ETREAT", details={"opening": "o1"}),
    act(Action.REVIEWED, "audit", purpose="COMPLIANCE",
        details={"opening": "o1", "verdict": "ok"}),
    act(Action.CONSENT_CHANGED, "admin", purpose="HOPERAT", details={"subject": ANNA}),
    retrieved("dr", passage("p4", BEN, total=9)),
)  # fmt: skip


def write_story(folder: Path, *, kind: str = "api") -> None:
    """Write the story into mercy's log, one record a minute, and close it."""
    times = iter([BEGAN + timedelta(minutes=n) for n in range(len(STORY))])
    with open_logs(folder, kind=kind, clock=lambda: next(times)) as logs:
        for event in STORY:
            logs.append(event)
