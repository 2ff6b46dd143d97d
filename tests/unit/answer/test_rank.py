"""In which order passages are shown, and what may not fill all places."""

from dataclasses import replace

from ragplatform.answer.rank import CANDIDATES, Sought, best
from ragplatform.model import Chunk, Hit, Labels, Passage

EAST, NORTH, BETWEEN = (1.0, 0.0), (0.0, 1.0), (0.7071, 0.7071)


def hit(
    name: str, score: float, *, document: str = "", text: str = "", vector: tuple[float, ...] = ()
) -> Hit:
    said = text or f"text of {name}"
    passage = Passage(
        Chunk(name, 0, said, 0, len(said)), document or name, "", Labels("mercy", "clinical"),
        "c", frozenset(), "g",
    )  # fmt: skip
    return Hit(passage, score, vector=vector)


def names(hits: list[Hit]) -> list[str]:
    return [one.passage.chunk.id for one in hits]


def order(hits: list[Hit], limit: int = 5) -> list[str]:
    return names(best(hits, Sought("", limit)))


def test_nothing_found_gives_nothing() -> None:
    assert best([], Sought("", 5)) == []


def test_without_vectors_the_order_of_the_index_stays() -> None:
    assert order([hit(name, 0.5) for name in "bac"]) == ["b", "a", "c"]


def test_enough_candidates_are_asked_for_and_never_fewer_than_are_wanted() -> None:
    assert Sought("", 5).depth == CANDIDATES
    assert Sought("", 50).depth == 50


def test_what_is_near_to_the_first_few_comes_before_what_is_not() -> None:
    about = [hit(f"a{n}", 0.9 - n / 100, vector=EAST) for n in range(5)]
    far, near = hit("far", 0.60, vector=NORTH), hit("near", 0.55, vector=EAST)

    assert order([*about, far, near], 7)[-2:] == ["near", "far"]


def test_the_first_hit_stays_the_first() -> None:
    exact = hit("exact", 0.9, vector=NORTH)
    others = [hit(f"a{n}", 0.89 - n / 100, vector=EAST) for n in range(6)]

    assert order([exact, *others])[0] == "exact"


def test_a_passage_that_says_the_same_again_comes_last() -> None:
    again = hit("copy", 0.8, text="text  of\na")

    assert order([hit("a", 0.9), again, hit("b", 0.1)]) == ["a", "b", "copy"]


def test_one_document_leaves_room_for_another_that_fits_nearly_as_well() -> None:
    long = [hit(f"p{n}", 0.9 - n / 100, document="report") for n in range(6)]
    other = hit("other", 0.75)

    assert order([*long, other]) == ["p0", "p1", "p2", "p3", "other"]
    assert order([*long, replace(other, score=0.3)]) == ["p0", "p1", "p2", "p3", "p4"]


def test_a_passage_counts_in_part_for_what_its_document_says_elsewhere() -> None:
    head = hit("head", 0.9, document="note")
    finding, other = hit("finding", 0.5, document="note"), hit("other", 0.6)

    assert order([head, other, finding]) == ["head", "finding", "other"]


def test_a_passage_whose_terms_stand_out_is_among_the_first_three() -> None:
    others = [hit(f"a{n}", 0.9, vector=EAST) for n in range(9)]
    exact = replace(hit("exact", 0.2, vector=NORTH), lexical=0.2)

    assert order([*others, exact])[2] == "exact"
    assert order([*others, replace(exact, lexical=0.0)])[2] != "exact"
