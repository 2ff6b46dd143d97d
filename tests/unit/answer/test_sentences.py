"""Sentences are cut where they end, whole or streamed, and never inside a guarded range."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ragplatform.answer.sentences import LONGEST, SentenceStream, split

TEXT = "Dr. Lee saw her at 3.5 mg. She left. [1] Then J. Smith came!\nNew line\n\n1. Aspirin stays."
TEXTS = st.text(st.sampled_from(list("ab. !?[1]2\n\"'Dr")), max_size=80)


def streamed(pieces):
    stream = SentenceStream()
    return [s for piece in pieces for s in stream.feed(piece)] + stream.finish()


def test_titles_initials_decimals_and_list_numbers_end_no_sentence():
    assert [TEXT[a:b] for a, b in split(TEXT)] == [
        "Dr. Lee saw her at 3.5 mg.",
        "She left. [1]",
        "Then J. Smith came!",
        "New line",
        "1. Aspirin stays.",
    ]


def test_no_sentence_is_cut_inside_a_guarded_range():
    text = "Call St. Mary. Now."
    assert [text[a:b] for a, b in split(text, [(5, 16)])] == ["Call St. Mary. Now."]


@given(TEXTS, st.lists(st.integers(0, 80), max_size=6))
def test_any_split_of_a_stream_gives_the_same_sentences(text, cuts):
    edges = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]

    assert streamed(pieces) == streamed([text])
    assert "".join("".join(streamed(pieces)).split()) == "".join(text.split())


def test_memory_stays_bounded_without_any_sentence_end():
    stream = SentenceStream()
    ready = stream.feed("word " * 1000)
    assert all(len(piece) <= LONGEST for piece in ready)
    assert "".join(ready + stream.finish()) == "word " * 1000


def test_a_line_that_was_only_wrapped_ends_no_sentence():
    text = (
        "Warfarin was stopped on admission because his INR had been in range for only 41\n"
        "% of the past year, and apixaban 2.5 mg twice daily\nreplaced it.\n"
        "Medication\n- Apixaban 2.5 mg\n- Paracetamol"
    )

    assert [text[a:b].replace("\n", " ") for a, b in split(text)] == [
        "Warfarin was stopped on admission because his INR had been in range for only 41 "
        "% of the past year, and apixaban 2.5 mg twice daily replaced it.",
        "Medication",
        "- Apixaban 2.5 mg",
        "- Paracetamol",
    ]


def test_each_row_of_a_table_is_a_sentence_and_a_date_makes_no_row():
    text = (
        "Net income attributable to non-controlling interests of the group (3) (4) (10)\n"
        "SG&A expenses as a percentage of net sales of the whole company (8.2 %) (8.9 %)\n"
        "Operating cash flow of all segments taken together $ 1,048 $ (9,000) —\n"
        "The committee of the whole board met in the large room on March 9, 2026\n"
        "In the morning."
    )

    assert [text[a:b] for a, b in split(text)] == [
        *text.splitlines()[:3],
        "\n".join(text.splitlines()[3:]),
    ]


def test_a_lost_line_end_in_a_transcript_ends_a_sentence():
    text = "She has stage IIIA disease.,Dr. X gave 1.5 mg.,CURRENT MEDICATIONS,None."

    assert [text[a:b] for a, b in split(text)] == [
        "She has stage IIIA disease.,",
        "Dr. X gave 1.5 mg.,",
        "CURRENT MEDICATIONS,None.",
    ]


def test_a_stream_that_begins_with_empty_lines_is_cut_like_any_other():
    stream = SentenceStream()

    ready = [
        s
        for piece in ["\n\n", "One came. ", "Two came. ", "Three came."]
        for s in stream.feed(piece)
    ]

    assert [s.strip() for s in ready] == ["One came.", "Two came."]


def test_blanks_and_marks_without_end_cost_no_more_than_their_length():
    stream = SentenceStream()

    for _ in range(400):
        assert all(len(s) <= LONGEST + 40 for s in stream.feed("Yes." + " " * 36))
