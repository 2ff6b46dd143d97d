"""Puts questions to Cedar. The only module that evaluates policies; any error denies."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import cedarpy

from ragplatform.model import Consent, Decision, Labels, Principal, Purpose
from ragplatform.policy.conditions import conditions_of
from ragplatform.policy.questions import (
    AboutLabels,
    AboutTenant,
    Action,
    Circumstances,
    Question,
    request,
    resource_entity,
    user_entity,
)
from ragplatform.policy.rules import RuleBook


@dataclass(frozen=True, slots=True)
class Answers:
    """Cedar's answers about one action on one set of labels, by the circumstances of a passage.

    The search filter and the verdict on a hit are both drawn from ``verdict``, so that they can
    never disagree, whatever the policies say. By it, being a stranger never opens what being
    related closes: whoever wrote such a rule did not mean it.
    """

    decisions: Mapping[Circumstances, Decision]

    def verdict(self, circumstances: Circumstances) -> Decision:
        """Return the decision for a passage in these circumstances, which must have been asked."""
        own = self.decisions[circumstances]
        kin = self.decisions[replace(circumstances, related=True)]
        return kin if own.allowed and not kin.allowed else own


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

    def answers(
        self,
        principal: Principal,
        action: Action,
        purpose: Purpose,
        labels: Sequence[Labels],
        circumstances: Sequence[Circumstances],
    ) -> list[Answers]:
        """Return the answers for each of the labels, in order; another tenant's are denied.

        Each of the circumstances is asked about, and the same with the person related.
        """
        asked = list(
            dict.fromkeys(
                one for each in circumstances for one in (each, replace(each, related=True))
            )
        )
        questions = [AboutLabels(one, each) for one in labels for each in asked]
        decisions = [
            _walled(decision, principal, question.labels.tenant)
            for decision, question in zip(
                self.decide(principal, action, purpose, questions), questions, strict=True
            )
        ]
        parts = iter(decisions)
        return [Answers({each: next(parts) for each in asked}) for _ in labels]

    def duty(self, principal: Principal, action: Action, purpose: Purpose, tenant: str) -> Decision:
        """Return the answer about an action on a whole tenant; on another's it is denied."""
        [decision] = self.decide(principal, action, purpose, [AboutTenant(tenant)])
        return _walled(decision, principal, tenant)

    def failing(
        self, principal: Principal, purpose: Purpose, question: AboutLabels, rule: str
    ) -> tuple[str, ...]:
        """Return the conditions of one policy that do not hold for a ``read``, as Cedar text.

        One that fails to be evaluated does not hold. Nothing is decided by this.
        """
        conditions = conditions_of(rule, self._book.bodies[rule])
        asked = request(principal, Action.READ, purpose, question)
        entities = self._entities(principal, [question])
        return tuple(
            one.text
            for one in conditions
            if not _decision(
                cedarpy.is_authorized(asked, one.alone, entities, self._book.schema)
            ).allowed
        )

    def may_permit_some(self, principal: Principal, purpose: Purpose) -> bool:
        """Return whether some ``permit`` of ``read`` could hold for documents of some labels.

        It words refusals and decides nothing, for Cedar's partial evaluation is experimental.
        """
        permits = {rule.id for rule in self._book.rules.values() if not rule.forbids}
        try:
            entities = self._entities(principal, ())
            for related, opened, consent in product((True, False), (True, False), Consent):
                result = cedarpy.is_authorized_partial(
                    {
                        "principal": f"User::{json.dumps(principal.id)}",
                        "action": f'Action::"{Action.READ}"',
                        "context": {
                            "purpose": purpose.value,
                            "related": related,
                            "broke_glass": opened,
                            "consent": consent.value,
                        },
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
