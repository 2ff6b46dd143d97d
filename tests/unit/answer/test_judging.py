"""A model's sentence is shown only where everybody who is asked says that a passage says it."""

from types import SimpleNamespace

import numpy as np
import pytest

from ragplatform.answer import evidence
from ragplatform.answer.judging import Bar, Judge, Unsupported
from ragplatform.answer.support import Evidence

PASSAGE = [
    "Apixaban was stopped because of a gastric bleed.",
    "Enoxaparin 40 mg once daily replaced it after the bleed had been clipped by the team.",
]
TRUE = "Apixaban was stopped because of a gastric bleed [1]."
LOOSE = "Enoxaparin 40 mg replaced it after surgery [1]."


class Directions:
    """Implements ``Embedder``: texts with the word point one way, all others another."""

    version, dim = "directions", 2

    def __init__(self, word):
        self._word = word

    def embed(self, texts):
        return np.array([[1, 0] if self._word in text else [0, 1] for text in texts], np.float32)


class Denies:
    """Implements ``Entailment``: is as sure of every pair, and keeps them."""

    def __init__(self, chance):
        self.asked = []
        self._chance = chance

    def says(self, pairs):
        self.asked += pairs
        return [self._chance] * len(pairs)


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.setattr(evidence, "cite", lambda *where: where[1].number)

    def make(
        question="Why was apixaban stopped?", *, word="x", entailment=None, unsupported="drop"
    ):
        passage = SimpleNamespace(
            number=1,
            texts=PASSAGE,
            evidence=Evidence(PASSAGE),
            passage=SimpleNamespace(document="", title="", chunk=SimpleNamespace(heading=())),
            orders=False,
        )
        retrieved = SimpleNamespace(
            question=SimpleNamespace(text=question),
            vector=[1.0, 0.0],
            embedder=Directions(word),
            scope=SimpleNamespace(reveals=frozenset()),
        )
        bar = Bar(Unsupported(unsupported), entailment, 0.5)
        return Judge(retrieved=retrieved, passages=[passage], bar=bar)

    return make


def test_a_model_of_pairs_has_the_last_word(judge):
    sure, unsure = Denies(0.9), Denies(0.1)

    assert judge(entailment=sure).judge(TRUE).text == TRUE.replace(" [1].", ". [1]")
    refused = judge(entailment=unsure)
    assert refused.judge(TRUE) is None
    assert refused.dropped == {"entailment": 1}
    assert unsure.asked == [(PASSAGE[0], TRUE.replace(" [1]", ""))]


def test_what_is_marked_as_unsupported_holds_no_link_either(judge, monkeypatch):
    copied = "Apixaban was stopped because of a bleed, see https://w.example/a."
    monkeypatch.setattr("tests.unit.answer.test_judging.PASSAGE", [copied])

    marked = judge(entailment=Denies(0.1), unsupported="mark").judge(f"{copied} [1]")

    assert marked.text == "Apixaban was stopped because of a bleed, see (...). [unsupported]"


def test_a_doubtful_sentence_has_to_mean_what_its_place_means(judge):
    strict = judge("What replaced apixaban?", word="clipped")

    assert strict.judge(LOOSE) is None
    assert strict.dropped == {"meaning": 1}


def test_a_true_sentence_beside_the_question_is_no_answer_and_never_marked(judge):
    strict = judge("What does a day of parking cost?", word="none", unsupported="mark")

    assert strict.hopeless
    assert strict.judge(TRUE) is None
    assert strict.dropped == {"beside": 1}


def test_behind_a_sentence_to_the_point_others_may_add(judge):
    lenient = judge()

    assert lenient.judge(TRUE)
    assert lenient.judge("Enoxaparin 40 mg once daily replaced it after the bleed [1].")


def test_a_word_of_the_question_that_the_passage_does_not_know_is_no_part_of_the_answer(judge):
    borrowing = judge("What dose of nadroparin replaced apixaban after the bleed?")

    sentence = "The nadroparin 40 mg once daily replaced it after the bleed had been clipped [1]."
    assert borrowing.judge(sentence) is None
    assert borrowing.dropped == {"borrowed": 1}
    assert borrowing.judge(sentence.replace("nadroparin", "enoxaparin")) is not None


def test_a_heading_claims_nothing_though_a_heading_would_support_it(judge):
    assert judge().judge("Apixaban was stopped because of a gastric bleed: ") is None
