"""Gives every file of a folder to the sandboxed parsers and counts what becomes of each.

    python -m bench.parse_robustness [--data DIR] [--json] [--timeout 60] [--tokens MODEL_DIR]
        [--by folder|format] [--mutate N] [--seed S] [--only .xlsx,.eml]

DIR is the demo corpus unless given. No file may end in ``crashed`` without a reason found, and none
may hang: the exit code is 1 when parsing raised anything but the reasons of ``document.REASONS``.
``--tokens`` measures characters per token of a sentence-transformers model on the text that was
read, for the size of chunks. Archives and mails are opened, and what lies in them is counted with
them. With ``--mutate`` N damaged copies of the files (flipped bits, cut or doubled runs) are given
instead of the files themselves; ``--seed`` makes the same ones again.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench._setting import ROOT, machine
from ingest.chunk import chunk
from ingest.members import Budget, Members
from ingest.parse.document import REASONS, ParsedDocument
from ingest.parse.sandbox import Limits, Sandbox
from ingest.sources import GivenLabels, SourceFile
from ragplatform.errors import QuarantinedError

SLOW_S = 5.0
# Damage to larger files mostly falls where nothing is read.
MUTATED_BYTES = 300_000


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


def try_one(
    sandbox: Sandbox, data: bytes, name: str
) -> Iterator[tuple[str, ParsedDocument | None]]:
    """Yield the outcome's word, and the document where there is one, of a file and all inside."""
    source = SourceFile(Path(name), name, GivenLabels(), data)
    yield from _try(sandbox, Members(parser=sandbox), source, Budget())


def _try(
    sandbox: Sandbox, members: Members, source: SourceFile, budget: Budget
) -> Iterator[tuple[str, ParsedDocument | None]]:
    if source.refused:
        yield source.refused, None
        return
    data = source.content or b""
    try:
        inside = members.contents(source, data, budget)
        if inside.is_document:
            yield "parsed", sandbox.parse(data, source.path.name)
        else:
            yield "unpacked", None
    except QuarantinedError as error:
        yield (error.reason if error.reason in REASONS else f"UNKNOWN {error.reason}"), None
        return
    for inner in inside.sources:
        budget.depth -= inside.nests
        yield from _try(sandbox, members, inner, budget)
        budget.depth += inside.nests


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one kind of damage at a few random places."""
    damaged = bytearray(data)
    if not damaged:
        return b""
    kind = chance.choice(("flip", "flip", "byte", "cut", "drop", "double"))
    if kind == "cut":
        return bytes(damaged[: chance.randrange(len(damaged))])
    for _ in range(chance.choice((1, 2, 8, 64))):
        place = chance.randrange(len(damaged))
        if kind == "flip":
            damaged[place] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            damaged[place] = chance.choice((0, 0xFF, 0x7F, chance.randrange(256)))
        elif kind == "drop" and len(damaged) > 64:
            del damaged[place : place + chance.randrange(1, 64)]
        else:
            damaged[place:place] = damaged[place : place + chance.randrange(1, 64)]
    return bytes(damaged)


def chosen(
    folder: Path, *, only: frozenset[str], mutations: int, seed: int
) -> Iterator[tuple[Path, bytes]]:
    """Yield the files to try with their bytes, as they are or damaged."""
    files = [path for path in files_below(folder) if not only or path.suffix.lower() in only]
    if not mutations:
        yield from ((path, path.read_bytes()) for path in files)
        return
    chance = random.Random(seed)
    small = [path for path in files if path.stat().st_size < MUTATED_BYTES]
    for _ in range(mutations if small else 0):
        path = chance.choice(small)
        yield path, mutated(path.read_bytes(), chance)


def measure(
    folder: Path,
    *,
    timeout_s: float,
    tokens: str | None = None,
    by: str = "folder",
    files: Iterable[tuple[Path, bytes]] = (),
) -> dict[str, Any]:
    """Parse the files, which lie below the folder, and return the report."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    notable: list[dict[str, Any]] = []
    counter = TokenCounter(tokens) if tokens else None
    named = machine()
    with Sandbox(limits=Limits(timeout_s=timeout_s)) as sandbox:
        isolation = str(sandbox.isolation)
        for path, data in files:
            inside = path.relative_to(folder)
            tally = tallies[group(inside, by)]
            begun = time.perf_counter()
            for outcome, document in try_one(sandbox, data, path.name):
                seconds = time.perf_counter() - begun
                begun = time.perf_counter()
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


def group(inside: Path, by: str) -> str:
    """Return the name under which a file is counted."""
    if by == "format":
        return inside.suffix.lower() or "none"
    return inside.parts[0] if len(inside.parts) > 1 else "."


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
    parser.add_argument("--by", choices=("folder", "format"), default="folder")
    parser.add_argument("--mutate", type=int, default=0)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    only = frozenset(filter(None, arguments.only.lower().split(",")))
    report = measure(
        arguments.data,
        timeout_s=arguments.timeout,
        tokens=arguments.tokens,
        by=arguments.by,
        files=chosen(arguments.data, only=only, mutations=arguments.mutate, seed=arguments.seed),
    )
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)
    outcomes = report["total"]["outcomes"]
    return int(any(word.startswith("UNKNOWN") for word in outcomes))


if __name__ == "__main__":
    sys.exit(main())
