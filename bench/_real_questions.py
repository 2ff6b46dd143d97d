"""Real questions on real texts, from data sets that are no part of the product.

A folder with ``squad2_dev``, ``pubmedqa``, ``medquad`` and ``financebench`` in it. Of each but the
last, which nothing was tuned on, only the half is taken that no threshold has seen: documents whose
key's SHA-256 is odd.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Question = dict[str, Any]
_ASKED_BY = {"persona": "dr-lee", "purpose": "TREAT", "tenant": "mercy"}
# Guidance, which everybody in the clinic may read: who may read what is measured elsewhere.
_LABELS = '[[rule]]\nmatch = "*"\nsensitivity = "public"\ndepartment = "administration"\n'
_LONGEST = 6000


def held_out(key: str) -> bool:
    """Return whether what has this key was kept out of all tuning."""
    return hashlib.sha256(key.encode()).digest()[-1] % 2 == 1


def write(data: Path, folder: Path, of_each: int) -> list[Question]:
    """Write the documents into the folder, ready for ingest; return the questions on them.

    ``of_each`` questions of each set that have an answer, and twice as many of SQuAD 2 that have
    none; as many more documents that are about something else. Of PubMedQA and MedQuAD half as many
    are asked whose documents are left out, and nothing else on their subject is in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.toml").write_text(_LABELS, encoding="utf-8")
    asked: list[Question] = []
    for make in (_squad, _pubmed, _medquad, _financebench):
        for name, text, questions in make(data, of_each):
            if text:
                (folder / f"{name}.txt").write_text(text, encoding="utf-8")
            asked += [{**_ASKED_BY, "file": f"mercy/{name}.txt", **one} for one in questions]
    return asked


# A document's name, its text, or "" where it is left out, and the questions on it.
Made = Iterator[tuple[str, str, list[Question]]]


def _squad(data: Path, number: int) -> Made:
    folder = data / "squad2_dev"
    with gzip.open(folder / "paragraphs.jsonl.gz", "rt", encoding="utf-8") as lines:
        paragraphs = {one["_id"]: one for one in map(json.loads, lines)}
    asked = _lines(folder / "questions.jsonl", lambda one: one["para"].split("#")[0])
    known = [one for one in asked if not one["impossible"]][:number]
    unknown = [one for one in asked if one["impossible"]][: 2 * number]
    questions: dict[str, list[Question]] = {}
    for one in known:
        answers = sorted({answer["text"] for answer in one["answers"]})
        questions.setdefault(one["para"], []).append(
            _question("squad", one["id"], one["question"], "answerable", answers)
        )
    for one in unknown:
        questions.setdefault(one["para"], []).append(
            _question("squad", one["id"], one["question"], "unanswerable", None)
        )
    for key, some in questions.items():
        name = "squad-" + "".join(char if char.isalnum() else "-" for char in key)
        yield name, paragraphs[key]["text"], some


def _pubmed(data: Path, number: int) -> Made:
    rows = _lines(data / "pubmedqa" / "pqal.jsonl", lambda one: one["pmid"])
    for at, one in enumerate(rows[: 2 * number]):
        text = "\n".join([*one["contexts"], one["long_answer"]])
        asked = _question("pubmed", one["pmid"], one["question"], "answerable", [])
        yield f"pubmed-{one['pmid']}", text, [asked] if at < number else []
    for one in rows[2 * number :][: number // 2]:
        asked = _question("pubmed", one["pmid"], one["question"], "unanswerable", None)
        yield f"pubmed-{one['pmid']}", "", [asked]


def _medquad(data: Path, number: int) -> Made:
    with gzip.open(data / "medquad" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [one for one in map(json.loads, lines) if held_out(one["focus"])]
    rows = [one for one in rows if 200 < len(one["answer"]) < _LONGEST]
    random.Random(5).shuffle(rows)
    for at, one in enumerate(rows[: 2 * number]):
        # A page of such a site bears its subject as title, and its answer seldom repeats it.
        text = f"{one['focus']}\n\n" + " ".join(one["answer"].split())
        asked = _question("medquad", one["id"], one["question"], "answerable", [])
        yield f"medquad-{at:04d}", text, [asked] if at < number else []
    there = {one["focus"].casefold() for one in rows[: 2 * number]}
    others = [one for one in rows[2 * number :] if one["focus"].casefold() not in there]
    for at, one in enumerate(others[: number // 2]):
        asked = _question("medquad", one["id"], one["question"], "unanswerable", None)
        yield f"medquad-none-{at:04d}", "", [asked]


def _financebench(data: Path, number: int) -> Made:
    rows = _lines(data / "financebench" / "questions.jsonl", lambda one: one["id"], every=True)
    for one in rows[:number]:
        pages = [page["text"] for page in one["evidence"]]
        asked = _question("finance", one["id"], one["question"], "answerable", [])
        name = f"finance-{one['doc']}-{one['id'].rsplit('_', 1)[-1]}"
        yield name, f"{one['doc'].replace('_', ' ')}\n\n" + "\n\n".join(pages), [asked]


def _lines(path: Path, key: Any, *, every: bool = False) -> list[Question]:
    with path.open(encoding="utf-8") as lines:
        rows = [one for one in map(json.loads, lines) if every or held_out(key(one))]
    random.Random(5).shuffle(rows)
    return rows


def _question(source: str, key: str, text: str, kind: str, answers: list[str] | None) -> Question:
    return {
        "id": f"{source}-{key}",
        "set": source,
        "question": text,
        "kind": kind,
        "evidence": None,
        "answers": answers,
    }
