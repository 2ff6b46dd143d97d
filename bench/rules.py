"""How fast the rule tier reads, beside Presidio's predefined pattern recognisers, in one run.

    python -m bench.rules [--data DIR] [--kilobytes N] [--rounds N] [--json]

DIR holds ``medquad/corpus.jsonl.gz`` (answers on health) and the archive of annual reports
``sec_edgar/EXTRACTED_FILINGS_10-K.zip``. Without it the demo corpus is read. Both read the same
texts, cut into pieces of 5,000 characters, in turns; the figure is the median of the rounds, in
megabytes of UTF-8 a second of one thread's processor.
"""

import argparse
import gzip
import json
import os
import statistics
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Presidio's e-mail recogniser fetches the public suffix list unless this is set, empty, before.
os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""

from presidio_analyzer import EntityRecognizer, RecognizerRegistry

from bench._setting import ROOT, machine
from ragplatform.adapters.rules.tier import RuleTier

_PIECE = 5000


@dataclass(frozen=True)
class Figures:
    """What both did on one kind of text; speeds in MB of UTF-8 a second of one core."""

    text: str
    megabytes: float
    rules_mb_s: float
    presidio_mb_s: float
    rules_findings: int
    presidio_findings: int

    @property
    def times(self) -> float:
        """How many times as fast the rules are."""
        return self.rules_mb_s / self.presidio_mb_s


def pieces(texts: Sequence[str], characters: int) -> list[str]:
    """Return so many characters of the texts, in pieces."""
    whole = "\n".join(texts)[:characters]
    return [whole[at : at + _PIECE] for at in range(0, len(whole), _PIECE)]


def health(data: Path, characters: int) -> list[str]:
    """Return answers to questions on health."""
    found: list[str] = []
    with gzip.open(data / "medquad" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            found.append(str(json.loads(line).get("answer") or ""))
            if sum(map(len, found)) > characters:
                break
    return pieces(found, characters)


def filings(data: Path, characters: int) -> list[str]:
    """Return the items of annual reports."""
    found: list[str] = []
    with zipfile.ZipFile(data / "sec_edgar" / "EXTRACTED_FILINGS_10-K.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".json"):
                items = json.loads(archive.read(name))
                found += [item for item in items.values() if isinstance(item, str)]
            if sum(map(len, found)) > characters:
                break
    return pieces(found, characters)


def demo(characters: int) -> list[str]:
    """Return the plain texts of the demo corpus, repeated to the length."""
    files = sorted((ROOT / "demo" / "corpus").rglob("*"))
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix in {".txt", ".md"}]
    return pieces(texts * (1 + characters // max(1, sum(map(len, texts)))), characters)


def predefined() -> Callable[[str], int]:
    """Return Presidio's predefined recognisers that need no model, as one search of a text."""
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers()
    listed: list[EntityRecognizer] = [
        one for one in registry.recognizers if one.name != "SpacyRecognizer"
    ]

    def search(text: str) -> int:
        return sum(len(one.analyze(text, one.supported_entities, None) or ()) for one in listed)

    return search


def megabytes_a_second(search: Callable[[str], int], texts: Sequence[str]) -> tuple[float, int]:
    """Return the speed of one reading of the texts, and how much was found."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    began = time.thread_time()
    found = sum(search(text) for text in texts)
    return size / (time.thread_time() - began), found


def measure(name: str, texts: Sequence[str], rounds: int) -> Figures:
    """Let both read the texts in turns."""
    tier, slow = RuleTier(), predefined()
    # The slower reads a tenth: its speed is the same, and the whole would take minutes.
    few = texts[: max(1, len(texts) // 10)]
    tier.find(texts[0])
    slow(texts[0])
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(megabytes_a_second(lambda text: len(tier.find(text)), texts))
        theirs.append(megabytes_a_second(slow, few))
    return Figures(
        name,
        sum(len(text.encode()) for text in texts) / 1e6,
        statistics.median(speed for speed, _ in ours),
        statistics.median(speed for speed, _ in theirs),
        ours[0][1],
        theirs[0][1],
    )


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds medquad and sec_edgar")
    parser.add_argument("--kilobytes", type=int, default=1000, help="of each kind of text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    characters = options.kilobytes * 1000
    if options.data:
        read = {
            "health answers": health(options.data, characters),
            "filings": filings(options.data, characters),
        }
    else:
        read = {"demo corpus": demo(characters)}
    figures = [measure(name, texts, options.rounds) for name, texts in read.items()]
    if options.json:
        rows = [asdict(one) | {"times": one.times} for one in figures]
        print(json.dumps({"machine": machine(), "figures": rows}, indent=2))
        return 0
    print(f"{machine()['processor']}, load {machine()['load_average']}\n")
    print(f"{'':<16}{'MB':>6}{'rules MB/s':>12}{'Presidio MB/s':>15}{'times':>8}")
    for one in figures:
        print(
            f"{one.text:<16}{one.megabytes:>6.1f}{one.rules_mb_s:>12.2f}{one.presidio_mb_s:>15.3f}"
            f"{one.times:>8.0f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
