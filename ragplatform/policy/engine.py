"""The way into policy: load a folder of Cedar policies, then ask."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import PolicyError
from ragplatform.model import (
    Decision,
    Labels,
    Passage,
    Principal,
    Purpose,
    Scope,
    Sensitivity,
    Standing,
)
from ragplatform.policy import circumstances
from ragplatform.policy.cases import Case, CasesReport, read_cases, run_cases
from ragplatform.policy.classes import access_class
from ragplatform.policy.explain import Explanation, explain, nothing_permits, roles
from ragplatform.policy.questions import (
    ON_IDENTIFIER,
    ON_LABELS,
    ON_TENANT,
    STRANGER,
    AboutIdentifier,
    AboutLabels,
    AboutTenant,
    Action,
    Circumstances,
    Question,
)
from ragplatform.policy.rules import Rule, RuleBook, bears, read_rules
from ragplatform.policy.scope import make_scope
from ragplatform.policy.verdicts import Answers, Verdicts


class Policies:
    """The policies in force. Immutable; safe to share between threads; load anew to change.

    Decisions are remembered by all that they hang on, and relations are looked at anew each time:
    a changed role, clearance, relation or label holds at once.
    """

    def __init__(self, book: RuleBook, cases: Sequence[Case]) -> None:
        self._book = book
        self._cases = tuple(cases)
        self._verdicts = Verdicts(book)

    @classmethod
    def load(cls, directory: Path) -> "Policies":
        """Return the policies of a folder: its schema, ``*.cedar`` and ``*.cases.toml``.

        Raises ``PolicyError`` with the file and the reason when anything in them is malformed,
        does not fit the schema, or is not there at all.
        """
        policies = cls(read_rules(directory), read_cases(directory))
        policies._probe()
        return policies

    def apart(self) -> "Policies":
        """Return the same policies with a memory of their own, for what is only supposed."""
        return Policies(self._book, self._cases)

    @property
    def digest(self) -> str:
        """A SHA-256 over the schema and every policy file: equal digests decide equally."""
        return self._book.digest

    @property
    def texts(self) -> Mapping[str, str]:
        """The schema and every policy file as they were read, by name."""
        return self._book.texts

    def bearing(self, action: str, purpose: Purpose) -> Mapping[str, str]:
        """Return the policies that could decide there, as text by ``@id``: equal ones decide so."""
        act = Action(action)
        return {
            name: json.dumps(body, sort_keys=True)
            for name, body in self._book.bodies.items()
            if bears(body, act, purpose)
        }

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Every policy by its ``@id``."""
        return self._book.rules

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases of every pack."""
        return self._cases

    def decide(
        self,
        principal: Principal,
        action: str,
        purpose: Purpose,
        labels: Labels,
        about: Circumstances,
    ) -> Decision:
        """Decide ``read``, ``ingest`` or ``forget`` on documents so labelled.

        A stranger is permitted only what somebody related is permitted too; see
        ``verdicts.Answers``. Raises ``ValueError`` for an action of another kind.
        """
        act = _one_of(action, ON_LABELS)
        [answers] = self._verdicts.answers(principal, act, purpose, [labels], [about])
        return answers.verdict(about)

    def answers(
        self,
        principal: Principal,
        purpose: Purpose,
        labels: Sequence[Labels],
        asked: Sequence[Circumstances],
    ) -> list[Answers]:
        """Decide ``read`` on each of the labels, in each of the circumstances asked about."""
        return self._verdicts.answers(principal, Action.READ, purpose, labels, asked)

    def decide_passage(self, standing: Standing, passage: Passage) -> Decision:
        """Decide ``read`` on one hit by its own attributes; see ``decide_passages``."""
        [decision] = self.decide_passages(standing, [passage])
        return decision

    def decide_passages(self, standing: Standing, passages: Sequence[Passage]) -> list[Decision]:
        """Decide ``read`` on each hit by its own attributes, in order.

        The caller is related to a passage when related to at least one of its subjects, for that
        is what the filter can ask. A passage about several people should therefore carry the
        restriction ``mixed-subjects``, which no relation opens. A passage whose access class is
        not the hash of its labels is denied with an error.
        """
        distinct = list(dict.fromkeys(passage.labels for passage in passages))
        about = [circumstances.of(standing, passage.subjects) for passage in passages]
        answers = self.answers(
            standing.principal, standing.purpose, distinct, list(dict.fromkeys(about))
        )
        found = dict(zip(distinct, answers, strict=True))
        return [
            found[passage.labels].verdict(each)
            if passage.access_class == access_class(passage.labels)
            else Decision(allowed=False, errors=("the access class is not that of the labels",))
            for passage, each in zip(passages, about, strict=True)
        ]

    def scope(
        self,
        standing: Standing,
        classes: Mapping[str, Labels],
        *,
        collections: frozenset[str] | None = None,
    ) -> Scope:
        """Return what a principal of this standing may search, narrowed to the collections.

        ``classes`` are all access classes by id (``Catalog.classes``); ``collections=None`` means
        no narrowing, an empty set leaves nothing. Every passage of a listed class is matched by
        the filter if and only if ``decide_passage`` permits it and its collection is wanted.
        Raises ``TamperedError`` when a class is not named by the hash of its labels.
        """
        return make_scope(
            standing,
            classes,
            collections,
            verdicts=self._verdicts,
            reveals=self.reveals(standing.principal, standing.purpose),
            policy_digest=self.digest,
        )

    def may(
        self,
        principal: Principal,
        action: str,
        purpose: Purpose,
        *,
        labels: Labels | None = None,
        tenant: str | None = None,
    ) -> bool:
        """Return whether the action is permitted.

        ``read``, ``ingest`` and ``forget`` need ``labels`` and are asked as by somebody
        unrelated. ``declare``, ``review_audit``, ``unseal`` and ``operate`` concern a tenant, by
        default the principal's own. Raises ``ValueError`` for any other action.
        """
        if labels is not None:
            return self.decide(principal, action, purpose, labels, STRANGER).allowed
        return self.decide_duty(principal, action, purpose, tenant=tenant).allowed

    def decide_duty(
        self, principal: Principal, action: str, purpose: Purpose, *, tenant: str | None = None
    ) -> Decision:
        """Decide an action on a whole tenant, by default the principal's own."""
        act = _one_of(action, ON_TENANT)
        return self._verdicts.duty(principal, act, purpose, tenant or principal.tenant)

    def decide_reveal(self, principal: Principal, purpose: Purpose, entity: str) -> Decision:
        """Decide whether values of one entity type may be seen in clear; unknown types never."""
        return self.decide_identifier(principal, Action.REVEAL, purpose, entity)

    def decide_identifier(
        self, principal: Principal, action: str, purpose: Purpose, entity: str
    ) -> Decision:
        """Decide ``reveal`` or ``unmask`` on one entity type; unknown types never.

        Raises ``ValueError`` for an action of another kind.
        """
        act = _one_of(action, ON_IDENTIFIER)
        if entity not in CATEGORY_OF:
            return Decision(allowed=False, errors=(f"unknown entity type {entity!r}",))
        [decision] = self._verdicts.decide(principal, act, purpose, [AboutIdentifier(entity)])
        return decision

    def reveals(self, principal: Principal, purpose: Purpose) -> frozenset[str]:
        """Return the entity types whose values the principal may see in clear."""
        entities = list(CATEGORY_OF)
        decisions = self._verdicts.decide(
            principal, Action.REVEAL, purpose, [AboutIdentifier(entity) for entity in entities]
        )
        pairs = zip(entities, decisions, strict=True)
        return frozenset(entity for entity, decision in pairs if decision.allowed)

    def purposes(self, principal: Principal) -> frozenset[Purpose]:
        """Return the purposes that the principal may state at all."""
        return frozenset(
            purpose for purpose in Purpose if self.may(principal, Action.DECLARE, purpose)
        )

    def explain(
        self, principal: Principal, purpose: Purpose, labels: Labels, about: Circumstances
    ) -> Explanation:
        """Return why ``read`` is permitted or denied, with the policies that decided."""
        decision = self.decide(principal, Action.READ, purpose, labels, about)
        # With a ``forbid`` that holds, no permission would help.
        permits = () if decision.allowed or decision.policies else self._permits_of_reading()
        question = AboutLabels(labels, about)
        return explain(
            decision,
            principal=principal,
            action=Action.READ,
            purpose=purpose,
            rules=self.rules,
            policy_digest=self.digest,
            missing={
                rule: self._verdicts.failing(principal, purpose, question, rule) for rule in permits
            },
        )

    def _permits_of_reading(self) -> list[str]:
        """Return the policies that could permit a reading for some purpose, by ``@id``."""
        return [
            name
            for name, rule in self.rules.items()
            if not rule.forbids
            and any(bears(self._book.bodies[name], Action.READ, one) for one in Purpose)
        ]

    def why_not(
        self, principal: Principal, action: str, purpose: Purpose, decision: Decision
    ) -> str:
        """Return one sentence for a caller whom ``decision`` denies the action.

        It speaks of the caller's roles and the rules alone.
        """
        return explain(
            decision,
            principal=principal,
            action=Action(action),
            purpose=purpose,
            rules=self.rules,
            policy_digest=self.digest,
            missing={},
        ).reason

    def refusal_reason(self, principal: Principal, purpose: Purpose) -> str:
        """Return one sentence for a caller whose scope is empty.

        It is made from the caller's own roles and the rules, never from what is stored, so it
        cannot tell anybody whether a document exists.
        """
        who = roles(principal)
        if not self.may(principal, Action.DECLARE, purpose):
            allowed = ", ".join(sorted(self.purposes(principal))) or "none"
            return f"{who} may not act for purpose {purpose}; permitted purposes: {allowed}"
        if not self._verdicts.may_permit_some(principal, purpose):
            return nothing_permits(principal, Action.READ, purpose)
        return f"nothing that {who} may read for purpose {purpose} is within reach"

    def check(self) -> CasesReport:
        """Run every case of every pack; the report also names the policies no case exercises."""
        return run_cases(self._cases, policies=self)

    def _probe(self) -> None:
        """Put one question of each kind, so that a schema we cannot speak to fails at start."""
        nobody = Principal("probe", "probe", frozenset(), clearance=Sensitivity.PUBLIC)
        probe = Labels("probe", "probe", Sensitivity.PUBLIC)
        questions: dict[Action, Question] = {
            **dict.fromkeys(ON_LABELS, AboutLabels(probe, STRANGER)),
            **dict.fromkeys(ON_TENANT, AboutTenant("probe")),
            **dict.fromkeys(ON_IDENTIFIER, AboutIdentifier("PERSON")),
        }
        for action, question in questions.items():
            [decision] = self._verdicts.decide(nobody, action, Purpose.TREAT, [question])
            if decision.errors:
                raise PolicyError(f"{action} cannot be decided: {decision.errors[0]}")


def _one_of(action: str, known: frozenset[Action]) -> Action:
    if action not in known:
        raise ValueError(f"action {action!r} is none of {sorted(known)}")
    return Action(action)
