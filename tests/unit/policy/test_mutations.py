"""Mutation: whatever part of the policies or of the filter is dropped, something notices.

Each condition of each shipped policy is dropped in turn, at any depth. A case of the packs falls
otherwise then: by all policies together, or, where another rule holds the same door, by this one
alone: a ``permit`` is looked at without any forbid, a ``forbid`` with everything permitted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from ragplatform.adapters import edge, filters
from ragplatform.answer.retrieve import Retriever
from ragplatform.model import AllOf, AnyOf, Clause, Decision, Scope
from ragplatform.policy import scope as scopes
from ragplatform.policy.cases import Case, read_cases, run_cases
from ragplatform.policy.engine import Policies
from ragplatform.policy.rules import RuleBook, _policy_set, bears, read_rules
from tests.fakes import DIM, Bench
from tests.fakes_index import MemoryIndex
from tests.promises import test_filter_on_the_engine as on_the_engine

SHIPPED = Path(__file__).resolve().parents[3] / "policies"
BOOK = read_rules(SHIPPED)
CASES = read_cases(SHIPPED)
Body = Mapping[str, Any]
Slice = tuple[Any, Any]

EVERYTHING: Body = {
    "effect": "permit",
    **{part: {"op": "All"} for part in ("principal", "action", "resource")},
    "conditions": [],
    "annotations": {},
}


@dataclass(frozen=True)
class Mutant:
    """One policy without one of its conditions, as Cedar's JSON."""

    rule: str
    dropped: str
    body: Body


def mutants() -> Iterator[Mutant]:
    for name, body in BOOK.bodies.items():
        conditions = list(body["conditions"])
        for at, one in enumerate(conditions):
            before, after = conditions[:at], conditions[at + 1 :]
            whole = {**body, "conditions": [*before, *after]}
            yield Mutant(name, f"the whole {one['kind']}", whole)
            for dropped, less in without_one(one["body"]):
                changed = [*before, {**one, "body": less}, *after]
                yield Mutant(name, dropped, {**body, "conditions": changed})


def without_one(expression: Body) -> Iterator[tuple[str, Body]]:
    """Yield what is left of a condition without each operand of each ``&&`` and ``||`` in it."""
    for joint in ("&&", "||"):
        if joint in expression:
            left, right = expression[joint]["left"], expression[joint]["right"]
            for one, other in ((left, right), (right, left)):
                if joint not in one:
                    yield str(one), other
            for dropped, less in without_one(left):
                yield dropped, {joint: {"left": less, "right": right}}
            for dropped, less in without_one(right):
                yield dropped, {joint: {"left": left, "right": less}}


@dataclass(frozen=True)
class Court:
    """Some policies, and how the cases fall by them."""

    bodies: Mapping[str, Body]

    @cached_property
    def by_slice(self) -> dict[Slice, list[Case]]:
        found: dict[Slice, list[Case]] = {}
        for case in CASES:
            found.setdefault((case.does, case.purpose), []).append(case)
        return found

    @cached_property
    def outcomes(self) -> dict[Slice, list[bool]]:
        return {one: self.fall(self.bodies, one) for one in self.by_slice}

    def fall(self, bodies: Mapping[str, Body], one: Slice) -> list[bool]:
        held = {name: body for name, body in bodies.items() if bears(body, *one)}
        book: RuleBook = replace(BOOK, policies={one: _policy_set(held)}, bodies=bodies)
        results = run_cases(self.by_slice[one], policies=Policies(book, ())).results
        return [result.decision.allowed for result in results]

    def notices(self, mutant: Mutant) -> bool:
        """Return whether some case falls otherwise with the mutant in place of its policy."""
        changed = {**self.bodies, mutant.rule: mutant.body}
        was = self.bodies[mutant.rule]
        return any(
            self.fall(changed, one) != self.outcomes[one]
            for one in self.by_slice
            if bears(was, *one) or bears(mutant.body, *one)
        )


def alone(rule: str) -> Court:
    """Return a court that knows one rule; for a ``forbid``, and that all else is permitted."""
    body = BOOK.bodies[rule]
    others = {"everything": EVERYTHING} if body["effect"] == "forbid" else {}
    return Court({rule: body, **others})


@pytest.mark.timeout(900)
def test_dropping_any_condition_of_any_policy_makes_a_case_fall_otherwise(
    record_property: Callable[[str, object], None],
) -> None:
    together = Court(BOOK.bodies)
    met: Counter[str] = Counter()
    survivors = []
    for mutant in mutants():
        if together.notices(mutant):
            met["noticed by the policies together"] += 1
        elif alone(mutant.rule).notices(mutant):
            met["noticed where no other rule holds the same door"] += 1
        else:
            survivors.append(f"{mutant.rule} without {mutant.dropped}")

    for kind, count in met.items():
        record_property(kind, count)
    print(dict(met))
    assert not survivors, "\n".join(survivors)


# The filter, as the engine is given it.


def _changed(scope: Scope, change: Callable[[AllOf], AllOf]) -> AnyOf:
    return AnyOf(tuple(change(branch) for branch in filters.within(scope).branches))


def _without(field: str) -> Callable[[Scope, None], AnyOf]:
    def change(branch: AllOf, tenant: str) -> AllOf:
        kept = tuple(one for one in branch.clauses if one.field != field)
        return replace(branch, clauses=kept or (Clause("tenant", frozenset({tenant})),))

    return lambda scope, _narrow: _changed(scope, lambda branch: change(branch, scope.tenant))


def _without_exclusion(scope: Scope, _narrow: None) -> AnyOf:
    return _changed(scope, lambda branch: replace(branch, none_of=()))


def _without_tenant(scope: Scope, _narrow: None) -> AnyOf:
    return scope.filter


def _without_narrowing(standing: Any, classes: Any, _collections: Any) -> Any:
    return NARROWED(standing, classes, None)


NARROWED = scopes._narrowed
DROPPED = {
    "the tenant": (edge, "within", _without_tenant),
    "the class": (edge, "within", _without("tenant_class")),
    "whom it must be about": (edge, "within", _without("subjects")),
    "whom it must not be about": (edge, "within", _without_exclusion),
    "the collections": (scopes, "_narrowed", _without_narrowing),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[on_the_engine.Library]:
    made = on_the_engine.stocked(tmp_path_factory.mktemp("edge"), classes=30, of_a_class=5)
    yield made
    made.index.close()


def _compare(folder: Path, library: on_the_engine.Library) -> None:
    met, asked = Counter[str](), on_the_engine.Asked()
    for seed in range(25):
        on_the_engine.compare_once(folder, library, seed, met, asked)


def test_the_whole_filter_is_found_right(tmp_path: Path, library: on_the_engine.Library) -> None:
    _compare(tmp_path, library)


@pytest.mark.parametrize("part", DROPPED)
def test_dropping_any_part_of_the_filter_is_noticed(
    tmp_path: Path, library: on_the_engine.Library, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(*DROPPED[part])

    with pytest.raises(AssertionError):
        _compare(tmp_path, library)


class WideIndex(MemoryIndex):
    """An index that forgets its filter."""

    def search(self, vector: Any, terms: Any, scope: Scope, limit: int, narrow: Any = None) -> Any:
        everything = frozenset(entry.passage.access_class for entry in self._entries.values())
        wide = AnyOf((AllOf((Clause("access_class", everything),)),))
        return super().search(vector, terms, replace(scope, filter=wide), limit, narrow)


def _keep_all(_self: Any, _request: Any, _standing: Any, _scope: Any, hits: Sequence[Any]) -> Any:
    return [(hit, Decision(allowed=True)) for hit in hits]


@pytest.mark.parametrize(("decided_again", "seen"), [(True, 0), (False, 1)])
def test_dropping_the_second_verdict_is_noticed_where_the_filter_fails(
    bench: Callable[..., Bench],
    serve: Callable[[Bench], Any],
    monkeypatch: pytest.MonkeyPatch,
    decided_again: bool,
    seen: int,
) -> None:
    one = bench(index=WideIndex(dim=DIM))
    one.put("Apixaban was stopped.", subjects=["mrn:2"])
    if not decided_again:
        monkeypatch.setattr(Retriever, "_decide_again", _keep_all)
    sent = {"question": "Why was apixaban stopped?", "purpose": "TREAT"}

    found = serve(one).post("/v1/search", json=sent, headers={"Authorization": "Bearer doctor"})

    assert len(found.json()["results"]) == seen
