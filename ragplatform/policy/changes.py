"""The smallest changes of the asker's standing that would turn a denial into a permission.

Found by trying, not by reading rules: what is named here is permitted when it is asked again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from ragplatform.model import Consent, Labels, Principal, Purpose, Sensitivity
from ragplatform.policy.cases import Decider
from ragplatform.policy.questions import Circumstances

# Two changes at once are as many as people can act on.
_MOST: Final = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would be otherwise.

    ``kind`` is ``role``, ``clearance``, ``department``, ``purpose``, ``related``, ``broke_glass``
    or ``consent``.
    """

    kind: str
    to: str

    def __str__(self) -> str:
        """Return the change in words."""
        words = {
            "role": f"with role {self.to}",
            "clearance": f"with clearance {self.to}",
            "department": f"in department {self.to}",
            "purpose": f"for purpose {self.to}",
            "related": "if related to the subject of the document",
            "broke_glass": "by breaking the glass",
            "consent": "with the subject's consent"
            if self.to == Consent.GIVEN
            else "if the subject did not refuse",
        }
        return words[self.kind]


def smallest(
    policies: Decider,
    principal: Principal,
    purpose: Purpose,
    labels: Labels,
    circumstances: Circumstances,
    *,
    roles: Iterable[str],
) -> list[tuple[Change, ...]]:
    """Return every smallest set of at most two changes by which ``read`` would be permitted.

    Empty where it is permitted already, and where no two changes are enough. ``roles`` are those
    worth trying. Nothing of another tenant is ever opened by any change.
    """
    asked = (principal, purpose, circumstances)
    if _permits(policies, labels, asked, ()):
        return []
    possible = tuple(_possible(principal, purpose, labels, circumstances, roles))
    for size in range(1, _MOST + 1):
        enough = [
            each
            for each in combinations(possible, size)
            if len({change.kind for change in each}) == size
            and _permits(policies, labels, asked, each)
        ]
        if enough:
            return enough
    return []


def _possible(
    principal: Principal,
    purpose: Purpose,
    labels: Labels,
    circumstances: Circumstances,
    roles: Iterable[str],
) -> Iterator[Change]:
    if not circumstances.related:
        yield Change("related", "yes")
    if not circumstances.opened:
        yield Change("broke_glass", "yes")
    if circumstances.consent is Consent.REFUSED:
        yield Change("consent", Consent.SILENT)
    if circumstances.consent is not Consent.GIVEN:
        yield Change("consent", Consent.GIVEN)
    if principal.clearance < labels.sensitivity:
        yield Change("clearance", labels.sensitivity.name.lower())
    if labels.department and labels.department not in principal.departments:
        yield Change("department", labels.department)
    yield from (Change("purpose", other.value) for other in Purpose if other is not purpose)
    yield from (Change("role", role) for role in sorted(set(roles) - principal.roles))


def _permits(
    policies: Decider,
    labels: Labels,
    asked: tuple[Principal, Purpose, Circumstances],
    changes: tuple[Change, ...],
) -> bool:
    principal, purpose, about = asked
    for change in changes:
        if change.kind == "related":
            about = replace(about, related=True)
        elif change.kind == "broke_glass":
            about = replace(about, opened=True)
        elif change.kind == "consent":
            about = replace(about, consent=Consent(change.to))
        elif change.kind == "clearance":
            principal = replace(principal, clearance=Sensitivity[change.to.upper()])
        elif change.kind == "department":
            principal = replace(principal, departments=principal.departments | {change.to})
        elif change.kind == "purpose":
            purpose = Purpose(change.to)
        else:
            principal = replace(principal, roles=principal.roles | {change.to})
    return policies.decide(principal, "read", purpose, labels, about).allowed
