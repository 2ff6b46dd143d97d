"""Fits the tagger to generated texts."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch

from ragplatform.adapters.wordpieces import CLS, PAD, SEP, SPECIAL_SHAPE, Wordpieces
from train.corpora import IGNORE, Labelled
from train.model import KINDS, Tagger

_UNSEEN: Final = -100
_BATCH_PIECES: Final = 2048
_POOL: Final = 512
_LONGEST: Final = 254
_WARM_UP: Final = 0.06


@dataclass(frozen=True, slots=True)
class Row:
    """One text, ready for the model: ids, shapes and label numbers of its pieces."""

    ids: list[int]
    shapes: list[int]
    labels: list[int]


def row(one: Labelled, reader: Wordpieces) -> Row:
    """Return the text's first pieces with their labels."""
    pieces = reader.read(one.text)
    labels = np.zeros(len(pieces), dtype=np.int64)
    for start, end, kind in one.spans:
        inside = np.flatnonzero((pieces.starts < end) & (pieces.ends > start))
        if not len(inside):
            continue
        if kind == IGNORE:
            labels[inside] = _UNSEEN
        else:
            labels[inside] = 2 * KINDS.index(kind) + 2
            labels[inside[0]] -= 1
    cut = slice(None, _LONGEST)
    return Row(
        [CLS, *pieces.ids[cut].tolist(), SEP],
        [SPECIAL_SHAPE, *pieces.shapes[cut].tolist(), SPECIAL_SHAPE],
        [_UNSEEN, *labels[cut].tolist(), _UNSEEN],
    )


def batches(
    texts: Iterator[Labelled], reader: Wordpieces, chance: random.Random
) -> Iterator[list[Row]]:
    """Yield rows of like length, about ``_BATCH_PIECES`` pieces at a time, without end."""
    while True:
        pool = sorted(
            (row(one, reader) for one in islice(texts, _POOL) if one.text.strip()),
            key=lambda one: len(one.ids),
        )
        cut: list[list[Row]] = [[]]
        for one in pool:
            if len(one.ids) * (len(cut[-1]) + 1) > _BATCH_PIECES:
                cut.append([])
            cut[-1].append(one)
        chance.shuffle(cut)
        yield from (batch for batch in cut if batch)


def tensors(rows: Sequence[Row]) -> tuple[torch.Tensor, ...]:
    """Return ids, shapes, mask and labels, padded to the longest row."""
    longest = max(len(one.ids) for one in rows)

    def padded(values: Sequence[int], fill: int) -> list[int]:
        return [*values, *[fill] * (longest - len(values))]

    return (
        torch.tensor([padded(one.ids, PAD) for one in rows]),
        torch.tensor([padded(one.shapes, SPECIAL_SHAPE) for one in rows]),
        torch.tensor([padded([1] * len(one.ids), 0) for one in rows]),
        torch.tensor([padded(one.labels, _UNSEEN) for one in rows]),
    )


def fit(
    tagger: Tagger,
    texts: Iterator[Labelled],
    reader: Wordpieces,
    *,
    steps: int,
    rate: float,
    out: Path,
) -> None:
    """Train for so many steps and write ``tagger.pt``, and on the way every 500 steps."""
    learnt = [weight for weight in tagger.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=rate, weight_decay=0.01)
    warm = max(1, int(steps * _WARM_UP))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / (steps - warm)))
    )
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=_UNSEEN)
    tagger.train()
    began, mean = time.monotonic(), 0.0
    for step, rows in enumerate(islice(batches(texts, reader, random.Random(7)), steps), start=1):
        ids, shapes, mask, labels = tensors(rows)
        loss = loss_of(tagger(ids, shapes, mask).flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        schedule.step()
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0:
            print(
                f"step {step} of {steps}, loss {mean:.4f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
        if step % 500 == 0 or step == steps:
            torch.save(tagger.state_dict(), out / "tagger.pt")
