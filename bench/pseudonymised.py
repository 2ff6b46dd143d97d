"""What pseudonyms cost a search: questions by name and by number over one corpus, raw and stored.

    python -m bench.pseudonymised --notes FILE [--count 150] [--json]

FILE holds one JSON object a line with ``text`` and ``description`` (transcribed notes without
names). Each note gets an invented patient with a name, a record number and a telephone number, at
its head and once more in its middle. The raw corpus is searched as it is; the other goes the whole
way: found, transformed, cut beside its pseudonyms, embedded without them, and each question is
cleared first. Both are asked the same questions, and the one right document is that patient's note.
"""

import argparse
import json
import random
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench._setting import machine
from bench.privacy.finders import privacy_of
from bench.privacy.people import people
from bench.retrieval import ndcg
from ingest.chunk import chunk
from ragplatform import config, index_openers
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.answer.finding import Finder
from ragplatform.answer.rank import Sought, best
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import AllOf, Chunk, Clause, Labels, Passage
from ragplatform.ports import Embedder, Entry, TermWeigher, embedded_text
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import embed_view, token_ranges, tokens_in
from tests.fakes_index import scope

SEED = 23
LABELS = Labels("mercy", "clinical")
SCOPE = scope(AllOf((Clause("access_class", frozenset({"one"})),)), reveals=frozenset(CATEGORY_OF))
KINDS = {
    "name": "What is known about {name}?",
    "small letters": "what was found for {small}?",
    "last name first": "Findings of {last}, {first}?",
    "without comma": "{last} {first} findings",
    "possessive": "{name}'s findings?",
    "initial": "What was found for {initial}. {last}?",
    "name and matter": "{matter}: what was found for {name}?",
    "record number": "Which findings has the patient with MRN {record}?",
    "telephone": "Whose telephone number is {telephone}, and what was done?",
}


@dataclass(frozen=True)
class Note:
    """A note with its invented patient, and the questions about it by kind."""

    id: str
    text: str
    questions: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A question as it is searched for: its text, what is embedded of it, and whom it names."""

    text: str
    view: str
    named: frozenset[str] = frozenset()
    meant: frozenset[str] = frozenset()
    spelt: frozenset[str] = frozenset()


def notes(path: Path, count: int) -> list[Note]:
    """Return the notes with their patients, the same at every call."""
    chance = random.Random(SEED)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if 800 < len(row["text"]) < 6000]
    chance.shuffle(rows)
    return [
        _note(row, one.name, chance) for row, one in zip(rows[:count], people(count), strict=False)
    ]


def _note(row: dict[str, Any], name: str, chance: random.Random) -> Note:
    first, _, last = name.partition(" ")
    facts = {
        "name": name,
        "small": name.lower(),
        "first": first,
        "last": last,
        "initial": first[0],
        "matter": row["description"],
        "record": f"{chance.randint(10**7, 10**8 - 1)}",
        "telephone": f"617-555-{chance.randint(100, 9999):04}",
    }
    head = "Patient: {name}\nMRN: {record}\nTelephone: {telephone}\n\n".format(**facts)
    text = row["text"].replace(".,", ".\n")
    middle = text.find(". ", len(text) // 2) + 1
    body = f"{text[:middle]} {name} was seen again. {text[middle:]}" if middle else text
    return Note(row["id"], head + body, {k: q.format(**facts) for k, q in KINDS.items()})


def gains(
    texts: Sequence[tuple[str, str]],
    asked: Sequence[tuple[str, Asked]],
    embedder: Embedder,
    weigher: TermWeigher,
) -> list[float]:
    """Return nDCG@10 of each question, given with its right document, over these documents."""
    stored = [passage for document, text in texts for passage in _passages(document, text)]
    vectors = embedder.embed([embed_view(embedded_text(one)) for one in stored])
    asked_for = embedder.embed([one.view for _, one in asked])
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-pseudonymised-") as folder,
        closing(EdgeIndex(folder=Path(folder), dim=embedder.dim)) as index,
    ):
        index.upsert(
            [
                Entry(p, v.tolist(), weigher.weigh_document(p.chunk.text, p.context))
                for p, v in zip(stored, vectors, strict=True)
            ]
        )
        finder = Finder(index=index, weigher=weigher, scope=SCOPE, readable=list)
        for (right, one), vector in zip(asked, asked_for, strict=True):
            sought = Sought(one.text, 20, one.named, one.meant, one.spelt)
            candidates = finder.find(sought, vector.tolist())
            hits = best(candidates.hits, sought, about=candidates.about)
            found.append(ndcg((hit.passage.document for hit in hits), {right: 1}))
    return found


def _passages(document: str, text: str) -> Iterator[Passage]:
    for at, piece in enumerate(chunk(text, guarded=token_ranges(text))):
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document}/{at}"))
        said = text[piece.start : piece.end]
        yield Passage(
            chunk=Chunk(name, at, said, piece.start, piece.end),
            document=document,
            title="note.txt",
            labels=LABELS,
            access_class="one",
            subjects=frozenset(),
            generation="g1",
        )


def transformed(privacy: Privacy, some: Sequence[Note]) -> list[tuple[str, str]]:
    """Return the notes as ingest would store them; the vault keeps their values."""
    found = privacy.inspect([one.text for one in some])
    done = [privacy.transform(n.text, spans, LABELS) for n, spans in zip(some, found, strict=True)]
    for one, text in zip(some, done, strict=True):
        privacy.commit("mercy", [privacy.subject_ref("mercy", one.id)], text)
    return [(one.id, text.text) for one, text in zip(some, done, strict=True)]


def cleared(privacy: Privacy, question: str) -> Asked:
    """Return a question as the service searches for it."""
    clear = privacy.clear_question(question, SCOPE)
    named = tokens_in(clear.text)
    return Asked(clear.text, embed_view(clear.text), named, clear.meant, clear.spelt)


def measure(some: Sequence[Note]) -> dict[str, Any]:
    """Return the figures by kind of question."""
    privacy, embedder = privacy_of(), index_openers.open_embedder(config.load())
    asked = [(kind, one.id, one.questions[kind]) for kind in KINDS for one in some]
    plain = [(right, Asked(text, text)) for _, right, text in asked]
    weigher = index_openers.open_weigher()
    raw = gains([(one.id, one.text) for one in some], plain, embedder, weigher)
    texts = transformed(privacy, some)
    # Behind the notes, as in life: whom a question may mean is looked up among what is known.
    clear = [(right, cleared(privacy, text)) for _, right, text in asked]
    stored = gains(texts, clear, embedder, weigher)
    figures: dict[str, Any] = {"notes": len(some)}
    for at, kind in enumerate(KINDS):
        part = slice(at * len(some), (at + 1) * len(some))
        before, after = float(np.mean(raw[part])), float(np.mean(stored[part]))
        figures[kind] = {
            "raw": round(before, 4),
            "pseudonymised": round(after, 4),
            "difference": round(after - before, 4),
        }
    return figures


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notes", type=Path, help="transcribed notes, a JSON object a line")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.notes is None:
        print(json.dumps({"lacking": "--notes FILE, a JSON object with text a line"}))
        return
    figures = measure(notes(given.notes, given.count))
    if given.json:
        print(json.dumps({"machine": machine(), **figures}, indent=1))
        return
    for kind in KINDS:
        one = figures[kind]
        print(f"{kind:<16} raw {one['raw']:.4f}, pseudonymised {one['pseudonymised']:.4f}")


if __name__ == "__main__":
    main()
