"""Our own token classifier, run by ONNX Runtime: names, places, organisations, dates, codes.

A text is read in windows that overlap, each alone: int8 arithmetic scales by all that it is given
at once, so what a batch held beside a text would change what is found in it. One window at a time
is as fast as many (measured: from 32 pieces on), and several threads read windows side by side.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ragplatform.adapters.wordpieces import (
    CLS,
    FIRST_OF_WORD,
    SEP,
    SPECIAL_SHAPE,
    Pieces,
    Wordpieces,
)
from ragplatform.entities import CATEGORY_OF, TAGGER
from ragplatform.errors import ModelError
from ragplatform.model import Span

# Pieces of a window without its two marks, and how many of them the next window reads again: twice
# as many as the longest name has.
WINDOW: Final = 254
OVERLAP: Final = 32
_ENTITY: Final = {
    "PERSON": "PERSON",
    "LOCATION": "LOCATION",
    "ADDRESS": "STREET_ADDRESS",
    "ORGANIZATION": "ORGANIZATION",
    "DATE": "DATE_TIME",
    "NRP": "NRP",
    "OCCUPATION": "OCCUPATION",
    "CODE": "UNIQUE_CODE",
    "CONTACT": "USERNAME",
    "QUASI": "QUASI_IDENTIFIER",
}
_Read: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Run:
    """Pieces from ``first`` to before ``last`` that belong to one finding of a kind."""

    kind: int
    first: int
    last: int
    score: float


class Tagger:
    """Finds what has no written form of its own. Safe to use from several threads."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Load ``tagger.onnx``, ``tokenizer.json`` and ``tagger.json`` from the folder.

        ``threads`` read side by side, as many as this process has cores unless given. Raises
        ``ModelError`` when the files are not a tagger's.
        """
        try:
            settings = json.loads((folder / "tagger.json").read_text(encoding="utf-8"))
            self._kinds: tuple[str, ...] = tuple(settings["kinds"])
            self._entities = tuple(_ENTITY[kind] for kind in self._kinds)
            self._least = np.array([settings["least"][kind] for kind in self._kinds], np.float32)
            self._pieces = Wordpieces(folder / "tokenizer.json")
            self._session = _session(folder / "tagger.onnx")
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder} holds no tagger: {type(error).__name__}") from error
        self._version = str(settings["version"])
        self._pool = ThreadPoolExecutor(
            threads or len(os.sched_getaffinity(0)), thread_name_prefix=TAGGER
        )

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    @property
    def entities(self) -> frozenset[str]:
        """The types that the tagger finds."""
        return frozenset(self._entities)

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another.

        Whatever fails inside is raised; no text is passed over.
        """
        read = [self._pieces.read(text) for text in texts]
        cut = [list(_windows(pieces)) for pieces in read]
        windows = [(pieces, *edges) for pieces, of in zip(read, cut, strict=True) for edges in of]
        # The longest first, so that no thread is left alone with one at the end.
        order = sorted(range(len(windows)), key=lambda at: windows[at][1] - windows[at][2])
        scores: list[Any] = [None] * len(windows)
        # What needs one thread has one already.
        read_all = self._pool.map if len(windows) > 1 else map
        done = read_all(self._score, (windows[at] for at in order))
        for at, score in zip(order, done, strict=True):
            scores[at] = score
        in_order = iter(scores)
        return [
            list(self._spans(text, pieces, _runs(*_stitched(len(pieces), of, in_order), pieces)))
            for text, pieces, of in zip(texts, read, cut, strict=True)
        ]

    def _score(self, work: tuple[Pieces, int, int]) -> _Read:
        """Return for each piece of a window its label, 0 for none, and how sure that is."""
        pieces, start, end = work
        ids = np.concatenate(([CLS], pieces.ids[start:end], [SEP]))[None]
        shapes = np.concatenate(([SPECIAL_SHAPE], pieces.shapes[start:end], [SPECIAL_SHAPE]))[None]
        (scores,) = self._session.run(["scores"], {"ids": ids, "shapes": shapes})
        chances = scores[0, 1:-1]
        if not np.isfinite(chances).all():
            raise ModelError("the tagger gave scores that are no numbers")
        chances = np.exp(chances - chances.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        # A kind's chance is that of its begin and its inside together.
        kinds = chances[:, 1::2] + chances[:, 2::2]
        best = kinds.argmax(axis=1)
        any_kind = 1 - chances[:, 0]
        begins = (
            chances[np.arange(len(best)), 2 * best + 1]
            > chances[np.arange(len(best)), 2 * best + 2]
        )
        labels = np.where(any_kind >= self._least[best], 2 * best + 2 - begins, 0)
        return labels, any_kind.astype(np.float32)

    def _spans(self, text: str, pieces: Pieces, runs: Iterable[_Run]) -> Iterator[Span]:
        done = 0
        for run in runs:
            start, end = int(pieces.starts[run.first]), int(pieces.ends[run.last - 1])
            start, end = _whole_words(text, start, end, done)
            if start < end:
                entity = _refined(self._entities[run.kind], text[start:end])
                yield Span(start, end, entity, CATEGORY_OF[entity], min(run.score, 1.0), TAGGER)
                done = end


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Windows run side by side; threads inside one would only wait for each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def _windows(pieces: Pieces) -> Iterator[tuple[int, int]]:
    """Yield the windows in which the pieces are read, each overlapping the one before."""
    count = len(pieces)
    start = 0
    while count - start > WINDOW:
        yield start, start + WINDOW
        start += WINDOW - OVERLAP
    if count:
        yield start, count


def _stitched(count: int, edges: Sequence[tuple[int, int]], scores: Iterator[_Read]) -> _Read:
    """Return labels and sureness of all pieces, each from the window that sees most around it."""
    labels, sure = np.zeros(count, np.int64), np.zeros(count, np.float32)
    if not edges:
        return labels, sure
    borders = [0, *((start + end) // 2 for (_, end), (start, _) in pairwise(edges)), count]
    for (start, _), (left, right) in zip(edges, pairwise(borders), strict=True):
        kinds, chances = next(scores)
        labels[left:right] = kinds[left - start : right - start]
        sure[left:right] = chances[left - start : right - start]
    return labels, sure


def _runs(labels: NDArray[np.int64], sure: NDArray[np.float32], pieces: Pieces) -> Iterator[_Run]:
    """Yield the findings: runs of one kind, cut where a new word begins a new value."""
    first_of_word = pieces.shapes >= FIRST_OF_WORD
    at, count = 0, len(labels)
    while at < count:
        first, label = at, int(labels[at])
        at += 1
        if not label:
            continue
        kind = (label - 1) // 2
        while at < count and labels[at] and (labels[at] - 1) // 2 == kind:
            if labels[at] % 2 and first_of_word[at]:
                break
            at += 1
        yield _Run(kind, first, at, float(sure[first:at].mean()))


def _whole_words(text: str, start: int, end: int, free_from: int) -> tuple[int, int]:
    """Return the range grown to whole words, but not to before ``free_from``."""
    while start > free_from and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return max(start, free_from), end


def _refined(entity: str, value: str) -> str:
    """Return the type that a contact's form tells: what looks like none is a user's name."""
    if entity != "USERNAME":
        return entity
    if "@" in value[1:]:
        return "EMAIL_ADDRESS"
    if sum(char.isdigit() for char in value) >= 6 and not any(char.isalpha() for char in value[:3]):
        return "PHONE_NUMBER"
    return "URL" if "://" in value or value.startswith("www.") else entity
