"""Puts a decision into plain words."""

from collections.abc import Mapping
from dataclasses import dataclass

from ragplatform.model import Decision, Principal, Purpose
from ragplatform.policy.questions import Action
from ragplatform.policy.rules import Rule


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision fell as it did.

    ``rules`` are the policies that decided, none where nothing permitted. ``reason`` is one
    sentence that speaks of the caller's roles and the rules alone; it presumes that the caller
    may know of the document asked about. ``missing`` are the conditions that failed, by the
    ``@id`` of each policy that came nearest to permitting; none where it is permitted.
    """

    decision: Decision
    rules: tuple[Rule, ...]
    reason: str
    policy_digest: str
    missing: Mapping[str, tuple[str, ...]]

    @property
    def allowed(self) -> bool:
        """Whether the decision permits."""
        return self.decision.allowed

    def __str__(self) -> str:
        """Return the reason, then one line per deciding policy: its id, effect and file."""
        lines = [
            f"  {rule.id} ({'forbid' if rule.forbids else 'permit'}, {rule.file}): {rule.why}"
            for rule in self.rules
        ]
        lines += [
            f"  {name} does not permit: {condition}"
            for name, conditions in self.missing.items()
            for condition in conditions
        ]
        return "\n".join([self.reason, *lines])


def explain(
    decision: Decision,
    *,
    principal: Principal,
    action: Action,
    purpose: Purpose,
    rules: Mapping[str, Rule],
    policy_digest: str,
    missing: Mapping[str, tuple[str, ...]],
) -> Explanation:
    """Return the explanation of one decision. ``missing``: every policy's failed conditions."""
    deciding = tuple(rules[name] for name in decision.policies)
    whys = " ".join(rule.why for rule in deciding if rule.forbids is not decision.allowed)
    if decision.allowed:
        reason = f"Permitted: {whys}"
    elif decision.errors:
        reason = "Denied: a policy could not be evaluated, and what is undecided is denied."
    elif whys:
        reason = f"Denied: {whys}"
    else:
        reason = f"Denied: {nothing_permits(principal, action, purpose)}."
    return Explanation(decision, deciding, reason, policy_digest, _nearest(missing))


def _nearest(missing: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the policies of which the fewest conditions failed."""
    fewest = min((len(conditions) for conditions in missing.values()), default=0)
    return {name: failed for name, failed in missing.items() if len(failed) == fewest}


def nothing_permits(principal: Principal, action: Action, purpose: Purpose) -> str:
    """Return the clause that says that no policy permits."""
    return f"no policy permits {roles(principal)} to {action} for purpose {purpose}"


def roles(principal: Principal) -> str:
    """Return the principal's roles as words: ``role nurse``, ``roles nurse and quality``."""
    names = sorted(principal.roles)
    if not names:
        return "a caller without a role"
    if len(names) == 1:
        return f"role {names[0]}"
    return f"roles {', '.join(names[:-1])} and {names[-1]}"
