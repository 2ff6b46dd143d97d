"""Turns verdicts on access classes into the filter of a search. The only maker of ``Scope``."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import compress

from ragplatform.errors import TamperedError
from ragplatform.model import AllOf, AnyOf, Clause, Labels, Scope, Standing
from ragplatform.policy import circumstances
from ragplatform.policy.circumstances import Condition
from ragplatform.policy.classes import access_class
from ragplatform.policy.verdicts import Verdicts


def make_scope(
    standing: Standing,
    classes: Mapping[str, Labels],
    collections: frozenset[str] | None,
    *,
    verdicts: Verdicts,
    reveals: frozenset[str],
    policy_digest: str,
) -> Scope:
    """Return what a principal of this standing may search among the classes.

    Raises ``TamperedError`` when a class is not named by the hash of its labels.
    """
    # A class holds its collection, so classes narrowed by collection need no clause of their own.
    found = _filter(standing, _narrowed(standing, classes, collections), verdicts)
    return Scope(
        tenant=standing.principal.tenant,
        principal=standing.principal.id,
        purpose=standing.purpose,
        filter=found,
        reveals=reveals,
        policy_digest=policy_digest,
        key=_key(standing, found, reveals, policy_digest),
    )


def _narrowed(
    standing: Standing, classes: Mapping[str, Labels], collections: frozenset[str] | None
) -> dict[str, Labels]:
    kept = {}
    for name, labels in classes.items():
        if name != access_class(labels):
            raise TamperedError(f"access class {name} is not the hash of its labels")
        if labels.tenant != standing.principal.tenant:
            continue
        if collections is None or labels.collection in collections:
            kept[name] = labels
    return kept


def _filter(standing: Standing, classes: Mapping[str, Labels], verdicts: Verdicts) -> AnyOf:
    """Build one branch for each condition on a passage's people, over the classes that it opens."""
    possible = circumstances.possible(standing)
    alike = verdicts.alike(standing.principal, standing.purpose, classes, possible)
    opened: dict[Condition, set[str]] = {}
    for allowed, names in alike.items():
        permitted = compress(possible, allowed)
        for condition in circumstances.conditions(standing, permitted):
            opened.setdefault(condition, set()).update(names)
    return AnyOf(
        tuple(
            AllOf((Clause("access_class", frozenset(names)), *condition.wanted), condition.unwanted)
            for condition, names in opened.items()
        )
    )


def _key(
    standing: Standing,
    found: AnyOf,
    reveals: Iterable[str],
    policy_digest: str,
) -> str:
    document = [
        standing.principal.tenant,
        standing.principal.id,
        standing.purpose.value,
        sorted([_plain(branch.clauses), _plain(branch.none_of)] for branch in found.branches),
        sorted(reveals),
        policy_digest,
    ]
    return hashlib.sha256(json.dumps(document, separators=(",", ":")).encode()).hexdigest()


def _plain(clauses: Iterable[Clause]) -> list[tuple[str, list[str]]]:
    return [(clause.field, sorted(clause.any_of)) for clause in clauses]
