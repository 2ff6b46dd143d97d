"""A larger token classifier in the tagger's place: any of Hugging Face's form, from a folder.

The folder holds the model as published (``config.json``, safetensors, ``tokenizer.json``) and
``entities.json``, which says what its labels mean here: ``{"PATIENT": "PERSON", "HOSP":
"ORGANIZATION"}``. Labels that are not named there are left out. Slower than our own tagger by the
size of the model; put it on a GPU with ``CUDA_VISIBLE_DEVICES``.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import ModelError
from ragplatform.model import Span

NAME: Final = "token_classifier"
_OVERLAP: Final = 32
_LONGEST: Final = 512
_BATCH: Final = 16


class TokenClassifier:
    """Finds what a published model finds. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Load the model. Raises ``ModelError`` when the folder does not hold one."""
        # Seconds to import, and needed by few.
        from transformers import AutoModelForTokenClassification, AutoTokenizer  # noqa: PLC0415

        try:
            self._types = _types(folder / "entities.json")
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForTokenClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{folder} holds no token classifier: {type(error).__name__}"
            ) from error
        self._labels: dict[int, str] = dict(self._model.config.id2label)
        known = {_kind(label) for label in self._labels.values()}
        if absent := sorted(self._types.keys() - known):
            raise ModelError(f"{folder}: entities.json names {absent}, no labels of the model")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device)
        places = int(self._model.config.max_position_embeddings)
        self._length = min(_LONGEST, places)
        self._version = _version(folder)

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    @property
    def entities(self) -> frozenset[str]:
        """The types that the model finds."""
        return frozenset(self._types.values())

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another."""
        return [list(self._merged(text, self._pieces(text))) for text in texts]

    def _pieces(self, text: str) -> list[tuple[int, int, str, float]]:
        """Return start, end, type and score of each labelled piece, each place once."""
        if not text.strip():
            return []
        encoded = self._tokenizer(
            text,
            truncation=True,
            max_length=self._length,
            stride=_OVERLAP,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=True,
            return_tensors="pt",
        )
        offsets = encoded.pop("offset_mapping").tolist()
        encoded.pop("overflow_to_sample_mapping")
        found: dict[tuple[int, int], tuple[str, float]] = {}
        for at in range(0, len(offsets), _BATCH):
            part = {name: rows[at : at + _BATCH].to(self._device) for name, rows in encoded.items()}
            with torch.inference_mode():
                chances = self._model(**part).logits.softmax(-1).cpu()
            for row, places in zip(chances, offsets[at : at + _BATCH], strict=True):
                self._read(row, places, found)
        return [(start, end, *found[start, end]) for start, end in sorted(found)]

    def _read(
        self,
        chances: torch.Tensor,
        places: Sequence[Sequence[int]],
        found: dict[tuple[int, int], tuple[str, float]],
    ) -> None:
        if not torch.isfinite(chances).all():
            raise ModelError("the token classifier gave scores that are no numbers")
        scores, best = chances.max(-1)
        for (start, end), score, label in zip(places, scores.tolist(), best.tolist(), strict=True):
            entity = self._types.get(_kind(self._labels[label]))
            known = found.get((start, end))
            if entity and start < end and (known is None or known[1] < score):
                found[start, end] = (entity, score)

    def _merged(self, text: str, pieces: Sequence[tuple[int, int, str, float]]) -> Iterator[Span]:
        """Yield runs of pieces of one type with nothing but blanks between them."""
        held: Span | None = None
        for start, end, entity, score in pieces:
            if held and entity == held.entity and not text[held.end : start].strip():
                held = replace(held, end=end, score=min(held.score, score))
                continue
            if held:
                yield held
            held = Span(start, end, entity, CATEGORY_OF[entity], score, NAME)
        if held:
            yield held


def _kind(label: str) -> str:
    return label[2:] if label[:2] in {"B-", "I-", "E-", "S-", "L-", "U-"} else label


def _types(file: Path) -> dict[str, str]:
    types: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    unknown = sorted(set(types.values()) - set(CATEGORY_OF))
    if not types or unknown:
        raise ModelError(f"{file} must name types of ragplatform.entities; unknown: {unknown}")
    return types


def _version(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "entities.json", "model.safetensors"):
        file = folder / name
        # The manifest's hashes guard the weights; here a change of them must only be noticed.
        stamp = file.stat().st_size if file.suffix == ".safetensors" else file.read_text()
        digest.update(f"{name}\0{stamp}\0".encode())
    return digest.hexdigest()[:12]
