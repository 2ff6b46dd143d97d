"""A filter may be shortened by what an index holds, and never so that it says anything else."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import qdrant_edge
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.adapters import edge_classes
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.edge_classes import KnownClasses, Numbers, Plan, names_class
from ragplatform.adapters.filters import CLASS_NUMBER, class_number, within
from ragplatform.model import AllOf, AnyOf, Chunk, Clause, Labels, Passage, TermWeights
from ragplatform.ports import Entry
from tests.fakes_index import scope

EAST = (1.0, 0.0)
TERMS = TermWeights((5,), (1.0,))
KEYWORDS = [f"{tenant}/{name}" for tenant in ("harbor", "mercy") for name in "abc"]
PEOPLE = frozenset({"subject-1"})


def holds(
    branch: AllOf, keyword: str, subjects: frozenset[str], numbers: Mapping[Clause, Numbers]
) -> bool:
    fields = {
        "tenant": {keyword.partition("/")[0]},
        "tenant_class": {keyword},
        "subjects": set(subjects),
    }

    def true(clause: Clause) -> bool:
        if told := numbers.get(clause):
            return (class_number(keyword) in told.of) != told.left_out
        return bool(clause.any_of & fields[clause.field])

    return all(map(true, branch.clauses)) and not any(map(true, branch.none_of))


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
    stored=st.dictionaries(st.sampled_from(KEYWORDS), st.integers(1, 9)),
    later=st.frozensets(st.sampled_from(KEYWORDS), max_size=2),
    branches=st.lists(BRANCHES, min_size=1, max_size=3),
)
def test_the_shorter_filter_is_true_of_the_same_passages(stored, later, branches) -> None:
    known = KnownClasses(stored)
    known.add(later)
    plan = known.plan(AnyOf(tuple(branches)))

    assert all(numbers.of for numbers in plan.numbers.values())
    for keyword in stored.keys() | later:
        for subjects in (frozenset(), PEOPLE):
            meant = any(holds(branch, keyword, subjects, {}) for branch in branches)
            said = plan.tree is None or any(
                holds(branch, keyword, subjects, plan.numbers) for branch in plan.tree.branches
            )
            assert said == meant


def naming(*keywords: str) -> AnyOf:
    return AnyOf((AllOf((Clause("tenant_class", frozenset(keywords)),)),))


def told(known: KnownClasses, *keywords: str) -> Numbers | None:
    plan = known.plan(naming(*keywords))
    assert plan.tree == naming(*keywords)
    return plan.numbers.get(plan.tree.branches[0].clauses[0])


def test_a_filter_that_names_most_passages_says_what_it_leaves_out() -> None:
    known = KnownClasses({"mercy/a": 6, "mercy/b": 2, "mercy/c": 2})

    left = frozenset(map(class_number, ("mercy/b", "mercy/c")))
    assert told(known, "mercy/a") == Numbers(left, left_out=True)
    assert told(known, "mercy/b", "mercy/new") == Numbers(
        frozenset({class_number("mercy/b")}), left_out=False
    )


def test_a_filter_that_names_only_what_is_not_there_stays_as_it_is() -> None:
    assert told(KnownClasses({"mercy/a": 1}), "mercy/new") is None
    assert told(KnownClasses({}), "mercy/new") is None


def test_what_was_mostly_stored_since_the_opening_is_named() -> None:
    known = KnownClasses({"mercy/a": 6, "mercy/b": 2})
    known.add(["mercy/a"] * 5)

    assert told(known, "mercy/a") == Numbers(frozenset({class_number("mercy/a")}), left_out=False)


def test_two_classes_of_one_number_are_told_apart_by_their_keywords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge_classes, "class_number", lambda keyword: ord(keyword[-1]) % 2)

    assert told(KnownClasses({"mercy/a": 6, "mercy/b": 2}), "mercy/a") is not None
    assert told(KnownClasses({"mercy/a": 6, "mercy/b": 2, "mercy/c": 1}), "mercy/a") is None
    assert told(KnownClasses({"mercy/a": 6, "mercy/b": 2, "mercy/d": 1}), "mercy/a") is None


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


def store_during_a_search(index: EdgeIndex, late: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one more passage stored whenever a search has been planned."""
    planned = index._classes.plan

    def then_another_is_stored(tree: AnyOf) -> Plan:
        plan = planned(tree)
        index.upsert([late])
        return plan

    monkeypatch.setattr(index._classes, "plan", then_another_is_stored)


def test_a_class_that_comes_during_a_search_is_not_let_through(
    index: EdgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.upsert([entry(1, "open")])
    store_during_a_search(index, entry(2, "closed"), monkeypatch)

    assert documents(index) == {"d1"}


def twice_opened(folder: Path, entries: list[Entry]) -> EdgeIndex:
    """Return an index that did not store its passages itself: only then are classes left out."""
    with closing(EdgeIndex(folder=folder, dim=2)) as before:
        before.upsert(entries)
    return EdgeIndex(folder=folder, dim=2)


def mostly_open(folder: Path) -> EdgeIndex:
    stored = [entry(1, "open"), entry(2, "open"), entry(3, "closed")]
    index = twice_opened(folder, stored)
    [numbers] = index._classes.plan(within(OPEN)).numbers.values()
    assert numbers.left_out
    return index


def test_a_class_that_is_left_out_is_not_let_through(tmp_path: Path) -> None:
    with closing(mostly_open(tmp_path)) as index:
        assert documents(index) == {"d1", "d2"}


def test_a_document_that_moves_into_a_class_that_is_left_out_is_gone(tmp_path: Path) -> None:
    with closing(mostly_open(tmp_path)) as index:
        index.relabel("d2", Labels("mercy", "clinical"), "closed")

        assert documents(index) == {"d1"}


def test_a_class_that_comes_while_others_are_left_out_is_not_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(mostly_open(tmp_path)) as index:
        store_during_a_search(index, entry(4, "new"), monkeypatch)

        assert documents(index) == {"d1", "d2"}


def test_how_rare_a_term_is_tells_nothing_of_a_class_that_is_left_out(tmp_path: Path) -> None:
    with closing(mostly_open(tmp_path)) as index:
        before = index.search(EAST, TERMS, OPEN, 10)
        index.upsert([entry(4, "closed")])
        [numbers] = index._classes.plan(within(OPEN)).numbers.values()

        assert numbers.left_out
        assert index.search(EAST, TERMS, OPEN, 10) == before


def test_how_rare_a_term_is_tells_nothing_of_a_class_that_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(mostly_open(tmp_path)) as index:
        before = index.search(EAST, TERMS, OPEN, 1)
        # Too far off to be among the hits.
        late = Entry(entry(4, "new").passage, (0.0, 1.0), TermWeights((6,), (1.0,)))
        store_during_a_search(index, late, monkeypatch)

        assert index.search(EAST, TERMS, OPEN, 1) == before


def test_a_shorter_filter_that_lets_too_much_through_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(mostly_open(tmp_path)) as index:
        everything = Plan(None, index._classes.version)
        monkeypatch.setattr(index._classes, "plan", lambda tree: everything)

        assert documents(index) == {"d1", "d2"}


def unnumbered(index: EdgeIndex) -> int:
    assert index._shard is not None
    without = qdrant_edge.Filter(must=[qdrant_edge.IsEmptyCondition(CLASS_NUMBER)])
    return int(index._shard.count(qdrant_edge.CountRequest(exact=True, filter=without)))


def strip_numbers(index: EdgeIndex) -> None:
    """Leave the passages as they were stored before a class had a number."""
    assert index._shard is not None
    everything = qdrant_edge.Filter(
        must=[qdrant_edge.FieldCondition("tenant", match=qdrant_edge.MatchAny(["mercy"]))]
    )
    keys = qdrant_edge.UpdateOperation.delete_payload_by_filter(everything, [CLASS_NUMBER])
    index._shard.update(keys)
    assert unnumbered(index) == index.count()


def test_a_passage_without_a_number_is_of_no_class_that_is_asked_for(tmp_path: Path) -> None:
    with closing(mostly_open(tmp_path)) as index:
        strip_numbers(index)

        assert documents(index) == set()


def test_passages_stored_before_classes_had_numbers_get_them(tmp_path: Path) -> None:
    with closing(mostly_open(tmp_path)) as before:
        strip_numbers(before)

    with closing(EdgeIndex(folder=tmp_path, dim=2)) as index:
        assert unnumbered(index) == 0
        assert documents(index) == {"d1", "d2"}


def varied(chance: random.Random, number: int) -> Entry:
    """Return a passage of chance, of one of twenty classes, some with many passages."""
    passage = Passage(
        chunk=Chunk(f"00000000-0000-0000-0000-{number:012}", number, "text", 0, 4),
        document=f"d{number % 50}",
        title="",
        labels=Labels(chance.choice(["mercy"] * 9 + ["harbor"]), "clinical"),
        access_class=f"c{int(chance.paretovariate(0.7)) % 20}",
        subjects=frozenset(chance.sample(["s1", "s2", "s3"], chance.randrange(3))),
        generation="g1",
    )
    words = tuple(sorted(chance.sample(range(30), 5)))
    weights = tuple(chance.random() for _ in words)
    return Entry(passage, (chance.random(), chance.random()), TermWeights(words, weights))


def a_branch(chance: random.Random) -> AllOf:
    names = chance.sample([f"c{number}" for number in range(22)], chance.randint(1, 21))
    clauses = [Clause("access_class", frozenset(names))]
    if chance.random() < 0.3:
        clauses.append(Clause("subjects", frozenset({chance.choice(["s1", "s2"])})))
    unwanted = (Clause("subjects", frozenset({"s3"})),) if chance.random() < 0.3 else ()
    return AllOf(tuple(clauses), unwanted)


def test_the_shorter_filter_finds_the_same_with_the_same_scores(tmp_path: Path) -> None:
    chance = random.Random(7)
    met = Counter[bool]()
    with closing(twice_opened(tmp_path, [varied(chance, one) for one in range(600)])) as index:
        for _ in range(150):
            tree = within(scope(*(a_branch(chance) for _ in range(chance.randint(1, 3)))))
            asked = varied(chance, 0)
            plan = index._classes.plan(tree)
            met.update(numbers.left_out for numbers in plan.numbers.values())

            shorter = index._found(asked.vector, asked.terms, plan, 20)

            assert shorter == index._found(asked.vector, asked.terms, Plan(tree, 0), 20)
            assert all(names_class(tree, hit.passage) for hit in shorter)
    assert min(met[False], met[True]) > 50
