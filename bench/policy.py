"""How long deciding takes with 500 access classes, how large a filter is, what it costs a search.

    python -m bench.policy [--points 100000] [--searches 100] [--json]

A decision is one whole scope, as each question makes it: every class decided twice, what may be
revealed, the filter and its digest. Cold is the first question for a purpose of anybody with those
roles, departments and clearance; another person of that kind finds it decided. The engine is Qdrant
Edge in this process, its index as ingest leaves it. Vectors are random unit vectors: with real ones
the engine does the same work. Each search is asked with and without its filter, by turns first and
second.
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as engine

from bench._setting import ROOT, machine, percentile
from bench.index_search import WHAT, WHICH, WHO
from ragplatform.adapters import edge
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.filters import encode_filter, within
from ragplatform.adapters.payload import decode_payload
from ragplatform.catalog import SqlCatalog
from ragplatform.model import (
    Category,
    Chunk,
    Labels,
    Passage,
    Principal,
    Purpose,
    Scope,
    Sensitivity,
    Standing,
    TermWeights,
)
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Entry

SEED = 11
DIM = 384
CLASSES = 500
SUBJECTS = 500
FEW = 1_000
BATCH = 256
HITS = 20
DEPARTMENTS = ("administration", "cardiology", *(f"ward-{number}" for number in range(23)))
SORTS = ((), (), ("vip",), ("part2",), ("mixed-subjects",))

Question = tuple[list[float], TermWeights]


def labels(number: int) -> Labels:
    """Return the labels of one of the classes: of 25 departments, 4 levels and 5 sorts of file."""
    sort = number // 100
    return Labels(
        "mercy",
        "clinical",
        Sensitivity(number // 25 % 4),
        DEPARTMENTS[number % 25],
        frozenset({Category.PHI, Category.PII} if sort else {Category.PHI}),
        frozenset(SORTS[sort]),
    )


def people() -> dict[str, tuple[Principal, Purpose]]:
    """Return who asks: with a filter of classes, of patients, and of both."""
    patients = frozenset(f"subject-{number}" for number in range(20))
    standing = {"departments": frozenset({"cardiology"}), "clearance": Sensitivity.RESTRICTED}
    return {
        "researcher": (
            Principal("r", "mercy", frozenset({"researcher"}), **standing), Purpose.HRESCH,
        ),
        "physician of 20 patients": (
            Principal("p", "mercy", frozenset({"physician"}), subjects=patients, **standing),
            Purpose.TREAT,
        ),
        "emergency physician": (
            Principal("e", "mercy", frozenset({"emergency-physician"}), subjects=patients,
                      **standing),
            Purpose.ETREAT,
        ),
        "quality": (
            Principal("q", "mercy", frozenset({"quality"}), subjects=patients, **standing),
            Purpose.HOPERAT,
        ),
    }  # fmt: skip


def times(act: Callable[[int], object], count: int) -> dict[str, float]:
    """Return median and 99th percentile, in milliseconds, of so many calls."""
    spent = []
    for number in range(count):
        began = time.perf_counter()
        act(number)
        spent.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": round(percentile(spent, 50), 2), "p99_ms": round(percentile(spent, 99), 2)}


def measure_decisions(
    policies: Policies, catalog: SqlCatalog, count: int
) -> dict[str, dict[str, float]]:
    """Return the times of deciding about all classes, and of reading them from the catalog."""
    who, purpose = people()["physician of 20 patients"]
    standing = Standing(who, purpose, who.subjects)
    classes = catalog.classes("mercy")

    def scope_of(somebody: Principal) -> Scope:
        return policies.scope(Standing(somebody, purpose, who.subjects), classes)

    def cold(number: int) -> Scope:
        return scope_of(replace(who, departments=who.departments | {f"unit-{number}"}))

    def another(number: int) -> Scope:
        return scope_of(replace(who, id=f"{who.id}-{number}"))

    def warm(_: int) -> Scope:
        return policies.scope(standing, classes)

    warm(0)
    # What `ragplatform serve` does once it is loaded.
    gc.collect()
    gc.freeze()
    return {
        "cold": times(cold, max(20, count // 20)),
        "another_person": times(another, count),
        "warm": times(warm, count),
        "catalog": times(lambda _: catalog.classes("mercy"), count),
        "warm_with_catalog": times(
            lambda _: policies.scope(standing, catalog.classes("mercy")), count
        ),
    }


def entries(points: int, kinds: Sequence[Labels]) -> Iterator[list[Entry]]:
    """Yield so many passages, by batches; each class has its share of them."""
    sentences = [f"{a} {b} {c}." for a in WHO for b in WHAT for c in WHICH]
    names = [access_class(kind) for kind in kinds]
    dice, weigher = np.random.default_rng(SEED), Bm25Weigher()
    for start in range(0, points, BATCH):
        numbers = range(start, min(points, start + BATCH))
        batch = []
        for number, vector in zip(numbers, units(dice, len(numbers)), strict=True):
            first, second = dice.integers(len(sentences), size=2)
            text = f"{sentences[first]} {sentences[second]} File {number:06}. " * 6
            passage = Passage(
                chunk=Chunk(str(uuid.UUID(int=number + 1)), number % 8, text, 0, len(text), page=1),
                document=f"document-{number // 8}",
                title="A record",
                labels=kinds[number % len(kinds)],
                access_class=names[number % len(kinds)],
                subjects=frozenset({f"subject-{dice.integers(SUBJECTS)}"}),
                generation="g1",
            )
            batch.append(Entry(passage, vector, weigher.weigh_document(text)))
        yield batch


def units(dice: np.random.Generator, count: int) -> list[list[float]]:
    """Return random directions."""
    vectors = dice.normal(size=(count, DIM))
    found: list[list[float]] = (
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32).tolist()
    )
    return found


def questions(count: int) -> list[Question]:
    """Return what is asked: a direction, and the words of a sentence."""
    weigher = Bm25Weigher()
    texts = [f"Who {b} {c}?" for b in WHAT for c in WHICH]
    vectors = units(np.random.default_rng(SEED + 1), count)
    return [
        (vector, weigher.weigh_query(texts[number % len(texts)]))
        for number, vector in enumerate(vectors)
    ]


def search_all(index: EdgeIndex, question: Question) -> object:
    """Search as ``EdgeIndex.search`` does, under no filter at all."""
    vector, terms = question
    sparse = engine.SparseVector(list(terms.indices), list(terms.values))
    queries = [
        engine.Query.Nearest(vector, using=edge.DENSE),
        engine.Query.Nearest(sparse, using=edge.TERMS),
    ]
    found = index._open_shard().query(
        engine.QueryRequest(
            limit=HITS,
            prefetches=[
                engine.Prefetch(limit=edge.FEWEST_CANDIDATES, query=query) for query in queries
            ],
            query=engine.Fusion.Rrf(k=60),
            with_payload=True,
        )
    )
    return [decode_payload(str(point.id), point.payload) for point in found]


def measure_pair(index: EdgeIndex, scope: Scope, asked: Sequence[Question]) -> dict[str, Any]:
    """Return the median times of the same searches with and without the scope."""
    scoped, unscoped = [], []
    for number, question in enumerate(asked):
        for turn in (0, 1):
            began = time.perf_counter()
            if (number + turn) % 2:
                hits = len(index.search(*question, scope, HITS))
                scoped.append(1000 * (time.perf_counter() - began))
            else:
                search_all(index, question)
                unscoped.append(1000 * (time.perf_counter() - began))
    pairs = [one / other for one, other in zip(scoped, unscoped, strict=True)]
    return {
        "scoped_p50_ms": round(statistics.median(scoped), 2),
        "unscoped_p50_ms": round(statistics.median(unscoped), 2),
        "ratio": round(statistics.median(pairs), 2),
        "hits": hits,
    }


def filter_bytes(scope: Scope) -> bytes:
    """Return the filter as it goes to another process of ours, or to the engine."""
    return json.dumps(encode_filter(within(scope)), separators=(",", ":")).encode()


def scopes(policies: Policies, classes: Mapping[str, Labels]) -> dict[str, Scope]:
    """Return what each of the people may search."""
    return {
        name: policies.scope(Standing(who, purpose, who.subjects), classes)
        for name, (who, purpose) in people().items()
    }


def measure_corpus(
    folder: Path, policies: Policies, points: int, asked: Sequence[Question]
) -> dict[str, dict[str, Any]]:
    """Fill an index and its catalog; return filters and, where questions are given, times."""
    url = f"sqlite:///{folder / f'catalog-{points}.db'}"
    kinds = [labels(number) for number in range(CLASSES)]
    with (
        closing(SqlCatalog(url, access_class=access_class)) as catalog,
        closing(EdgeIndex(folder=folder / f"index-{points}", dim=DIM)) as index,
    ):
        for kind in kinds:
            catalog.register(kind, access_class(kind))
        for batch in entries(points, kinds):
            index.upsert(batch)
        assert index.count() == points
        rows = {}
        for name, scope in scopes(policies, catalog.classes("mercy")).items():
            if scope.empty:
                raise SystemExit(f"the policies let {name} read nothing: there is no filter")
            rows[name] = {"filter": filter_bytes(scope)}
            if asked:
                search_all(index, asked[0])
                rows[name] |= measure_pair(index, scope, asked)
        return rows


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    named = machine()
    policies = Policies.load(ROOT / "policies")
    with tempfile.TemporaryDirectory(prefix="bench-policy-") as name:
        folder = Path(name)
        few = measure_corpus(folder, policies, FEW, ())
        many = measure_corpus(folder, policies, given.points, questions(given.searches))
        url = f"sqlite:///{folder / f'catalog-{given.points}.db'}"
        with closing(SqlCatalog(url, access_class=access_class)) as catalog:
            decisions = measure_decisions(policies, catalog, 1_000)
    rows = [
        {
            "who": who,
            **{key: value for key, value in row.items() if key != "filter"},
            "filter_bytes": len(row["filter"]),
            "same_filter": row["filter"] == few[who]["filter"],
        }
        for who, row in many.items()
    ]
    figures = {
        "machine": named,
        "classes": CLASSES,
        "points": [FEW, given.points],
        "decisions": decisions,
        "searches": rows,
    }
    if given.json:
        print(json.dumps(figures, indent=1))
        return
    for what, row in decisions.items():
        print(f"{what:<20} p50 {row['p50_ms']:8.2f} ms  p99 {row['p99_ms']:8.2f} ms")
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
