"""Checks the page numbers of citations against questions whose evidence page is known.

    python -m bench.citation_pages --data DIR [--json]

DIR holds ``questions.jsonl`` in FinanceBench's form (each evidence names its document, its page
from 0 and its text) and ``pdfs/``. Each PDF goes through the confined parser and the chunker. Of
each evidence every run of eight words is looked up in the chunks: the page that a citation of the
chunk would name there must be one on which the evidence stands. Exit code 1 when one is not.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from bench._setting import machine
from ingest.chunk import chunk
from ingest.parse.sandbox import Limits, Sandbox

_WORD = re.compile(r"[^\W_]+")
# Shorter runs, such as a table's head, stand on many pages of one filing.
_RUN = 8


def pages_of_runs(sandbox: Sandbox, path: Path) -> dict[tuple[str, ...], set[int]]:
    """Return the pages on which each run of words begins, as the document's chunks name them."""
    parsed = sandbox.parse(path.read_bytes(), path.name)
    found: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for piece in chunk(parsed.text, guarded=[], headings=parsed.headings):
        inside = list(_WORD.finditer(parsed.text, piece.start, piece.end))
        for start in range(len(inside) - _RUN + 1):
            run = tuple(word[0].lower() for word in inside[start : start + _RUN])
            page = parsed.page_at(inside[start].start())
            if page is not None:
                found[run].add(page)
    return found


def page_named(evidence: str, runs: dict[tuple[str, ...], set[int]]) -> Counter[int]:
    """Return for each page how many of the evidence's runs of words stand there."""
    words = [word.lower() for word in _WORD.findall(evidence)]
    named: Counter[int] = Counter()
    for start in range(len(words) - _RUN + 1):
        named.update(runs.get(tuple(words[start : start + _RUN]), set()))
    return named


def main() -> None:
    """Check every evidence whose document is there."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    lines = (given.data / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    counts: Counter[str] = Counter()
    wrong: list[Any] = []
    known: dict[str, dict[tuple[str, ...], set[int]]] = {}
    with Sandbox(limits=Limits(max_bytes=200_000_000, timeout_s=120)) as sandbox:
        for evidence in (one for line in lines for one in json.loads(line)["evidence"]):
            name = evidence["doc"]
            path = given.data / "pdfs" / f"{name}.pdf"
            if not path.is_file():
                counts["without its document"] += 1
                continue
            if name not in known:
                known[name] = pages_of_runs(sandbox, path)
            named = page_named(evidence["text"], known[name])
            if not named:
                counts["not found by its words"] += 1
            elif named[evidence["page0"] + 1] == max(named.values()):
                counts["right"] += 1
            else:
                counts["wrong"] += 1
                wrong.append((name, evidence["page0"] + 1, named.most_common(3)))
    report = {"documents": len(known), **counts, "named wrongly": wrong}
    if given.json:
        print(json.dumps({"machine": machine(), **report}))
    else:
        print(report)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
