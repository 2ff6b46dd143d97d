"""Dense vectors by an encoder of BERT's form, run by ONNX Runtime without PyTorch.

Each text is computed by itself in one thread, and several side by side. That is faster than in
batches, for a batch outgrows the processor's nearest memory (measured, int8, one thread, texts for
each CPU second: 84 alone, 74 by 8, 52 by 32), nothing is padding, and the vector of a text is the
same bits whatever was embedded with it.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from ragplatform.adapters.bert_graph import INT8_VERSION, bert_graph
from ragplatform.adapters.encoder_folder import WEIGHTS, bert_form, fingerprint
from ragplatform.adapters.payload import require_characters
from ragplatform.errors import ModelError
from ragplatform.ports import Vectors

# Texts that are cut into pieces at once: bounds the memory that pieces take.
_AT_ONCE: Final = 1024


class BertEncoder:
    """Implements ``Embedder``. Safe to call from several threads."""

    def __init__(self, *, folder: Path, int8: bool, threads: int | None = None) -> None:
        """Load the model in ``folder``, whose files the caller has verified.

        ``int8`` is faster and not quite exact; ``threads`` compute side by side, as many as this
        process has cores unless given. Raises ``ModelError`` for a folder that ``bert_form`` does
        not know, or whose files are not what it says.
        """
        form = bert_form(folder)
        if form is None:
            raise ModelError(f"{folder} holds no encoder of BERT's form: use sentence-transformers")
        try:
            weights = _weights(folder / WEIGHTS)
            graph = bert_graph(
                weights,
                layers=form.layers,
                heads=form.heads,
                epsilon=form.epsilon,
                first_piece=form.first_piece,
                int8=int8,
            )
            self._session = _session(graph)
            self._tokenizer = Tokenizer.from_str(
                (folder / "tokenizer.json").read_text(encoding="utf-8")
            )
        except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{folder} does not load: {type(error).__name__}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(form.most_pieces)
        self._dim = len(weights["embeddings.LayerNorm.bias"])
        # Vectors in float32 are those of sentence-transformers to the sixth decimal place.
        kind = f"int8-{INT8_VERSION}" if int8 else "st"
        self._version = f"{kind}-{fingerprint(folder)}"
        self._pool = ThreadPoolExecutor(
            threads or len(os.sched_getaffinity(0)), thread_name_prefix="encoder"
        )

    @property
    def version(self) -> str:
        """A word that changes whenever vectors stop being comparable: precision and files."""
        return self._version

    @property
    def dim(self) -> int:
        """The length of each vector."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``(len(texts), dim)`` float32, in order, each row of Euclidean length 1.

        Equal texts are computed once. Texts beyond the model's length (256 word pieces for
        all-MiniLM-L6-v2) are judged by their beginning. Raises ``InvalidRequestError`` for a text
        with half a character, ``ModelError`` when the model gives no numbers.
        """
        for text in texts:
            require_characters(text)
        places: dict[str, list[int]] = {}
        for at, text in enumerate(texts):
            places.setdefault(text, []).append(at)
        found = np.zeros((len(texts), self._dim), dtype=np.float32)
        distinct = list(places)
        for start in range(0, len(distinct), _AT_ONCE):
            some = distinct[start : start + _AT_ONCE]
            for text, row in zip(some, self._rows(some), strict=True):
                found[places[text]] = row
        if not np.isfinite(found).all():
            raise ModelError("the encoder gave vectors that are no numbers")
        return found

    def _rows(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        if len(pieces) == 1:
            return [self._row(pieces[0])]
        # The longest first, so that no thread is left alone with one at the end.
        order = sorted(range(len(pieces)), key=lambda at: -len(pieces[at]))
        rows = dict(
            zip(order, self._pool.map(self._row, (pieces[at] for at in order)), strict=True)
        )
        return [rows[at] for at in range(len(pieces))]

    def _row(self, ids: Sequence[int]) -> NDArray[np.float32]:
        (vector,) = self._session.run(["vector"], {"ids": np.array([ids], dtype=np.int64)})
        row: NDArray[np.float32] = vector[0]
        return row


def _weights(file: Path) -> dict[str, NDArray[np.float32]]:
    # Some publish the encoder alone, some inside a model that names it.
    return {
        name.removeprefix("bert."): value.astype(np.float32)
        for name, value in load_file(file).items()
        if value.dtype.kind == "f"
    }


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Texts run side by side; threads inside one would only wait for each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
