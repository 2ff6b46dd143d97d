"""Who is asked for by name comes first, whatever fusion thinks of it."""

from collections.abc import Sequence
from dataclasses import replace

from ragplatform.answer.rank import Sought, best
from ragplatform.model import Chunk, Hit, Labels, Passage

ANN = "[PERSON:abcdefghijklmnop]"
BEN = "[PERSON:ponmlkjihgfedcba]"


def hit(name: str, text: str, title: str = "") -> Hit:
    chunk = Chunk(name, 0, text, 0, len(text))
    labels = Labels("mercy", "clinical")
    return Hit(Passage(chunk, name, title, labels, "c", frozenset(), "g"), 0.5)


def order(
    hits: list[Hit], named: set[str], meant: set[str] | None = None, limit: int = 9
) -> list[str]:
    found = best(hits, Sought("", limit, frozenset(named), frozenset(meant or ())))
    return [one.passage.chunk.id for one in found]


HITS = [hit("a", "plain"), hit("b", BEN), hit("c", f"of {ANN}"), hit("d", "x", title=ANN)]


def test_passages_that_hold_the_asked_pseudonym_come_first_in_their_order() -> None:
    assert order(HITS, {ANN}) == ["c", "d", "a", "b"]


def test_what_the_question_may_mean_comes_behind_what_it_says() -> None:
    assert order(HITS, {ANN}, {BEN}) == ["c", "d", "b", "a"]


def test_a_whole_name_comes_before_a_part_of_it() -> None:
    sought = Sought("", 9, frozenset({ANN}), spelt=frozenset({BEN}))

    assert [one.passage.chunk.id for one in best(HITS, sought)] == ["b", "c", "d", "a"]


def test_without_pseudonyms_the_order_stays() -> None:
    assert order(HITS, set(), set()) == ["a", "b", "c", "d"]


def test_the_limit_is_kept() -> None:
    assert order(HITS, {ANN}, limit=1) == ["c"]
    assert order([], {ANN}) == []


def test_a_document_that_names_the_person_once_is_about_the_person() -> None:
    head = hit("head", f"Patient: {ANN}")
    chunk = Chunk("finding", 1, "The valve is thick.", 0, 19)
    finding = replace(head, passage=replace(head.passage, chunk=chunk))

    assert order([HITS[0], head, finding, HITS[1]], {ANN}) == ["head", "finding", "a", "b"]


def test_papers_about_the_asked_come_first_whatever_they_say_and_keep_their_own_order() -> None:
    about = [hit("letter", "You may drive again."), hit("note", f"of {ANN}")]
    sought = Sought("", 9, frozenset({ANN}))

    found = best(HITS, sought, about=[replace(about[0], score=0.9), about[1]])

    assert [one.passage.chunk.id for one in found] == ["letter", "note", "c", "d", "a", "b"]


def test_where_the_papers_about_the_asked_suffice_nothing_else_is_looked_at() -> None:
    asked: list[int] = []
    sought = Sought("", 1, frozenset({ANN}))

    def judge(found: Sequence[Passage]) -> list[float]:
        asked.append(len(found))
        return [0.0] * len(found)

    assert len(best(HITS, sought, judge, about=[hit("letter", "You may drive.")])) == 1
    assert asked == [1]
