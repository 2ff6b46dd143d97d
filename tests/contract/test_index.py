"""What every index promises, run on each adapter and held against a brute-force oracle.

The Qdrant server's adapter runs on qdrant-client's local mode, a stand-in for the server's API: it
shows that the requests mean the same, not that a server answers them.
"""

import itertools
import threading
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.qdrant import QdrantIndex
from ragplatform.adapters.shared_edge import Role, SharedEdgeIndex
from ragplatform.adapters.tenant_indexes import TenantIndexes
from ragplatform.errors import IndexUnavailableError, InvalidRequestError, PolicyError
from ragplatform.model import (
    AllOf,
    Category,
    Chunk,
    Clause,
    Facts,
    Labels,
    Narrow,
    Passage,
    Scope,
    Sensitivity,
    Span,
    TermWeights,
)
from ragplatform.ports import Entry, Index
from tests.fakes_index import MemoryIndex, allowed, fits, scope

DIM = 8
EAST = (1.0, 0, 0, 0, 0, 0, 0, 0)
NORTH = (0, 1.0, 0, 0, 0, 0, 0, 0)
SLANTED = (0.8, 0.6, 0, 0, 0, 0, 0, 0)
NO_TERMS = TermWeights((), ())
NO_FACTS = Facts()
EVERYTHING = 10_000

KINDS = ["memory", "edge", "shared", "qdrant", "tenants"]
_fresh = itertools.count(1)


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Index]:
    """Yield a new, empty index of the kind."""
    with ExitStack() as stack:
        if kind == "memory":
            yield stack.enter_context(closing(MemoryIndex(dim=DIM)))
        elif kind == "edge":
            yield stack.enter_context(closing(EdgeIndex(folder=folder, dim=DIM)))
        elif kind == "shared":
            stack.enter_context(closing(SharedEdgeIndex(folder=folder, dim=DIM)))
            guest = stack.enter_context(closing(SharedEdgeIndex(folder=folder, dim=DIM)))
            assert guest.role is Role.GUEST
            yield guest
        elif kind == "tenants":
            indexes = TenantIndexes(
                dim=DIM,
                open_one=lambda tenant: EdgeIndex(folder=folder / tenant, dim=DIM),
                begun=lambda: [path.name for path in folder.glob("*")],
            )
            yield stack.enter_context(closing(indexes))
        else:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            client = QdrantClient(":memory:")
            index = QdrantIndex(client=client, collection="passages", dim=DIM)
            yield stack.enter_context(closing(index))


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    with opened(request.param, tmp_path / "index") as found:
        yield found


def chunk_id(number: int | None = None) -> str:
    return str(uuid.UUID(int=next(_fresh) if number is None else number))


def entry(
    *,
    chunk: str | None = None,
    text: str = "text",
    document: str = "letter",
    generation: str = "g1",
    tenant: str = "mercy",
    collection: str = "clinical",
    access_class: str = "open",
    subjects: frozenset[str] = frozenset(),
    media_type: str = "",
    facts: Facts = NO_FACTS,
    vector: tuple[float, ...] = EAST,
    terms: TermWeights = NO_TERMS,
) -> Entry:
    return Entry(
        Passage(
            chunk=Chunk(id=chunk or chunk_id(), ordinal=0, text=text, start=0, end=len(text)),
            document=document,
            title="A letter",
            labels=Labels(tenant=tenant, collection=collection),
            access_class=access_class,
            subjects=subjects,
            generation=generation,
            media_type=media_type,
            facts=facts,
        ),
        vector,
        terms,
    )


def _name(entry: Entry) -> str:
    return entry.passage.chunk.id


def branch(**fields: str | set[str]) -> AllOf:
    return AllOf(
        tuple(
            Clause(name, frozenset({values} if isinstance(values, str) else values))
            for name, values in fields.items()
        )
    )


OPEN = scope(branch(access_class="open"))


def found(index: Index, within: Scope, limit: int = EVERYTHING) -> set[str]:
    return {hit.passage.chunk.id for hit in index.search(EAST, NO_TERMS, within, limit)}


def test_an_empty_scope_finds_and_fetches_nothing(index: Index) -> None:
    stored = entry(terms=TermWeights((7,), (1.0,)))
    index.upsert([stored])

    assert index.search(EAST, TermWeights((7,), (1.0,)), scope(), EVERYTHING) == []
    assert index.fetch(stored.passage.chunk.id, scope()) is None


def test_another_tenants_passage_is_never_found_though_its_class_is_allowed(index: Index) -> None:
    ours, theirs = entry(tenant="mercy"), entry(tenant="harbor")
    index.upsert([ours, theirs])

    assert found(index, OPEN) == {ours.passage.chunk.id}
    assert index.fetch(theirs.passage.chunk.id, OPEN) is None


def test_a_passage_outside_the_scope_is_not_fetched(index: Index) -> None:
    closed = entry(access_class="closed")
    index.upsert([closed])

    assert index.fetch(closed.passage.chunk.id, OPEN) is None


@pytest.mark.parametrize("name", ["", "no-uuid", "1", "../1", chunk_id(77).upper() + " ", "\ud800"])
def test_a_name_that_is_no_chunk_id_is_fetched_as_nothing(index: Index, name: str) -> None:
    index.upsert([entry()])

    assert index.fetch(name, OPEN) is None
    assert index.fetch(chunk_id(10**9), OPEN) is None


def test_a_passage_in_the_scope_is_fetched_whole(index: Index) -> None:
    stored = entry(subjects=frozenset({"s1", "s2"}))
    index.upsert([stored])

    hit = index.fetch(stored.passage.chunk.id, OPEN)

    assert hit is not None
    assert hit.passage == stored.passage


def test_all_clauses_of_a_branch_must_hold(index: Index) -> None:
    both = entry(access_class="a", subjects=frozenset({"s1"}))
    index.upsert([both, entry(access_class="a"), entry(subjects=frozenset({"s1"}))])

    assert found(index, scope(branch(access_class="a", subjects="s1"))) == {both.passage.chunk.id}


def test_two_clauses_on_one_field_must_both_hold(index: Index) -> None:
    twice = entry(subjects=frozenset({"s1", "s2"}))
    index.upsert([twice, entry(subjects=frozenset({"s1"})), entry(subjects=frozenset({"s2"}))])
    first, second = Clause("subjects", frozenset({"s1"})), Clause("subjects", frozenset({"s2"}))

    assert found(index, scope(AllOf((first, second)))) == {twice.passage.chunk.id}


def test_a_contradiction_on_one_field_finds_nothing(index: Index) -> None:
    index.upsert([entry(access_class="a"), entry(access_class="b")])
    clauses = [Clause("access_class", frozenset({name})) for name in "ab"]

    assert found(index, scope(AllOf(tuple(clauses)))) == set()
    assert found(index, scope(AllOf(tuple(reversed(clauses))))) == set()


def test_one_branch_that_holds_is_enough(index: Index) -> None:
    a, b, c = entry(access_class="a"), entry(subjects=frozenset({"s1"})), entry()
    index.upsert([a, b, c])

    ids = found(index, scope(branch(access_class="a"), branch(subjects="s1")))

    assert ids == {a.passage.chunk.id, b.passage.chunk.id}


def test_a_clause_on_a_list_holds_when_any_element_is_listed(index: Index) -> None:
    one = entry(subjects=frozenset({"s1", "s9"}))
    index.upsert([one, entry(subjects=frozenset({"s9"})), entry(subjects=frozenset())])

    assert found(index, scope(branch(subjects={"s1", "s2"}))) == {one.passage.chunk.id}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_filter_on_a_field_that_is_not_kept_is_refused(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "index") as index:
        stored = entry()
        index.upsert([stored])

        for field in ("labels.department", "text", "missing"):
            with pytest.raises(PolicyError):
                index.search(EAST, NO_TERMS, scope(branch(**{field: "x"})), 1)
            with pytest.raises(PolicyError):
                index.fetch(stored.passage.chunk.id, scope(branch(**{field: "x"})))


def test_passages_outside_the_scope_do_not_change_order_or_scores_inside(index: Index) -> None:
    # Were term rarity counted over all passages, the order would tell what others' records say.
    rare, common = TermWeights((1,), (1.0,)), TermWeights((2,), (1.0,))
    index.upsert([entry(terms=rare, vector=NORTH), *(entry(terms=common) for _ in range(3))])
    asked = TermWeights((1, 2), (1.0, 1.0))
    before = index.search(EAST, asked, OPEN, 10)

    index.upsert([entry(terms=rare, access_class="closed", document="x") for _ in range(40)])

    assert index.search(EAST, asked, OPEN, 10) == before


# Words that engines are known to fold, split, coerce or drop.
WORDS = ["", " ", "a", "A", "a ", "ä", "a\u0308", "患者", "😀", "true", "1", "1.0", "null", "a,b"]
words = st.sampled_from([*WORDS, "\0", "a\0", "*", "[]", "\\", '"', "a" * 300])
names = st.sampled_from(["mercy", "harbor"])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    made = entry(
        document=draw(words),
        generation=draw(st.sampled_from(["g1", "g2", ""])),
        tenant=draw(names),
        collection=draw(st.sampled_from(["clinical", "billing"])),
        access_class=draw(words),
        subjects=frozenset(draw(st.lists(words, max_size=4))),
    )
    return replace(made, terms=TermWeights((draw(st.integers(0, 3)),), (1.0,)))


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    fields = st.sampled_from(["access_class", "subjects", "collection", "document", "generation"])
    values = st.frozensets(st.one_of(words, st.just("clinical")), min_size=1, max_size=8)
    clause = st.builds(Clause, fields, values)
    excluded = st.lists(st.builds(Clause, st.just("subjects"), values), max_size=2)
    branch = st.tuples(st.lists(clause, min_size=1, max_size=3), excluded)
    branches = draw(st.lists(branch, max_size=4))
    return scope(*(AllOf(tuple(a), tuple(b)) for a, b in branches), tenant=draw(names))


YEARS = ["2019", "2020"]
DAYS = ["2019-12-31", "2020-01-01", "2020-02-28", "2020-02-29", "2020-03-01", "2021-06-15"]
fact_sets = st.builds(
    Facts,
    kinds=st.frozensets(words, max_size=2),
    organisations=st.frozensets(words, max_size=2),
    years=st.frozensets(st.sampled_from(YEARS), max_size=2),
    quarters=st.frozensets(st.sampled_from(["2020-q1", "2020-q2"]), max_size=1),
    dates=st.frozensets(st.sampled_from(DAYS), max_size=2),
    parts=st.frozensets(words, max_size=1),
)
wanted = st.none() | st.frozensets(words, min_size=1, max_size=3)
days = st.none() | st.dates(date(2019, 1, 1), date(2021, 12, 31)).map(str) | st.sampled_from(DAYS)
narrows = st.builds(
    Narrow,
    documents=wanted,
    media_types=wanted,
    subjects=wanted,
    kinds=wanted,
    organisations=wanted,
    years=st.none() | st.frozensets(st.sampled_from(YEARS), min_size=1),
    quarters=st.none() | st.just(frozenset({"2020-q2"})),
    parts=wanted,
    earliest=days,
    latest=days,
)
# All conditions at once leave next to nothing: most are dropped again, so that some hold.
kept = st.sets(st.sampled_from([one.name for one in fields(Narrow)]), max_size=2)
narrowed = st.builds(
    lambda whole, names: Narrow(**{name: getattr(whole, name) for name in names}), narrows, kept
)


@st.composite
def entries_with_facts(draw: st.DrawFn) -> Entry:
    made = draw(entries())
    passage = replace(
        made.passage, media_type=draw(words), facts=draw(fact_sets), access_class="open"
    )
    return replace(made, passage=passage)


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrowed_search_finds_exactly_what_scope_and_narrowing_both_hold(
    kind: str, tmp_path: Path
) -> None:
    with opened(kind, tmp_path / "index") as index:

        @settings(
            max_examples=15 if kind == "qdrant" else 40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(entries_with_facts(), max_size=20), st.lists(narrowed, min_size=4))
        def law(stored: list[Entry], asked: list[Narrow]) -> None:
            for tenant, name in documents(stored):
                index.remove(tenant, name)
            index.upsert(stored)
            for one in (OPEN, scope(branch(access_class="open"), branch(subjects="a"))):
                for narrow in asked:
                    hits = index.search(NORTH, NO_TERMS, one, EVERYTHING, narrow)
                    assert {hit.passage for hit in hits} == {
                        e.passage
                        for e in stored
                        if allowed(e.passage, one) and fits(e.passage, narrow)
                    }
                    listed = index.browse(one, narrow, EVERYTHING)
                    assert [passage.chunk.id for passage in listed] == sorted(
                        hit.passage.chunk.id for hit in hits
                    )
            for tenant, name in documents(stored):
                index.remove(tenant, name)

        law()


def test_browsing_an_empty_scope_or_for_nothing_gives_nothing(index: Index) -> None:
    stored = entry()
    index.upsert([stored, entry(access_class="closed")])
    narrow = Narrow(documents=frozenset({"letter"}))

    assert index.browse(scope(), narrow, EVERYTHING) == []
    assert index.browse(OPEN, narrow, 0) == []
    assert index.browse(OPEN, narrow, 1) == [stored.passage]


def test_narrowing_never_lets_in_what_the_scope_leaves_out(index: Index) -> None:
    closed = entry(access_class="closed", facts=Facts(kinds=frozenset({"10-k"})))
    theirs = entry(tenant="harbor", document="their letter")
    index.upsert([closed, theirs, entry()])

    for narrow in (
        Narrow(kinds=frozenset({"10-k"})),
        Narrow(documents=frozenset({"their letter"})),
    ):
        assert index.search(EAST, NO_TERMS, OPEN, EVERYTHING, narrow) == []


def test_a_range_that_ends_before_it_begins_holds_nothing(index: Index) -> None:
    index.upsert([entry(facts=Facts(dates=frozenset({"2020-02-29"})))])

    narrow = Narrow(earliest="2020-03-01", latest="2020-02-01")

    assert index.search(EAST, NO_TERMS, OPEN, EVERYTHING, narrow) == []


def test_what_is_no_day_is_refused(tmp_path: Path) -> None:
    for kind in KINDS[1:]:
        with opened(kind, tmp_path / kind) as index, pytest.raises(InvalidRequestError):
            index.search(EAST, NO_TERMS, OPEN, 3, Narrow(earliest="yesterday"))


def documents(stored: list[Entry]) -> set[tuple[str, str]]:
    return {(one.passage.labels.tenant, one.passage.document) for one in stored}


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_finds_exactly_what_the_scope_allows(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "index") as index:

        @settings(
            max_examples=20 if kind == "qdrant" else 60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(entries(), max_size=20), st.lists(scopes(), min_size=5, max_size=10))
        def law(stored: list[Entry], asked: list[Scope]) -> None:
            for tenant, name in documents(stored):
                index.remove(tenant, name)
            index.upsert(stored)
            for one in asked:
                expected = {e.passage.chunk.id for e in stored if allowed(e.passage, one)}
                assert found(index, one) == expected
                everything = TermWeights((0, 1, 2, 3), (1.0,) * 4)
                hits = index.search(NORTH, everything, one, EVERYTHING)
                assert {hit.passage.chunk.id for hit in hits} == expected
                for each in stored[:4]:
                    hit = index.fetch(each.passage.chunk.id, one)
                    assert (hit is not None) == allowed(each.passage, one)
            for tenant, name in documents(stored):
                index.remove(tenant, name)
            assert index.count() == 0

        law()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


LABELS = st.sampled_from(["iv", "F-12", "3"])


@st.composite
def passages(draw: st.DrawFn) -> Passage:
    text = draw(texts)
    spans = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    return Passage(
        chunk=Chunk(
            id=str(draw(st.uuids())),
            ordinal=draw(st.integers(0, 10**6)),
            text=text,
            start=draw(st.integers(0, 10**9)),
            end=draw(st.integers(0, 10**9)),
            page=draw(st.none() | st.integers(1, 5000)),
            page_end=draw(st.none() | st.integers(1, 5000)),
            page_labels=tuple(sorted(draw(st.dictionaries(st.integers(1, 5000), LABELS)).items())),
            heading=tuple(draw(st.lists(texts, max_size=3))),
            spans=tuple(
                Span(min(a, b), max(a, b), "PERSON", draw(st.sampled_from(Category)), 0.85, "x")
                for a, b in spans[:3]
            ),
        ),
        document=draw(texts),
        title=draw(texts),
        labels=Labels(
            tenant="mercy",
            collection=draw(st.sampled_from(["clinical", "billing"])),
            sensitivity=draw(st.sampled_from(Sensitivity)),
            department=draw(texts),
            categories=draw(st.frozensets(st.sampled_from(Category))),
            restrictions=draw(st.frozensets(texts, max_size=3)),
            state=draw(texts),
            retain_until=draw(st.sampled_from(["", "2031-12-31"])),
        ),
        access_class="open",
        subjects=draw(st.frozensets(texts, max_size=4)),
        generation=draw(texts),
        media_type=draw(texts),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_comes_back_exactly_as_it_was_stored(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "index") as index:

        @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(passages())
        def law(passage: Passage) -> None:
            index.upsert([Entry(passage, EAST, NO_TERMS)])

            hit = index.fetch(passage.chunk.id, OPEN)
            assert hit is not None
            assert hit.passage == passage

        law()


def test_storing_twice_stores_once(index: Index) -> None:
    stored = [entry(), entry()]

    index.upsert(stored)
    index.upsert(stored)

    assert index.count() == 2
    assert found(index, OPEN) == {one.passage.chunk.id for one in stored}


def test_storing_nothing_does_nothing(index: Index) -> None:
    index.upsert([])

    assert index.count() == 0


def test_a_replaced_passage_is_found_only_as_it_is_now(index: Index) -> None:
    name = chunk_id()
    before = entry(chunk=name, text="old", subjects=frozenset({"s1"}), access_class="open")
    after = entry(chunk=name, text="new", access_class="closed", vector=NORTH)
    index.upsert([before])

    index.upsert([after])

    assert index.count() == 1
    assert found(index, scope(branch(access_class="open"), branch(subjects="s1"))) == set()
    [hit] = index.search(NORTH, NO_TERMS, scope(branch(access_class="closed")), 5)
    assert hit.passage == after.passage


def test_a_replaced_passage_is_no_longer_found_by_its_old_terms(index: Index) -> None:
    name = chunk_id()
    far = [entry(vector=EAST) for _ in range(80)]
    index.upsert([*far, entry(chunk=name, vector=NORTH, terms=TermWeights((5,), (1.0,)))])
    assert name in found_by(index, TermWeights((5,), (1.0,)))

    index.upsert([entry(chunk=name, vector=NORTH, terms=TermWeights((6,), (1.0,)))])

    assert name not in found_by(index, TermWeights((5,), (1.0,)))


def found_by(index: Index, terms: TermWeights) -> list[str]:
    return [hit.passage.chunk.id for hit in index.search(EAST, terms, OPEN, 3)]


def test_an_exact_term_is_found_though_its_vector_is_far(index: Index) -> None:
    exact = entry(vector=NORTH, terms=TermWeights((4_000_000_000, 3), (1.5, 0.5)))
    index.upsert([*(entry(terms=TermWeights((3,), (0.5,))) for _ in range(100)), exact])

    assert exact.passage.chunk.id in found_by(index, TermWeights((4_000_000_000,), (1.0,)))


def test_terms_aside_change_no_score_of_what_does_not_hold_them(index: Index) -> None:
    index.upsert([entry(terms=TermWeights((3,), (1.0,))), entry(terms=TermWeights((9,), (1.0,)))])
    asked, others = TermWeights((3, 4), (1.0, 1.0)), TermWeights((3, 5, 6), (1.0, 1.0, 1.0))

    more = asked.with_aside(others)

    assert (more.indices, more.aside, more.counted) == ((3, 4, 5, 6), 2, 2)
    assert index.search(EAST, more, OPEN, 3) == index.search(EAST, asked, OPEN, 3)


def test_a_near_vector_is_found_though_no_term_is_shared(index: Index) -> None:
    near = entry(vector=EAST)
    lexical = entry(vector=NORTH, terms=TermWeights((3,), (1.0,)))
    index.upsert([*(entry(vector=SLANTED) for _ in range(100)), lexical, near])

    assert {near.passage.chunk.id, lexical.passage.chunk.id} <= {
        *found_by(index, TermWeights((3,), (1.0,)))
    }


def test_what_both_measures_favour_comes_first(index: Index) -> None:
    terms = TermWeights((3,), (1.0,))
    best = entry(vector=EAST, terms=TermWeights((3,), (2.0,)))
    index.upsert(
        [
            *(entry(vector=SLANTED, terms=terms) for _ in range(10)),
            best,
            *(entry(vector=NORTH, terms=terms) for _ in range(10)),
        ]
    )

    hits = index.search(EAST, terms, OPEN, 5)

    assert hits[0].passage.chunk.id == best.passage.chunk.id
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_no_more_hits_than_asked_for(index: Index) -> None:
    index.upsert([entry() for _ in range(10)])

    assert len(index.search(EAST, NO_TERMS, OPEN, 3)) == 3
    assert index.search(EAST, NO_TERMS, OPEN, 0) == []
    assert index.search(EAST, NO_TERMS, OPEN, -1) == []


def test_generations_are_counted_by_document_and_kept_apart_by_tenant(index: Index) -> None:
    index.upsert(
        [
            entry(document="a", generation="g1"),
            entry(document="a", generation="g2"),
            entry(document="a", generation="g2"),
            entry(document="b", generation="g1"),
            entry(document="c", tenant="harbor"),
        ]
    )

    assert index.generations("mercy") == {"a": {"g1": 1, "g2": 2}, "b": {"g1": 1}}
    assert index.generations("harbor") == {"c": {"g1": 1}}
    assert index.generations("nobody") == {}


def test_passages_of_one_generation_are_listed_whole_page_by_page(index: Index) -> None:
    wanted = [entry(document="a", generation="g2", text=f"part {n}") for n in range(5)]
    others = [entry(document="a", generation="g1"), entry(document="b", generation="g2")]
    index.upsert([*others, *reversed(wanted)])

    pages, after = [], ""
    while page := index.passages("mercy", "a", "g2", after=after, limit=2):
        pages.append(page)
        after = page[-1].chunk.id

    assert [len(page) for page in pages] == [2, 2, 1]
    listed = [passage for page in pages for passage in page]
    assert listed == sorted((one.passage for one in wanted), key=lambda p: p.chunk.id)
    assert index.passages("mercy", "a", "g2", limit=5) == listed


def test_listing_goes_on_though_the_last_passage_of_a_page_is_gone(index: Index) -> None:
    first, second = sorted((entry(document="a"), entry(document="a")), key=_name)
    index.upsert([second])

    assert index.passages("mercy", "a", "g1", after=first.passage.chunk.id, limit=1) == [
        second.passage
    ]


def test_passages_of_what_is_not_there_are_none(index: Index) -> None:
    index.upsert([entry(document="a")])

    assert index.passages("mercy", "a", "g2", limit=5) == []
    assert index.passages("mercy", "unknown", "g1", limit=5) == []
    assert index.passages("mercy", "a", "g1", limit=0) == []


def test_retiring_keeps_one_generation_of_one_document(index: Index) -> None:
    kept = entry(document="a", generation="g3")
    other = entry(document="b", generation="g1")
    old = [entry(document="a", generation=f"g{n}") for n in (1, 1, 2)]
    index.upsert([kept, other, *old])

    assert index.retire("mercy", "a", "g3") == 3

    assert found(index, OPEN) == {kept.passage.chunk.id, other.passage.chunk.id}
    assert index.retire("mercy", "a", "g3") == 0
    assert index.retire("mercy", "unknown", "g3") == 0


def test_removing_a_document_removes_all_of_it_and_nothing_else(index: Index) -> None:
    other = entry(document="b")
    gone = [entry(document="a", generation=f"g{n}") for n in (1, 2)]
    index.upsert([other, *gone])

    assert index.remove("mercy", "a") == 2

    assert index.count() == 1
    assert found(index, OPEN) == {other.passage.chunk.id}
    assert all(index.fetch(one.passage.chunk.id, OPEN) is None for one in gone)
    assert index.remove("mercy", "a") == 0


def test_a_new_label_holds_from_the_next_search(index: Index) -> None:
    terms = TermWeights((5,), (1.0,))
    moved = [entry(document="a", text=f"{n}", terms=terms, vector=NORTH) for n in range(2)]
    index.upsert([*moved, entry(document="b")])
    labels = Labels(
        tenant="mercy", collection="research", sensitivity=Sensitivity.RESTRICTED, state="held"
    )

    assert index.relabel("a", labels, "closed") == 2

    assert len(found(index, OPEN)) == 1
    hits = index.search(NORTH, terms, scope(branch(access_class="closed")), 5)
    assert {hit.passage for hit in hits} == {
        replace(one.passage, labels=labels, access_class="closed") for one in moved
    }
    assert len(found(index, scope(branch(collection="research")))) == 2
    assert len(found(index, scope(branch(collection="clinical")))) == 1
    assert index.relabel("unknown", labels, "closed") == 0


def test_a_document_is_listed_changed_and_removed_in_its_own_tenant_alone(index: Index) -> None:
    theirs = [entry(document="a", generation=f"g{n}", tenant="harbor") for n in (1, 2)]
    index.upsert(theirs)

    assert index.passages("mercy", "a", "g1", limit=5) == []
    assert index.retire("mercy", "a", "g2") == 0
    assert index.remove("mercy", "a") == 0
    assert index.relabel("a", Labels(tenant="mercy", collection="research"), "closed") == 0

    assert index.generations("harbor") == {"a": {"g1": 1, "g2": 1}}
    assert index.passages("harbor", "a", "g1", limit=5) == [theirs[0].passage]


BAD_ENTRIES = {
    "a short vector": entry(vector=(1.0,)),
    "a vector of NaN": entry(vector=(float("nan"),) * DIM),
    "an infinite vector": entry(vector=(float("inf"),) * DIM),
    "a term twice": entry(terms=TermWeights((3, 3), (1.0, 1.0))),
    "a term without weight": entry(terms=TermWeights((3,), ())),
    "a weight of NaN": entry(terms=TermWeights((3,), (float("nan"),))),
}
UNSTORABLE = {
    "an id that is no UUID": entry(chunk="chunk-1"),
    "an id in another spelling": entry(chunk="{" + chunk_id(5) + "}"),
    "a negative term": entry(terms=TermWeights((-1,), (1.0,))),
    "a term past 32 bits": entry(terms=TermWeights((2**32,), (1.0,))),
    "half a character": entry(text="\ud800"),
}


@pytest.mark.parametrize("flaw", BAD_ENTRIES)
def test_an_entry_that_would_be_stored_as_something_else_is_refused(
    index: Index, flaw: str
) -> None:
    with pytest.raises(InvalidRequestError):
        index.upsert([entry(), BAD_ENTRIES[flaw]])

    assert index.count() == 0


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("flaw", UNSTORABLE)
def test_an_entry_that_the_engine_cannot_hold_is_refused(
    kind: str, flaw: str, tmp_path: Path
) -> None:
    with opened(kind, tmp_path / "index") as index:
        with pytest.raises(InvalidRequestError) as caught:
            index.upsert([entry(), UNSTORABLE[flaw]])

        assert "\ud800" not in str(caught.value)
        assert index.count() == 0


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_search_with_a_vector_of_another_encoder_is_refused(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "index") as index:
        for vector in [(1.0,), (float("nan"),) * DIM]:
            with pytest.raises(InvalidRequestError):
                index.search(vector, NO_TERMS, OPEN, 3)


def test_a_closed_index_answers_nothing_and_closes_again(index: Index) -> None:
    index.upsert([entry()])

    index.close()
    index.close()

    with pytest.raises(IndexUnavailableError):
        index.count()
    with pytest.raises(IndexUnavailableError):
        index.search(EAST, NO_TERMS, OPEN, 3)


@pytest.mark.parametrize("kind", ["memory", "edge", "shared", "tenants"])
def test_several_threads_write_and_search_at_once(kind: str, tmp_path: Path) -> None:
    # Not on qdrant-client's local mode, which is for one thread; its server client is for many.
    with opened(kind, tmp_path / "index") as index:
        failures: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for number in range(10):
                    index.upsert([entry(document=name, generation=f"g{number}")])
                    index.retire("mercy", name, f"g{number}")
                    assert found(index, scope(branch(document=name, generation=f"g{number}")))
            except BaseException as error:  # noqa: BLE001  # a thread's failure must fail the test
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"d{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert failures == []
        assert index.generations("mercy") == {f"d{n}": {"g9": 1} for n in range(4)}


def test_a_scrub_loses_nothing_that_is_there(index: Index) -> None:
    index.upsert([entry(document="stays"), entry(document="goes")])
    index.remove("mercy", "goes")

    index.scrub("mercy")

    assert index.generations("mercy") == {"stays": {"g1": 1}}
    assert index.remove("mercy", "stays") == 1
