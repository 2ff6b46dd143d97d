"""Whether the page that answers is found among all pages of many reports, beside a plain pipeline.

    python -m bench.pages --data DIR [--model FOLDER] [--cache FILE] [--peer | --terms-only]

DIR holds ``questions.jsonl`` in FinanceBench's form (each evidence names its document and its page
from 0) and ``pdfs/``. All filings that are there go through the parser and the chunker, with what
they say of themselves, into one embedded index; every question whose filing is there is asked of
all of them as the service asks it: what it says of company, period and part routes the search, and
the order of hits is the service's. Personal data is not looked for: filings hold next to none, and
it would take an hour. Pages count in the order of their best passage; a passage over two pages
counts for both.

With ``--peer`` the same pages are cut by LangChain's RecursiveCharacterTextSplitter (1,000
characters, 200 overlapping) and searched by the same encoder alone in the same engine, as its
Qdrant store does. It needs ``langchain-text-splitters``.

With ``--terms-only`` nothing is embedded, which takes a minute in place of an hour: all passages
mean the same then, and terms, routing and the lift of statements alone decide.

Filings are put into two halves by the digest of their company's name: what was chosen on one must
hold on the other. ``--cache`` keeps vectors by the digest of their text between runs.
"""

import argparse
import hashlib
import importlib
import json
import sqlite3
import tempfile
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bench._setting import ROOT, machine
from ingest import titles
from ingest.chunk import chunk
from ingest.facts import document_facts, of_part
from ingest.parse.document import ParsedDocument
from ingest.parse.pdf import parse_pdf
from ragplatform.adapters.bert_encoder import BertEncoder
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.answer import rank
from ragplatform.answer.finding import DATES, Finder
from ragplatform.model import AllOf, Chunk, Clause, Hit, Labels, Passage, TermWeights
from ragplatform.ports import Entry, Vectors, embedded_text
from tests.fakes_index import scope

_MAX_CHARS = 50_000_000
_BATCH = 256
_ALL = scope(
    AllOf((Clause("access_class", frozenset({"open"})),)), tenant="bank", reveals=frozenset({DATES})
)
_NO_TERMS = TermWeights((), ())
Page = tuple[str, int]


@dataclass(frozen=True)
class Question:
    """One question, the pages that answer it, its kind, and in which half its company is."""

    text: str
    evidence: frozenset[Page]
    kind: str
    half: int


class Alike:
    """Embeds nothing: all texts have one vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the same vector for each text."""
        return np.full((len(texts), 4), 0.5, dtype=np.float32)


class Encoder:
    """Embeds through a file that keeps vectors by their text."""

    def __init__(self, folder: Path, cache: Path | None) -> None:
        self._encoder = BertEncoder(folder=folder, int8=True)
        self._kept = sqlite3.connect(cache or ":memory:", timeout=60)
        self._kept.execute("create table if not exists v(k text primary key, v blob)")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of the texts, in order."""
        keys = [hashlib.sha1(t.encode(), usedforsecurity=False).hexdigest() for t in texts]
        known = {key for key in keys if self._row(key) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        order = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            rows = self._encoder.embed([missing[key] for key in some])
            pairs = [(key, row.tobytes()) for key, row in zip(some, rows, strict=True)]
            self._kept.executemany("insert or replace into v values (?, ?)", pairs)
            self._kept.commit()
        found = [np.frombuffer(self._row(key) or b"", dtype=np.float32) for key in keys]
        return np.asarray(found, dtype=np.float32)

    def _row(self, key: str) -> bytes | None:
        row = self._kept.execute("select v from v where k = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])


def questions(folder: Path) -> list[Question]:
    """Return the questions whose filing is there."""
    found = []
    for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if (folder / "pdfs" / f"{one['doc']}.pdf").is_file():
            evidence = {(f"{e['doc']}.pdf", e["page0"] + 1) for e in one["evidence"]}
            half = int(hashlib.sha256(one["company"].encode()).hexdigest(), 16) % 2
            kind = one["question_type"]
            found.append(Question(one["question"], frozenset(evidence), kind, half))
    return found


def read(folder: Path) -> dict[str, ParsedDocument]:
    """Return every filing of a folder, parsed."""
    return {
        path.name: parse_pdf(path.read_bytes(), max_chars=_MAX_CHARS)
        for path in sorted(folder.glob("*.pdf"))
    }


def passages(name: str, parsed: ParsedDocument) -> Iterator[Passage]:
    """Yield the passages of one filing as ingest makes them."""
    title = titles.spoken(name)
    facts = document_facts(parsed.text, title)
    starts = [page.offset for page in parsed.pages]
    pieces = chunk(parsed.text, guarded=[], headings=parsed.headings, pages=starts)
    for ordinal, piece in enumerate(pieces):
        caption = (" ".join(parsed.text[slice(*piece.caption)].split()),) if piece.caption else ()
        yield Passage(
            chunk=Chunk(
                id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{ordinal}")),
                ordinal=ordinal,
                text=parsed.text[piece.start : piece.end],
                start=piece.start,
                end=piece.end,
                page=max(bisect_right(starts, piece.start), 1),
                page_end=max(bisect_right(starts, piece.end - 1), 1),
                heading=(*piece.heading, *caption),
            ),
            document=name,
            title=title,
            labels=Labels("bank", "filings"),
            access_class="open",
            subjects=frozenset(),
            generation="g1",
            media_type=parsed.media_type,
            facts=of_part(facts, parsed.text, piece, starts, first=not ordinal),
        )


def peer_passages(name: str, parsed: ParsedDocument) -> Iterator[Passage]:
    """Yield the pieces of a plain pipeline: each page by itself, cut by LangChain's splitter."""
    splitters = importlib.import_module("langchain_text_splitters")

    splitter = splitters.RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    ends = [*(page.offset for page in parsed.pages[1:]), len(parsed.text)]
    for page, end in zip(parsed.pages, ends, strict=True):
        for at, text in enumerate(splitter.split_text(parsed.text[page.offset : end])):
            place = uuid.uuid5(uuid.NAMESPACE_URL, f"peer/{name}/{page.number}/{at}")
            yield Passage(
                chunk=Chunk(str(place), at, text, 0, len(text), page.number, page.number),
                document=name,
                title="",
                labels=Labels("bank", "filings"),
                access_class="open",
                subjects=frozenset(),
                generation="g1",
            )


def store(
    index: EdgeIndex, found: Sequence[Passage], texts: Sequence[str], by: Encoder | Alike
) -> None:
    """Embed, weigh and store passages."""
    weigher = Bm25Weigher()
    for start in range(0, len(found), 4 * _BATCH):
        some = found[start : start + 4 * _BATCH]
        vectors = by.embed(texts[start : start + 4 * _BATCH])
        index.upsert(
            [
                Entry(one, row.tolist(), weigher.weigh_document(one.chunk.text, one.context))
                for one, row in zip(some, vectors, strict=True)
            ]
        )


def pages_of(hits: Sequence[Hit]) -> list[Page]:
    """Return the pages in the order of their best passage."""
    found: dict[Page, None] = {}
    for hit in hits:
        chunk = hit.passage.chunk
        for number in range(chunk.page or 0, (chunk.page_end or 0) + 1):
            found[(hit.passage.document, number)] = None
    return list(found)


def place(question: Question, pages: Sequence[Page]) -> int:
    """Return the place of the first page that answers, from 1; 0 where none is among them."""
    return next((n for n, page in enumerate(pages, 1) if page in question.evidence), 0)


def figures(places: Sequence[int]) -> dict[str, float]:
    """Return the shares within 5 and 10 places, and the mean reciprocal rank within 10."""
    within = {f"hit@{n}": fmean(0 < at <= n for at in places) for n in (5, 10)}
    reciprocal = fmean(1 / at if 0 < at <= 10 else 0.0 for at in places)
    return {name: round(value, 3) for name, value in {**within, "mrr@10": reciprocal}.items()}


def report(asked: Sequence[Question], places: Sequence[int]) -> dict[str, Any]:
    """Return the figures over all questions, by half and by kind."""
    groups: dict[str, list[int]] = {"all": list(places)}
    for question, at in zip(asked, places, strict=True):
        groups.setdefault(f"half {question.half}", []).append(at)
        groups.setdefault(question.kind, []).append(at)
    return {name: {"n": len(some), **figures(some)} for name, some in sorted(groups.items())}


def main() -> None:
    """Index, ask, and print."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--model", type=Path, default=ROOT / "var/models/all-minilm-l6-v2")
    arguments.add_argument("--cache", type=Path)
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--peer", action="store_true")
    which.add_argument("--terms-only", action="store_true")
    arguments.add_argument("--limit", type=int, default=20, help="Passages asked for.")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    encoder = Alike() if given.terms_only else Encoder(given.model, given.cache)
    weigher, asked = Bm25Weigher(), questions(given.data)
    parsed = read(given.data / "pdfs")
    vectors = encoder.embed([question.text for question in asked])
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours = [one for name, document in parsed.items() for one in passages(name, document)]
        with closing(EdgeIndex(folder=Path(folder) / "ours", dim=vectors.shape[1])) as index:
            store(index, ours, [embedded_text(one) for one in ours], encoder)
            finder = Finder(index=index, weigher=weigher, scope=_ALL, readable=list)
            places = []
            for question, vector in zip(asked, vectors, strict=True):
                sought = rank.Sought(question.text, given.limit)
                found = finder.find(sought, vector.tolist())
                places.append(place(question, pages_of(rank.best(found.hits, sought))))
            results["ours"] = report(asked, places)
        if given.peer:
            theirs = [p for name, document in parsed.items() for p in peer_passages(name, document)]
            with closing(EdgeIndex(folder=Path(folder) / "peer", dim=vectors.shape[1])) as index:
                store(index, theirs, [one.chunk.text for one in theirs], encoder)
                places = [
                    place(q, pages_of(index.search(v.tolist(), _NO_TERMS, _ALL, given.limit)))
                    for q, v in zip(asked, vectors, strict=True)
                ]
            results["peer"] = report(asked, places)
    results["corpus"] = {
        "filings": len(parsed),
        "pages": sum(len(document.pages) for document in parsed.values()),
        "passages": len(ours),
    }
    if given.json:
        print(json.dumps({"machine": machine(), **results}))
        return
    for name, rows in results.items():
        for group, values in rows.items():
            print(f"{name:7} {group:18} {values}")


if __name__ == "__main__":
    main()
