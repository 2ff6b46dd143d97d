"""How well passages are found: nDCG@10 on judged questions, beside each half of the search alone.

    python -m bench.retrieval --data DIR [--set scifact] [--set liveqa] [--set pubmedqa] [--peer]
                              [--cache DIR] [--json]

DIR holds the sets as ``bench/_sets.py`` reads them. Each goes through the product's own chunks,
terms, encoder, embedded index and ranking; a document counts where its first passage stands.
``terms`` and ``meaning`` are the same search with the other half left out. ``--peer`` runs a plain
LangChain pipeline with the same encoder in the same process (bench/peer-requirements.txt):
recursive splitting at 1,000 characters, 100 of them repeated, in a Qdrant collection, best by
cosine. ``--cache`` keeps vectors between runs. ``halves`` are the questions at even and odd places.
"""

import argparse
import hashlib
import importlib
import json
import math
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from bench._sets import SETS, Judged
from bench._setting import machine
from ingest.chunk import chunk
from ragplatform import config, index_openers
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.answer.rank import Sought, best
from ragplatform.model import AllOf, Chunk, Clause, Hit, Labels, Passage, TermWeights
from ragplatform.ports import Embedder, Entry, TermWeigher, Vectors, embedded_text
from tests.fakes_index import scope

CUT = 10
# So many passages hold ten documents nearly always.
DEPTH = 40
SCOPE = scope(AllOf((Clause("access_class", frozenset({"one"})),)))
NO_TERMS = TermWeights((), ())
_BATCH = 512


class Kept:
    """Vectors by their text, computed once and kept in a folder where one is given."""

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self._folder = folder

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors, read where these very texts were embedded before."""
        parts = [self._part(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        return np.concatenate(parts) if parts else self._embedder.embed([])

    def _part(self, texts: Sequence[str]) -> Vectors:
        if self._folder is None:
            return self._embedder.embed(texts)
        words = "\0".join((self._embedder.version, *texts))
        path = self._folder / f"{hashlib.sha256(words.encode()).hexdigest()[:24]}.npy"
        if not path.is_file():
            np.save(path, self._embedder.embed(texts))
        found: Vectors = np.load(path)
        return found


def passages(judged: Judged) -> list[Passage]:
    """Return the documents' passages, cut as ingest cuts text without headings."""
    found = []
    for document, title, text in judged.documents:
        for at, piece in enumerate(chunk(text or title, guarded=[])):
            name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document}/{at}"))
            said = (text or title)[piece.start : piece.end]
            found.append(
                Passage(
                    chunk=Chunk(name, at, said, piece.start, piece.end),
                    document=document,
                    title=title,
                    labels=Labels("mercy", "clinical"),
                    access_class="one",
                    subjects=frozenset(),
                    generation="g1",
                )
            )
    return found


def ndcg(names: Iterable[str], grades: Mapping[str, int]) -> float:
    """Return the normalised discounted cumulative gain of the first ten different names."""
    first = list(dict.fromkeys(names))[:CUT]
    gain = sum(grades.get(name, 0) / math.log2(at + 2) for at, name in enumerate(first))
    ideal = sorted(grades.values(), reverse=True)[:CUT]
    return gain / sum(grade / math.log2(at + 2) for at, grade in enumerate(ideal))


Search = Callable[[str, Sequence[float]], list[str]]


def searches(index: EdgeIndex, weigher: TermWeigher) -> dict[str, Search]:
    """Return the product's search, and its halves, each giving documents, best first."""

    def whole(text: str, vector: Sequence[float]) -> list[str]:
        sought = Sought(text, DEPTH)
        found = index.search(vector, weigher.weigh_query(text), SCOPE, sought.depth)
        return _documents(best(found, sought))

    def meaning(text: str, vector: Sequence[float]) -> list[str]:
        del text
        return _documents(index.search(vector, NO_TERMS, SCOPE, DEPTH))

    def terms(text: str, vector: Sequence[float]) -> list[str]:
        nowhere = [0.0] * len(vector)
        return _documents(index.search(nowhere, weigher.weigh_query(text), SCOPE, DEPTH))

    return {"product": whole, "meaning": meaning, "terms": terms}


def _documents(hits: Iterable[Hit]) -> list[str]:
    return [hit.passage.document for hit in hits]


def measure(judged: Judged, kept: Kept, weigher: TermWeigher, *, peer: bool) -> dict[str, Any]:
    """Return the figures of one set."""
    stored = passages(judged)
    vectors = kept.embed([embedded_text(one) for one in stored])
    asked = judged.asked
    asked_for = kept.embed([judged.questions[name] for name in asked])
    with (
        tempfile.TemporaryDirectory(prefix="bench-retrieval-") as folder,
        closing(EdgeIndex(folder=Path(folder), dim=vectors.shape[1])) as index,
    ):
        entries = (
            Entry(p, v.tolist(), weigher.weigh_document(p.chunk.text, p.context))
            for p, v in zip(stored, vectors, strict=True)
        )
        while batch := list(islice(entries, _BATCH)):
            index.upsert(batch)
        ways = searches(index, weigher)
        if peer:
            ways["peer"] = plain_pipeline(judged, kept)
        found = {name: _figures(judged, way, asked, asked_for) for name, way in ways.items()}
    return {"documents": len(judged.documents), "passages": len(stored), **found}


def _figures(judged: Judged, way: Search, asked: list[str], vectors: Vectors) -> dict[str, Any]:
    began = time.process_time()
    gains = [
        ndcg(way(judged.questions[name], vector.tolist()), judged.grades[name])
        for name, vector in zip(asked, vectors, strict=True)
    ]
    return {
        "questions": len(gains),
        "ndcg_at_10": round(float(np.mean(gains)), 4),
        "halves": [round(float(np.mean(gains[start::2])), 4) for start in (0, 1)],
        "cpu_ms": round(1000 * (time.process_time() - began) / len(gains), 1),
    }


def plain_pipeline(judged: Judged, kept: Kept) -> Search:
    """Return the search of a plain LangChain pipeline over the same documents."""
    splitters = importlib.import_module("langchain_text_splitters")
    stores = importlib.import_module("langchain_qdrant")
    cut = splitters.RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=100)
    texts, owners = [], []
    for document, title, text in judged.documents:
        for piece in cut.split_text(f"{title}\n\n{text}".strip()):
            texts.append(piece)
            owners.append({"document": document})
    store = stores.QdrantVectorStore.from_texts(
        texts, _SameEncoder(kept), metadatas=owners, location=":memory:", batch_size=_BATCH
    )

    def search(text: str, vector: Sequence[float]) -> list[str]:
        del text
        found = store.similarity_search_by_vector(list(vector), k=DEPTH)
        return [one.metadata["document"] for one in found]

    return search


class _SameEncoder(Embeddings):
    """The product's encoder, as LangChain asks for one."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._kept.embed(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of sets")
    parser.add_argument("--set", action="append", choices=sorted(SETS), help="default: all")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--cache", type=Path, help="keep vectors in this folder")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.data is None:
        print(json.dumps({"lacking": "--data DIR with the sets that bench/_sets.py reads"}))
        return
    settings = config.load()
    kept, weigher = (
        Kept(index_openers.open_embedder(settings), given.cache),
        index_openers.open_weigher(),
    )
    results = {"machine": machine()}
    for name in given.set or sorted(SETS):
        folder, read = SETS[name]
        results[name] = measure(read(given.data / folder), kept, weigher, peer=given.peer)
        if not given.json:
            print_set(name, results[name])
    if given.json:
        print(json.dumps(results, indent=1))


def print_set(name: str, figures: Mapping[str, Any]) -> None:
    """Print the figures of one set for people."""
    print(f"{name}: {figures['documents']} documents, {figures['passages']} passages")
    for way in ("product", "meaning", "terms", "peer"):
        if one := figures.get(way):
            halves = " and ".join(f"{half:.4f}" for half in one["halves"])
            print(
                f"  {way:<8} nDCG@10 {one['ndcg_at_10']:.4f} ({halves}), "
                f"{one['questions']} questions, {one['cpu_ms']} ms of CPU each"
            )


if __name__ == "__main__":
    main()
