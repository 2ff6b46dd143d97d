"""Reading the audit log for a reviewer: permitted by policy, on record before a row leaves.

``AuditReader`` asks the index and decides nothing; it is for who holds the files, too.
``AuditReviewer`` is what callers of the service get.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from ragplatform.audit import disclosures, query
from ragplatform.audit.details import recordable
from ragplatform.audit.disclosures import Disclosures, UnderGlass
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_links import UNNAMED
from ragplatform.audit.index_query import (
    AuditQuery,
    Entry,
    UnsafeAllTenants,
    Whose,
    evidence_of,
    find_entry,
    select_page,
)
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.reasons import required_reason
from ragplatform.audit.record import Record
from ragplatform.errors import DeniedError, NotFoundError
from ragplatform.model import Json, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act

# What one request of the service takes into the index at most: a second or two of work.
MOST_CAUGHT_UP: Final = 20_000
_REFERENCE: Final = re.compile(r"s_[a-z2-7]{24}")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed:
    """One record that was found; ``record`` is None where its log is not on this host."""

    entry: Entry
    record: Record | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of rows.

    ``complete`` is False while the index is still behind the logs: newer records may be missing,
    and asking again takes in more of them. ``unnamed`` counts disclosures of passages about more
    people than their records name, which may be about the subject too.
    """

    rows: tuple[T, ...]
    cursor: str | None
    complete: bool
    unnamed: int = 0


class AuditReader:
    """Answers questions from the index, after it caught up with the logs of this host."""

    def __init__(
        self,
        *,
        index: AuditIndex,
        logs: Callable[[Whose], Mapping[str, Path]],
        subject_ref: Callable[[str, str], str],
        most: int | None,
    ) -> None:
        """Ask of the ``logs`` that can hold a tenant's records, each by its origin.

        ``subject_ref`` keys a tenant's raw id of a person. ``most`` bounds how many records one
        question takes into the index before it is answered; None: all that there are.
        """
        self._index = index
        self._logs = logs
        self._subject_ref = subject_ref
        self._most = most

    def reference(self, tenant: str, subject: str) -> str:
        """Return the keyed reference of a person, given that or the raw id.

        ``UNNAMED`` stays as it is: it asks for records that count more people than they name.
        """
        given = subject.strip()
        if given == UNNAMED or _REFERENCE.fullmatch(given):
            return given
        return self._subject_ref(tenant, given)

    def events(self, asked: AuditQuery, *, limit: int, cursor: str | None) -> Listing[Listed]:
        """Return the records that fit, each read from its log."""
        complete = self._catch_up(asked.tenant)
        page = select_page(self._index, asked, limit=limit, cursor=cursor)
        logs = self._logs(asked.tenant)
        rows = tuple(
            Listed(entry, evidence_of(entry, logs.get(entry.origin))) for entry in page.entries
        )
        return Listing(rows, page.cursor, complete)

    def who_saw(
        self, asked: AuditQuery, *, limit: int, cursor: str | None, withheld: bool
    ) -> Listing[disclosures.Disclosure]:
        """Return to whom a passage was shown; ``withheld``: also from whom it was kept."""
        complete = self._catch_up(asked.tenant)
        found = disclosures.who_saw(
            self._index, asked, limit=limit, cursor=cursor, withheld=withheld
        )
        return _listed(found, complete)

    def about_subject(
        self, asked: AuditQuery, *, limit: int, cursor: str | None, everything: bool
    ) -> Listing[disclosures.Disclosure]:
        """Return to whom something of a person was shown, or everything that names the person."""
        complete = self._catch_up(asked.tenant)
        found = disclosures.about_subject(
            self._index, asked, limit=limit, cursor=cursor, everything=everything
        )
        return _listed(found, complete, disclosures.unnamed_disclosures(self._index, asked))

    def under_glass(
        self, asked: AuditQuery, *, limit: int, cursor: str | None
    ) -> Listing[UnderGlass]:
        """Return what somebody did under broken glasses, oldest first."""
        complete = self._catch_up(asked.tenant)
        acts, after = disclosures.under_glass(self._index, asked, limit=limit, cursor=cursor)
        return Listing(tuple(acts), after, complete)

    def record(self, tenant: Whose, origin: str, index: int) -> Record | None:
        """Return one record of the tenant's from its log on this host, or None."""
        self._catch_up(tenant)
        entry = find_entry(self._index, tenant, origin, index)
        return None if entry is None else evidence_of(entry, self._logs(tenant).get(origin))

    def _catch_up(self, tenant: Whose) -> bool:
        return self._index.catch_up(self._logs(tenant).values(), most=self._most).complete


def logs_in(folder: Path, tenant: Whose) -> dict[str, Path]:
    """Return the logs in a folder that can hold records of the tenant, by the origin."""
    of = None if isinstance(tenant, UnsafeAllTenants) else tenant
    return {log.name: log for log in query.find_logs(folder, tenant=of)}


class AuditReviewer:
    """Lets reviewers read their own tenant's records.

    Each act follows the same order. 1. Policy decides. 2. The rows are found. 3. The look is
    recorded, with what was asked and how much was found. 4. The rows leave.
    """

    def __init__(
        self,
        *,
        policies: Policies,
        audit: TenantLogs,
        reader: AuditReader,
        unsealed: Callable[[Record], Mapping[str, str]],
    ) -> None:
        """``unsealed`` opens the sealed parts of a record."""
        self._policies = policies
        self._audit = audit
        self._reader = reader
        self._unsealed = unsealed

    def may_review(self, principal: Principal) -> bool:
        """Return whether policy lets the principal read its tenant's records."""
        return self._policies.may(principal, Act.REVIEW_AUDIT, Purpose.COMPLIANCE)

    def events(
        self, who: Principal, request_id: str, asked: AuditQuery, *, limit: int, cursor: str | None
    ) -> Listing[Listed]:
        """Return the records of the principal's tenant that fit. Raises ``DeniedError``."""
        find = partial(self._reader.events, limit=limit, cursor=cursor)
        return self._look(who, request_id, "events", asked, find)

    def who_saw(
        self,
        who: Principal,
        request_id: str,
        asked: AuditQuery,
        *,
        limit: int,
        cursor: str | None,
        withheld: bool,
    ) -> Listing[disclosures.Disclosure]:
        """Return to whom a passage was shown. Raises ``DeniedError``."""
        find = partial(self._reader.who_saw, limit=limit, cursor=cursor, withheld=withheld)
        return self._look(who, request_id, "who_saw", asked, find)

    def about_subject(
        self,
        who: Principal,
        request_id: str,
        asked: AuditQuery,
        *,
        limit: int,
        cursor: str | None,
        everything: bool,
    ) -> Listing[disclosures.Disclosure]:
        """Return to whom something of a person was shown. Raises ``DeniedError``."""
        find = partial(
            self._reader.about_subject, limit=limit, cursor=cursor, everything=everything
        )
        return self._look(who, request_id, "about_subject", asked, find)

    def under_glass(
        self, who: Principal, request_id: str, asked: AuditQuery, *, limit: int, cursor: str | None
    ) -> Listing[UnderGlass]:
        """Return what somebody did under broken glasses. Raises ``DeniedError``."""
        find = partial(self._reader.under_glass, limit=limit, cursor=cursor)
        return self._look(who, request_id, "under_glass", asked, find)

    def unseal(
        self, who: Principal, request_id: str, origin: str, index: int, reason: str
    ) -> dict[str, str]:
        """Return the sealed parts of one record in clear, by name.

        1. The reason is one that a reviewer can judge. 2. Policy permits it. 3. The record is of
        the principal's tenant, and is what its log holds. 4. The look is recorded, with the reason
        sealed. 5. The parts are opened.

        Raises ``InvalidRequestError``, ``DeniedError``, ``NotFoundError``.
        """
        why = required_reason(reason)  # 1
        details: dict[str, Json] = {"origin": recordable(origin), "index": index}
        decision = self._policies.decide_duty(who, Act.UNSEAL, Purpose.COMPLIANCE)
        if not decision.allowed:  # 2
            self._append(who, request_id, Action.UNSEALED, Outcome.DENIED, details)
            raise DeniedError(self._policies.why_not(who, Act.UNSEAL, Purpose.COMPLIANCE, decision))
        record = self._reader.record(who.tenant, origin, index)
        if record is None:  # 3
            self._append(who, request_id, Action.UNSEALED, Outcome.FAILURE, details)
            raise NotFoundError("no such record of your tenant's on this host")
        self._append(  # 4
            who, request_id, Action.UNSEALED, Outcome.SUCCESS, details, {"reason": why}
        )
        return dict(self._unsealed(record))  # 5

    def _look(
        self,
        who: Principal,
        request_id: str,
        what: str,
        asked: AuditQuery,
        find: Callable[[AuditQuery], Listing[T]],
    ) -> Listing[T]:
        """Return what is found over the principal's own tenant, whatever tenant ``asked`` names."""
        subject = asked.subject
        ref = None if subject is None else self._reader.reference(who.tenant, subject)
        mine = replace(asked, tenant=who.tenant, subject=ref)
        if not self.may_review(who):  # 1
            details = look_details(what, mine, 0)
            self._append(who, request_id, Action.AUDIT_READ, Outcome.DENIED, details)
            raise DeniedError("reading the audit log is a duty of compliance reviewers")
        found = find(mine)  # 2
        details = look_details(what, mine, len(found.rows))
        self._append(who, request_id, Action.AUDIT_READ, Outcome.SUCCESS, details)  # 3
        return found  # 4

    def _append(
        self,
        who: Principal,
        request_id: str,
        action: Action,
        outcome: Outcome,
        details: Mapping[str, Json],
        sealed: Mapping[str, str] | None = None,
    ) -> None:
        self._audit.append(
            event_of(
                who,
                action,
                outcome,
                request_id=request_id,
                purpose=Purpose.COMPLIANCE.value,
                policy=self._policies.digest,
                details=details,
                sealed=sealed,
            )
        )


def look_details(what: str, asked: AuditQuery, rows: int) -> dict[str, Json]:
    """Return what a record says of a look: what was asked for, by which conditions, how many rows.

    Of the conditions' values only the passage or the person that the question is about stand in it.
    """
    details: dict[str, Json] = {"asked": what, "by": [*asked.shape], "rows": rows}
    about = {"passage": asked.passage, "subject": asked.subject, "person": asked.glass_of}
    return details | {name: recordable(value) for name, value in about.items() if value}


def _listed(
    found: Disclosures, complete: bool, unnamed: int = 0
) -> Listing[disclosures.Disclosure]:
    return Listing(found.found, found.cursor, complete, unnamed)
