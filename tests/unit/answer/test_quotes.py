"""Quotes are chosen that answer, that can be understood alone, and none where nothing fits."""

import numpy as np
import pytest

from ragplatform.answer.quotes import Candidate, Origin, choose
from ragplatform.answer.support import Evidence

TOPIC = {"apixaban": 0, "warfarin": 0, "valve": 1, "potassium": 2, "sales": 3, "script": 4}
TOKEN = "[PERSON:q7f2m3k4abcd2345]"


class TopicEmbedder:
    """Implements ``Embedder``: one direction a topic, and one for texts without any."""

    version, dim = "topics", 6

    def __init__(self):
        self.texts = []

    def embed(self, texts):
        self.texts += texts
        vectors = np.full((len(texts), self.dim), 0.01, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            held = [place for word, place in TOPIC.items() if word in text.lower()]
            row[held or [5]] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def origin(texts, title="", *headings, document="document"):
    return Origin(document, title, headings, Evidence(texts))


def chosen(question, *passages, origins=None, held_back=(), most=3):
    """Return the quoted texts, best first; what is held back may not be quoted."""
    embedder = TopicEmbedder()
    candidates = [
        Candidate(p, n, text)
        for p, texts in enumerate(passages)
        for n, text in enumerate(texts)
        if text not in held_back
    ]
    quotes = choose(
        question,
        embedder.embed([question])[0],
        candidates,
        embedder,
        origins=origins or [origin(texts) for texts in passages],
        most=most,
    )
    return [
        " ".join(passages[q.candidate.passage][q.candidate.sentence : q.last + 1]) for q in quotes
    ]


def test_what_speaks_of_something_else_is_not_quoted():
    assert chosen("What is the dose of apixaban?", ["The cafeteria opens at eight o'clock."]) == []


def test_without_candidates_nothing_is_quoted():
    assert chosen("What is the dose of apixaban?", []) == []


def test_the_sentence_with_the_asked_word_comes_first_and_a_question_is_no_answer():
    passage = [
        "Is warfarin the drug that replaced apixaban?",
        "The valve was replaced in March by the surgeons of the east wing.",
        "Warfarin replaced apixaban on the third day after the operation here.",
    ]

    assert chosen("What replaced apixaban?", passage)[0] == passage[2]


def test_a_heading_is_quoted_with_what_stands_under_it():
    passage = ["If a client reads from a script", "Stop.", "Call the fraud desk at once."]

    assert chosen("What if a client reads from a script?", passage) == [" ".join(passage)]


def test_a_terse_sentence_is_quoted_with_the_next_one():
    passage = ["Potassium was 6.2 mmol/L.", "It fell to 4.7 by the evening."]

    assert chosen("What was the potassium?", passage) == [" ".join(passage)]


def test_a_row_of_a_table_is_quoted_alone():
    passage = ["Net sales 14,544 14,694", "Cost of something else 9,001 8,700"]

    assert chosen("What were net sales?", passage)[0] == passage[0]


def test_no_quote_takes_in_a_sentence_that_was_held_back():
    embedder = TopicEmbedder()
    candidates = [
        Candidate(0, 0, "Apixaban was stopped."),
        Candidate(0, 2, "A stranger was told of it."),
    ]
    question = "Was apixaban stopped?"
    vector = embedder.embed([question])[0]
    passage = [candidates[0].text, "Stop.", candidates[1].text]

    (quote,) = choose(question, vector, candidates, embedder, origins=[origin(passage)])

    assert quote.last == 0


def test_the_same_sentence_in_two_documents_is_quoted_once():
    text = "Apixaban was stopped on day three because of a gastrointestinal bleed."

    assert chosen("Why was apixaban stopped?", [text], [text]) == [text]


def test_the_title_tells_whose_sales_were_asked_for():
    row = "Sales rose to 11,588 in the year that ended with the month of December, as planned."
    passages = [[row], [row.replace("11,588", "59,268")]]

    quoted = chosen(
        "What were the sales of Harbor Mills?",
        *passages,
        origins=[
            origin(passages[0], "OTHERCO 2019", document="a"),
            origin(passages[1], "HARBORMILLS 2019", document="b"),
        ],
        most=1,
    )

    assert quoted == passages[1]


def test_pseudonyms_reach_the_encoder_as_plain_words_only():
    embedder = TopicEmbedder()
    vector = embedder.embed(["Was apixaban stopped?"])[0]
    candidates = [Candidate(0, 0, f"Apixaban was stopped for {TOKEN}.")]

    origins = [origin([candidates[0].text])]
    choose("Was apixaban stopped?", vector, candidates, embedder, origins=origins)

    assert not any("q7f2m3k4abcd2345" in text for text in embedder.texts)


@pytest.mark.parametrize("most", [1, 2])
def test_never_more_quotes_than_asked_for(most):
    passage = [f"Apixaban was stopped in ward {n} for reason number {n} as noted." for n in "123"]

    assert len(chosen("Why was apixaban stopped?", passage, most=most)) <= most


def test_the_figure_of_another_year_is_no_answer():
    passage = ["Net sales of the mills (script, valve and potassium) rose to 11,588 in 2025."]

    assert chosen("What were net sales of the mills in 2025?", passage) == passage
    assert chosen("What were net sales of the mills in 2019?", passage) == []


def test_a_year_may_stand_behind_a_masked_date():
    passage = ["Net sales of the mills (script, valve and potassium) were 11,588 on [DATE_TIME]."]

    assert chosen("What were net sales of the mills in 2019?", passage) == passage


def test_the_sentence_before_tells_what_an_answer_speaks_of():
    sentences = ["Potassium was drawn for the tournament.", "It came to 6.2 an hour afterwards."]
    question = "What was the tournament result?"

    assert chosen(question, sentences, held_back=sentences[:1]) == sentences[1:]
    assert chosen(question, sentences[1:]) == []


@pytest.mark.parametrize("above", [("Tournament",), ()])
def test_a_heading_tells_what_a_passage_speaks_of(above):
    passage = ["It came to 6.2 an hour afterwards."]

    quoted = chosen(
        "What was the tournament result?", passage, origins=[origin(passage, "", *above)]
    )

    assert quoted == (passage if above else [])


def test_another_passage_of_the_document_tells_whom_it_speaks_of():
    first = ["A letter to the cottage."]
    second = ["Warfarin is given, not potassium, by a script for the valve."]
    question = "Which warfarin is given at the cottage?"
    one, other = origin(first, document="letter"), origin(second, document="letter")

    assert second[0] in chosen(question, first, second, origins=[one, other])
    assert chosen(question, second) == []


def test_of_many_sentences_those_are_read_closely_that_words_put_first():
    embedder = TopicEmbedder()
    texts = [f"The cafeteria opens at eight o'clock on day {n}." for n in range(40)]
    texts[33] = "Apixaban was stopped because of the bleed."
    candidates = [Candidate(n // 8, n % 8, text) for n, text in enumerate(texts)]
    origins = [origin(texts[n : n + 8], document=f"document {n}") for n in range(0, 40, 8)]
    question = "Why was apixaban stopped?"
    vector = embedder.embed([question])[0]
    embedder.texts.clear()

    (quote,) = choose(question, vector, candidates, embedder, origins=origins)

    assert quote.candidate.text == texts[33]
    assert len(embedder.texts) < len(texts) / 2


def test_a_short_sentence_is_quoted_where_it_has_a_figure_for_what_was_asked():
    passage = ["Albumin 2.7.", "Valve area 14.", "See above.", "The ward round was quiet all day."]

    assert chosen("What was the valve area?", passage)[0].startswith("Valve area 14.")
    assert chosen("What was the valve area?", ["Valve area: see."]) == []


def test_whose_texts_they_are_does_not_count_against_a_sentence_that_names_nobody():
    passages = [[f"Patient: {TOKEN}.", "The potassium has risen to 5.9."]]
    question = f"What is the potassium of {TOKEN}?"

    [quoted] = chosen(question, *passages, held_back=[passages[0][0]])

    assert quoted == passages[0][1]


def test_a_pseudonym_that_no_passage_holds_is_asked_for_in_vain():
    passages = [["He was given apixaban, and for the pain he was given the other."]]

    assert chosen("Was it given for pain?", *passages)
    assert chosen(f"Was {TOKEN} given for [PERSON:ponmlkjihgfedcba]?", *passages) == []
