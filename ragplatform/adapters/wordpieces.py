"""Text as the tagger reads it: word pieces, how each is written, and where it stands.

The encoder's vocabulary has no capitals and no line ends. Names live by both, so each piece
carries a shape beside its id: the case of its letters and the gap before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

SHAPES: Final = 32
CLS: Final = 101
SEP: Final = 102
PAD: Final = 0
SPECIAL_SHAPE: Final = 7
# Shapes from here on have a gap before them.
FIRST_OF_WORD: Final = 8
# The tokeniser's memory grows with what it is given at once; a cut falls behind a space.
_PART: Final = 4000
_SLACK: Final = 500

_LOWER, _INITIAL, _UPPER, _TITLE, _DIGITS, _MIXED, _OTHER = range(7)
_NO_GAP, _SPACE, _WIDE, _LINE = range(4)


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one text: ``(n,)`` ids, shapes below ``SHAPES``, and offsets of each."""

    ids: NDArray[np.int64]
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class Wordpieces:
    """Cuts text into the pieces of an encoder's vocabulary. Safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        """Load the vocabulary from a ``tokenizer.json``."""
        self._tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def read(self, text: str) -> Pieces:
        """Return the pieces of the text, without the encoder's marks for begin and end."""
        ids: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        for at, part in _parts(text):
            encoding = self._tokenizer.encode(part, add_special_tokens=False)
            ids += encoding.ids
            for start, end in encoding.offsets:
                starts.append(start + at)
                ends.append(end + at)
        shapes = [_shape(text, start, end) for start, end in zip(starts, ends, strict=True)]
        return Pieces(*(np.array(values, dtype=np.int64) for values in (ids, shapes, starts, ends)))


def _parts(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = min(len(text), start + _PART)
        if end < len(text):
            space = max(text.rfind(" ", end - _SLACK, end), text.rfind("\n", end - _SLACK, end))
            end = space + 1 if space > start else end
        yield start, text[start:end]
        start = end


def _shape(text: str, start: int, end: int) -> int:
    return _case(text[start:end]) + 8 * _gap(text, start)


def _case(piece: str) -> int:
    if piece.islower():
        return _LOWER
    if piece.isupper():
        return _INITIAL if len(piece) == 1 else _UPPER
    if piece.istitle():
        return _TITLE
    if piece.isdigit():
        return _DIGITS
    return _MIXED if piece.isalnum() else _OTHER


def _gap(text: str, start: int) -> int:
    before = text[start - 1] if start else "\n"
    if not before.isspace():
        return _NO_GAP
    if before in "\r\n":
        return _LINE
    return _WIDE if before == "\t" or text[start - 2 : start] == "  " else _SPACE
