"""What every weigher of terms promises."""

import math
import re
import zlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.errors import InvalidRequestError
from ragplatform.model import TermWeights
from ragplatform.ports import TermWeigher

TOKEN = "[PERSON:q7f2m9k4abcd2345]"


class WordWeigher:
    """A weigher that a test can read: one term a word, weight its count."""

    version = "words-1"

    def weigh_document(self, text: str, context: str = "") -> TermWeights:
        """Count the words."""
        counts = sorted(Counter(_words(f"{context} {text}")).items())
        return TermWeights(tuple(t for t, _ in counts), tuple(float(n) for _, n in counts))

    def weigh_query(self, text: str) -> TermWeights:
        """Give each word weight 1."""
        terms = sorted(set(_words(text)))
        return TermWeights(tuple(terms), (1.0,) * len(terms))


def _words(text: str) -> list[int]:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequestError("half a character")
    return [zlib.crc32(word.encode()) for word in re.findall(r"[^\W_]+", text.lower())]


@pytest.fixture(params=[WordWeigher, Bm25Weigher])
def weigher(request: pytest.FixtureRequest) -> TermWeigher:
    return request.param()


def shared(weigher: TermWeigher, text: str, asked: str) -> set[int]:
    return {*weigher.weigh_document(text).indices} & {*weigher.weigh_query(asked).indices}


def test_half_a_character_is_refused(weigher: TermWeigher) -> None:
    for weigh in (weigher.weigh_document, weigher.weigh_query):
        with pytest.raises(InvalidRequestError):
            weigh("\ud800")


def test_a_text_without_words_weighs_nothing(weigher: TermWeigher) -> None:
    for text in ["", " ", "...", "[]"]:
        assert weigher.weigh_document(text).indices == ()
        assert weigher.weigh_query(text).indices == ()


@pytest.mark.parametrize("kind", [WordWeigher, Bm25Weigher])
@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_weights_are_finite_positive_sorted_and_one_per_term(
    kind: type[WordWeigher | Bm25Weigher], text: str
) -> None:
    weigher = kind()

    for weights in (weigher.weigh_document(text), weigher.weigh_query(text)):
        assert len(weights.indices) == len(weights.values)
        assert list(weights.indices) == sorted(set(weights.indices))
        assert all(0 <= term < 2**32 for term in weights.indices)
        assert all(value > 0 and math.isfinite(value) for value in weights.values)
    assert weigher.weigh_document(text).indices == weigher.weigh_query(text).indices
    assert weigher.weigh_document(text) == kind().weigh_document(text)


def test_a_pseudonym_in_a_question_meets_the_same_one_in_a_text(weigher: TermWeigher) -> None:
    text = f"Seen today: {TOKEN}, in good health."

    terms = shared(weigher, text, f"How is {TOKEN}?")

    # One term for the type and one for the value; the value's alone tells people apart.
    assert len(terms) == 2
    assert len(shared(weigher, text, "How is [PERSON:zzzzzzzzzzzzzzzz]?")) == 1
    assert shared(weigher, text, "q7f2m9k4abcd2345") < terms


@pytest.mark.parametrize(
    "code",
    ["00123456", "4111111111111111", "E11.9", "MRN-00123456", "HbA1c", "GB29NWBK6016", "10-K"],
)
def test_numbers_and_codes_are_found_by_themselves(weigher: TermWeigher, code: str) -> None:
    asked = weigher.weigh_query(code)

    assert asked.indices
    assert shared(weigher, f"Recorded ({code}), see file.", code) == set(asked.indices)


def test_leading_zeros_and_near_numbers_tell_apart(weigher: TermWeigher) -> None:
    assert not shared(weigher, "file 00123456", "123456")
    assert not shared(weigher, "file 00123456", "00123457")


def test_term_ids_are_those_of_the_server() -> None:
    # An index moves from the embedded engine to a server without weighing anew only if they are.
    weigher = Bm25Weigher()

    for word in ["person", "patient", "00123456", "q7f2m9k4abcd2345", "患者"]:
        assert weigher.weigh_query(word).indices == (abs(murmur3(word.encode())),)
    assert weigher.weigh_query("running").indices == weigher.weigh_query("runs").indices


def murmur3(key: bytes) -> int:
    """Return the signed 32-bit hash, seed 0. Source: MurmurHash3_x86_32, Austin Appleby."""
    mask, state = 0xFFFFFFFF, 0
    whole = len(key) // 4 * 4
    for start in range(0, len(key), 4):
        block = int.from_bytes(key[start : start + 4], "little") * 0xCC9E2D51 & mask
        block = (block << 15 | block >> 17) * 0x1B873593 & mask
        state ^= block
        if start < whole:
            state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & mask
    state ^= len(key)
    state = (state ^ state >> 16) * 0x85EBCA6B & mask
    state = (state ^ state >> 13) * 0xC2B2AE35 & mask
    state ^= state >> 16
    return state - 2**32 if state >= 2**31 else state
