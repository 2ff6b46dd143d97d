"""A search is kept to the documents that a question names, and made without where that fails."""

import uuid
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.answer.finding import Finder
from ragplatform.answer.rank import Sought
from ragplatform.model import AllOf, Chunk, Clause, Facts, Labels, Narrow, Passage
from ragplatform.ports import Entry
from ragplatform.privacy.tokens import tokens_in
from tests.fakes_index import MemoryIndex, scope

DIM = 4
EAST = [1.0, 0.0, 0.0, 0.0]
OPEN = scope(AllOf((Clause("access_class", frozenset({"open"})),)))
WEIGHER = Bm25Weigher()


def facts(*parts: str, name: str = "northwind", year: str = "2022") -> Facts:
    words = {"organisations": {name}, "years": {year}, "kinds": {"10-k"}, "parts": set(parts)}
    return Facts(**{field: frozenset(values) for field, values in words.items()})


def entry(text: str, document: str, known: Facts, access_class: str = "open") -> Entry:
    passage = Passage(
        chunk=Chunk(str(uuid.uuid4()), 0, text, 0, len(text)),
        document=document,
        title="filing.pdf",
        labels=Labels("mercy", "clinical"),
        access_class=access_class,
        subjects=frozenset(),
        generation="g1",
        facts=known,
    )
    return Entry(passage, EAST, WEIGHER.weigh_document(text))


@pytest.fixture
def index() -> MemoryIndex:
    found = MemoryIndex(dim=DIM)
    found.upsert(
        [
            entry("Annual report of the year.", "n2022", facts("cover")),
            entry("Inventories of 5,409 at year end.", "n2022", facts("balance-sheet")),
            entry("We count inventories, inventories and inventories.", "n2022", facts()),
            entry("Annual report of another year.", "n2021", facts("cover", year="2021")),
            entry("Inventories, inventories of 4,000.", "n2021", facts(year="2021")),
            entry("Inventories, all inventories of all.", "guide", Facts()),
        ]
    )
    return found


def finder(index: MemoryIndex, hidden: Iterable[str] = ()) -> Finder:
    return Finder(
        index=index,
        weigher=WEIGHER,
        scope=OPEN,
        readable=lambda found: [one for one in found if one.document not in set(hidden)],
    )


def find(one: Finder, question: str, given: Narrow | None = None):  # type: ignore[no-untyped-def]
    return one.find(Sought(question, 10, tokens_in(question)), EAST, given)


def documents(found) -> set[str]:  # type: ignore[no-untyped-def]
    return {hit.passage.document for hit in found.hits}


def test_a_question_that_names_a_report_is_answered_from_it(index: MemoryIndex) -> None:
    found = find(finder(index), "What were Northwind's inventories in FY2022?")

    assert documents(found) == {"n2022"}
    assert (found.by, found.alone) == (("organisations", "years"), False)


def test_the_part_that_is_asked_for_comes_first(index: MemoryIndex) -> None:
    found = find(finder(index), "What were Northwind's inventories in FY2022?")

    assert "5,409" in found.hits[0].passage.chunk.text
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)


def test_a_question_that_names_nobody_searches_everything(index: MemoryIndex) -> None:
    found = find(finder(index), "What are inventories?")

    assert documents(found) == {"n2022", "n2021", "guide"}
    assert (found.by, found.alone) == ((), False)


def test_a_report_outside_the_scope_keeps_a_search_to_nothing(index: MemoryIndex) -> None:
    index.upsert([entry("Cover.", "secret", facts("cover", name="southwind"), "closed")])

    found = find(finder(index), "What were Southwind's inventories in FY2022?")

    assert (found.by, found.alone) == ((), False)
    assert "secret" not in documents(found)


def test_a_report_that_policy_withholds_chooses_nothing(index: MemoryIndex) -> None:
    found = find(finder(index, hidden=["n2022"]), "Northwind's inventories in FY2022?")

    assert found.by == ("organisations",)
    assert documents(found) == {"n2021"}


def test_where_nothing_is_left_of_the_report_all_is_searched_and_said_so(
    index: MemoryIndex,
) -> None:
    question = "What were Northwind's inventories in FY2022?"
    one = finder(index)
    one._route = lambda asked, given: one_route()  # type: ignore[method-assign]

    found = find(one, question)

    assert documents(found) == {"n2022", "n2021", "guide"}
    assert found.alone


def one_route():  # type: ignore[no-untyped-def]
    from ragplatform.answer.routing import Route

    return Route(("gone",), ("organisations",))


def test_what_the_reader_narrowed_it_to_always_holds(index: MemoryIndex) -> None:
    question = "What were Northwind's inventories in FY2022?"

    assert documents(find(finder(index), question, Narrow(documents=frozenset({"guide"})))) == {
        "guide"
    }
    assert documents(find(finder(index), question, Narrow(years=frozenset({"2021"})))) == {"n2021"}
    assert find(finder(index), question, Narrow(years=frozenset({"1999"}))).hits == []


ANN = "[PERSON:abcdefghijklmnop]"
BEN = "[PERSON:ponmlkjihgfedcba]"


def paper(text: str, document: str, *subjects: str) -> Entry:
    one = entry(text, document, Facts())
    return replace(one, passage=replace(one.passage, subjects=frozenset(subjects)))


@pytest.fixture
def papers() -> MemoryIndex:
    """Rows that repeat a name, a letter to its bearer that says "you", and another's papers."""
    found = MemoryIndex(dim=DIM)
    found.upsert(
        [
            *(paper(f"{ANN} card {ANN} settled {n}.", "rows", "ann") for n in range(3)),
            paper("You have eleven employees.", "letter", "ann"),
            paper(f"{BEN} has forty employees, employees.", "other", "ben"),
        ]
    )
    return found


def test_the_papers_of_whom_a_question_names_are_searched_by_its_other_words(
    papers: MemoryIndex,
) -> None:
    found = find(finder(papers), f"How many employees has {ANN}?")

    assert found.about[0].passage.document == "letter"
    assert {hit.passage.document for hit in found.about} == {"rows", "letter"}
    assert documents(found) == {"other"}
    assert found.said() == {"found": 5, "kept_to": ["names"], "nothing_there": False}


def test_of_papers_about_several_people_the_documents_that_name_the_asked_are_searched(
    papers: MemoryIndex,
) -> None:
    papers.upsert([paper(f"{ANN} and {BEN} met.", "minutes", "ann", "ben")])

    found = find(finder(papers), f"How many employees has {ANN}?")

    assert {hit.passage.document for hit in found.about} == {"rows", "minutes"}


@pytest.mark.parametrize(
    ("question", "given"),
    [
        (f"{ANN}?", None),
        ("How many employees are there?", None),
        ("How many employees has [PERSON:aaaaaaaaaaaaaaaa]?", None),
        (f"How many employees has {ANN}?", Narrow(documents=frozenset({"rows"}))),
        (f"How many employees has {ANN}?", Narrow(subjects=frozenset({"ann"}))),
    ],
)
def test_a_name_alone_nobody_found_and_what_the_reader_said_are_searched_once(
    papers: MemoryIndex, question: str, given: Narrow | None
) -> None:
    assert find(finder(papers), question, given).about == []


def test_no_paper_outside_the_scope_comes_in_by_its_subject(papers: MemoryIndex) -> None:
    secret = entry("She has ninety employees.", "secret", Facts(), "closed")
    secret = replace(secret, passage=replace(secret.passage, subjects=frozenset({"ann"})))
    papers.upsert([secret])

    found = find(finder(papers), f"How many employees has {ANN}?")

    assert "secret" not in {hit.passage.document for hit in found.all}


def test_a_paper_that_policy_withholds_does_not_say_where_to_look(papers: MemoryIndex) -> None:
    papers.upsert([paper(f"{ANN} and {BEN} met.", "minutes", "ann", "ben")])

    found = find(finder(papers, hidden=["minutes"]), f"How many employees has {ANN}?")

    # Without the minutes those that name her are about her alone, so all about her is searched.
    assert "letter" in {hit.passage.document for hit in found.about}
