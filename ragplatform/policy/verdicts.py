"""Puts questions to Cedar. The only module that evaluates policies; any error denies."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Final, TypeAlias

import cedarpy

from ragplatform.model import Consent, Decision, Labels, Principal, Purpose
from ragplatform.policy.conditions import conditions_of
from ragplatform.policy.memory import Asker, DecisionMemory
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
from ragplatform.recent import Recent

# One for each tenant's classes, and some for questions about a few. 500 classes take about 1 MB.
_ENTITY_SETS: Final = 16
# Each holds two lists of the tenant's classes, shared strings: about 40 kB with 500 of them.
_SETS: Final = 512
_AlikeKey: TypeAlias = tuple[Principal, Purpose, tuple[Circumstances, ...], frozenset[str]]
_OTHER_PURPOSE: Final = "the key was not made for this purpose"


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
        kin = self.decisions[_kin(circumstances)]
        return kin if own.allowed and not kin.allowed else own


def _kin(one: Circumstances) -> Circumstances:
    return Circumstances(related=True, opened=one.opened, consent=one.consent)


class Verdicts:
    """Answers questions by one rule book. Answers are remembered, and none can be stale.

    An answer hangs on the rules, which never change here, and on what Cedar is told, all of which
    it is remembered by: a changed role, label or purpose makes another question. Errors are not
    remembered.
    """

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._memory = DecisionMemory()
        self._alike: Recent[_AlikeKey, Mapping[tuple[bool, ...], frozenset[str]]] = Recent(_SETS)
        self._resources = lru_cache(_ENTITY_SETS)(partial(_resources, book.schema))

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
            asker = Asker(self._told(principal), action, purpose)
            known = self._memory.recall(asker)
            with suppress(KeyError):
                return [known[question] for question in questions]
            fresh = self._ask(asker, list({one: None for one in questions if one not in known}))
            return [fresh.get(question) or known[question] for question in questions]
        except (ValueError, TypeError, KeyError) as error:
            return [Decision(allowed=False, errors=(str(error),))] * len(questions)

    def _told(self, principal: Principal) -> Principal:
        """Return the principal as Cedar is told of it: what it does not hear, it cannot decide by.

        So people of equal attributes share what is remembered, unless a policy names somebody.
        """
        return Principal(
            id=principal.id if self._book.personal else "",
            tenant=principal.tenant,
            roles=principal.roles,
            departments=principal.departments,
            clearance=principal.clearance,
        )

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
        asked = list(dict.fromkeys(one for each in circumstances for one in (each, _kin(each))))
        questions = [AboutLabels(one, each) for one in labels for each in asked]
        decisions = [
            _walled(decision, principal, question.labels.tenant)
            for decision, question in zip(
                self.decide(principal, action, purpose, questions), questions, strict=True
            )
        ]
        parts = iter(decisions)
        return [Answers({each: next(parts) for each in asked}) for _ in labels]

    def alike(
        self,
        principal: Principal,
        purpose: Purpose,
        classes: Mapping[str, Labels],
        circumstances: tuple[Circumstances, ...],
    ) -> Mapping[tuple[bool, ...], frozenset[str]]:
        """Return the names of the classes by whether ``read`` is permitted in each circumstance.

        Each name must be the hash of its labels: that is what the answer is remembered by.
        """
        if principal.purposes is not None and purpose not in principal.purposes:
            return {(False,) * len(circumstances): frozenset(classes)}
        key = (self._told(principal), purpose, circumstances, frozenset(classes))
        if (known := self._alike.get(key)) is not None:
            return known
        answers = self.answers(
            principal, Action.READ, purpose, list(classes.values()), circumstances
        )
        groups: dict[tuple[bool, ...], set[str]] = {}
        for name, answer in zip(classes, answers, strict=True):
            permitted = tuple(answer.verdict(one).allowed for one in circumstances)
            groups.setdefault(permitted, set()).add(name)
        found = {permitted: frozenset(names) for permitted, names in groups.items()}
        if not any(each.errors for answer in answers for each in answer.decisions.values()):
            self._alike.put(key, found)
        return found

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
