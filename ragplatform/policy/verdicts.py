"""Puts questions to Cedar. The only module that evaluates policies; any error denies."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Final

import cedarpy

from ragplatform.model import Decision, Labels, Principal, Purpose
from ragplatform.policy.memory import Asker, DecisionMemory
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

# One for each tenant's classes, and some for questions about a few. 500 classes take about 1 MB.
_ENTITY_SETS: Final = 16


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
    """Answers questions by one rule book. Answers are remembered, and none can be stale.

    An answer hangs on the rules, which never change here, and on what Cedar is told, all of which
    it is remembered by: a changed role, label or purpose makes another question. Errors are not
    remembered.
    """

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._memory = DecisionMemory()
        self._resources = lru_cache(_ENTITY_SETS)(partial(_resources, book.schema))

    def decide(
        self, principal: Principal, action: Action, purpose: Purpose, questions: Sequence[Question]
    ) -> list[Decision]:
        """Return one decision per question, in order.

        Questions that cannot even be put to Cedar are denied with the reason in ``errors``.
        """
        try:
            # Cedar is told of nobody's relations and name. Leaving them out here makes it certain
            # that no answer hangs on something that it is not remembered by.
            told = replace(principal, subjects=frozenset(), name="")
            asker = Asker(told, action, purpose)
            known = self._memory.recall(asker)
            with suppress(KeyError):
                return [known[question] for question in questions]
            fresh = self._ask(asker, list({one: None for one in questions if one not in known}))
            return [fresh.get(question) or known[question] for question in questions]
        except (ValueError, TypeError, KeyError) as error:
            return [Decision(allowed=False, errors=(str(error),))] * len(questions)

    def _ask(self, asker: Asker, questions: Sequence[Question]) -> dict[Question, Decision]:
        who, action, purpose = asker.principal, asker.action, asker.purpose
        results = cedarpy.is_authorized_batch(
            [request(who, action, purpose, question) for question in questions],
            self._book.policies[action, purpose],
            self._entities(who, questions),
            self._book.schema,
        )
        # Few differ, and many may be remembered: equal ones are one object.
        shared: dict[Decision, Decision] = {}
        decisions = map(_decision, results)
        answers = {
            question: shared.setdefault(decision, decision)
            for question, decision in zip(questions, decisions, strict=True)
        }
        self._memory.add(
            asker, {asked: answer for asked, answer in answers.items() if not answer.errors}
        )
        return answers

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
        resources = self._resources(tuple(subjects.values()))
        user = json.dumps([user_entity(principal)])
        return resources.with_added_json_str(user, self._book.schema)


def _resources(schema: cedarpy.Schema, questions: tuple[Question, ...]) -> cedarpy.Entities:
    document = [resource_entity(question) for question in questions]
    return cedarpy.Entities.from_json_str(json.dumps(document), schema)


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
