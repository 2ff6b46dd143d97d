"""What a filter costs the embedded index, by how much of it the filter opens.

    python -m bench.index_selectivity [--points 10000,100000] [--searches 100] [--svg DIR] [--json]

One tenant, 1,000 classes, made-up unit vectors of 384 numbers around 200 centres and 20 terms a
passage. For each share of the passages a scope names as many classes. Scoped and unscoped searches
take turns, question by question, so that what else the machine does falls on both; times are by the
clock and of the processor, of the whole process, for the engine works in threads of its own. Recall
is how many of the ten nearest by vector alone, within the scope, by all distances computed, are
among the 50 that ranking chooses from.

The index is measured as it lies in memory and on the disk in three ways: ``stored`` by this very
process, ``opened`` again as a service finds it, and ``scrubbed`` after an erasure.
"""

import argparse
import hashlib
import json
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench._setting import machine, percentile
from bench._svg import line_chart
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.edge_classes import Plan
from ragplatform.adapters.filters import within
from ragplatform.model import AllOf, AnyOf, Chunk, Clause, Labels, Passage, TermWeights
from ragplatform.ports import Entry
from tests.fakes_index import scope

SEED = 11
DIM = 384
CENTRES = 200
CLASSES = 1000
VOCABULARY = 5000
LIMIT = 10
CANDIDATES = 50
SHARES = (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0)
EVERYTHING = Plan(None, 0)
Vectors = NDArray[np.float32]


def class_name(number: int) -> str:
    """Return a class as long as a real one: matching compares whole keywords."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def vectors(count: int, seed: int) -> Vectors:
    """Return unit vectors around the centres."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(SEED).normal(size=(CENTRES, DIM))
    found = centres[chance.integers(0, CENTRES, count)] + chance.normal(size=(count, DIM))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


def terms(chance: random.Random, count: int) -> TermWeights:
    """Return so many terms of the vocabulary."""
    return TermWeights(tuple(sorted(chance.sample(range(VOCABULARY), count))), (1.0,) * count)


def entries(found: Vectors) -> Iterator[Entry]:
    """Yield a passage for each vector, its class by its number."""
    chance = random.Random(SEED)
    for number, vector in enumerate(found):
        passage = Passage(
            chunk=Chunk(str(uuid.UUID(int=number + 1)), 0, "A text. " * 60, 0, 480, page=1),
            document=f"document-{number}",
            title="A record",
            labels=Labels("mercy", "clinical"),
            access_class=class_name(number % CLASSES),
            subjects=frozenset({f"subject-{number % 97}"}),
            generation="g1",
        )
        yield Entry(passage, vector.tolist(), terms(chance, 20))


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of the processor and of the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    ask()
    return 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - clock)


def recall(index: EdgeIndex, tree: AnyOf, stored: Vectors, allowed: NDArray[np.bool_]) -> float:
    """Return which share of the true nearest in the scope a search by vectors alone finds."""
    found = wanted = 0
    for vector in vectors(20, SEED + 2):
        scores = np.where(allowed, stored @ vector, -2.0)
        nearest = np.argsort(-scores)[: min(LIMIT, int(allowed.sum()))]
        exact = {str(uuid.UUID(int=int(number) + 1)) for number in nearest}
        # All that ranking chooses from: it puts what says the same as another behind.
        hits = index.search_within(vector.tolist(), TermWeights((), ()), tree, CANDIDATES)
        found += len(exact & {hit.passage.chunk.id for hit in hits})
        wanted += len(exact)
    return found / wanted


def measure(points: int, searches: int) -> list[dict[str, Any]]:
    """Return, for each state and share, times with and without the filter, their ratio, recall."""
    stored = vectors(points, SEED + 1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-selectivity-") as folder:
        with closing(EdgeIndex(folder=Path(folder), dim=DIM)) as index:
            coming = entries(stored)
            while batch := list(islice(coming, 500)):
                index.upsert(batch)
            rows += by_share(index, stored, searches, "stored")
        with closing(EdgeIndex(folder=Path(folder), dim=DIM)) as index:
            rows += by_share(index, stored, searches, "opened")
            *_, last = entries(np.vstack([stored, stored[:1]]))
            index.upsert([last])
            index.remove("mercy", last.passage.document)
            index.scrub("mercy")
            rows += by_share(index, stored, searches, "scrubbed")
    return rows


def by_share(
    index: EdgeIndex, stored: Vectors, searches: int, state: str
) -> Iterator[dict[str, Any]]:
    """Yield what was measured of each share in this state of the index."""
    for share in SHARES:
        opened = max(1, round(share * CLASSES))
        names = frozenset(class_name(number) for number in range(opened))
        tree = within(scope(AllOf((Clause("access_class", names),))))
        allowed = np.arange(len(stored)) % CLASSES < opened
        yield {
            "points": len(stored),
            "state": state,
            "share": share,
            **compare(index, tree, searches),
            "recall": round(recall(index, tree, stored, allowed), 4),
        }


def compare(index: EdgeIndex, tree: AnyOf, searches: int) -> dict[str, Any]:
    """Return the times of searches with and without the filter, in turns."""
    chance = random.Random(SEED)
    spent: dict[str, list[tuple[float, float]]] = {"scoped": [], "unscoped": []}
    for vector in vectors(searches + 5, SEED + 3).tolist():
        words = terms(chance, 6)
        scoped = partial(index.search_within, vector, words, tree, LIMIT)
        spent["scoped"].append(timed(scoped))
        spent["unscoped"].append(timed(partial(index._found, vector, words, EVERYTHING, LIMIT)))
    row: dict[str, Any] = {}
    for at, kind in enumerate(("cpu", "clock")):
        for name, times in spent.items():
            # The first few pay for pages that no search has touched yet.
            row[f"{name}_{kind}_p95_ms"] = round(percentile([one[at] for one in times[5:]], 95), 2)
        ratio = row[f"scoped_{kind}_p95_ms"] / row[f"unscoped_{kind}_p95_ms"]
        row[f"{kind}_ratio_p95"] = round(ratio, 2)
    return row


def main() -> None:
    """Measure, draw, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", default="10000,100000")
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--svg", type=Path, help="draw the ratios into this folder")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [
        row for points in given.points.split(",") for row in measure(int(points), given.searches)
    ]
    if given.svg:
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            line = lines.setdefault(f"{row['points']:,} passages, {row['state']}", [])
            line.append((100 * row["share"], row["cpu_ratio_p95"]))
        title = "Search with a filter against without, p95"
        chart = line_chart(title, lines, x="% of passages in the scope", y="ratio")
        (given.svg / "index-selectivity.svg").write_text(chart, encoding="utf-8")
    if given.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=1))
        return
    print(machine())
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
