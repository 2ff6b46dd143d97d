"""A question's names are taken whole, and what is found in it stays hidden."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span
from ragplatform.privacy.asked_names import guesses, trimmed, whole

KINDS = {"P": "PERSON", "O": "ORGANIZATION", "L": "LOCATION", "D": "DATE_TIME"}


def marked(written: str) -> tuple[str, list[Span]]:
    """Return the text without its marks, and what they enclose: ``{P Maria} Lopez``."""
    text, spans = "", []
    for piece in written.replace("}", "{").split("{"):
        kind = KINDS.get(piece[:1]) if piece[1:2] == " " else None
        if kind is None:
            text += piece
            continue
        spans.append(span(len(text), len(text) + len(piece) - 2, kind))
        text += piece[2:]
    return text, spans


def span(start: int, end: int, entity: str) -> Span:
    return Span(start, end, entity, CATEGORY_OF[entity], 0.85, "tagger")


def people(written: str) -> list[str]:
    text, spans = marked(written)
    return [text[s.start : s.end] for s in whole(text, spans) if s.entity == "PERSON"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("known about {O Sigrid} {P Vasquez}?", "Sigrid Vasquez"),
        ("known about {P Ines} {L Ferreira}?", "Ines Ferreira"),
        ("known about {P Farah} {P Novak}?", "Farah Novak"),
        ("stopped for {P Diedrich} Lübs?", "Diedrich Lübs"),
        ("{O Cora} {P Bohlander}'s potassium", "Cora Bohlander"),
        ("{P Eleanor} {O Whitfield}'s valve", "Eleanor Whitfield"),
        ("of {P Jonathan Mbeki}-{O Hale} in May", "Jonathan Mbeki-Hale"),
        ("about J. {P Smith}?", "J. Smith"),
        ("of {P Virginia A}. {P Vera} seen", "Virginia A. Vera"),
    ],
)
def test_halves_of_a_name_are_one_name(written: str, name: str) -> None:
    assert people(written) == [name]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Has {P Lopez} been seen?", "Lopez"),
        ("Summarize {P Maria Lopez}", "Maria Lopez"),
        ("Did {P Lopez} MRI change?", "Lopez"),
        ("{P Lopez} in {L Boston}", "Lopez"),
        ("seen by {P Lopez}. Boston next", "Lopez"),
        ("{P Johnson} {O Memorial Hospital} beds", "Johnson"),
        ("{P Lopez} {D May} balance", "Lopez"),
        ("{P Maria Lopez}'s Apixaban", "Maria Lopez"),
        ("{P Lopez}-related notes", "Lopez"),
        ("{P Lopez}, {O Northwind}", "Lopez"),
    ],
)
def test_a_name_takes_no_other_words(written: str, name: str) -> None:
    assert people(written) == [name]


WRITTEN = st.lists(
    st.sampled_from("Maria lopez J. J O'Neil May's Dr van ben, Is the 12 -x Lübs-".split()),
    max_size=12,
).map(" ".join)


@given(WRITTEN, st.data())
def test_nothing_that_was_found_comes_into_sight(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    kinds = st.sampled_from(sorted(KINDS.values()))
    spans = [span(a, b, data.draw(kinds)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]

    done = whole(text, spans)

    assert all(one.end <= other.start for one, other in pairwise(done))
    for one in spans:
        (over,) = [s for s in done if s.start <= one.start and one.end <= s.end]
        assert over.entity in {one.entity, "PERSON"}
    guesses(text, done)


def guessed(written: str) -> set[str]:
    text, spans = marked(written)
    return {text[one.start : one.end] for one in guesses(text, spans)}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("what is known about farah haddad?", "farah haddad"),
        ("known about {O Beatriz Pemberton}?", "Beatriz Pemberton"),
        ("notes of {P Diaz}, {P Amanda}", "Diaz, Amanda"),
        ("Cilli {P Sauer}'s potassium", "Cilli Sauer's"),
        ("J. van der Leek", "J. van der Leek"),
        ("Will Smith be seen?", "Will Smith"),
    ],
)
def test_words_that_stand_together_may_be_a_name(written: str, name: str) -> None:
    assert name in guessed(written)


@pytest.mark.parametrize(
    "written",
    [
        *("{P Maria Elena Lopez}", "what is it about?", "{P Lopez} was seen", "Lopez. Maria was"),
        *("Maria's Lopez", "of {D May Third}", "potassium 4.8 in 2024", ""),
    ],
)
def test_no_part_of_a_name_and_no_other_finding_is_taken_for_a_name(written: str) -> None:
    assert guessed(written) == set()


def test_a_long_text_gives_no_more_guesses_than_a_question() -> None:
    assert len(guesses("Maria Lopez " * 2000, [])) <= 100


def test_a_verb_that_was_taken_for_a_part_of_a_name_goes() -> None:
    for written, name in (
        ("does {P maria lopez take}", "maria lopez"),
        ("{P Summarize Maria Lopez}", "Maria Lopez"),
        ("of {P Maria Elena Lopez}", ""),
        ("of {P Maria Lopez}", ""),
    ):
        text, (only,) = marked(written)
        assert trimmed(text, only) == name
