"""A filter may be shortened by what an index holds, and never so that it says anything else."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.edge_classes import KnownClasses, Plan
from ragplatform.adapters.filters import within
from ragplatform.model import AllOf, AnyOf, Chunk, Clause, Labels, Passage, TermWeights
from ragplatform.ports import Entry
from tests.fakes_index import scope

EAST = (1.0, 0.0)
TERMS = TermWeights((5,), (1.0,))
KEYWORDS = [f"{tenant}/{name}" for tenant in ("harbor", "mercy") for name in "abc"]
PEOPLE = frozenset({"subject-1"})


def holds(branch: AllOf, keyword: str, subjects: frozenset[str]) -> bool:
    fields = {
        "tenant": {keyword.partition("/")[0]},
        "tenant_class": {keyword},
        "subjects": set(subjects),
    }
    return all(clause.any_of & fields[clause.field] for clause in branch.clauses) and not any(
        clause.any_of & fields[clause.field] for clause in branch.none_of
    )


BRANCHES = st.builds(
    lambda names, wanted, unwanted: AllOf(
        (
            Clause("tenant_class", frozenset(names)),
            *([Clause("subjects", PEOPLE)] if wanted else []),
        ),
        (Clause("subjects", PEOPLE),) if unwanted else (),
    ),
    st.frozensets(st.sampled_from(KEYWORDS), min_size=1),
    st.booleans(),
    st.booleans(),
)


@given(
    stored=st.frozensets(st.sampled_from(KEYWORDS), max_size=4),
    branches=st.lists(BRANCHES, min_size=1, max_size=3),
)
def test_the_shorter_filter_is_true_of_the_same_passages(stored, branches) -> None:
    plan = KnownClasses(stored).plan(AnyOf(tuple(branches)))

    for keyword in stored:
        for subjects in (frozenset(), PEOPLE):
            meant = any(holds(branch, keyword, subjects) for branch in branches)
            said = plan.tree is None or any(
                holds(branch, keyword, subjects) for branch in plan.tree.branches
            )
            assert said == meant


def entry(number: int, access_class: str) -> Entry:
    passage = Passage(
        chunk=Chunk(f"00000000-0000-0000-0000-{number:012}", number, "text", 0, 4),
        document=f"d{number}",
        title="",
        labels=Labels("mercy", "clinical"),
        access_class=access_class,
        subjects=frozenset(),
        generation="g1",
    )
    return Entry(passage, EAST, TERMS)


OPEN = scope(AllOf((Clause("access_class", frozenset({"open"})),)))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EdgeIndex]:
    with closing(EdgeIndex(folder=tmp_path, dim=2)) as index:
        yield index


def documents(index: EdgeIndex) -> set[str]:
    return {hit.passage.document for hit in index.search(EAST, TERMS, OPEN, 10)}


def test_a_scope_of_all_that_there_is_needs_no_filter(index: EdgeIndex) -> None:
    index.upsert([entry(1, "open")])

    assert index._classes.plan(within(OPEN)).tree is None
    assert documents(index) == {"d1"}


def test_a_class_that_is_stored_later_is_not_let_through(index: EdgeIndex) -> None:
    index.upsert([entry(1, "open")])
    index.upsert([entry(2, "closed")])

    assert documents(index) == {"d1"}


def test_a_document_that_is_labelled_anew_is_gone_from_the_next_search(index: EdgeIndex) -> None:
    index.upsert([entry(1, "open"), entry(2, "open")])
    index.relabel("d2", Labels("mercy", "clinical"), "closed")

    assert documents(index) == {"d1"}


def test_the_classes_are_known_again_after_a_restart(tmp_path: Path) -> None:
    with closing(EdgeIndex(folder=tmp_path, dim=2)) as before:
        before.upsert([entry(1, "open"), entry(2, "closed")])

    with closing(EdgeIndex(folder=tmp_path, dim=2)) as after:
        assert documents(after) == {"d1"}


def test_a_class_that_comes_during_a_search_is_not_let_through(
    index: EdgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.upsert([entry(1, "open")])
    planned = index._classes.plan

    def then_another_is_stored(tree: AnyOf) -> Plan:
        plan = planned(tree)
        index.upsert([entry(2, "closed")])
        return plan

    monkeypatch.setattr(index._classes, "plan", then_another_is_stored)

    assert documents(index) == {"d1"}
