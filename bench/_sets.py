"""Public sets of questions whose right documents are known, read from a folder as they came."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Judged:
    """Documents as id, title and text; questions by id; each question's grades by document."""

    documents: list[tuple[str, str, str]]
    questions: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]

    @property
    def asked(self) -> list[str]:
        """The questions that have a right document."""
        return [one for one in self.questions if any(self.grades.get(one, {}).values())]


def scifact(folder: Path) -> Judged:
    """Read SciFact in BEIR's form: claims, and the abstracts that speak of them."""
    documents = [(str(one["_id"]), one["title"], one["text"]) for one in _lines(folder, "corpus")]
    questions = {str(one["_id"]): one["text"] for one in _lines(folder, "queries")}
    return Judged(documents, questions, _grades(folder / "qrels" / "test.tsv"))


def liveqa(folder: Path) -> Judged:
    """Read LiveQA-Med: consumers' questions as summarised, answers graded by people."""
    documents = [(one["_id"], one["title"], one["text"]) for one in _lines(folder, "corpus")]
    questions = {str(one["id"]): one["summary"] for one in _lines(folder, "queries")}
    return Judged(documents, questions, _grades(folder / "qrels.tsv"))


def pubmedqa(folder: Path) -> Judged:
    """Read PubMedQA: each question's one right document is the abstract that it was made from."""
    rows = list(_lines(folder, "pqal"))
    documents = [(one["pmid"], "", "\n\n".join(_sections(one))) for one in rows]
    questions = {one["pmid"]: one["question"] for one in rows}
    return Judged(documents, questions, {name: {name: 1} for name in questions})


SETS: Mapping[str, tuple[str, Callable[[Path], Judged]]] = {
    "scifact": ("scifact", scifact),
    "liveqa": ("medquad/liveqa_med", liveqa),
    "pubmedqa": ("pubmedqa", pubmedqa),
}


def _sections(row: Mapping[str, Any]) -> Iterator[str]:
    for label, text in zip(row["labels"], row["contexts"], strict=True):
        yield f"{label}\n{text}"


def _lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    packed = folder / f"{name}.jsonl.gz"
    if packed.is_file():
        with gzip.open(packed, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)
    else:
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _grades(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        found[question][document] = int(grade)
    return dict(found)
