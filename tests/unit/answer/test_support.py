"""A sentence is shown as fact only where a passage says it."""

import pytest

from ragplatform.answer import support, terms

PASSAGE = [
    "Apixaban 5 mg was stopped on day 3 because of a gastrointestinal bleed.",
    "It was replaced by enoxaparin 40 mg once daily.",
    "[PERSON:q7f2m3k4abcd2345] denies chest pain.",
]


@pytest.mark.parametrize(
    ("sentence", "failed"),
    [
        ("Apixaban 10 mg was stopped because of a gastrointestinal bleed.", "number"),
        ("Apixaban was stopped on day 30.", "number"),
        ("It was replaced by Warfarin Sodium once daily.", "name"),
        ("[PERSON:aaaaaaaaaaaaaaaa] denies chest pain.", "name"),
        ("[PERSON:q7f2m3k4abcd2345] has chest pain.", "negation"),
        ("Apixaban was not stopped because of a gastrointestinal bleed.", "negation"),
        ("The family requested transfer to another ward near the river.", "wording"),
        ("[1]", "empty"),
        ("", "empty"),
    ],
)
def test_an_unsupported_sentence_is_named_with_the_check_that_failed(sentence, failed):
    verdict = support.check(sentence, PASSAGE)

    assert not verdict.supported
    assert verdict.failed == failed


@pytest.mark.parametrize(
    ("sentence", "first"),
    [
        ("Apixaban was stopped because of a gastrointestinal bleed [1].", 0),
        ("It was replaced by enoxaparin 40 mg daily.", 1),
        ("[PERSON:q7f2m3k4abcd2345] denies any chest pain. [2]", 2),
        ("Apixaban 5.0 mg was stopped on day 3.", 0),
    ],
)
def test_a_supported_sentence_is_found_with_its_place(sentence, first):
    verdict = support.check(sentence, PASSAGE)

    assert verdict.supported, verdict
    assert verdict.first == first


def test_without_passages_nothing_is_supported():
    assert support.best("Apixaban was stopped.", []) == (-1, support.Verdict(False, "no passage"))


def test_the_best_passage_is_one_that_supports():
    other = ["Apixaban is an anticoagulant that was stopped often."]

    index, verdict = support.best("It was replaced by enoxaparin 40 mg.", [other, PASSAGE])

    assert (index, verdict.supported) == (1, True)


def test_citations_are_read_in_order_and_once():
    assert support.cited("So [2], and [1][2].") == [2, 1]
    assert support.without_citations("It stopped [2]. [1]") == "It stopped."


def test_terms_are_stems_numbers_codes_and_pseudonyms_without_common_words():
    text = "What were the payments of [PERSON:q7f2m3k4abcd2345] for E11 in FY2023 and at 5?"

    assert terms.content_terms(text) == {
        "payment",
        "person",
        "q7f2m3k4abcd2345",
        "e11",
        "2023",
        "5",
    }


TWO = [
    "[PERSON:aaaaaaaaaaaaaaaa] tested positive for HIV.",
    "[PERSON:bbbbbbbbbbbbbbbb] came for a flu shot.",
]


@pytest.mark.parametrize(
    "sentence",
    [
        "[PERSON:bbbbbbbbbbbbbbbb] tested positive for HIV.",
        "[PERSON:aaaaaaaaaaaaaaaa] came for a flu shot.",
    ],
)
def test_what_is_said_of_one_person_supports_nothing_about_another(sentence):
    assert not support.check(sentence, TWO).supported


def test_a_name_at_the_start_of_a_sentence_is_checked_too():
    verdict = support.check("Gonzalez was stopped on apixaban because of a bleed.", PASSAGE)

    assert verdict.failed == "name"


def test_no_mark_is_left_by_taking_marks_out():
    assert "[7]" not in support.without_citations("It bled [[7]7].")


def test_a_made_up_answer_in_the_question_s_own_words_is_not_supported():
    passage = ["DIAGNOSIS: Left breast adenocarcinoma stage IIIA.", "She has received carboplatin."]
    question = "What drug did the patient with left breast adenocarcinoma stage IIIA receive?"
    claim = "The patient with left breast adenocarcinoma stage IIIA received {}."

    assert support.check(claim.format("azelastane"), passage, question).failed == "added"
    assert support.check(claim.format("carboplatin"), passage, question).supported
