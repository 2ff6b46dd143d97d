"""How fast the embedded index stores and searches, alone, under filters, and through its socket.

    python -m bench.index_search [--points 10000] [--searches 200] [--model FOLDER] [--json]

The vectors are those of 600 sentences by all-MiniLM-L6-v2, mixed in pairs with a little noise, so
that they lie as close together as real ones; random directions would make search look easier. The
engine is also asked bare, without a filter and without reading passages, in the same run.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as engine

from bench._setting import machine
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import DENSE, TERMS, EdgeIndex
from ragplatform.adapters.encoder import SentenceEncoder
from ragplatform.adapters.shared_edge import Role, SharedEdgeIndex
from ragplatform.model import (
    AllOf,
    Chunk,
    Clause,
    Labels,
    Passage,
    Scope,
    TermWeights,
)
from ragplatform.ports import Entry, Index
from tests.fakes_index import scope

SEED = 11
CLASSES = 60
SUBJECTS = 500
BATCHES = (1, 32, 256)

WHO = "The patient,The client,A 62-year-old man,The account holder,The borrower,This woman".split(
    ","
)
WHAT = (
    "was discharged on,reports pain despite,transferred funds before,declined,has a history of,"
    "asked the branch about,was reviewed for,improved after,tested negative for,applied for"
).split(",")
WHICH = (
    "metformin,a mortgage extension,chest pain,warfarin,a wire transfer,hypertension,cash deposits,"
    "physical therapy,a credit line,type 2 diabetes"
).split(",")

Question = tuple[list[float], TermWeights]


def corpus(points: int, model: Path) -> tuple[list[Entry], list[Question]]:
    """Return passages of many classes and subjects, and the questions to ask of them."""
    chance = random.Random(SEED)
    sentences = [f"{a} {b} {c}." for a in WHO for b in WHAT for c in WHICH]
    encoder, weigher = SentenceEncoder(folder=model), Bm25Weigher()
    vectors = encoder.embed(sentences)
    noise = np.random.default_rng(SEED)
    entries = []
    for number in range(points):
        first, second = chance.sample(range(len(sentences)), 2)
        mixed = vectors[first] + vectors[second] + noise.normal(0, 0.01, encoder.dim)
        text = f"{sentences[first]} {sentences[second]} File {number:06}. " * 6
        passage = Passage(
            chunk=Chunk(str(uuid.UUID(int=number + 1)), number % 8, text, 0, len(text), page=1),
            document=f"document-{number // 8}",
            title="A record",
            labels=Labels("mercy", "clinical"),
            access_class=class_name(chance.randrange(CLASSES)),
            subjects=frozenset({f"subject-{chance.randrange(SUBJECTS)}"}),
            generation="g1",
        )
        vector = (mixed / np.linalg.norm(mixed)).astype(np.float32).tolist()
        entries.append(Entry(passage, vector, weigher.weigh_document(text)))
    asked = [f"Who {b} {c}? File {chance.randrange(points):06}" for b in WHAT for c in WHICH]
    questions = [
        (vector.tolist(), weigher.weigh_query(text))
        for vector, text in zip(encoder.embed(asked), asked, strict=True)
    ]
    return entries, questions


def class_name(number: int) -> str:
    """Return a class as long as a real one: matching compares whole keywords."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def classes(count: int) -> Clause:
    """Return the condition that a passage is of one of so many classes."""
    return Clause("access_class", frozenset(map(class_name, range(count))))


def subjects(count: int) -> Clause:
    """Return the condition that a passage is about one of so many people."""
    return Clause("subjects", frozenset(f"subject-{number}" for number in range(count)))


SCOPES = {
    "all classes": scope(AllOf((classes(CLASSES),))),
    "a third of the classes": scope(AllOf((classes(CLASSES // 3),))),
    "6 classes, or 30 more for 20 subjects": scope(
        AllOf((classes(6),)), AllOf((classes(36), subjects(20)))
    ),
    "50 classes, or the rest for 20 subjects": scope(
        AllOf((classes(50),)), AllOf((classes(CLASSES), subjects(20)))
    ),
    "all classes, and one collection": scope(
        AllOf((classes(CLASSES), Clause("collection", frozenset({"clinical"}))))
    ),
    "3 subjects": scope(AllOf((classes(CLASSES), subjects(3)))),
}


def timed(ask: Callable[[Question], object], questions: Sequence[Question], count: int) -> Any:
    """Return median and 95th percentile, in milliseconds, of so many questions asked in turn."""
    spent = []
    for number in range(count + 5):
        began = time.perf_counter()
        ask(questions[number % len(questions)])
        spent.append(1000 * (time.perf_counter() - began))
    # The first few pay for pages that no search has touched yet.
    cut = statistics.quantiles(spent[5:], n=100)
    return {"p50_ms": round(cut[49], 2), "p95_ms": round(cut[94], 2)}


def measure_upserts(folder: Path, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return durable upserts per second by size of batch, each into an empty index."""
    rows = []
    for batch in BATCHES:
        chosen = entries[: min(len(entries), 40 * batch)]
        with closing(
            EdgeIndex(folder=folder / f"batch-{batch}", dim=len(chosen[0].vector))
        ) as index:
            spent = []
            for start in range(0, len(chosen), batch):
                began = time.perf_counter()
                index.upsert(chosen[start : start + batch])
                spent.append(time.perf_counter() - began)
            # The median batch: a shared disk stalls now and then for a second.
            rate = round(min(batch, len(chosen)) / statistics.median(spent))
            rows.append({"batch": batch, "batches": len(spent), "upserts_per_s": rate})
    return rows


def measure_index(index: Index, questions: Sequence[Question], count: int) -> list[dict[str, Any]]:
    """Return the times of hybrid searches for 20 hits by scope."""
    rows = []
    for name, within in SCOPES.items():

        def ask(question: Question, within: Scope = within) -> object:
            return index.search(*question, within, 20)

        rows.append({"scope": name, **timed(ask, questions, count)})
    return rows


def measure_bare(index: EdgeIndex, questions: Sequence[Question], count: int) -> dict[str, Any]:
    """Return the times of the engine itself: both lists, fused, no filter, no passage read."""
    shard = index._shard
    assert shard is not None

    def ask(question: Question) -> object:
        vector, terms = question
        sparse = engine.SparseVector(list(terms.indices), list(terms.values))
        queries = [engine.Query.Nearest(vector, DENSE), engine.Query.Nearest(sparse, TERMS)]
        return shard.query(
            engine.QueryRequest(
                limit=20,
                prefetches=[engine.Prefetch(limit=50, query=query) for query in queries],
                query=engine.Fusion.Rrf(k=60),
            )
        )

    return timed(ask, questions, count)


def own(folder: Path, dim: int, ready: Event, done: Event) -> None:
    """Hold the index, as a server process does, until told that all is done."""
    with closing(SharedEdgeIndex(folder=folder, dim=dim)):
        ready.set()
        done.wait()


def measure_guest(folder: Path, questions: Sequence[Question], count: int) -> list[dict[str, Any]]:
    """Return the times of the same searches asked of another process through its socket."""
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    dim = len(questions[0][0])
    owner = spawn.Process(target=own, args=(folder, dim, ready, done))
    owner.start()
    try:
        ready.wait(60)
        with closing(SharedEdgeIndex(folder=folder, dim=dim)) as index:
            assert index.role is Role.GUEST
            return measure_index(index, questions, count)
    finally:
        done.set()
        owner.join()


def main() -> None:
    """Measure, and print a table or one JSON document."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--points", type=int, default=10_000)
    arguments.add_argument("--searches", type=int, default=200)
    arguments.add_argument("--model", type=Path, default=Path("var/models/all-minilm-l6-v2"))
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    named = machine()
    entries, questions = corpus(given.points, given.model)
    root = Path(tempfile.mkdtemp(prefix="index-bench-"))
    try:
        upserts = measure_upserts(root, entries)
        with closing(EdgeIndex(folder=root / "index", dim=len(entries[0].vector))) as index:
            for start in range(0, len(entries), 256):
                index.upsert(entries[start : start + 256])
            bare = measure_bare(index, questions, given.searches)
            searches = measure_index(index, questions, given.searches)
            began = time.perf_counter()
            index.generations("mercy")
            generations_s = time.perf_counter() - began
        guests = measure_guest(root / "index", questions, given.searches)
        stored = sum(path.stat().st_blocks * 512 for path in (root / "index").rglob("*"))
    finally:
        shutil.rmtree(root)
    figures = {
        "machine": named,
        "points": given.points,
        "upserts": upserts,
        "bare_engine": bare,
        "searches": searches,
        "searches_through_socket": guests,
        "generations_s": round(generations_s, 3),
        "disk_mb": round(stored / 1e6),
    }
    if given.json:
        print(json.dumps(figures, indent=1))
    else:
        print_table(figures)


def print_table(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(f"{figures['points']:,} points, {figures['disk_mb']} MB on disk")
    for row in figures["upserts"]:
        print(f"batches of {row['batch']:3}: {row['upserts_per_s']:6,} durable upserts per second")
    rows = [{"scope": "engine alone, no filter", **figures["bare_engine"]}, *figures["searches"]]
    for title, part in (("in process", rows), ("by socket", figures["searches_through_socket"])):
        for row in part:
            print(f"{title}  p50 {row['p50_ms']:7.2f} ms  p95 {row['p95_ms']:7.2f}  {row['scope']}")
    print(f"listing all generations: {figures['generations_s']:.3f} s")


if __name__ == "__main__":
    main()
