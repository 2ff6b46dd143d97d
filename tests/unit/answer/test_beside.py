"""What stands next to a passage, and what never comes with it."""

from collections.abc import Sequence

from ragplatform.answer.beside import beside
from ragplatform.model import Chunk, Hit, Labels, Passage, chunk_id


def hit(at: int, *, document: str = "report", heading: Sequence[str] = ("Plan",)) -> Hit:
    chunk = Chunk(chunk_id(document, "g1", at), at, "text", 0, 4, heading=tuple(heading))
    return Hit(Passage(chunk, document, "", Labels("m", "c"), "class", frozenset(), "g1"), 0.5)


def places(hits: Sequence[Hit], stored: Sequence[Hit], most: int) -> list[tuple[str, int]]:
    by_id = {one.passage.chunk.id: one for one in stored}
    found = beside(hits, most, by_id.get)
    return [(one.passage.document, one.passage.chunk.ordinal) for one in found]


REPORT = [hit(at) for at in range(6)]


def test_what_follows_comes_first_then_what_goes_before() -> None:
    assert places([REPORT[2]], REPORT, 2) == [("report", 3), ("report", 1)]


def test_none_is_added_twice_and_none_that_was_found() -> None:
    assert places([REPORT[2], REPORT[3]], REPORT, 9) == [("report", 1), ("report", 4)]


def test_another_section_is_no_part_of_it() -> None:
    stored = [hit(0), hit(1), hit(2, heading=("History",))]

    assert places([stored[1]], stored, 2) == [("report", 0)]


def test_what_the_scope_does_not_give_is_not_there() -> None:
    assert places([REPORT[2]], [], 2) == []


def test_none_are_looked_for_unless_wanted() -> None:
    def fetch(_: str) -> Hit | None:
        raise AssertionError("nothing is to be fetched")

    assert beside(REPORT, 0, fetch) == []
