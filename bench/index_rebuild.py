"""How long a lost index takes to come back from the archive, and what the archive costs.

Synthetic passages with vectors of 384 numbers, real stores: archive, vault, ledger, catalog and the
embedded engine. Embedding is left out on both sides: kept vectors are written back as they are.
"""

import argparse
import json
import random
import resource
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from ingest.consistency import Survey
from ingest.ledger import Ledger
from ragplatform.adapters.archived import decode_archived, encode_archived
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.payload import encode_payload
from ragplatform.archive import SealedArchive
from ragplatform.audit.storage import Disk
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.model import Chunk, Labels, Passage
from ragplatform.policy.classes import access_class
from ragplatform.ports import Archived, Entry
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles

DIM: Final = 384
PER_DOCUMENT: Final = 20
LABELS: Final = Labels("mercy", "clinical")
_T = TypeVar("_T")


def documents(words: list[str], count: int) -> Iterator[list[Passage]]:
    """Yield documents of passages of 100 words each."""
    dice = random.Random(6)
    for number in range(count):
        name = f"00000000-0000-4000-8000-{number:012d}"
        made = []
        for ordinal in range(PER_DOCUMENT):
            text = " ".join(dice.choices(words, k=100))
            chunk = Chunk(
                f"{number:08d}-0000-4000-8000-{ordinal:012d}", ordinal, text, 0, len(text)
            )
            made.append(
                Passage(chunk, name, "letter", LABELS, access_class(LABELS), frozenset(), "g1")
            )
        yield made


def timed(act: Callable[[], _T]) -> tuple[_T, float, float]:
    """Return what the act returned, its seconds by the clock, and those of the processor."""
    began, cpu = time.monotonic(), time.process_time()
    result = act()
    return result, time.monotonic() - began, time.process_time() - cpu


def measure(folder: Path, words: list[str], count: int) -> dict[str, object]:
    """Take documents in, lose the index, and write it again from the archive."""
    url = f"sqlite:///{folder / 'catalog.db'}"
    with (
        closing(SqlCatalog(url, access_class=access_class)) as catalog,
        closing(Ledger(url)) as ledger,
        closing(Vault(f"sqlite:///{folder / 'vault.db'}", master=bytes(32))) as vault,
    ):
        files = SealedFiles(folder / "sealed", keys=vault, name_key=bytes(32), storage=Disk())
        archive = SealedArchive(files, encode=encode_archived, decode=decode_archived)
        catalog.register(LABELS, access_class(LABELS))
        made = list(documents(words, count))
        dice = np.random.default_rng(6)
        weigher = Bm25Weigher()
        entries = [
            [
                Entry(one, row, weigher.weigh_document(one.chunk.text))
                for one, row in zip(some, _rows(dice, len(some)), strict=True)
            ]
            for some in made
        ]  # fmt: skip
        keeping = timed(lambda: [archive.keep(Archived.of(some, "e1")) for some in entries])
        _listed(ledger, catalog, made)
        raw = b"\n".join(json.dumps(encode_payload(p)).encode() for some in made for p in some)
        with closing(EdgeIndex(folder=folder / "index", dim=DIM)) as index:
            writing = timed(lambda: [index.upsert(some) for some in entries])
        shutil.rmtree(folder / "index")
        with closing(EdgeIndex(folder=folder / "index", dim=DIM)) as index:
            again = timed(lambda: _write_again(archive, index, made))
            survey = Survey(ledger=ledger, catalog=catalog, archive=archive, index=index)
            checking = timed(lambda: list(survey.findings(survey.stock(LABELS.tenant), deep=True)))
    passages = count * PER_DOCUMENT
    size = sum(one.stat().st_size for one in (folder / "sealed").rglob("*.sealed"))
    return {
        "documents": count,
        "passages": passages,
        "archive_bytes_per_passage": round(size / passages),
        "payload_bytes_per_passage": round(len(raw) / passages),
        "zlib_level_1_leaves": round(len(zlib.compress(raw, 1)) / len(raw), 3),
        "zlib_level_6_leaves": round(len(zlib.compress(raw, 6)) / len(raw), 3),
        "keep": _rate(passages, keeping),
        "first_write": _rate(passages, writing),
        "rebuild": _rate(passages, again),
        "check": _rate(passages, checking),
        "differences": len(checking[0]),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _rows(dice: np.random.Generator, count: int) -> list[list[float]]:
    found: list[list[float]] = dice.standard_normal((count, DIM)).astype(np.float32).tolist()
    return found


def _listed(ledger: Ledger, catalog: SqlCatalog, made: list[list[Passage]]) -> None:
    for some in made:
        document = some[0].document
        claim = ledger.begin(
            tenant="mercy", collection="clinical", source_key=document, sha256="", run="r",
            document=document, generation="g1", display_name="letter",
        )  # fmt: skip
        ledger.commit_indexed(claim, chunks=len(some))
        catalog.put_document(
            DocumentEntry(
                document, "mercy", "clinical", "letter", "", access_class(LABELS), frozenset(),
                "g1", len(some), None, datetime.now(UTC),
            )
        )  # fmt: skip


def _write_again(archive: SealedArchive, index: EdgeIndex, made: list[list[Passage]]) -> None:
    weigher = Bm25Weigher()
    for some in made:
        kept = archive.read("mercy", some[0].document, "g1")
        if kept is None or kept.vectors is None:
            raise SystemExit("the archive lost a document")
        index.upsert(
            [
                Entry(replace(p, labels=LABELS), v.tolist(), weigher.weigh_document(p.chunk.text))
                for p, v in zip(kept.passages, kept.vectors, strict=True)
            ]
        )


def _rate(passages: int, measured: tuple[object, float, float]) -> dict[str, float]:
    _, wall, cpu = measured
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "per_cpu_second": round(passages / max(cpu, 1e-9)),
    }


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description="Rebuild an index from its archive.")
    parser.add_argument("--json", action="store_true", help="print JSON (always)")
    parser.add_argument("--documents", type=int, default=500)
    chosen = parser.parse_args()
    text = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
        print(json.dumps(measure(Path(folder), text.split(), chosen.documents)))


if __name__ == "__main__":
    main()
