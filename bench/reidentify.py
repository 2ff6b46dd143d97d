"""Whether vectors give names away, and what pseudonyms cost a question by name.

    python -m bench.reidentify [--people 1000] [--model FOLDER] [--json]

Invented people have a note each. The attacker holds the stored vectors, the encoder and the list of
all names; for each vector he ranks the names, bare and in sentences that such notes open with, by
cosine, and takes the first. Raw notes show that the attack works, one in so many names is chance.

Then each person is asked about by name, over the notes as they are and over the transformed ones,
through the platform's own search: dense and sparse vectors in the embedded engine, fused. The
figure is nDCG@10 with the person's own note as the one right passage.
"""

import argparse
import json
import math
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from bench._setting import machine
from bench.privacy.finders import privacy_of
from bench.privacy.people import Invented, people
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.encoder import SentenceEncoder
from ragplatform.answer.rank import Sought, best
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import AllOf, Chunk, Clause, Labels, Passage
from ragplatform.ports import Entry, Vectors
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import tokens_in
from tests.fakes_index import scope

LABELS = Labels("mercy", "clinical")
# All notes are of one class; the asker may see every type, as in the question's usual way.
SCOPE = scope(AllOf((Clause("access_class", frozenset({"one"})),)), reveals=frozenset(CATEGORY_OF))
OPENINGS = ("{name}", "Patient: {name}.", "{name} was admitted.", "{name} received treatment.")
CUT = 10
DEPTH = 60


def transformed(privacy: Privacy, notes: Sequence[str]) -> list[str]:
    """Return the notes as ingest would store them."""
    found = privacy.inspect(notes)
    return [
        privacy.transform(note, spans, LABELS).text
        for note, spans in zip(notes, found, strict=True)
    ]


def top_one(encoder: SentenceEncoder, vectors: Vectors, names: Sequence[str]) -> float:
    """Return the share of vectors whose first-ranked name is their own, by the best opening."""
    rates = []
    for opening in OPENINGS:
        candidates = encoder.embed([opening.format(name=name) for name in names])
        guesses = (vectors @ candidates.T).argmax(axis=1)
        rates.append(float((guesses == np.arange(len(names))).mean()))
    return max(rates)


def ndcg(
    folder: Path,
    encoder: SentenceEncoder,
    stored: tuple[Sequence[str], Vectors],
    questions: Sequence[tuple[str, str]],
) -> float:
    """Return the mean nDCG@10; a question is its text for terms and its text for the encoder."""
    weigher = Bm25Weigher()
    with closing(EdgeIndex(folder=folder, dim=encoder.dim)) as index:
        entries = [
            Entry(_passage(number, text), vector.tolist(), weigher.weigh_document(text))
            for number, (text, vector) in enumerate(zip(*stored, strict=True))
        ]
        index.upsert(entries)
        vectors = encoder.embed([view for _, view in questions])
        gains = []
        for number, ((text, _), vector) in enumerate(zip(questions, vectors, strict=True)):
            # As the service does: deeper, and what holds the question's pseudonym first.
            found = index.search(vector.tolist(), weigher.weigh_query(text), SCOPE, DEPTH)
            hits = best(found, Sought(text, CUT, tokens_in(text)))
            ranks = [hit.passage.chunk.ordinal for hit in hits]
            gains.append(1 / math.log2(ranks.index(number) + 2) if number in ranks else 0.0)
    return sum(gains) / len(gains)


def _passage(number: int, text: str) -> Passage:
    return Passage(
        chunk=Chunk(str(uuid.UUID(int=number + 1)), number, text, 0, len(text), page=1),
        document=f"note-{number}",
        title="A note",
        labels=LABELS,
        access_class="one",
        subjects=frozenset(),
        generation="g1",
    )


def measure(everyone: Sequence[Invented], encoder: SentenceEncoder) -> dict[str, Any]:
    """Return all figures."""
    privacy = privacy_of()
    names, raw = [one.name for one in everyone], [one.note for one in everyone]
    stored = transformed(privacy, raw)
    raw_vectors = encoder.embed(raw)
    stored_vectors = encoder.embed([privacy.embed_view(text) for text in stored])
    asked = [one.question for one in everyone]
    cleared = [privacy.clear_question(text, SCOPE).text for text in asked]
    with tempfile.TemporaryDirectory(prefix="bench-notes-") as temporary:
        found_raw = ndcg(
            Path(temporary) / "raw", encoder, (raw, raw_vectors), [(text, text) for text in asked]
        )
        found_stored = ndcg(
            Path(temporary) / "stored",
            encoder,
            (stored, stored_vectors),
            [(text, privacy.embed_view(text)) for text in cleared],
        )
    return {
        "people": len(everyone),
        "top_1": {
            "raw": top_one(encoder, raw_vectors, names),
            "transformed": top_one(encoder, stored_vectors, names),
            "chance": 1 / len(names),
        },
        "notes_with_a_part_of_the_name_left": sum(
            any(part in text for part in one.name.split())
            for one, text in zip(everyone, stored, strict=True)
        ),
        "ndcg_at_10": {
            "raw": round(found_raw, 4),
            "transformed": round(found_stored, 4),
            "difference": round(found_stored - found_raw, 4),
        },
    }


def main() -> int:
    """Measure and print; return the exit code: 2 when the encoder's folder is absent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--model", type=Path, default=Path("var/models/all-minilm-l6-v2"))
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    if not options.model.is_dir():
        reason = f"{options.model} is absent: `ragplatform models provision` makes it"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0 if options.json else 2
    encoder = SentenceEncoder(folder=options.model)
    figures = measure(people(options.people), encoder)
    print(json.dumps({"machine": machine(), **figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
