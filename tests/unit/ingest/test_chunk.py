"""Pieces cover the text and never cut what is guarded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.chunk import Piece, TokenLimit, chunk
from ingest.parse.document import Heading

WORDS = st.sampled_from(
    ["a", "Dr. Roe", "\n", "\n\n", " ", "  ", ". ", "word", "Straße", "[PERSON:abcdefghij234567]",
     "x" * 40, "e\u0301", "日本", "🙂", "1,234.5", "\t"]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=120).map("".join)


@st.composite
def guarded_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(TEXTS)
    points = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(points, points), max_size=8))
    return text, [(min(pair), max(pair)) for pair in pairs]


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for start, end in sorted(r for r in ranges if r[0] < r[1]):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


@given(guarded_texts(), st.integers(2, 60), st.integers(0, 20))
def test_every_visible_character_is_in_a_piece_and_no_edge_cuts_a_guarded_range(
    given_text: tuple[str, list[tuple[int, int]]], size: int, overlap: int
) -> None:
    text, ranges = given_text
    overlap = min(overlap, size - 1)

    pieces = chunk(text, guarded=ranges, max_chars=size, overlap=overlap)

    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    assert {at for at, c in enumerate(text) if not c.isspace()} <= covered
    edges = {piece.start for piece in pieces} | {piece.end for piece in pieces}
    assert not any(start < edge < end for start, end in ranges for edge in edges)
    assert all(text[piece.start : piece.end].strip() for piece in pieces)
    assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)
    whole = merged(ranges)
    for piece in pieces:
        alone = any(s <= piece.start and piece.end <= e for s, e in whole)
        assert piece.end - piece.start <= size or alone
    assert pieces == chunk(text, guarded=ranges[::-1], max_chars=size, overlap=overlap)


@given(TEXTS, st.integers(4, 30))
def test_a_piece_has_no_more_tokens_than_allowed(text: str, most: int) -> None:
    limit = TokenLimit(count=lambda part: len(part.split()) * 2, most=most)

    pieces = chunk(text, guarded=(), max_chars=200, overlap=20, tokens=limit)

    for piece in pieces:
        part = text[piece.start : piece.end]
        assert limit.count(part) <= most or len(part) <= 50
    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    assert {at for at, c in enumerate(text) if not c.isspace()} <= covered


def test_no_text_gives_no_piece() -> None:
    assert chunk("", guarded=()) == []
    assert chunk(" \n\n ", guarded=()) == []


def test_a_token_at_the_edge_moves_whole_into_one_piece() -> None:
    token = "[PERSON:abcdefghij234567]"
    text = "seen by " * 3 + token + " again" * 5
    start = text.index(token)

    pieces = chunk(text, guarded=[(start, start + len(token))], max_chars=30, overlap=0)

    assert any(piece.start <= start and start + len(token) <= piece.end for piece in pieces)


def test_a_range_longer_than_the_size_is_a_piece_of_its_own() -> None:
    text = "before " + "z" * 100 + " after"

    pieces = chunk(text, guarded=[(7, 107)], max_chars=20, overlap=5)

    assert Piece(7, 107) in pieces


def test_neighbours_repeat_a_few_whole_words() -> None:
    text = "alpha beta gamma delta epsilon zeta eta theta"

    pieces = chunk(text, guarded=(), max_chars=24, overlap=8)

    assert len(pieces) > 1
    for before, after in pairwise(pieces):
        assert after.start <= before.end
        assert after.start == 0 or text[after.start - 1] == " "


def test_a_piece_knows_the_sections_it_starts_in() -> None:
    sections = ["Report", "Labs", "Sodium", "Plan"]
    text = "".join(f"{title}\n{'words and words. ' * 10}\n" for title in sections)
    levels = [1, 2, 3, 2]
    headings = [
        Heading(text.index(title), level, title)
        for title, level in zip(sections, levels, strict=True)
    ]

    pieces = chunk(text, guarded=(), headings=headings, max_chars=200, overlap=20)

    paths = {piece.heading for piece in pieces}
    assert paths == {
        ("Report",), ("Report", "Labs"), ("Report", "Labs", "Sodium"), ("Report", "Plan"),
    }  # fmt: skip
    assert all(any(p.start == heading.offset for p in pieces) for heading in headings)


def test_a_title_that_is_not_in_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="heading"):
        chunk("Report on [PERSON]", guarded=(), headings=[Heading(0, 1, "Report on Roe")])


@pytest.mark.parametrize("bad", [(-1, 2), (3, 2), (0, 9)])
def test_a_range_outside_the_text_is_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="guarded"):
        chunk("short", guarded=[bad])


@pytest.mark.parametrize(("size", "overlap"), [(10, 10), (10, -1), (0, 0)])
def test_an_impossible_size_is_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        chunk("short", guarded=(), max_chars=size, overlap=overlap)
