"""A sentence that only seems to answer is no answer, whatever passage holds its words."""

import pytest

from ragplatform.answer.hollow import fault

CAUSE = "What causes lung cancer?"
PLACE = "Lung cancer begins where cells of the lung divide in an uncontrolled way."


@pytest.mark.parametrize(
    ("claim", "question", "why"),
    [
        ("The passage is about the cells of the lung.", CAUSE, "of_the_text"),
        ("The passage 4 describes how cells divide.", CAUSE, "of_the_text"),
        ("The answer is: Lung cancer.", CAUSE, "adds_nothing"),
        ("The loan to value is allowed.", "What loan to value is allowed?", "adds_nothing"),
        ("Lung cancer cells are lung cancer of cells.", CAUSE, "circular"),
    ],
)
def test_what_answers_nothing_is_told(claim, question, why):
    assert fault(claim, question, PLACE) == why


@pytest.mark.parametrize(
    ("claim", "question"),
    [
        ("Cells of the lung divide in an uncontrolled way.", CAUSE),
        ("Apixaban was stopped.", "Was apixaban stopped?"),
        ("Warfarin was stopped.", "Which was stopped, apixaban or warfarin?"),
        ("Her surgeon is [PERSON:uscnziq3xryfgcje].", "Who is her surgeon?"),
        ("The target INR is 3.0.", "What is the target INR?"),
        ("The document was signed on March 6.", "When was the document signed?"),
        ("The text message came on Monday.", "When did the text message come?"),
    ],
)
def test_what_answers_stays(claim, question):
    assert fault(claim, question, PLACE) is None


def test_words_that_the_passage_repeats_may_be_repeated():
    said = "Lung cancer spreads, and lung cancer returns."

    assert fault(said, CAUSE, said) is None
