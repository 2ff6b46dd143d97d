"""A GLiNER model in the tagger's place, from a folder: it finds types by the words that name them.

The folder holds the model as published (``gliner_config.json`` with the encoder's config inside,
``model.safetensors``, ``tokenizer.json``, ``tokenizer_config.json``). ``entities.json``, when it is
there, says what to ask for and what it is called here: ``{"person": "PERSON", "clinic":
"ORGANIZATION"}``; else a list of our own is asked for. Slower than our own tagger by the size of
the model; put it on a GPU with ``CUDA_VISIBLE_DEVICES``.

The package ``gliner`` (Apache-2.0) is no part of the default install: docs/privacy.md says how to
add it.
"""

import hashlib
import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import torch
from safetensors import safe_open

from ragplatform.adapters.overlaps import resolve
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import ModelError
from ragplatform.model import Span

NAME: Final = "gliner"
CONFIG: Final = "gliner_config.json"
_PARTS: Final = (CONFIG, "model.safetensors", "tokenizer.json", "tokenizer_config.json")
# What Presidio's recogniser of GLiNER takes for certain enough.
_THRESHOLD: Final = 0.3
_BATCH: Final = 8
# A GLiNER model finds values of up to 12 words (``max_width``): each stands whole in one window.
_OVERLAP: Final = 24
_LONGEST: Final = 512
# In words that such models were trained on. Each label takes room from the text in every window.
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "person": "PERSON",
        "organization": "ORGANIZATION",
        "occupation": "OCCUPATION",
        "location": "LOCATION",
        "street address": "STREET_ADDRESS",
        "zip code": "ZIP_CODE",
        "date": "DATE_TIME",
        "date of birth": "DATE_OF_BIRTH",
        "age": "AGE",
        "phone number": "PHONE_NUMBER",
        "email address": "EMAIL_ADDRESS",
        "username": "USERNAME",
        "social security number": "US_SSN",
        "medical record number": "MEDICAL_RECORD_NUMBER",
        "health insurance number": "HEALTH_PLAN_ID",
        "passport number": "US_PASSPORT",
        "driver's license number": "US_DRIVER_LICENSE",
        "license plate": "LICENSE_PLATE",
        "bank account number": "ACCOUNT_NUMBER",
        "credit card number": "CREDIT_CARD",
        "identification number": "UNIQUE_CODE",
        "password": "SECRET",
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A value that the model found, with offsets into the text that it was given."""

    start: int
    end: int
    label: str
    score: float


class ZeroShotModel(Protocol):
    """A model that finds what labels ask for, in texts of limited length."""

    @property
    def most_words(self) -> int:
        """How many words of a text the model reads; what stands behind them is not searched."""

    def room(self, labels: Sequence[str]) -> int:
        """Return how many pieces of a text the model reads beside the labels; may be negative."""

    def words(self, text: str) -> list[tuple[int, int]]:
        """Return where each word starts and ends. A part between two words splits the same way."""

    def pieces(self, words: Sequence[str]) -> list[int]:
        """Return how many pieces each word takes."""

    def predict(self, texts: Sequence[str], labels: Sequence[str]) -> list[list[Found]]:
        """Return what was found in each text, in order."""


class GlinerFinder:
    """Finds what a GLiNER model finds. Safe to use from several threads."""

    def __init__(self, model: ZeroShotModel, *, types: Mapping[str, str], version: str) -> None:
        """Take a model, and what each label that it is asked for is called here.

        Raises ``ModelError`` when the labels leave the model no room for a text.
        """
        self._model = model
        self._types = dict(types)
        self._version = version
        self._room = model.room(list(self._types))
        if min(self._room, model.most_words) < 2 * _OVERLAP:
            raise ModelError(
                f"{len(self._types)} labels leave the model room for {self._room} pieces of text: "
                "name fewer in entities.json"
            )

    @property
    def version(self) -> str:
        """A word that changes whenever the same text could give other spans."""
        return self._version

    @property
    def entities(self) -> frozenset[str]:
        """The types that the model is asked for."""
        return frozenset(self._types.values())

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order, sorted by start, none overlapping another."""
        windows = [
            (at, start, end) for at, text in enumerate(texts) for start, end in self._windows(text)
        ]
        parts = [texts[at][start:end] for at, start, end in windows]
        answers = self._model.predict(parts, list(self._types)) if parts else []
        found: list[list[Span]] = [[] for _ in texts]
        for (at, start, end), answer in zip(windows, answers, strict=True):
            found[at].extend(self._span(start, end, one) for one in answer)
        return [resolve(text, spans) for text, spans in zip(texts, found, strict=True)]

    def _windows(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where each part starts and ends that the model reads whole; neighbours overlap."""
        words = self._model.words(text)
        sums = [0, *accumulate(self._model.pieces([text[start:end] for start, end in words]))]
        first = last = 0
        while last < len(words):
            # A word that is too long by itself is read by its first pieces, in a window of its own.
            last = first + 1
            while (
                last < len(words)
                and last - first < self._model.most_words
                and sums[last + 1] - sums[first] <= self._room
            ):
                last += 1
            yield words[first][0], words[last - 1][1]
            # Where words are long, so few fit that half of them must do for the overlap.
            first = max(first + 1, last - min(_OVERLAP, (last - first) // 2))

    def _span(self, start: int, end: int, found: Found) -> Span:
        if not (0 <= found.start < found.end <= end - start and math.isfinite(found.score)):
            raise ModelError("the GLiNER model gave places or scores that cannot be")
        entity = self._types[found.label]
        score = min(1.0, max(0.0, found.score))
        return Span(
            start + found.start, start + found.end, entity, CATEGORY_OF[entity], score, NAME
        )


def open_gliner(folder: Path) -> GlinerFinder:
    """Load the model in the folder; nothing but the folder is read.

    Raises ``ModelError`` when the package is missing, when the folder lacks a part, holds a pickle
    or asks for code or models from elsewhere, and when the weights are not all there.
    """
    _check_parts(folder)
    types = _types(folder / "entities.json")
    return GlinerFinder(_LoadedModel(folder), types=types, version=_version(folder, types))


class _LoadedModel:
    """The package's model: loaded whole or not at all."""

    def __init__(self, folder: Path) -> None:
        try:
            # Seconds to import, and needed by few.
            from gliner import GLiNER  # noqa: PLC0415
        except ImportError as error:
            raise ModelError(
                f"{folder} holds a GLiNER model, and the package gliner is not installed: "
                "docs/privacy.md says how to add it"
            ) from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._model: Any = GLiNER.from_pretrained(
                str(folder), local_files_only=True, map_location=device
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"{folder} holds no GLiNER model: {type(error).__name__}") from error
        _check_weights(folder, self._model.model)
        self._tokenizer: Any = self._model.data_processor.transformer_tokenizer
        self._config: Any = self._model.config
        # Tokenizers change their own settings at each call: two at once would mix them up.
        self._one_at_a_time = threading.Lock()

    @property
    def most_words(self) -> int:
        return int(self._config.max_len)

    def room(self, labels: Sequence[str]) -> int:
        prompt = [word for label in labels for word in (self._config.ent_token, label)]
        taken = sum(self.pieces([*prompt, self._config.sep_token]))
        places = int(getattr(self._config.encoder_config, "max_position_embeddings", _LONGEST))
        shortest = min(_LONGEST, places, int(self._tokenizer.model_max_length))
        return shortest - taken - int(self._tokenizer.num_special_tokens_to_add())

    def words(self, text: str) -> list[tuple[int, int]]:
        split = self._model.data_processor.words_splitter
        return [(start, end) for _, start, end in split(text)]

    def pieces(self, words: Sequence[str]) -> list[int]:
        if not words:
            return []
        counts = [0] * len(words)
        with self._one_at_a_time:
            read = self._tokenizer(
                list(words), is_split_into_words=True, add_special_tokens=False, truncation=False,
                verbose=False,
            )  # fmt: skip
        for word in read.word_ids():
            counts[word] += 1
        return counts

    def predict(self, texts: Sequence[str], labels: Sequence[str]) -> list[list[Found]]:
        with self._one_at_a_time, torch.inference_mode():
            answers = self._model.inference(
                list(texts), list(labels), threshold=_THRESHOLD, flat_ner=True, batch_size=_BATCH
            )
        return [
            [Found(one["start"], one["end"], one["label"], float(one["score"])) for one in answer]
            for answer in answers
        ]


def _check_parts(folder: Path) -> None:
    """Raise unless the folder holds all that the model needs, and nothing that runs code."""
    if absent := [name for name in _PARTS if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} lacks {', '.join(absent)}: save the model there again with "
            "save_pretrained(..., safe_serialization=True)"
        )
    if pickles := [
        path.name for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pkl"}
    ]:
        raise ModelError(f"{folder} holds {pickles[0]}, which can run code: remove it")
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        encoder: dict[str, Any] = config["encoder_config"] or {}
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CONFIG} does not hold the encoder's own config") from error
    # A second model is named by its place on a hub, and the package runs code that a config names.
    elsewhere = [name for name in ("labels_encoder", "labels_decoder") if config.get(name)]
    elsewhere += [name for name in ("auto_map",) if encoder.get(name) or config.get(name)]
    if not encoder or elsewhere:
        raise ModelError(
            f"{folder / CONFIG} asks for what is not in the folder "
            f"({', '.join(elsewhere) or 'the encoder'}): choose a model of one encoder"
        )
    if config.get("words_splitter_type", "whitespace") != "whitespace":
        raise ModelError(f"{folder / CONFIG} splits words by a package that is not there")


def _check_weights(folder: Path, model: torch.nn.Module) -> None:
    """Raise when a weight was not in the file or is no number: such a model finds nothing."""
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        # Weights that are shared are stored once; the file's metadata names the other places.
        stored = {*file.keys(), *(file.metadata() or {})}
    if absent := sorted(model.state_dict().keys() - stored):
        raise ModelError(
            f"{folder}/model.safetensors lacks {len(absent)} weights: {absent[0]}, ..."
        )
    if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
        raise ModelError(f"{folder}/model.safetensors holds weights that are no numbers")


def _types(file: Path) -> Mapping[str, str]:
    if not file.exists():
        return _LABELS
    try:
        types: dict[str, str] = dict(json.loads(file.read_text(encoding="utf-8")))
        unknown = sorted(set(types.values()) - set(CATEGORY_OF))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{file} must be an object of labels and types") from error
    if not types or unknown:
        raise ModelError(f"{file} must name types of ragplatform.entities; unknown: {unknown}")
    return types


def _version(folder: Path, types: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps([_THRESHOLD, dict(types)]).encode())
    for name in _PARTS:
        # The manifest's hashes guard the weights; here a change of them must only be noticed.
        file = folder / name
        stamp = file.stat().st_size if file.suffix == ".safetensors" else file.read_text("utf-8")
        digest.update(f"{name}\0{stamp}\0".encode())
    return digest.hexdigest()[:12]
