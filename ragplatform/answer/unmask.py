"""One value in clear, for a reason, for minutes: beyond what policy reveals of its type."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from ragplatform.answer.retrieve import Request, Retriever, event_about, said
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.reasons import required_reason
from ragplatform.errors import DeniedError, InvalidRequestError
from ragplatform.model import Json, Principal, Standing
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import entity_of, tokens_in

LONGEST_UNMASKING_MINUTES: Final = 15


class Unmaskings(Protocol):
    """Keeps who may see which single value until when; see ``access.register.Register``."""

    def unmask(self, principal: Principal, chunk: str, token: str, ends: datetime) -> None:
        """Let the principal see one value of one passage until then."""

    def note_use(self, standing: Standing, request_id: str, subjects: frozenset[str]) -> None:
        """Note that the request made use of what the principal opened by breaking the glass."""


@dataclass(frozen=True, slots=True)
class Unmasked:
    """One value in clear. Until ``ends`` its source shows it to the same person."""

    entity: str
    value: str = field(repr=False)
    ends: datetime


class Unmasker:
    """Shows single values, each decided by policy and on record before it is shown."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        policies: Policies,
        privacy: Privacy,
        unmaskings: Unmaskings,
        audit: TenantLogs,
        now: Callable[[], datetime],
    ) -> None:
        self._retriever = retriever
        self._policies = policies
        self._privacy = privacy
        self._unmaskings = unmaskings
        self._audit = audit
        self._now = now

    def unmask(
        self, request: Request, chunk: str, *, token: str, reason: str, minutes: int
    ) -> Unmasked:
        """Return the value behind a pseudonym of a passage that the caller may read.

        1. The passage is one that the caller may read. 2. The pseudonym stands in it. 3. Policy
        lets the caller unmask its type. 4. The act is recorded, with the reason sealed. 5. The
        passage shows the value until the end, for purposes for which policy allows it.

        Raises ``NotFoundError`` alike for a passage that does not exist and one that may not be
        read, ``InvalidRequestError``, ``DeniedError``.
        """
        why = required_reason(reason)
        if not 1 <= minutes <= LONGEST_UNMASKING_MINUTES:
            raise InvalidRequestError(f"minutes: wanted 1 to {LONGEST_UNMASKING_MINUTES}")
        found = self._retriever.open(request, chunk, Action.REVEALED)  # 1
        texts = (found.passage.title, found.passage.chunk.text, *found.passage.chunk.heading)
        if token not in frozenset[str]().union(*map(tokens_in, texts)):  # 2
            raise InvalidRequestError("token: no such pseudonym stands in this source")
        entity, principal, subjects = entity_of(token), request.principal, found.passage.subjects
        decision = self._policies.decide_identifier(principal, Act.UNMASK, request.purpose, entity)
        details: dict[str, Json] = {
            "chunk": chunk,
            "document": found.passage.document,
            "entity": entity,
            "policies": list(decision.policies),
            **said(found.standing),
        }
        if not decision.allowed:  # 3
            event = event_about(
                request, found.scope, Action.REVEALED, Outcome.DENIED, details, None, subjects
            )
            self._audit.append(event)
            raise DeniedError(
                self._policies.why_not(principal, Act.UNMASK, request.purpose, decision)
            )
        ends = self._now() + timedelta(minutes=minutes)
        details["ends"] = ends.isoformat()
        sealed = {"reason": why}
        event = event_about(
            request, found.scope, Action.REVEALED, Outcome.SUCCESS, details, sealed, subjects
        )
        self._audit.append(event)  # 4
        self._unmaskings.note_use(found.standing, request.request_id, subjects)
        value = self._privacy.reveal(token, found.scope, frozenset({token}))
        self._unmaskings.unmask(principal, chunk, token, ends)  # 5
        return Unmasked(entity, value, ends)
