"""Why can X not see Y: for oneself, and for reviewers about others; never of what one may not know.

Whoever asks about a document by its id learns of it only when they may read it, or when policy
gives them the duty to explain. To all others a forbidden document and an absent one are the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from ragplatform.audit.details import recordable, unverified_id
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import DeniedError, InvalidRequestError, NotFoundError
from ragplatform.model import Json, Labels, Principal, Purpose, Sensitivity
from ragplatform.policy import changes, circumstances
from ragplatform.policy.changes import Change
from ragplatform.policy.engine import Policies
from ragplatform.policy.explain import Explanation
from ragplatform.policy.questions import Action as Act
from ragplatform.policy.questions import Circumstances
from ragplatform.ports import Standings


class Document(Protocol):
    """What the catalog knows of a document."""

    @property
    def tenant(self) -> str:
        """Whose it is."""

    @property
    def access_class(self) -> str:
        """Its class."""

    @property
    def subjects(self) -> frozenset[str]:
        """Whom it is about."""


class Documents(Protocol):
    """Knows the labels of documents."""

    def document(self, document: str) -> Document | None:
        """Return the document's entry, or None."""

    def classes(self, tenant: str) -> Mapping[str, Labels]:
        """Return the tenant's access classes by their id."""


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """May ``reader`` read it for the purpose, and why?

    Exactly one of ``document``, an id, and ``labels``, of a document that may not exist. With
    labels, ``subject`` is the raw id of whom it would be about, "" for nobody. ``reader`` None
    means the asker. ``trace`` is the W3C trace id that the caller gave.
    """

    purpose: Purpose
    document: str | None = None
    labels: Labels | None = None
    subject: str = field(default="", repr=False)
    reader: Principal | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """The explanation, in which circumstances it holds, and what would permit it."""

    explanation: Explanation
    about: Circumstances
    ways: tuple[tuple[Change, ...], ...]


class AccessExplainer:
    """Explains decisions of reading, on record. Safe to use from several threads."""

    def __init__(
        self,
        *,
        policies: Policies,
        catalog: Documents,
        standings: Standings,
        audit: TenantLogs,
        subject_ref: Callable[[str, str], str],
    ) -> None:
        self._policies = policies
        self._catalog = catalog
        self._standings = standings
        self._audit = audit
        self._subject_ref = subject_ref

    def explain(self, asker: Principal, asked: AccessQuestion, request_id: str) -> Explained:
        """Return why the reader may, or may not, read it now.

        Raises ``DeniedError`` for somebody else's access without the duty, ``NotFoundError`` alike
        for a document that does not exist and one that the asker may not know of,
        ``InvalidRequestError``.
        """
        if (asked.document is None) == (asked.labels is None):
            raise InvalidRequestError("give either document or labels")
        reader = asker if asked.reader is None else replace(asked.reader, tenant=asker.tenant)
        # The duty is asked for the purpose of reviewing, whatever purpose is asked about.
        reviewer = self._policies.may(asker, Act.EXPLAIN_ACCESS, Purpose.COMPLIANCE)
        # Not by id: whoever could lend their own name other roles would learn what those may see.
        if asked.reader is not None and not reviewer:
            self._record(asker, asked, reader, request_id, Outcome.DENIED, ())
            raise DeniedError("asking what others may see is a duty of compliance reviewers")
        standing = self._standings.standing(reader, asked.purpose)
        labels, subjects = self._found(asker.tenant, asked)
        mine = reviewer or bool(subjects & (standing.related | standing.opened))
        if asked.document is None and not mine:
            # Whoever guesses an id must not learn what a patient consents to or refuses.
            subjects = frozenset()
        about = circumstances.of(standing, subjects)
        # One that is absent is decided on too, and both from nothing: how long a 404 takes must not
        # tell which it is. Nor must what is supposed crowd out what was decided for who asks.
        nothing = Labels(asker.tenant, "absent", Sensitivity.RESTRICTED)
        apart = self._policies.apart()
        decided = apart.decide(reader, Act.READ, asked.purpose, labels or nothing, about)
        known = asked.document is None or reviewer or decided.allowed
        if labels is None or not known:
            self._record(asker, asked, reader, request_id, Outcome.DENIED, ())
            raise NotFoundError("no such document, or not one that you may know of")
        explanation = self._policies.explain(reader, asked.purpose, labels, about)
        roles = {role for case in self._policies.cases for role in case.who.roles}
        ways = changes.smallest(apart, reader, asked.purpose, labels, about, roles=roles)
        policies = explanation.decision.policies
        self._record(asker, asked, reader, request_id, Outcome.SUCCESS, policies)
        return Explained(explanation, about, tuple(ways))

    def _found(self, tenant: str, asked: AccessQuestion) -> tuple[Labels | None, frozenset[str]]:
        if asked.labels is not None:
            ref = self._subject_ref(tenant, asked.subject) if asked.subject else None
            return replace(asked.labels, tenant=tenant), frozenset([ref] if ref else [])
        entry, classes = self._catalog.document(asked.document or ""), self._catalog.classes(tenant)
        if entry is None or entry.tenant != tenant:
            return None, frozenset()
        return classes.get(entry.access_class), entry.subjects

    def _record(
        self,
        asker: Principal,
        asked: AccessQuestion,
        reader: Principal,
        request_id: str,
        outcome: Outcome,
        policies: tuple[str, ...],
    ) -> None:
        details: dict[str, Json] = {
            "document": unverified_id(asked.document or ""),
            "reader": recordable(reader.id),
            "policies": list(policies),
        }
        named = [self._subject_ref(asker.tenant, asked.subject)] if asked.subject else []
        self._audit.append(
            event_of(
                asker,
                Action.EXPLAINED,
                outcome,
                request_id=request_id,
                trace=asked.trace,
                purpose=asked.purpose.value,
                policy=self._policies.digest,
                subjects=named,
                details=details,
            )
        )
