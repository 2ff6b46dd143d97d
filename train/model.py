"""The tagger as PyTorch trains it: the first layers of a MiniLM encoder, with shapes added."""

from pathlib import Path
from typing import Final

import torch
from transformers import BertModel

from ragplatform.adapters.wordpieces import SHAPES

# Two of six layers read three times as fast; what names look like is learnt in the lower ones.
LAYERS: Final = 2
# The labels of the tagger, in the order of its outputs: O, then B and I of each.
KINDS: Final = (
    "PERSON", "LOCATION", "ADDRESS", "ORGANIZATION", "DATE", "NRP", "OCCUPATION", "CODE",
    "CONTACT", "QUASI",
)  # fmt: skip
LABELS: Final = ("O", *(f"{part}-{kind}" for kind in KINDS for part in "BI"))


class Tagger(torch.nn.Module):
    """Gives each word piece a score for each label."""

    def __init__(self, encoder: Path) -> None:
        super().__init__()
        self.encoder = BertModel.from_pretrained(
            encoder, num_hidden_layers=LAYERS, add_pooling_layer=False, attn_implementation="eager"
        )
        width = self.encoder.config.hidden_size
        self.shapes = torch.nn.Embedding(SHAPES, width)
        torch.nn.init.normal_(self.shapes.weight, std=0.02)
        self.drop = torch.nn.Dropout(0.1)
        self.labels = torch.nn.Linear(width, len(LABELS))
        # Names that training never showed must mean what they meant to the encoder.
        self.encoder.embeddings.word_embeddings.weight.requires_grad_(requires_grad=False)

    def forward(
        self, ids: torch.Tensor, shapes: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return ``(batch, pieces, labels)`` scores; ``mask`` is 1 where a piece stands, or all."""
        words = self.encoder.embeddings.word_embeddings(ids) + self.shapes(shapes)
        read = self.encoder(inputs_embeds=words, attention_mask=mask).last_hidden_state
        return self.labels(self.drop(read))
