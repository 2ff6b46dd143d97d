"""Puts questions to Cedar. The only module that evaluates policies; any error denies."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cedarpy

from ragplatform.model import Decision, Labels, Principal, Purpose
from ragplatform.policy.questions import (
    AboutLabels,
    AboutTenant,
    Action,
    Question,
    request,
    resource_entity,
    user_entity,
)
from ragplatform.policy.rules import RuleBook

_OTHER_PURPOSE: Final = "the key was not made for this purpose"


@dataclass(frozen=True, slots=True)
class Relation:
    """Cedar's two answers about one action on one set of labels: to the related, to strangers.

    The search filter can say "and the subject is the caller's" but not "and it is not". So that
    the filter and the verdict on a hit can never disagree, whatever the policies say, both are
    drawn from ``verdict``, by which being a stranger never opens what being related closes.
    """

    related: Decision
    unrelated: Decision

    def verdict(self, *, related: bool) -> Decision:
        """Return the decision for a passage whose subject is, or is not, related."""
        if related:
            return self.related
        if self.unrelated.allowed and not self.related.allowed:
            return self.related
        return self.unrelated


class Verdicts:
    """Answers questions by one rule book, each from scratch: nothing is remembered."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book

    def decide(
        self, principal: Principal, action: Action, purpose: Purpose, questions: Sequence[Question]
    ) -> list[Decision]:
        """Return one decision per question, in order.

        Questions that cannot even be put to Cedar are denied with the reason in ``errors``.
        """
        if not questions:
            return []
        if principal.purposes is not None and purpose not in principal.purposes:
            # Every decision passes here, so a key made for one purpose serves no other.
            return [Decision(allowed=False, errors=(_OTHER_PURPOSE,))] * len(questions)
        try:
            results = cedarpy.is_authorized_batch(
                [request(principal, action, purpose, question) for question in questions],
                self._book.policies[action, purpose],
                self._entities(principal, questions),
                self._book.schema,
            )
        except (ValueError, TypeError, KeyError) as error:
            return [Decision(allowed=False, errors=(str(error),))] * len(questions)
        return [_decision(result) for result in results]

    def relations(
        self, principal: Principal, action: Action, purpose: Purpose, labels: Sequence[Labels]
    ) -> list[Relation]:
        """Return both answers for each of the labels, in order; another tenant's are denied."""
        questions = [AboutLabels(one, related) for one in labels for related in (True, False)]
        answers = [
            _walled(decision, principal, question.labels.tenant)
            for decision, question in zip(
                self.decide(principal, action, purpose, questions), questions, strict=True
            )
        ]
        return [Relation(*pair) for pair in zip(answers[::2], answers[1::2], strict=True)]

    def duty(self, principal: Principal, action: Action, purpose: Purpose, tenant: str) -> Decision:
        """Return the answer about an action on a whole tenant; on another's it is denied."""
        [decision] = self.decide(principal, action, purpose, [AboutTenant(tenant)])
        return _walled(decision, principal, tenant)

    def may_permit_some(self, principal: Principal, purpose: Purpose) -> bool:
        """Return whether some ``permit`` of ``read`` could hold for documents of some labels.

        It words refusals and decides nothing, for Cedar's partial evaluation is experimental.
        """
        permits = {rule.id for rule in self._book.rules.values() if not rule.forbids}
        try:
            entities = self._entities(principal, ())
            for related in (True, False):
                result = cedarpy.is_authorized_partial(
                    {
                        "principal": f"User::{json.dumps(principal.id)}",
                        "action": f'Action::"{Action.READ}"',
                        "context": {"purpose": purpose.value, "related": related},
                    },
                    self._book.policies[Action.READ, purpose],
                    entities,
                )
                found = result.diagnostics
                if permits & {*found.may_be_determining, *found.must_be_determining}:
                    return True
        except (ValueError, TypeError, KeyError):
            return True
        return False

    def _entities(self, principal: Principal, questions: Sequence[Question]) -> cedarpy.Entities:
        # Two questions about the same labels name one entity, which Cedar wants told once.
        subjects = {
            question.labels if isinstance(question, AboutLabels) else question: question
            for question in questions
        }
        document = [user_entity(principal), *map(resource_entity, subjects.values())]
        return cedarpy.Entities.from_json_str(json.dumps(document), self._book.schema)


def _decision(result: cedarpy.AuthzResult) -> Decision:
    policies = tuple(sorted(result.diagnostics.reasons))
    errors = tuple(result.diagnostics.errors)
    # Cedar skips a policy that errors. Were that policy a forbid, the answer would be Allow.
    return Decision(allowed=result.allowed and not errors, policies=policies, errors=errors)


def _walled(decision: Decision, principal: Principal, tenant: str) -> Decision:
    """Deny across tenants even where the policies' own wall is missing."""
    if principal.tenant == tenant or not decision.allowed:
        return decision
    return Decision(
        allowed=False,
        policies=decision.policies,
        errors=("a policy permits this across tenants, which nothing may",),
    )
