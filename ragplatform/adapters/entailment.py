"""Whether a text says a sentence, by a published model from a folder: NLI or a cross-encoder.

The folder holds the model as published (``config.json``, safetensors, ``tokenizer.json``). A model
with a label that begins with "entail" gives that label's chance; one with a single label, as
rerankers have, gives the sigmoid of its score.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from ragplatform.errors import ModelError

_LONGEST: Final = 512
_BATCH: Final = 16


class FolderEntailment:
    """Implements ``Entailment``. Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Load the model, whose files the caller has verified.

        Raises ``ModelError`` when the folder holds none, or one that says nothing of entailment.
        """
        # Seconds to import, and needed by few.
        from transformers import (  # noqa: PLC0415
            AutoModelForSequenceClassification,
            AutoTokenizer,
        )

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{folder} holds no classifier of pairs: {type(error).__name__}"
            ) from (error)
        labels = {n: str(name).lower() for n, name in self._model.config.id2label.items()}
        entailed = [int(n) for n, name in labels.items() if name.startswith("entail")]
        if len(labels) > 1 and len(entailed) != 1:
            raise ModelError(f"{folder}: wanted one label that begins with entail, or one label")
        self._entailed = entailed[0] if len(labels) > 1 else None
        self._length = min(_LONGEST, int(self._model.config.max_position_embeddings))

    def says(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return for each evidence and claim, in 0..1, how surely the evidence says the claim."""
        chances: list[float] = []
        for at in range(0, len(pairs), _BATCH):
            evidence, claims = zip(*pairs[at : at + _BATCH], strict=True)
            encoded = self._tokenizer(
                list(evidence),
                list(claims),
                # Never the claim: half a claim may be true where the whole is not.
                truncation="only_first",
                max_length=self._length,
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits = self._model(**encoded).logits
            if not torch.isfinite(logits).all():
                raise ModelError("the entailment model gave scores that are no numbers")
            rows = (
                logits.sigmoid()[:, 0]
                if self._entailed is None
                else (logits.softmax(-1)[:, self._entailed])
            )
            chances += rows.tolist()
        return chances
