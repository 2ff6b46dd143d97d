"""How well passages fit a question, by a cross-encoder from a local folder. Nothing is downloaded.

It reads question and passage together, which is far better than two vectors and far slower: 20
passages by a model of six layers take about half a second of one core. So it is asked only of the
first few candidates, and only where a deployment names a model.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
import transformers
from sentence_transformers import CrossEncoder

from ragplatform.adapters.encoder_folder import WEIGHTS, fingerprint
from ragplatform.adapters.payload import require_characters
from ragplatform.errors import ModelError

_BATCH: Final = 16
_MOST_PIECES: Final = 512


class FolderReranker:
    """Implements ``Reranker``. Safe to call from several threads; they run one after another."""

    def __init__(self, *, folder: Path, device: str = "cpu") -> None:
        """Load the model in ``folder``, whose files the caller has verified.

        Only safetensors are read and no code of the folder runs. Raises ``ModelError`` when the
        folder holds no model that gives one number for a pair of texts.
        """
        if not (folder / WEIGHTS).is_file():
            raise ModelError(f"{folder} holds no {WEIGHTS}: provision the model first")
        self._lock = threading.Lock()
        self._model = _load(folder, device)
        if self._model.num_labels != 1:
            raise ModelError(f"the model in {folder} gives more than one number for a pair")
        self._version = f"cross-{fingerprint(folder)}"

    @property
    def version(self) -> str:
        """A word that changes whenever the same pair could be judged otherwise."""
        return self._version

    def judge(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return for each text how well it answers the question; more is better.

        Raises ``InvalidRequestError`` for a text with half a character.
        """
        for text in (question, *texts):
            require_characters(text)
        if not texts:
            return []
        pairs = [(question, text) for text in texts]
        with self._lock, torch.inference_mode():
            found = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return [float(score) for score in found]


def _load(folder: Path, device: str) -> CrossEncoder:
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # its own
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            device=device,
            max_length=_MOST_PIECES,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except (OSError, ValueError, LookupError, RuntimeError, ImportError) as error:
        raise ModelError(f"the model in {folder} does not load: see the cause") from error
    return model
