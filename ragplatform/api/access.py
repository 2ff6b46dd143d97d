"""Routes on who may see what: relations, consents, breaking the glass, single values, and why."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from ragplatform.access import desk as acts
from ragplatform.access.explain import AccessQuestion, Explained
from ragplatform.access.register import ConsentEntry, Opening
from ragplatform.answer.retrieve import Request as Question
from ragplatform.answer.unmask import LONGEST_UNMASKING_MINUTES
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.schemas import Body, Collection
from ragplatform.audit.reasons import LONGEST_REASON, SHORTEST_REASON
from ragplatform.model import Category, Consent, Labels, Principal, Purpose, Sensitivity
from ragplatform.wiring import Platform

_RELATIONS = "/v1/relations"
# About 5,000 relations a call; whole feeds come by the command line.
LIMITS = {_RELATIONS: 1024 * 1024}

Name = Annotated[str, Field(min_length=1, max_length=128)]
Level = Literal["public", "internal", "confidential", "restricted"]
Reason = Annotated[str, Field(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)]


class RelationIn(Body):
    """That a person is related to a patient or client. ``ends`` null: until it is removed."""

    principal: Name = Field(description="Id of the person, as `whoami` says it.")
    subject: Name = Field(examples=["mrn:MH-204518"], description="Raw id; only a keyed one stays.")
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None


class RelationsBody(Body):
    """Relations to be added."""

    purpose: Purpose
    relations: list[RelationIn] = Field(min_length=1, max_length=5000)


class UnrelateBody(Body):
    """Two people whose relation ends now."""

    purpose: Purpose
    principal: Name
    subject: Name


class FeedOut(BaseModel):
    """Where relations come from. Older than ``max_age_s`` nothing of it counts."""

    name: str
    refreshed: datetime
    max_age_s: int | None
    relations: int


class ConsentBody(Body):
    """What a patient or client says of a purpose, from now or ``starts`` on.

    A refusal outlasts a consent that ends: it holds again from then on.
    """

    purpose: Purpose = Field(description="Why you act.")
    subject: Name
    about: Purpose = Field(description="The purpose that the subject speaks of.")
    consent: Consent = Field(description="`silent` takes back what was said.")
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None


class ConsentOut(BaseModel):
    """One thing that a subject said; ``subject`` is the keyed reference."""

    subject: str
    about: Purpose
    consent: Consent
    starts: datetime
    ends: datetime | None

    @classmethod
    def of(cls, entry: ConsentEntry) -> "ConsentOut":
        """Return the entry for the wire."""
        return cls(
            subject=entry.subject,
            about=entry.purpose,
            consent=entry.consent,
            starts=entry.starts,
            ends=entry.ends,
        )


class GlassBody(Body):
    """An emergency: one person's records for some minutes, for a reason that a reviewer reads."""

    purpose: Purpose = Field(examples=["ETREAT"])
    subject: Name = Field(examples=["mrn:MH-204518"], description="The patient, client or case.")
    reason: Reason
    minutes: int = Field(15, ge=1, le=acts.LONGEST_OPENING_MINUTES)
    proof: str = Field(
        min_length=1, max_length=16_384, description="Your key again, or a fresh token of yours."
    )


class OpeningOut(BaseModel):
    """An opening of yours, which ends by itself."""

    id: str
    purpose: Purpose
    starts: datetime
    ends: datetime

    @classmethod
    def of(cls, opening: Opening) -> "OpeningOut":
        """Return the opening for the wire."""
        return cls(id=opening.id, purpose=opening.purpose, starts=opening.starts, ends=opening.ends)


class ReviewableOut(OpeningOut):
    """An opening as reviewers see it. ``uses`` counts the requests that showed something by it."""

    principal: str
    subject: str
    reason: str
    in_force: bool
    uses: int
    verdict: acts.Verdict | None
    reviewer: str | None
    reviewed: datetime | None
    note: str | None

    @classmethod
    def seen(cls, one: acts.Reviewable) -> "ReviewableOut":
        """Return it for the wire."""
        opening = one.opening
        return cls(
            **OpeningOut.of(opening).model_dump(),
            principal=opening.principal,
            subject=one.subject,
            reason=one.reason,
            in_force=one.in_force,
            uses=opening.uses,
            verdict=acts.Verdict(opening.verdict) if opening.verdict else None,
            reviewer=opening.reviewer,
            reviewed=opening.reviewed,
            note=one.note,
        )


class ReviewBody(Body):
    """A verdict on somebody else's opening. A concern needs a note."""

    purpose: Purpose = Purpose.COMPLIANCE
    verdict: acts.Verdict
    note: str = Field("", max_length=LONGEST_REASON)


class UnmaskBody(Body):
    """One value to be seen in clear."""

    purpose: Purpose
    token: str = Field(max_length=64, examples=["[US_SSN:abcdefghijklmnop]"])
    reason: Reason
    minutes: int = Field(5, ge=1, le=LONGEST_UNMASKING_MINUTES)


class UnmaskedOut(BaseModel):
    """The value. Until ``ends`` its source shows it to you as well."""

    entity: str
    value: str
    ends: datetime


class LabelsIn(Body):
    """Labels of a document, which need not exist."""

    collection: Collection
    sensitivity: Level = "confidential"
    department: str = Field("", max_length=63)
    categories: list[Category] = Field(default_factory=list, max_length=len(Category))
    restrictions: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list, max_length=20
    )
    state: str = Field("current", max_length=63)


class ReaderIn(Body):
    """Somebody else, for reviewers."""

    id: Name
    roles: list[Name] = Field(max_length=50)
    departments: list[Name] = Field(default_factory=list, max_length=50)
    clearance: Level = "internal"


class ExplainBody(Body):
    """Who may read what for which purpose? Give a document or labels; a reader only to review."""

    purpose: Purpose
    document: str | None = Field(None, max_length=128)
    labels: LabelsIn | None = None
    subject: str = Field("", max_length=128, description="Raw id, with labels.")
    reader: ReaderIn | None = None


class ChangeOut(BaseModel):
    """One thing that would be otherwise."""

    kind: str
    to: str
    says: str


class RuleOut(BaseModel):
    """A policy that decided."""

    id: str
    effect: Literal["permit", "forbid"]
    why: str


class ExplainOut(BaseModel):
    """A decision and why it fell so. Each of ``changes`` alone would permit it."""

    allowed: bool
    reason: str
    policies: list[RuleOut]
    failed: dict[str, list[str]] = Field(
        description="Conditions that failed, of the policies that came nearest to permitting."
    )
    changes: list[list[ChangeOut]]
    related: bool
    broke_glass: bool
    consent: Consent
    policy_digest: str

    @classmethod
    def of(cls, found: Explained) -> "ExplainOut":
        """Return it for the wire."""
        explanation = found.explanation
        return cls(
            allowed=explanation.allowed,
            reason=explanation.reason,
            policies=[
                RuleOut(id=one.id, effect="forbid" if one.forbids else "permit", why=one.why)
                for one in explanation.rules
            ],
            failed={name: list(texts) for name, texts in explanation.missing.items()},
            changes=[
                [ChangeOut(kind=one.kind, to=one.to, says=str(one)) for one in way]
                for way in found.ways
            ],
            related=found.about.related,
            broke_glass=found.about.opened,
            consent=found.about.consent,
            policy_digest=explanation.policy_digest,
        )


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add the routes of this module."""
    _add_relation_routes(app, platform)
    _add_consent_routes(app, platform)
    _add_glass_routes(app, platform)
    _add_question_routes(app, platform)


def _caller(request: Request, who: Principal, purpose: Purpose) -> acts.Caller:
    return acts.Caller(who, purpose, request.state.request_id, request.state.trace)


def _add_relation_routes(app: FastAPI, platform: Platform) -> None:
    @app.post(_RELATIONS, status_code=204, tags=["access"], dependencies=[ONE_TURN])
    def relate(request: Request, who: Caller, body: RelationsBody) -> None:
        """Say that people are related; for access administrators. Holds for the next question."""
        relations = [
            acts.RawRelation(one.principal, one.subject, one.starts, one.ends)
            for one in body.relations
        ]
        platform.desk.relate(_caller(request, who, body.purpose), relations)

    @app.post(f"{_RELATIONS}:remove", tags=["access"])
    def unrelate(request: Request, who: Caller, body: UnrelateBody) -> dict[str, int]:
        """End every relation of two people. Holds for the next question."""
        caller = _caller(request, who, body.purpose)
        return {"removed": platform.desk.unrelate(caller, body.principal, body.subject)}

    @app.get("/v1/relations/feeds", tags=["access"])
    def feeds(request: Request, who: Caller, purpose: Purpose) -> list[FeedOut]:
        """Say where relations come from and how fresh they are."""
        found = platform.desk.feeds(_caller(request, who, purpose))
        return [
            FeedOut(
                name=one.name,
                refreshed=one.refreshed,
                max_age_s=one.max_age_s,
                relations=one.relations,
            )
            for one in found
        ]


def _add_consent_routes(app: FastAPI, platform: Platform) -> None:
    @app.post("/v1/consents", tags=["access"])
    def consent(request: Request, who: Caller, body: ConsentBody) -> ConsentOut:
        """Keep what a patient or client says of a purpose. Holds for the next question."""
        entry = platform.desk.set_consent(
            _caller(request, who, body.purpose),
            body.subject,
            body.about,
            body.consent,
            body.starts,
            body.ends,
        )
        return ConsentOut.of(entry)

    @app.get("/v1/consents", tags=["access"])
    def consents(
        request: Request,
        who: Caller,
        purpose: Purpose,
        subject: Annotated[str, Query(min_length=1, max_length=128)],
    ) -> list[ConsentOut]:
        """Return all that a subject has said, past and to come."""
        found = platform.desk.consents(_caller(request, who, purpose), subject)
        return [ConsentOut.of(entry) for entry in found]


def _add_glass_routes(app: FastAPI, platform: Platform) -> None:
    @app.post("/v1/breakglass", status_code=201, tags=["break glass"])
    def break_glass(request: Request, who: Caller, body: GlassBody) -> OpeningOut:
        """Open one person's records in an emergency. It goes on record and before a reviewer."""
        opening = platform.desk.break_glass(
            _caller(request, who, body.purpose),
            subject=body.subject,
            reason=body.reason,
            minutes=body.minutes,
            proof=body.proof,
        )
        return OpeningOut.of(opening)

    @app.get("/v1/breakglass", tags=["break glass"])
    def openings(request: Request, who: Caller, purpose: Purpose) -> list[OpeningOut]:
        """Return your own openings that are in force."""
        found = platform.desk.own_openings(_caller(request, who, purpose))
        return [OpeningOut.of(one) for one in found]

    @app.post("/v1/breakglass/{opening}:end", status_code=204, tags=["break glass"])
    def end_glass(request: Request, who: Caller, opening: str, purpose: Purpose) -> None:
        """End an opening before its time: one of yours, or as a reviewer anybody's."""
        platform.desk.end_glass(_caller(request, who, purpose), opening)

    @app.get("/v1/breakglass/reviews", tags=["break glass"])
    def reviews(
        request: Request,
        who: Caller,
        state: Literal["open", "done", "all"] = "open",
    ) -> list[ReviewableOut]:
        """Return what waits for a verdict, or has one; for reviewers. The look is recorded."""
        reviewed = {"open": False, "done": True, "all": None}[state]
        caller = _caller(request, who, Purpose.COMPLIANCE)
        return [ReviewableOut.seen(one) for one in platform.desk.queue(caller, reviewed=reviewed)]

    @app.post("/v1/breakglass/{opening}:review", status_code=204, tags=["break glass"])
    def review(request: Request, who: Caller, opening: str, body: ReviewBody) -> None:
        """Sign off somebody else's opening that is over."""
        caller = _caller(request, who, body.purpose)
        platform.desk.sign_off(caller, opening, body.verdict, body.note)


def _add_question_routes(app: FastAPI, platform: Platform) -> None:
    @app.post("/v1/sources/{chunk}:reveal", tags=["questions"], dependencies=[ONE_TURN])
    def reveal(request: Request, who: Caller, chunk: str, body: UnmaskBody) -> UnmaskedOut:
        """Show one value of a passage in clear for some minutes, for a reason that is recorded."""
        question = Question(
            who,
            body.purpose,
            "reveal",
            request_id=request.state.request_id,
            trace=request.state.trace,
        )
        shown = platform.unmasker.unmask(
            question, chunk, token=body.token, reason=body.reason, minutes=body.minutes
        )
        return UnmaskedOut(entity=shown.entity, value=shown.value, ends=shown.ends)

    @app.post("/v1/policies:explain", tags=["access"], dependencies=[ONE_TURN])
    def explain(request: Request, who: Caller, body: ExplainBody) -> ExplainOut:
        """Say why you, or for reviewers somebody else, may or may not read a document.

        404 alike for what does not exist and what you may not know of.
        """
        asked = access_question(body, who, request.state.trace)
        return ExplainOut.of(platform.explainer.explain(who, asked, request.state.request_id))


def access_question(body: ExplainBody, who: Principal, trace: str) -> AccessQuestion:
    """Return what a body asks, about the caller's own tenant."""
    return AccessQuestion(
        purpose=body.purpose,
        document=body.document,
        labels=None if body.labels is None else _labels(body.labels, who.tenant),
        subject=body.subject,
        reader=None if body.reader is None else _reader(body.reader, who.tenant),
        trace=trace,
    )


def _labels(body: LabelsIn, tenant: str) -> Labels:
    return Labels(
        tenant=tenant,
        collection=body.collection,
        sensitivity=Sensitivity[body.sensitivity.upper()],
        department=body.department,
        categories=frozenset(body.categories),
        restrictions=frozenset(body.restrictions),
        state=body.state,
    )


def _reader(body: ReaderIn, tenant: str) -> Principal:
    return Principal(
        id=body.id,
        tenant=tenant,
        roles=frozenset(body.roles),
        departments=frozenset(body.departments),
        clearance=Sensitivity[body.clearance.upper()],
    )
