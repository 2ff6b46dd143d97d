"""Text is read piece by piece, and every piece knows its place."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.adapters.wordpieces import FIRST_OF_WORD, SHAPES, Wordpieces
from ragplatform.models import WEIGHTS

ODD = ["İstanbul", "ﬁne", "Straße", "e\u0301", "🙂", "\u200b", "中文", "ΛΑΡΝΑΚΑ", "\x00", "x" * 300]
TEXT = st.lists(st.sampled_from([*ODD, "Smith", "12/3", " ", "\n", "\t", "-", "."])).map("".join)


@pytest.fixture(scope="module")
def reader() -> Wordpieces:
    return Wordpieces(WEIGHTS / "identifiers-minilm-l2" / "tokenizer.json")


@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_pieces_lie_in_the_text_in_order(reader: Wordpieces, text: str) -> None:
    pieces = reader.read(text)
    assert all(
        0 <= start < end <= len(text) for start, end in zip(pieces.starts, pieces.ends, strict=True)
    )
    assert all(one <= other for one, other in pairwise(pieces.starts))
    assert ((pieces.shapes >= 0) & (pieces.shapes < SHAPES)).all()


def test_pieces_are_what_stands_at_their_offsets(reader: Wordpieces) -> None:
    text = "Mrs Ñúñez  paid\n€12."
    pieces = reader.read(text)
    read = [text[start:end] for start, end in zip(pieces.starts, pieces.ends, strict=True)]
    assert "".join(read) == text.replace(" ", "").replace("\n", "")


def test_capitals_and_line_ends_show_in_the_shapes(reader: Wordpieces) -> None:
    shapes = [
        tuple(reader.read(text).shapes) for text in ("x smith", "x Smith", "x SMITH", "x\nsmith")
    ]
    assert len(set(shapes)) == 4


def test_a_piece_behind_a_gap_begins_a_word(reader: Wordpieces) -> None:
    pieces = reader.read("Hallucinations, (twice)")
    begins = pieces.shapes >= FIRST_OF_WORD
    assert begins[0]
    assert sum(begins) == 2


def test_a_long_text_reads_as_its_parts_do(reader: Wordpieces) -> None:
    line = "Seen by Dr. Okafor in Leeds on 4 May 2020.\n"
    one, many = reader.read(line), reader.read(line * 400)
    assert np.array_equal(many.ids, np.tile(one.ids, 400))
    assert int(many.starts[-1]) == len(line) * 399 + int(one.starts[-1])
