"""What can be asked of policies, and how it is put in Cedar's terms."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Consent, Labels, Principal, Purpose
from ragplatform.policy.classes import access_class


class Action(StrEnum):
    """Everything that policies decide about. ``declare`` is to state a purpose at all."""

    READ = "read"
    REVEAL = "reveal"
    INGEST = "ingest"
    FORGET = "forget"
    DECLARE = "declare"
    EMBED = "embed"
    REVIEW_AUDIT = "review_audit"
    UNSEAL = "unseal"
    OPERATE = "operate"
    UNMASK = "unmask"
    BREAK_GLASS = "break_glass"
    REVIEW_ACCESS = "review_access"
    MANAGE_ACCESS = "manage_access"
    EXPLAIN_ACCESS = "explain_access"
    REVIEW_QUARANTINE = "review_quarantine"
    RELEASE_QUARANTINE = "release_quarantine"
    RELABEL = "relabel"
    HOLD = "hold"
    REPORT_SUBJECT = "report_subject"


ON_LABELS: Final = frozenset({Action.READ, Action.INGEST, Action.FORGET, Action.RELABEL})
ON_IDENTIFIER: Final = frozenset({Action.REVEAL, Action.UNMASK})
ON_TENANT: Final = frozenset(Action) - ON_LABELS - ON_IDENTIFIER


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How the principal stands to the people that a passage is about; see ``model.Standing``.

    ``opened``: the principal broke the glass for one of them, and it is still in force.
    """

    related: bool
    opened: bool = False
    consent: Consent = Consent.SILENT


# Somebody who has nothing to do with whom the passage is about, of whom nobody said anything.
STRANGER: Final = Circumstances(related=False)


@dataclass(frozen=True, slots=True)
class AboutLabels:
    """Documents so labelled, about people to whom the principal stands so."""

    labels: Labels
    circumstances: Circumstances


@dataclass(frozen=True, slots=True)
class AboutTenant:
    """A tenant as a whole."""

    tenant: str


@dataclass(frozen=True, slots=True)
class AboutIdentifier:
    """Values of one entity type. Raises ``KeyError`` in use when there is no such type."""

    entity: str


Question = AboutLabels | AboutTenant | AboutIdentifier


def request(
    principal: Principal, action: Action, purpose: Purpose, question: Question
) -> dict[str, Any]:
    """Return Cedar's request. Ids go as data, so none can be read as Cedar syntax."""
    context: dict[str, str | bool] = {"purpose": purpose.value}
    if isinstance(question, AboutLabels):
        context["related"] = question.circumstances.related
        context["broke_glass"] = question.circumstances.opened
        context["consent"] = question.circumstances.consent.value
    return {
        "principal": {"type": "User", "id": principal.id},
        "action": {"type": "Action", "id": action.value},
        "resource": resource_uid(question),
        "context": context,
    }


def resource_uid(question: Question) -> dict[str, str]:
    """Return the type and id of the entity that is asked about."""
    if isinstance(question, AboutLabels):
        return {"type": "AccessClass", "id": access_class(question.labels)}
    if isinstance(question, AboutTenant):
        return {"type": "Tenant", "id": question.tenant}
    return {"type": "Identifier", "id": question.entity}


def user_entity(principal: Principal) -> dict[str, Any]:
    """Return the principal as Cedar's entity. Whom it is related to stays outside Cedar."""
    return {
        "uid": {"type": "User", "id": principal.id},
        "attrs": {
            "tenant": principal.tenant,
            "roles": sorted(principal.roles),
            "departments": sorted(principal.departments),
            "clearance": int(principal.clearance),
        },
        "parents": [],
    }


def resource_entity(question: Question) -> dict[str, Any]:
    """Return what is asked about as Cedar's entity."""
    attrs: dict[str, str | int | list[str]]
    if isinstance(question, AboutLabels):
        labels = question.labels
        attrs = {
            "tenant": labels.tenant,
            "collection": labels.collection,
            "sensitivity": int(labels.sensitivity),
            "department": labels.department,
            "categories": [category.value for category in sorted(labels.categories)],
            "restrictions": sorted(labels.restrictions),
            "state": labels.state,
            "retain_until": labels.retain_until,
        }
    elif isinstance(question, AboutTenant):
        attrs = {"tenant": question.tenant}
    else:
        attrs = {"category": CATEGORY_OF[question.entity].value}
    return {"uid": resource_uid(question), "attrs": attrs, "parents": []}
