"""Overlaps are resolved the same way whatever the order, and nothing covered is uncovered."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ragplatform.adapters.overlaps import resolve
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span

TEXT = "Anna (617) 555-0123, Main St. 12; Ann's Müller <a@b.c> [x] 99 ... zzzz"


def span(start: int, end: int, entity: str, score: float) -> Span:
    return Span(start, end, entity, CATEGORY_OF[entity], score, "s")


SPANS = st.builds(
    lambda start, length, entity, score: span(start, min(len(TEXT), start + length), entity, score),
    st.integers(0, len(TEXT) - 1),
    st.integers(1, 25),
    st.sampled_from(["PERSON", "US_SSN", "URL"]),
    st.sampled_from([0.4, 0.85, 1.0]),
)


def test_the_surer_type_wins_and_the_rest_of_the_other_stays_covered() -> None:
    kept = resolve("Okafor 078-05-1120", [span(0, 18, "PERSON", 0.85), span(7, 18, "US_SSN", 0.9)])
    assert [(s.start, s.end, s.entity) for s in kept] == [(0, 6, "PERSON"), (7, 18, "US_SSN")]


def test_overlapping_spans_of_one_type_become_one() -> None:
    kept = resolve("Anna Maria Lopez", [span(0, 10, "PERSON", 0.85), span(5, 16, "PERSON", 0.9)])
    assert [(s.start, s.end, s.score) for s in kept] == [(0, 16, 0.9)]


def test_of_equal_scores_the_longer_wins() -> None:
    kept = resolve("Lopez Street", [span(0, 5, "PERSON", 0.85), span(0, 12, "LOCATION", 0.85)])
    assert [s.entity for s in kept] == ["LOCATION"]


def test_brackets_stay_with_their_partner_only() -> None:
    kept = resolve("((617) 555-0123)", [span(1, 16, "PHONE_NUMBER", 0.9)])
    assert kept[0].start == 1
    kept = resolve("(Anna)", [span(0, 5, "PERSON", 0.9)])
    assert (kept[0].start, kept[0].end) == (1, 5)


@given(st.lists(SPANS, max_size=12), st.randoms())
def test_nothing_overlaps_nothing_is_lost_and_order_does_not_matter(spans, random) -> None:
    kept = resolve(TEXT, spans)
    for one, other in pairwise(kept):
        assert one.start < one.end <= other.start
    covered = {at for s in kept for at in range(s.start, s.end)}
    wanted = {at for s in spans for at in range(s.start, s.end) if TEXT[at].isalnum()}
    assert wanted <= covered
    random.shuffle(spans)
    assert resolve(TEXT, spans) == kept
