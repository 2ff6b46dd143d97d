"""Turns verdicts on access classes into the filter of a search. The only maker of ``Scope``."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from ragplatform.errors import TamperedError
from ragplatform.model import AllOf, AnyOf, Clause, Labels, Principal, Purpose, Scope
from ragplatform.policy.classes import access_class
from ragplatform.policy.questions import Action
from ragplatform.policy.verdicts import Verdicts


def make_scope(
    principal: Principal,
    purpose: Purpose,
    classes: Mapping[str, Labels],
    collections: frozenset[str] | None,
    *,
    verdicts: Verdicts,
    reveals: frozenset[str],
    policy_digest: str,
) -> Scope:
    """Return what the principal may search for the purpose among the classes.

    Raises ``TamperedError`` when a class is not named by the hash of its labels.
    """
    # A class holds its collection, so classes narrowed by collection need no clause of their own.
    found = _filter(principal, purpose, _narrowed(principal, classes, collections), verdicts)
    return Scope(
        tenant=principal.tenant,
        principal=principal.id,
        purpose=purpose,
        filter=found,
        reveals=reveals,
        policy_digest=policy_digest,
        key=_key(principal, purpose, found, reveals, policy_digest),
    )


def _narrowed(
    principal: Principal, classes: Mapping[str, Labels], collections: frozenset[str] | None
) -> dict[str, Labels]:
    kept = {}
    for name, labels in classes.items():
        if name != access_class(labels):
            raise TamperedError(f"access class {name} is not the hash of its labels")
        if labels.tenant != principal.tenant:
            continue
        if collections is None or labels.collection in collections:
            kept[name] = labels
    return kept


def _filter(
    principal: Principal, purpose: Purpose, classes: Mapping[str, Labels], verdicts: Verdicts
) -> AnyOf:
    """Build ``class in open_to_any OR (class in open_to_related AND subject is the caller's)``."""
    relations = verdicts.relations(principal, Action.READ, purpose, list(classes.values()))
    open_to_any, open_to_related = set(), set()
    for name, relation in zip(classes, relations, strict=True):
        if not relation.verdict(related=True).allowed:
            continue
        if relation.verdict(related=False).allowed:
            open_to_any.add(name)
        else:
            open_to_related.add(name)
    branches = []
    if open_to_any:
        branches.append(AllOf((Clause("access_class", frozenset(open_to_any)),)))
    if open_to_related and principal.subjects:
        branches.append(
            AllOf(
                (
                    Clause("access_class", frozenset(open_to_related)),
                    Clause("subjects", principal.subjects),
                )
            )
        )
    return AnyOf(tuple(branches))


def _key(
    principal: Principal,
    purpose: Purpose,
    found: AnyOf,
    reveals: Iterable[str],
    policy_digest: str,
) -> str:
    document = [
        principal.tenant,
        principal.id,
        purpose.value,
        [
            [[clause.field, sorted(clause.any_of)] for clause in branch.clauses]
            for branch in found.branches
        ],
        sorted(reveals),
        policy_digest,
    ]
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()
