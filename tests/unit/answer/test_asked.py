"""A question is taken apart into what an answer cannot do without."""

import pytest

from ragplatform.answer import asked
from ragplatform.answer.asked import Expected
from ragplatform.answer.terms import content_terms

ANNA = "[PERSON:aaaaaaaaaaaaaaaa]"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How much does he owe?", Expected.NUMBER),
        ("What was the target dose?", Expected.NUMBER),
        ("When was the valve replaced?", Expected.DATE),
        ("In which year did it open?", Expected.DATE),
        ("Who read the film?", Expected.PERSON),
        ("Where were the hearing aids?", Expected.PLACE),
        ("Why was apixaban stopped?", Expected.ANYTHING),
    ],
)
def test_the_kind_of_answer_is_known(question, expected):
    assert asked.read(question).expected is expected


def test_common_words_and_pseudonyms_are_not_what_an_answer_needs():
    question = asked.read(f"What dose of digoxin does {ANNA} take every day?")

    assert question.specific == {"digoxin"}


def test_another_form_of_a_word_is_not_missed_and_another_word_is():
    question = asked.read("Was the catheterised patient hypertensive in 2024?")

    assert question.missing(content_terms("A catheter; hypertension; 2024")) == set()
    assert question.missing(content_terms("A catheter; hypertrophy; 2023")) == {
        "hypertensiv",
        "2024",
    }


@pytest.mark.parametrize(
    ("question", "text", "answered"),
    [
        ("How much does he owe?", "He owes $1,768.40.", True),
        ("How much does he owe?", "He owes the hospital.", False),
        ("When was it replaced?", "It was replaced on March 9.", True),
        ("When was it replaced?", "It was replaced by the surgeon.", False),
        ("Who read it?", f"It was read by {ANNA}.", True),
        ("Why was it stopped?", "Because of a bleed.", True),
    ],
)
def test_a_text_answers_only_with_the_kind_of_thing_that_is_asked_for(question, text, answered):
    assert asked.read(question).answered_by(text) is answered


def test_a_question_of_two_parts_is_cut_and_one_of_one_is_not():
    two = "Why was apixaban stopped and what replaced it?"
    one = "Which old fractures and scars does the film show?"

    assert [two[a:b] for a, b in asked.parts(two)] == [
        "Why was apixaban stopped",
        "what replaced it?",
    ]
    assert asked.parts(one) == [(0, len(one))]


def test_missing_terms_are_told_in_the_question_s_own_words():
    question = "What dose of Digoxin, twice daily?"

    assert asked.words_of(question, {"digoxin"}) == ["Digoxin"]


def test_a_year_weighs_as_much_as_several_words():
    question = asked.read("What were net sales in 2019?")

    assert question.lack(content_terms("Net sales in 2025")) > 0.5
    assert question.lack(content_terms("Sales of 2019")) < 0.5


@pytest.mark.parametrize(
    ("mark", "lacking"), [("[PERSON]", 0), (ANNA, 0), ("[PHONE_NUMBER]", 0.5), ("[DATE_TIME]", 0.5)]
)
def test_a_name_may_stand_behind_the_mark_of_a_name_only(mark, lacking):
    question = asked.read("What potassium had Whitfield?")

    assert question.lack(content_terms("Her potassium"), {mark}) == lacking


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How far in six minutes of rowing?", "six-minute rowing"),
        ("Is it a high-risk wire?", "wire, risk: high"),
        ("What is the late fee?", "fees for lateness"),
    ],
)
def test_a_word_is_not_missed_for_its_hyphen_or_its_ending(question, text):
    assert asked.read(question).missing(content_terms(text)) == set()


def test_a_short_word_keeps_its_letters():
    assert content_terms("a fee") == content_terms("fees") == {"fee"}
