"""A follow-up is completed from earlier questions, and from nothing that now stands for nobody."""

import pytest

from ragplatform.answer import followup
from ragplatform.model import Cleared
from ragplatform.privacy import clear

ANNA, BEN = "[PERSON:aaaaaaaaaaaaaaaa]", "[PERSON:bbbbbbbbbbbbbbbb]"


def completed(*questions):
    """Return the last question as it stands alone."""
    return followup.complete(clear, [Cleared(text) for text in questions]).text


@pytest.mark.parametrize(
    ("earlier", "question", "whole"),
    [
        (f"Why was apixaban stopped for {ANNA}?", "What about her potassium?",
         f"What about {ANNA}'s potassium?"),
        (f"Why was apixaban stopped for {ANNA}?", "What is her potassium?",
         f"What is {ANNA}'s potassium?"),
        (f"Why was apixaban stopped for {ANNA}?", "When was she discharged?",
         f"When was {ANNA} discharged?"),
        ("What were net sales in 2021?", "And in 2022?", "What were net sales in 2022?"),
        (f"What is the weight of {ANNA}?", f"And of {BEN}?", f"What is the weight of {BEN}?"),
        ("What were net sales of Corning in 2021?", "How about Boeing?",
         "What were net sales of Boeing in 2021?"),
        (f"What was the sodium of {ANNA}?", "And the potassium?",
         f"And the potassium? {ANNA}"),
        ("Which drug raised the INR?", "Why?", "Why? Which drug raised the INR?"),
        ("Which drug raised the INR?", "When was it stopped?",
         "When was it stopped? Which drug raised the INR?"),
    ],
)  # fmt: skip
def test_a_follow_up_is_completed(earlier, question, whole):
    assert completed(earlier, question) == whole


@pytest.mark.parametrize(
    "question",
    [
        f"Why was warfarin stopped for {BEN} and what replaced it?",
        f"What did {BEN} say about her sister?",
        "What is the debt-to-income limit in the lending policy?",
        "Which patient now takes warfarin for a mechanical mitral valve?",
    ],
)
def test_a_question_that_stands_alone_takes_nothing_from_earlier_ones(question):
    assert not followup.depends(question)
    assert completed(f"Why was apixaban stopped for {ANNA}?", question) == question


def test_a_chain_of_follow_ups_keeps_its_topic():
    questions = ("What were net sales in 2020?", "And in 2021?", "And in 2022?")

    assert completed(*questions) == "What were net sales in 2022?"


def test_who_is_masked_today_stands_for_nobody():
    whole = completed("Why was apixaban stopped for [PERSON]?", "What is her potassium?")

    assert whole.startswith("What is her potassium?")
    assert ":" not in whole


def test_only_the_latest_questions_are_needed_and_none_that_is_cut():
    history = ("one", "two", "x" * 5000, "three", "four")

    assert followup.needed("And why?", history, 4000) == ("two", "three", "four")
    assert followup.needed("And why?", ("a" * 3900, "b" * 3900), 4000) == ("b" * 3900,)
    assert followup.needed("What is the INR target?", history, 4000) == ()
