"""A released text is taken apart at the marks that end its sentences."""

from ragplatform.answer import statements
from ragplatform.answer.judging import Sentence
from ragplatform.model import Citation, SentenceKind


def citing(number, kind=SentenceKind.QUOTED):
    citation = Citation(number, f"c{number}", "d", "t", None, 0, 1, "quote")
    return Sentence(f"text [{number}]", kind, (citation,))


GAP = Sentence("The rest is open.", SentenceKind.GAP)


def test_each_sentence_gets_its_own_text_as_it_was_released():
    text = "Anna rests. [2] Also: she eats. [1] The rest is open."

    found = statements.of(text, [citing(2), citing(1), GAP], None)

    assert [(one.text, one.citations) for one in found] == [
        ("Anna rests. [2]", (2,)),
        ("Also: she eats. [1]", (1,)),
        ("The rest is open.", ()),
    ]


def test_where_marks_are_not_as_expected_nothing_is_told_apart_and_nothing_lost():
    text = "A document's own mark [7]. And more. [2]"

    (whole,) = statements.of(text, [citing(2)], None)

    assert (whole.text, whole.citations) == (text, (2,))


def test_a_refusal_is_one_sentence():
    (only,) = statements.of("There is nothing.", [], "no_passage")

    assert only.kind is SentenceKind.REFUSAL
