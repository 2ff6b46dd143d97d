"""Routes on the audit log, for reviewers. Every look is on record before a row leaves."""

import json
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from ragplatform.access.desk import LONGEST_ID
from ragplatform.api.caller import Caller
from ragplatform.api.schemas import Body
from ragplatform.audit.disclosures import Disclosure, UnderGlass
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.index_query import MOST_PER_PAGE, AuditQuery, Entry
from ragplatform.audit.reasons import LONGEST_REASON, SHORTEST_REASON
from ragplatform.audit.record import canonical, stamp
from ragplatform.model import Purpose
from ragplatform.reviewing import Listed
from ragplatform.wiring import Platform

Name = Annotated[str, Field(min_length=1, max_length=256)]
PathName = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Position = Annotated[int, Field(ge=0, lt=2**32)]
_CURSOR = Field(None, description="`next` of the page before, with the same conditions.")


class PageParams(BaseModel):
    """Which page, of which time."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=MOST_PER_PAGE)
    cursor: str | None = _CURSOR
    since: AwareDatetime | None = Field(None, description="The earliest time wanted.")
    until: AwareDatetime | None = Field(None, description="The first time not wanted.")


class EventParams(PageParams):
    """Conditions that must all hold. Without any, the newest records."""

    action: Action | None = None
    outcome: Outcome | None = None
    actor: Name | None = Field(None, description="Id of a person or job.")
    purpose: Purpose | None = None
    policy: Name | None = Field(None, description="Digest of the policies in force.")
    request_id: Name | None = None
    trace_id: Name | None = None
    passage: Name | None = Field(None, description="Id of a passage that the record names.")
    document: Name | None = None
    subject: Name | None = Field(None, description="A person: raw id, or keyed reference `s_...`.")


class SubjectParams(PageParams):
    """Which disclosures, and whether only those."""

    everything: bool = Field(False, description="Also consents, relations, denials, erasure.")


class PassageParams(PageParams):
    """Which disclosures, and whether also from whom it was kept."""

    withheld: bool = False


class Located(BaseModel):
    """One record by its place in the evidence; `audit prove ORIGIN INDEX` proves that it stands."""

    origin: str
    index: int
    leaf: str = Field(description="The Merkle leaf hash of its line, in hexadecimal.")
    time: str
    action: str
    outcome: str
    actor: str
    purpose: str | None
    request_id: str


class AuditRecordOut(Located):
    """One audit record without its sealed parts, whose names alone are listed.

    `details` is null where its log is kept on another host, or in an archive.
    """

    details: dict[str, JsonValue] | None
    sealed: list[str]


class Paged(BaseModel):
    """Rows, and how to get the next ones."""

    next: str | None = Field(description="The cursor of the next page; null: there is none.")
    complete: bool = Field(
        description="False while the index is behind the log: ask again for what is newer."
    )


class AuditOut(Paged):
    """Audit records, newest first."""

    records: list[AuditRecordOut]


class DisclosureOut(Located):
    """That somebody was shown something, when, what, and for which purpose.

    `actor` is the recipient, `via` the client that spoke for the recipient.
    """

    via: str | None
    how: str
    passages: list[str]
    documents: list[str]
    exempt: bool = Field(
        description="Treatment, payment and operations: 45 CFR 164.528 lets an accounting omit it."
    )


class DisclosuresOut(Paged):
    """Disclosures, newest first."""

    disclosures: list[DisclosureOut]
    unnamed: int = Field(
        0,
        description="Further disclosures of passages about more people than their records name.",
    )


class UnderGlassOut(Located):
    """One act in the story of a broken glass."""

    opening: str
    how: str
    showed: bool = Field(description="Whether it showed something of the person it was opened for.")


class UnderGlassPage(Paged):
    """Acts, oldest first."""

    acts: list[UnderGlassOut]


class UnsealBody(Body):
    """Why the sealed parts of a record are to be opened."""

    purpose: Literal[Purpose.COMPLIANCE] = Purpose.COMPLIANCE
    reason: str = Field(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)


class UnsealedOut(BaseModel):
    """The sealed parts of a record, in clear, by name; empty when it has none."""

    parts: dict[str, str]


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add the routes under ``/v1/audit``."""
    _add_event_routes(app, platform)
    _add_report_routes(app, platform)


def _add_event_routes(app: FastAPI, platform: Platform) -> None:
    @app.get("/v1/audit/events", tags=["audit"])
    def audit_events(
        request: Request, who: Caller, asked: Annotated[EventParams, Query()]
    ) -> AuditOut:
        """Return the audit records of your tenant that fit, newest first, for reviewers."""
        found = platform.reviewer.events(
            who,
            request.state.request_id,
            AuditQuery(
                who.tenant,
                since=asked.since,
                until=asked.until,
                actor=asked.actor,
                purpose=asked.purpose,
                action=asked.action,
                outcome=asked.outcome,
                policy=asked.policy,
                request=asked.request_id,
                trace=asked.trace_id,
                passage=asked.passage,
                document=asked.document,
                subject=asked.subject,
            ),
            limit=asked.limit,
            cursor=asked.cursor,
        )
        records = [_record(row) for row in found.rows]
        return AuditOut(records=records, next=found.cursor, complete=found.complete)

    @app.post("/v1/audit/records/{origin}/{index}:unseal", tags=["audit"])
    def unseal(
        request: Request, who: Caller, origin: PathName, index: Position, body: UnsealBody
    ) -> UnsealedOut:
        """Open the sealed parts of one record of your tenant. The look and its reason go on record.

        404 alike for a record that does not exist and one of another tenant.
        """
        request_id = request.state.request_id
        return UnsealedOut(
            parts=platform.reviewer.unseal(who, request_id, origin, index, body.reason)
        )


def _add_report_routes(app: FastAPI, platform: Platform) -> None:
    @app.get("/v1/audit/passages/{passage}/disclosures", tags=["audit"])
    def passage_disclosures(
        request: Request, who: Caller, passage: PathName, asked: Annotated[PassageParams, Query()]
    ) -> DisclosuresOut:
        """Say to whom a passage was shown, newest first. Empty for one that nobody saw."""
        found = platform.reviewer.who_saw(
            who,
            request.state.request_id,
            AuditQuery(who.tenant, since=asked.since, until=asked.until, passage=passage),
            limit=asked.limit,
            cursor=asked.cursor,
            withheld=asked.withheld,
        )
        rows = [_disclosure(row) for row in found.rows]
        return DisclosuresOut(disclosures=rows, next=found.cursor, complete=found.complete)

    @app.get("/v1/audit/subjects/{subject}/disclosures", tags=["audit"])
    def subject_disclosures(
        request: Request, who: Caller, subject: PathName, asked: Annotated[SubjectParams, Query()]
    ) -> DisclosuresOut:
        """Account for the disclosures of a person's records: to whom, when, what, what for.

        `subject` is the raw id or the keyed reference.
        """
        found = platform.reviewer.about_subject(
            who,
            request.state.request_id,
            AuditQuery(who.tenant, since=asked.since, until=asked.until, subject=subject),
            limit=asked.limit,
            cursor=asked.cursor,
            everything=asked.everything,
        )
        return DisclosuresOut(
            disclosures=[_disclosure(row) for row in found.rows],
            next=found.cursor,
            complete=found.complete,
            unnamed=found.unnamed,
        )

    @app.get("/v1/audit/people/{person}/break-glass", tags=["audit"])
    def under_glass(
        request: Request, who: Caller, person: PathName, asked: Annotated[PageParams, Query()]
    ) -> UnderGlassPage:
        """Say what somebody did under broken glasses, from each opening to its review."""
        found = platform.reviewer.under_glass(
            who,
            request.state.request_id,
            AuditQuery(who.tenant, since=asked.since, until=asked.until, glass_of=person),
            limit=asked.limit,
            cursor=asked.cursor,
        )
        acts = [_under_glass(row) for row in found.rows]
        return UnderGlassPage(acts=acts, next=found.cursor, complete=found.complete)


def _located(entry: Entry) -> dict[str, str | int | None]:
    return {
        "origin": entry.origin,
        "index": entry.index,
        "leaf": entry.leaf.hex(),
        "time": stamp(entry.time),
        "action": entry.action,
        "outcome": entry.outcome,
        "actor": entry.actor,
        "purpose": entry.purpose,
        "request_id": entry.request_id,
    }


def _record(row: Listed) -> AuditRecordOut:
    record = row.record
    return AuditRecordOut.model_validate(
        {
            **_located(row.entry),
            "details": None if record is None else json.loads(canonical(record.details)),
            "sealed": sorted(record.sealed.parts) if record and record.sealed else [],
        }
    )


def _disclosure(row: Disclosure) -> DisclosureOut:
    return DisclosureOut.model_validate(
        {
            **_located(row.entry),
            "via": row.entry.via or None,
            "how": str(row.how),
            "passages": list(row.passages),
            "documents": list(row.documents),
            "exempt": row.exempt,
        }
    )


def _under_glass(row: UnderGlass) -> UnderGlassOut:
    return UnderGlassOut.model_validate(
        {
            **_located(row.entry),
            "opening": row.opening,
            "how": str(row.how),
            "showed": row.showed,
        }
    )
