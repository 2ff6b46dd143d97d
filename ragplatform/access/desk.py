"""The desk: changes of who stands how to whom, decided by policy and on record before they hold.

Each act follows the same order. 1. Policy decides. 2. The act is recorded, durable; without a
record nothing happens. 3. The register is changed, and the next question is answered by it.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from ragplatform.access.register import BY_HAND, ConsentEntry, Feed, Opening, Register, Relation
from ragplatform.audit.events import Action, AuditEvent, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.reasons import LONGEST_REASON, required_reason
from ragplatform.errors import (
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from ragplatform.model import Consent, Json, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act
from ragplatform.ports import Authenticator
from ragplatform.privacy.sealing import seal_text, unseal_text

LONGEST_OPENING_MINUTES: Final = 60
# Somebody who needs more than this at once is not helping one patient.
MOST_OPENINGS: Final = 3
LONGEST_ID: Final = 128
LONGEST_FEED: Final = 63
# A hundred pairs of ids fit one record in any script of the world.
_NAMED: Final = 100


class Verdict(StrEnum):
    """What a reviewer says of a breaking of the glass."""

    OK = "ok"
    CONCERN = "concern"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts, for which purpose, in which request."""

    principal: Principal
    purpose: Purpose
    request_id: str
    trace: str = ""

    def event(
        self,
        action: Action,
        outcome: Outcome,
        *,
        policy: str,
        details: Mapping[str, Json] | None = None,
        sealed: Mapping[str, str] | None = None,
        subjects: Collection[str] = (),
    ) -> AuditEvent:
        """Return the record of an act of theirs under the policies of that digest."""
        return event_of(
            self.principal,
            action,
            outcome,
            request_id=self.request_id,
            trace=self.trace,
            purpose=self.purpose.value,
            policy=policy,
            subjects=subjects,
            details=details,
            sealed=sealed,
        )


@dataclass(frozen=True, slots=True)
class RawRelation:
    """A relation as people write it: ``subject`` is the raw id, such as ``mrn:MH-204518``."""

    principal: str
    subject: str = field(repr=False)
    starts: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reviewable:
    """An opening as a reviewer sees it, with reason and raw subject; "" when it was erased."""

    opening: Opening
    subject: str = field(repr=False)
    reason: str = field(repr=False)
    note: str | None = field(repr=False)
    in_force: bool


class AccessDesk:
    """Changes the register for one caller at a time. Safe to use from several threads."""

    def __init__(
        self,
        *,
        register: Register,
        policies: Policies,
        audit: TenantLogs,
        authenticator: Authenticator,
        subject_ref: Callable[[str, str], str],
        sealing_key: Callable[[str], bytes],
        now: Callable[[], datetime],
    ) -> None:
        """``sealing_key`` gives each tenant's key for reasons and notes."""
        self._register = register
        self._policies = policies
        self._audit = audit
        self._authenticator = authenticator
        self._subject_ref = subject_ref
        self._sealing_key = sealing_key
        self._now = now

    def relate(self, caller: Caller, relations: Sequence[RawRelation]) -> None:
        """Add relations by hand, of others. Raises ``DeniedError``, ``InvalidRequestError``.

        Nobody relates themselves, here or in a feed: with another key or token they may be a
        reader.
        """
        self._require(caller, Act.MANAGE_ACCESS)
        now = self._now()
        made = self._relations(caller, relations, now)
        self._record_relations(caller, BY_HAND, "added", made, now)
        self._register.relate(caller.principal.tenant, made)

    def replace_feed(
        self,
        caller: Caller,
        feed: str,
        relations: Sequence[RawRelation],
        max_age_s: int | None,
    ) -> None:
        """Put these relations in place of all that the feed said before.

        Older than ``max_age_s``, the feed counts for nothing until it is replaced again. The record
        holds their digest, so that a file that is brought forward later can be told from another.
        Raises ``DeniedError`` also when the caller is among the related, ``InvalidRequestError``.
        """
        self._require(caller, Act.MANAGE_ACCESS)
        if not feed.isidentifier() or len(feed) > LONGEST_FEED:
            raise InvalidRequestError("feed: wanted a name of letters, digits and '_'")
        now = self._now()
        made = self._relations(caller, relations, now)
        self._record_relations(caller, feed, "replaced", made, now)
        self._register.replace_feed(caller.principal.tenant, feed, made, max_age_s)

    def unrelate(self, caller: Caller, principal: str, subject: str) -> int:
        """Remove every relation of the two people; return how many there were."""
        self._require(caller, Act.MANAGE_ACCESS)
        tenant = caller.principal.tenant
        who, ref = _identity(principal), self._subject_ref(tenant, _identity(subject))
        details: dict[str, Json] = {
            "act": "removed",
            "named": [{"principal": who, "subject": ref}],
        }
        self._record(caller, Action.RELATIONS_CHANGED, details=details, subjects=[ref])
        return self._register.unrelate(tenant, who, ref)

    def feeds(self, caller: Caller) -> list[Feed]:
        """Return where the tenant's relations come from, how many, and how fresh; on record."""
        self._require(caller, Act.MANAGE_ACCESS)
        found = self._register.feeds(caller.principal.tenant)
        self._record(caller, Action.FEEDS_READ, details={"feeds": len(found)})
        return found

    def set_consent(
        self,
        caller: Caller,
        subject: str,
        purpose: Purpose,
        consent: Consent,
        starts: datetime | None,
        ends: datetime | None,
    ) -> ConsentEntry:
        """Make this what the subject says of the purpose, from now or a later moment on.

        ``Consent.SILENT`` takes back what was said; a refusal outlasts a consent that ends. Raises
        ``DeniedError``,
        ``InvalidRequestError`` for a start in the past: what was shown then cannot be changed.
        """
        self._require(caller, Act.MANAGE_ACCESS)
        tenant, now = caller.principal.tenant, self._now()
        begins = starts or now
        until = _later(begins, ends)
        # A clock that is a little behind is no attempt to rewrite the past.
        if begins < now - timedelta(minutes=5):
            raise InvalidRequestError("starts: a consent cannot begin in the past")
        begins = max(begins, now)
        ref = self._subject_ref(tenant, _identity(subject))
        entry = ConsentEntry(ref, purpose, consent, begins, _later(begins, until))
        details: dict[str, Json] = {
            "for": purpose.value,
            "consent": consent.value,
            "starts": begins.isoformat(),
            "ends": None if until is None else until.isoformat(),
        }
        self._record(caller, Action.CONSENT_CHANGED, details=details, subjects=[ref])
        self._register.set_consent(tenant, entry, uuid.uuid4().hex)
        return entry

    def consents(self, caller: Caller, subject: str) -> list[ConsentEntry]:
        """Return all that a subject has said, past and to come, after recording the look."""
        self._require(caller, Act.MANAGE_ACCESS)
        tenant = caller.principal.tenant
        ref = self._subject_ref(tenant, _identity(subject))
        found = self._register.consents(tenant, ref)
        self._record(caller, Action.CONSENT_READ, details={"entries": len(found)}, subjects=[ref])
        return found

    def break_glass(
        self, caller: Caller, *, subject: str, reason: str, minutes: int, proof: str
    ) -> Opening:
        """Open one person's records to the caller, for minutes, and put it before reviewers.

        1. The request is whole. 2. Policy lets the caller break the glass for the purpose. 3. The
        caller proves a second time who it is. 4. Not too many are open already. 5. The act is
        recorded with its reason, sealed. 6. The opening is in force, and ends by itself.

        Raises ``InvalidRequestError``, ``DeniedError``, ``UnauthenticatedError``.
        """
        principal, now = caller.principal, self._now()
        raw, why = _identity(subject), required_reason(reason)  # 1
        if not 1 <= minutes <= LONGEST_OPENING_MINUTES:
            raise InvalidRequestError(f"minutes: wanted 1 to {LONGEST_OPENING_MINUTES}")
        self._require(caller, Act.BREAK_GLASS)  # 2
        try:
            self._authenticator.prove(proof, principal)  # 3
        except UnauthenticatedError:
            details: dict[str, Json] = {"act": Act.BREAK_GLASS.value, "reason": "second proof"}
            self._record(caller, Action.DENIED, Outcome.DENIED, details)
            raise
        mine = self._register.openings(principal.tenant, principal=principal.id)
        if sum(one.ends > now for one in mine) >= MOST_OPENINGS:  # 4
            raise self._too_many_open(caller)
        identity = uuid.uuid4().hex
        opening = Opening(
            id=identity,
            tenant=principal.tenant,
            principal=principal.id,
            subject=self._subject_ref(principal.tenant, raw),
            purpose=caller.purpose,
            starts=now,
            ends=now + timedelta(minutes=minutes),
            sealed=self._seal(principal.tenant, identity, {"subject": raw, "reason": why}),
        )
        details = {"opening": identity, "ends": opening.ends.isoformat()}
        about, told = [opening.subject], {"reason": why}
        self._record(caller, Action.BROKE_GLASS, details=details, sealed=told, subjects=about)  # 5
        if not self._register.open_glass(opening, most=MOST_OPENINGS):  # 6
            raise self._too_many_open(caller)
        return opening

    def _too_many_open(self, caller: Caller) -> DeniedError:
        details: dict[str, Json] = {"act": Act.BREAK_GLASS.value, "reason": "too many open"}
        self._record(caller, Action.DENIED, Outcome.DENIED, details)
        return DeniedError(f"{MOST_OPENINGS} are open already: end one first")

    def end_glass(self, caller: Caller, opening: str) -> None:
        """End an opening before its time: one's own, or as a reviewer anybody's.

        Raises ``NotFoundError`` for any other, be there one or not.
        """
        found = self._register.opening(caller.principal.tenant, opening)
        if found is None or not self._may_end(caller, found):
            raise self._no_such(caller, Action.GLASS_ENDED, "no such opening of yours")
        details: dict[str, Json] = {"opening": found.id, "of": found.principal}
        self._record(caller, Action.GLASS_ENDED, details=details, subjects=[found.subject])
        self._register.end_glass(found.id)

    def _may_end(self, caller: Caller, opening: Opening) -> bool:
        if opening.principal == caller.principal.id:
            return True
        duty = Act.REVIEW_ACCESS
        return self._policies.decide_duty(caller.principal, duty, caller.purpose).allowed

    def _no_such(self, caller: Caller, act: Action, message: str) -> NotFoundError:
        self._record(caller, act, Outcome.DENIED, {"reason": "no such opening"})
        return NotFoundError(message)

    def own_openings(self, caller: Caller) -> list[Opening]:
        """Return the caller's own openings that are in force."""
        now = self._now()
        mine = self._register.openings(caller.principal.tenant, principal=caller.principal.id)
        return [one for one in mine if one.ends > now]

    def queue(self, caller: Caller, *, reviewed: bool | None) -> list[Reviewable]:
        """Return what was opened by breaking the glass, for reviewers, after recording the look.

        ``reviewed`` False: what waits for a verdict; True: what has one; None: all. Raises
        ``DeniedError``.
        """
        self._require(caller, Act.REVIEW_ACCESS)
        found = self._register.openings(caller.principal.tenant, reviewed=reviewed)
        about = sorted({one.subject for one in found})[:_NAMED]
        details: dict[str, Json] = {"openings": len(found)}
        self._record(caller, Action.QUEUE_READ, details=details, subjects=about)
        return [self._reviewable(one) for one in found]

    def sign_off(self, caller: Caller, opening: str, verdict: Verdict, note: str) -> None:
        """Give a verdict on somebody else's opening that is over.

        Raises ``DeniedError`` without the duty or for one's own, ``NotFoundError``, and
        ``InvalidRequestError`` while it is in force or when it has a verdict.
        """
        self._require(caller, Act.REVIEW_ACCESS)
        found = self._register.opening(caller.principal.tenant, opening)
        if found is None:
            raise self._no_such(caller, Action.REVIEWED, "no such opening")
        details: dict[str, Json] = {"opening": found.id, "verdict": verdict.value}
        about = [found.subject]
        if found.principal == caller.principal.id:
            self._record(caller, Action.REVIEWED, Outcome.DENIED, details, subjects=about)
            raise DeniedError("nobody signs off what they opened themselves")
        if found.ends > self._now():
            raise InvalidRequestError("it is still in force: its uses are not all known yet")
        text = note.strip()
        if len(text) > LONGEST_REASON or (verdict is Verdict.CONCERN and not text):
            raise InvalidRequestError(
                f"note: at most {LONGEST_REASON} characters; a concern needs some"
            )
        if found.verdict is not None:
            raise InvalidRequestError(f"it was signed off already, as {found.verdict}")
        sealed_note = {"note": text}
        self._record(caller, Action.REVIEWED, details=details, sealed=sealed_note, subjects=about)
        sealed = self._seal(caller.principal.tenant, found.id, {"note": text})
        if not self._register.sign_off(
            found.id, verdict=verdict.value, reviewer=caller.principal.id, note=sealed
        ):
            # The record above says more than came true.
            self._record(caller, Action.REVIEWED, Outcome.FAILURE, details, subjects=about)
            raise InvalidRequestError("somebody else signed it off just now")

    def _reviewable(self, opening: Opening) -> Reviewable:
        said = self._unseal(opening, opening.sealed) if opening.sealed else {}
        noted = self._unseal(opening, opening.note) if opening.note is not None else {}
        return Reviewable(
            opening=opening,
            subject=said.get("subject", ""),
            reason=said.get("reason", ""),
            note=noted.get("note"),
            in_force=opening.ends > self._now(),
        )

    def _seal(self, tenant: str, identity: str, parts: Mapping[str, str]) -> bytes:
        return seal_text(self._sealing_key(tenant), json.dumps(parts), tenant, identity)

    def _unseal(self, opening: Opening, sealed: bytes) -> dict[str, str]:
        key = self._sealing_key(opening.tenant)
        text = unseal_text(key, sealed, opening.tenant, opening.id, what="reason")
        return {name: str(value) for name, value in json.loads(text).items()}

    def _relations(
        self, caller: Caller, relations: Sequence[RawRelation], now: datetime
    ) -> list[Relation]:
        tenant = caller.principal.tenant
        made = []
        for number, one in enumerate(relations, 1):
            try:
                starts = one.starts or now
                made.append(
                    Relation(
                        principal=_identity(one.principal),
                        subject=self._subject_ref(tenant, _identity(one.subject)),
                        starts=starts,
                        ends=_later(starts, one.ends),
                    )
                )
            except InvalidRequestError as error:
                raise InvalidRequestError(f"relation {number}: {error}") from error
        return made

    def _record_relations(
        self, caller: Caller, feed: str, act: str, made: Sequence[Relation], now: datetime
    ) -> None:
        if caller.principal.id.strip() in {one.principal for one in made}:
            refused: dict[str, Json] = {"act": Act.MANAGE_ACCESS.value, "reason": "own relation"}
            self._record(caller, Action.DENIED, Outcome.DENIED, refused)
            raise DeniedError(
                "nobody relates themselves to anybody: it takes another administrator, and for a "
                "feed a key that is no person's"
            )
        # A feed is another system's word for a whole hospital: that system knows whom it named.
        named = made if feed == BY_HAND else []
        # Somebody's own word is recorded whole, or an abuse could hide behind the first few.
        for start in range(0, max(1, len(named)), _NAMED):
            some = named[start : start + _NAMED]
            details: dict[str, Json] = {
                "act": act,
                "feed": feed,
                "relations": len(made),
                "sha256": _digest(made, now),
                "named": [{"principal": one.principal, "subject": one.subject} for one in some],
            }
            about = [one.subject for one in some]
            self._record(caller, Action.RELATIONS_CHANGED, details=details, subjects=about)

    def _require(self, caller: Caller, act: Act) -> None:
        decision = self._policies.decide_duty(caller.principal, act, caller.purpose)
        if decision.allowed:
            return
        details: dict[str, Json] = {"act": act.value, "policies": list(decision.policies)}
        self._record(caller, Action.DENIED, Outcome.DENIED, details)
        raise DeniedError(self._policies.why_not(caller.principal, act, caller.purpose, decision))

    def _record(
        self,
        caller: Caller,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        details: Mapping[str, Json] | None = None,
        sealed: Mapping[str, str] | None = None,
        subjects: Collection[str] = (),
    ) -> None:
        self._audit.append(
            caller.event(
                action,
                outcome,
                policy=self._policies.digest,
                details=details,
                sealed=sealed,
                subjects=subjects,
            )
        )


def _digest(made: Sequence[Relation], moment: datetime) -> str:
    """Return the SHA-256 over the relations, in whatever order and at whatever moment they came."""
    lines = sorted(
        json.dumps(
            [
                one.principal,
                one.subject,
                "" if one.starts == moment else one.starts.isoformat(),
                "" if one.ends is None else one.ends.isoformat(),
            ]
        )
        for one in made
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _identity(text: str) -> str:
    stripped = text.strip()
    if not stripped or len(stripped) > LONGEST_ID or not stripped.isprintable():
        raise InvalidRequestError(f"an id has 1 to {LONGEST_ID} printable characters")
    return stripped


def _later(starts: datetime, ends: datetime | None) -> datetime | None:
    if starts.tzinfo is None or (ends is not None and ends.tzinfo is None):
        raise InvalidRequestError("starts and ends need a time zone")
    try:
        starts, ends = starts.astimezone(UTC), None if ends is None else ends.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequestError("starts and ends lie in the years 1 to 9999") from error
    if ends is not None and ends <= starts:
        raise InvalidRequestError("ends: must lie after the start")
    return ends
