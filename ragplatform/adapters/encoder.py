"""Dense vectors by a sentence-transformers model from a local folder. Nothing is downloaded.

For models of any form; those of BERT's form are faster by ``bert_encoder``.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import numpy as np
import torch
import transformers
from sentence_transformers import SentenceTransformer

from ragplatform.adapters.encoder_folder import WEIGHTS, fingerprint
from ragplatform.adapters.payload import require_characters
from ragplatform.errors import ModelError
from ragplatform.ports import Vectors

# Measured on two cores: 32 chunks of 256 tokens fill them; more only adds memory.
_BATCH: Final = 32
# A question alone gains nothing from a second thread and pays for waking it: 16 ms of CPU by one,
# 114 to 277 ms by two on two busy cores, where waiting threads spin for each other.
_ONE_THREAD_CHARACTERS: Final = 1000


class SentenceEncoder:
    """Implements ``Embedder``. Safe to call from several threads; they run one after another."""

    def __init__(self, *, folder: Path, device: str = "cpu", threads: int | None = None) -> None:
        """Load the model in ``folder``, whose files the caller has verified.

        ``threads`` are those of torch in this whole process, its own choice unless given.

        Only safetensors are read and no code of the folder runs. Raises ``ModelError`` when the
        folder holds no such model.
        """
        if not (folder / WEIGHTS).is_file():
            raise ModelError(f"{folder} holds no {WEIGHTS}: provision the model first")
        self._lock = threading.Lock()
        if threads is not None:
            torch.set_num_threads(threads)
        self._model = _load(folder, device)
        dim = self._model.get_embedding_dimension()
        if not dim:
            raise ModelError(f"the model in {folder} does not say how long its vectors are")
        self._dim = int(dim)
        self._version = f"st-{fingerprint(folder)}"

    @property
    def version(self) -> str:
        """A word that changes whenever vectors stop being comparable: a digest of the folder."""
        return self._version

    @property
    def dim(self) -> int:
        """The length of each vector."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``(len(texts), dim)`` float32, in order, each row of Euclidean length 1.

        Texts beyond the model's length (256 tokens for all-MiniLM-L6-v2) are judged by their
        beginning. Raises ``InvalidRequestError`` for a text with half a character.
        """
        for text in texts:
            require_characters(text)
        if not texts:
            return np.zeros((0, self._dim), dtype=np.float32)
        # The tokenizer keeps its padding in itself: two threads would take each other's.
        few = sum(map(len, texts)) <= _ONE_THREAD_CHARACTERS
        with self._lock, torch.inference_mode(), _one_thread() if few else nullcontext():
            # The library sorts by length before it cuts batches, so that little is padding, and
            # gives the vectors back in the order of the texts.
            found = self._model.encode(
                list(texts),
                batch_size=_BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.ascontiguousarray(found, dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _load(folder: Path, device: str) -> SentenceTransformer:
    # The bar goes to standard error, where the command line writes its own.
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # its own
    try:
        # Some packages of all-MiniLM-L6-v2 name a folder 2_Normalize and leave it out. It would
        # be empty: the module has no parameters, and the library makes it from its name alone.
        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except (OSError, ValueError, LookupError, RuntimeError, ImportError) as error:
        raise ModelError(f"the model in {folder} does not load: see the cause") from error
