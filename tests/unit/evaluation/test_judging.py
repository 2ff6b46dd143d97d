"""What a reply is worth: where evidence counts as found, cited and said."""

import math

import pytest

from ragplatform.evaluation.judging import METRICS, Outcome, Place, Reply, is_at, judge
from ragplatform.evaluation.questions import EvalQuestion, Expected, Item

EVIDENCE = "Apixaban was stopped on March 6 because her valve is mechanical."


def place(document="d1", page=1, start=0, text=EVIDENCE, **more):
    said = {"file": "letters/discharge.pdf", "page_end": page, "end": start + 100, "number": 1}
    return Place(document=document, page=page, start=start, text=text, **(said | more))


def question(*relevant, expected=Expected.ANSWER, answers=()):
    return EvalQuestion(
        "q1", "Why was apixaban stopped?", expected, "", None, None, relevant, answers
    )


def scores(asked, *ranked, outcome=Outcome.ANSWERED, answer=None, citations=()):
    return judge(asked, Reply(outcome, ranked, answer, tuple(citations))).scores


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (Item(document="d1"), True),
        (Item(document="d2"), False),
        (Item(file="discharge.pdf"), True),
        (Item(file="other/discharge.pdf", page=1), True),
        (Item(file="discharge.pdf", page=2), False),
        (Item(document="d1", start=99, end=120), True),
        (Item(document="d1", start=100, end=120), False),
        (Item(quote="her valve is mechanical"), True),
        (Item(quote="her valve is biological, not metallic"), False),
        (Item(document="d1", quote="her valve is mechanical"), True),
        (Item(document="d2", quote="her valve is mechanical"), False),
    ],
    ids=repr,
)
def test_evidence_is_where_all_that_is_given_of_it_holds(item, found):
    assert is_at(item, place()) is found


def test_evidence_on_a_page_is_in_a_passage_that_reaches_over_it_and_in_none_without_pages():
    assert is_at(Item(document="d1", page=2), place(page=1, page_end=3))
    assert not is_at(Item(document="d1", page=1), place(page=None, page_end=None))


def test_a_citation_of_one_sentence_of_the_evidence_is_at_it_and_a_scrap_is_not():
    item = Item(quote=f"{EVIDENCE} Warfarin with a target INR of 3.0 replaced it.")

    assert is_at(item, place(text=EVIDENCE))
    assert not is_at(item, place(text="Warfarin."))


def test_a_ranking_is_scored_by_hand():
    asked = question(Item(document="d1"), Item(document="d3", grade=1.0))

    found = scores(asked, place("d2"), place("d1"), place("d1"), place("d3"))

    # Gains 0 1 0 1: the second passage of d1 brings nothing new.
    best = 1 + 1 / math.log2(3)
    assert found["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert found["recall@5"] == 1.0
    assert found["mrr"] == 0.5
    assert "answered" not in found


def test_one_passage_with_all_the_evidence_is_the_best_there_is():
    asked = question(Item(document="d1", page=1), Item(document="d1", quote="mechanical"))

    assert scores(asked, place())["ndcg@10"] == 1.0


def test_citations_are_scored_by_hand():
    asked = question(Item(document="d1"), Item(document="d2"), answers=("mechanical valve",))
    cited = [place("d1", number=1), place("d9", number=2)]
    answer = f"{EVIDENCE} [1] It was replaced by 900 mg of aspirin. [2] And more. [7]"

    found = scores(asked, place(), answer=answer, citations=cited)

    assert found["citation_precision"] == 0.5
    assert found["citation_recall"] == 0.5
    assert found["whole_citations"] == pytest.approx(2 / 3)
    assert found["support"] == pytest.approx(1 / 3)
    assert found["answer_match"] == 1.0


@pytest.mark.parametrize(
    ("expected", "outcome", "measure", "value"),
    [
        (Expected.ANSWER, Outcome.REFUSED, "answered", 0.0),
        (Expected.ANSWER, Outcome.FAILED, "answered", 0.0),
        (Expected.ABSTAIN, Outcome.REFUSED, "abstained", 1.0),
        (Expected.ABSTAIN, Outcome.DENIED, "abstained", 1.0),
        (Expected.ABSTAIN, Outcome.FAILED, "abstained", 0.0),
        (Expected.DENIED, Outcome.DENIED, "denied", 1.0),
        (Expected.DENIED, Outcome.REFUSED, "denied", 0.0),
    ],
)
def test_what_becomes_of_a_question_is_scored(expected, outcome, measure, value):
    found = scores(question(expected=expected), outcome=outcome)

    assert found == {measure: value}


def test_an_answer_where_there_should_be_none_says_nothing_of_citations():
    found = scores(
        question(expected=Expected.ABSTAIN), answer=f"{EVIDENCE} [1]", citations=[place()]
    )

    assert found == {"abstained": 0.0, "support": 1.0, "whole_citations": 1.0}


def test_a_refusal_finds_the_evidence_that_was_ranked_and_cites_none():
    found = scores(question(Item(document="d1")), place(), outcome=Outcome.REFUSED, answer="No.")

    assert (found["recall@5"], found["answered"]) == (1.0, 0.0)
    assert "citation_recall" not in found


def test_every_measure_that_is_given_is_described():
    asked = question(Item(document="d1"), answers=("x",))
    found = scores(asked, place(), answer=f"{EVIDENCE} [1]", citations=[place()])

    assert set(found) <= set(METRICS)
