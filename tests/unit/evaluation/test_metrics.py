"""Each measure against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.evaluation import metrics


@pytest.mark.parametrize(
    ("gains", "ideal", "value"),
    [
        ([1], [1], 1.0),
        ([0, 1], [1], 1 / math.log2(3)),
        ([0, 0, 1], [1], 0.5),
        ([0, 0, 0], [1], 0.0),
        ([], [1], 0.0),
        ([1], [], 0.0),
        # 1/1 + 1/2 over 1/1 + 1/log2(3)
        ([1, 0, 1], [1, 1], 1.5 / (1 + 1 / math.log2(3))),
        # Graded: (1 + 3/log2 3) over (3 + 1/log2 3)
        ([1, 3], [1, 3], (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))),
        # Beyond the tenth nothing counts, neither found nor wanted.
        ([0] * 10 + [1], [1], 0.0),
        ([1] * 10, [1] * 12, 1.0),
    ],
)
def test_ndcg_is_what_it_is_by_hand(gains, ideal, value):
    assert metrics.ndcg(gains, ideal, 10) == pytest.approx(value)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=12))
def test_ndcg_of_the_ideal_order_is_one_and_of_any_order_no_more(gains):
    best = metrics.ndcg(sorted(gains, reverse=True), gains, 10)

    assert best == pytest.approx(1.0 if any(gains) else 0.0)
    assert metrics.ndcg(gains, gains, 10) <= best + 1e-12


@pytest.mark.parametrize(
    ("ranks", "at_5", "reciprocal"),
    [
        ([1], 1.0, 1.0),
        ([5, None], 0.5, 0.2),
        ([6, 4], 0.5, 0.25),
        ([None, None], 0.0, 0.0),
        ([], 0.0, 0.0),
    ],
)
def test_recall_and_reciprocal_rank_are_what_they_are_by_hand(ranks, at_5, reciprocal):
    assert metrics.recall(ranks, 5) == at_5
    assert metrics.reciprocal_rank(ranks) == reciprocal


def test_words_are_compared_without_case_and_articles_and_numbers_stay_whole():
    assert metrics.words("The INR was 2.5, a dose of 1,200 mg!") == [
        "inr", "was", "2.5", "dose", "of", "1,200", "mg",
    ]  # fmt: skip
    assert metrics.share_of("6.2 mmol/L", "It was 6.2 mmol/l.") == 1.0
    assert metrics.share_of("6.2 mmol/L", "It was 6.3 mmol/l.") == pytest.approx(2 / 3)
    # A word that is wanted twice must stand there twice.
    assert metrics.share_of("very very ill", "very ill") == pytest.approx(2 / 3)
    assert metrics.share_of("", "anything") == 0.0


def test_f1_is_the_harmonic_mean_by_hand():
    # 2 of 4 said words are wanted, 2 of 3 wanted are said: 2 * 1/2 * 2/3 / (1/2 + 2/3).
    assert metrics.f1("warfarin replaced it yesterday", "warfarin replaced apixaban") == (
        pytest.approx(4 / 7)
    )
    assert metrics.f1("no", "warfarin") == 0.0
