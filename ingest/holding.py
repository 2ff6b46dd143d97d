"""Placing and releasing legal holds: by policy, and on record before they hold or end."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ingest.holds import Held, Hold, Holds
from ingest.ledger import Ledger, State
from ragplatform.audit.details import LONGEST_DETAIL
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import DeniedError, InvalidRequestError
from ragplatform.model import Json, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.vault import Vault

_SHORTEST_REASON: Final = 8
# Rows of what is a document and still here, or about to be.
_THERE: Final = frozenset({State.PENDING, State.INDEXED, State.QUARANTINED})


@dataclass(frozen=True, slots=True)
class Target:
    """What a hold is to be on, as people name it: an id, a raw id of a person, or a collection."""

    kind: Held
    name: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold that is in force, and how many documents it keeps now."""

    hold: Hold
    documents: int


class HoldDesk:
    """Places and releases holds for one principal. Raises ``DeniedError`` for whom policy denies.

    Every call is on record, also one that was denied.
    """

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        people: Privacy | Vault,
        catalog: SqlCatalog,
        ledger: Ledger,
        holds: Holds,
        audit: TenantLogs,
    ) -> None:
        """``people`` gives the references of persons."""
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._people = people
        self._catalog = catalog
        self._ledger = ledger
        self._holds = holds
        self._audit = audit
        self._request = uuid.uuid4().hex

    def place(self, case: str, target: Target, *, reason: str) -> Placed:
        """Put something on hold for a case. Placing it again changes nothing.

        1. Policy. 2. The target exists: a mistyped one would keep nothing. 3. On record. 4. Done.

        Raises ``InvalidRequestError`` for a target that is not there, or without a reason.
        """
        ref = self._case(case)
        if len(reason.strip()) < _SHORTEST_REASON:
            raise InvalidRequestError(
                f"say why in {_SHORTEST_REASON} characters or more: it goes on record, sealed"
            )
        self._require_permission(Action.HELD, ref)  # 1
        name = self._resolved(target)
        documents = self._documents(target.kind, name)
        if not documents and not self._known(target.kind, name):  # 2
            raise InvalidRequestError(f"no {target.kind} of this tenant is called so")
        hold = Hold(
            tenant=self._principal.tenant,
            case=ref,
            kind=target.kind,
            target=name,
            placed_by=self._principal.id,
            placed_at=datetime.now(UTC),
            name=case.strip(),
            reason=reason.strip(),
        )
        self._record(Action.HELD, ref, target.kind, name, sealed={"reason": hold.reason})  # 3
        self._holds.place(hold)  # 4
        return Placed(hold, documents)

    def release(self, case: str, target: Target | None, *, reason: str) -> int:
        """End a case's hold on a target, or all its holds; return how many ended.

        What other cases hold stays held.
        """
        ref = self._case(case)
        if len(reason.strip()) < _SHORTEST_REASON:
            raise InvalidRequestError(
                f"say why in {_SHORTEST_REASON} characters or more: it goes on record, sealed"
            )
        self._require_permission(Action.RELEASED, ref)
        tenant = self._principal.tenant
        sealed = {"reason": reason.strip()}
        if target is None:
            self._record(Action.RELEASED, ref, None, None, sealed=sealed)
            return self._holds.release(tenant, ref)
        name = self._resolved(target)
        self._record(Action.RELEASED, ref, target.kind, name, sealed=sealed)
        return self._holds.release(tenant, ref, target.kind, name)

    def list(self, case: str | None = None) -> list[Hold]:
        """Return the holds in force, of one case or of all, oldest first; the look is on record."""
        ref = self._case(case) if case is not None else None
        self._require_permission(Action.HOLDS_READ, ref)
        found = self._holds.of(self._principal.tenant, ref)
        details: dict[str, Json] = {"case": ref, "holds": len(found)}
        self._append(Action.HOLDS_READ, details, ())
        return found

    def _case(self, case: str) -> str:
        if not case.strip() or len(case) > LONGEST_DETAIL:
            raise InvalidRequestError("name the case, in at most 256 characters")
        return self._holds.case_ref(self._principal.tenant, case)

    def _resolved(self, target: Target) -> str:
        if target.kind is Held.SUBJECT:
            return self._people.subject_ref(self._principal.tenant, target.name)
        return target.name

    def _documents(self, kind: Held, name: str) -> int:
        tenant = self._principal.tenant
        if kind is Held.DOCUMENT:
            entry = self._catalog.document(name)
            if entry is not None:
                return int(entry.tenant == tenant)
            # In quarantine a document is known to the ledger alone.
            return sum(one.document == name for one in self._ledger.entries(tenant=tenant))
        if kind is Held.COLLECTION:
            rows = self._ledger.entries(tenant=tenant, collection=name)
            known = sum(one.state in _THERE for one in rows)
            return max(known, len(self._catalog.documents(tenant, name)))
        return sum(name in entry.subjects for entry in self._catalog.documents(tenant))

    def _known(self, kind: Held, name: str) -> bool:
        """Return whether a hold may be on it although it keeps nothing now."""
        if kind is Held.COLLECTION:
            return bool(self._ledger.entries(tenant=self._principal.tenant, collection=name))
        return kind is Held.SUBJECT

    def _require_permission(self, action: Action, case: str | None) -> None:
        decision = self._policies.decide_duty(self._principal, "hold", self._purpose)
        if decision.allowed:
            return
        details: dict[str, Json] = {"case": case}
        self._append(action, details, (), outcome=Outcome.DENIED)
        why = self._policies.why_not(self._principal, "hold", self._purpose, decision)
        raise DeniedError(f"policy denies it: {why}; nothing was changed")

    def _record(
        self, action: Action, case: str, kind: Held | None, name: str | None, sealed: dict[str, str]
    ) -> None:
        details: dict[str, Json] = {"case": case, "on": kind and kind.value}
        if kind is Held.DOCUMENT:
            details["document"] = name
        elif kind is Held.COLLECTION:
            details["collection"] = name
        subjects = [name] if kind is Held.SUBJECT and name else []
        self._append(action, details, subjects, sealed=sealed)

    def _append(
        self,
        action: Action,
        details: dict[str, Json],
        subjects: Collection[str],
        *,
        outcome: Outcome = Outcome.SUCCESS,
        sealed: dict[str, str] | None = None,
    ) -> None:
        self._audit.append(
            event_of(
                self._principal,
                action,
                outcome,
                request_id=self._request,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=subjects,
                details=details,
                sealed=sealed,
            )
        )
