"""The benchmark's own judge of citations is strict, and forgives nothing but spelling."""

import pytest

from bench._answer_judge import bare, says

PASSAGE = (
    "Apixaban was stopped for Maria Lopez on March 6 because her valve is mechanical. "
    "Warfarin 6 mg every evening replaced it. She takes no aspirin."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "Warfarin 6 mg every evening replaced it. [1]",
        "Also: She takes no aspirin. [2]",
        "But another passage says: Warfarin 6 mg every evening replaced it. [3]",
        "Apixaban was stopped because her valve is mechanical. [1]",
    ],
)
def test_what_stands_in_the_passage_is_said(sentence):
    assert says(PASSAGE, sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Warfarin 8 mg every evening replaced it. [1]",
        "Apixaban was stopped for Maria Gomez because her valve is mechanical. [1]",
        "Apixaban was stopped because her kidneys failed after surgery. [1]",
    ],
)
def test_another_figure_name_or_clause_is_not(sentence):
    assert not says(PASSAGE, sentence)


def test_marks_and_joining_words_are_no_part_of_a_sentence():
    assert bare("In addition: It fell to 4.7. [12]") == "It fell to 4.7."


@pytest.mark.parametrize("words_before", range(20, 27))
def test_the_last_words_of_a_passage_are_read_wherever_it_begins(words_before):
    passage = " ".join(["other"] * words_before) + " A box ticked by the merchant is no consent"

    assert says(passage, "The box ticked by the merchant is no consent. [1]")
