"""Gives every file of a folder to the sandboxed parsers and counts what becomes of each.

    python -m bench.parse_robustness [--data DIR] [--json] [--timeout 60] [--tokens MODEL_DIR]

DIR is the demo corpus unless given. No file may end in ``crashed`` without a reason found, and none
may hang: the exit code is 1 when parsing raised anything but the reasons of ``document.REASONS``.
``--tokens`` measures characters per token of a sentence-transformers model on the text that was
read, for the size of chunks.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench._setting import ROOT, machine
from ingest.chunk import chunk
from ingest.parse.document import REASONS, ParsedDocument
from ingest.parse.sandbox import Limits, Sandbox
from ragplatform.errors import ParseError

SLOW_S = 5.0


class Tally:
    """What happened to the files of one folder."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.pages = 0
        self.characters = 0
        self.seconds = 0.0

    def row(self) -> dict[str, Any]:
        """Return the numbers for a report."""
        return {
            "files": self.outcomes.total(),
            "outcomes": dict(self.outcomes.most_common()),
            "pages": self.pages,
            "characters": self.characters,
            "seconds": round(self.seconds, 2),
        }


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all plain files, in order."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def try_one(sandbox: Sandbox, path: Path) -> tuple[str, ParsedDocument | None]:
    """Return the outcome's word, and the document where there is one."""
    try:
        return "parsed", sandbox.parse(path.read_bytes(), path.name)
    except ParseError as error:
        return (error.reason if error.reason in REASONS else f"UNKNOWN {error.reason}"), None


def measure(folder: Path, *, timeout_s: float, tokens: str | None) -> dict[str, Any]:
    """Parse every file below the folder and return the report."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    notable: list[dict[str, Any]] = []
    counter = TokenCounter(tokens) if tokens else None
    named = machine()
    with Sandbox(limits=Limits(timeout_s=timeout_s)) as sandbox:
        isolation = str(sandbox.isolation)
        for path in files_below(folder):
            inside = path.relative_to(folder)
            tally = tallies[inside.parts[0] if len(inside.parts) > 1 else "."]
            begun = time.perf_counter()
            outcome, document = try_one(sandbox, path)
            seconds = time.perf_counter() - begun
            tally.outcomes[outcome] += 1
            tally.seconds += seconds
            if document is not None:
                tally.pages += len(document.pages)
                tally.characters += len(document.text)
                if counter:
                    counter.add(document)
            if outcome in {"crashed", "timeout", "resource_limit"} or seconds > SLOW_S:
                what = {"file": str(inside), "outcome": outcome, "seconds": round(seconds, 1)}
                notable.append(what)
    report: dict[str, Any] = {
        "machine": named,
        "isolation": isolation,
        "folders": {},
        "notable": notable,
    }
    report["folders"] = {name: tally.row() for name, tally in sorted(tallies.items())}
    report["total"] = total(tallies.values()).row()
    if counter:
        report["tokens"] = counter.summary()
    return report


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of the tallies."""
    whole = Tally()
    for tally in tallies:
        whole.outcomes += tally.outcomes
        whole.pages += tally.pages
        whole.characters += tally.characters
        whole.seconds += tally.seconds
    return whole


class TokenCounter:
    """Counts the tokens of the chunks that the text would become."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoTokenizer  # noqa: PLC0415  # only with --tokens

        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._counts: list[tuple[int, int]] = []

    def add(self, document: ParsedDocument) -> None:
        """Count about a hundred chunks from all over a document."""
        pieces = chunk(document.text, guarded=(), headings=document.headings)
        pieces = pieces[:: max(len(pieces) // 100, 1)]
        texts = [document.text[piece.start : piece.end] for piece in pieces]
        ids = self._tokenizer(texts, add_special_tokens=True, verbose=False)["input_ids"]
        self._counts += [(len(text), len(row)) for text, row in zip(texts, ids, strict=True)]

    def summary(self) -> dict[str, float]:
        """Return how tokens and characters relate, and how many chunks exceed 256 tokens."""
        tokens = sorted(count for _, count in self._counts)
        ratios = sorted(chars / count for chars, count in self._counts)
        size = len(tokens)
        return {
            "chunks": size,
            "tokens_p50": tokens[size // 2],
            "tokens_p95": tokens[size * 95 // 100],
            "over_256": round(sum(count > 256 for count in tokens) / size, 4),
            "chars_per_token_p05": round(ratios[size // 20], 2),
            "chars_per_token_p50": round(ratios[size // 2], 2),
        }


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    print(report["isolation"])
    folders = {**report["folders"], "total": report["total"]}
    for name, row in folders.items():
        rate = row["pages"] / row["seconds"] if row["seconds"] else 0
        outcomes = " ".join(f"{word}={count}" for word, count in row["outcomes"].items())
        print(f"{name:28} {row['files']:5} files {row['pages']:6} pages {rate:7.1f}/s  {outcomes}")
    for what in report["notable"]:
        print(f"  {what['outcome']:15} {what['seconds']:6} s  {what['file']}")
    if "tokens" in report:
        print(report["tokens"])


def main() -> int:
    """Run from the command line; 1 when a file ended without a known reason."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=ROOT / "demo" / "corpus")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--tokens")
    arguments = parser.parse_args()
    report = measure(arguments.data, timeout_s=arguments.timeout, tokens=arguments.tokens)
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)
    outcomes = report["total"]["outcomes"]
    return int(any(word.startswith("UNKNOWN") for word in outcomes))


if __name__ == "__main__":
    sys.exit(main())
