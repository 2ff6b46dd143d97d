"""Whether a stream is screened alike however it is cut: random texts with personal data, split.

    python -m bench.screen_splits [--splits 1000000] [--texts 2000] [--data DIR] [--seed 7] [--json]

Texts are the platform's own sentences with invented values planted at random places, also over the
ends of sentences, and, with DIR (``presidio_research``, ``kiji``), real sets' texts run together.
Each is cut many times at random, into pieces of one to 400 characters. The detector is the one that
a deployment has. It reads each window once: what it says of the same words again is remembered,
and windows that only one way of cutting has would be counted as ``windows_of_one_split``.

A leak is a value that is masked in the text redacted whole and stands in a stream. Beside it is
counted what the detector masks with the whole text before it and the screen, unit by unit, shows.
"""

import argparse
import json
import random
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench._setting import machine
from ragplatform.model import Span
from ragplatform.privacy import tokens
from ragplatform.privacy.consistency import Consistent
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.screen import Screen
from tests import real_detector

RULES = PrivacyRules.load(Path(__file__).resolve().parents[1] / "policies" / "privacy.toml")
KNOWN = {"[PERSON:abcdefghijklmnop]": "Maria Lopez", "[US_SSN:ponmlkjihgfedcba]": "078-05-1120"}
FIRST = "Maria John Anna Wei Fatima Olu Piotr Chantal Diego Aisha Tom Ingrid".split()
LAST = "Lopez Smith Müller Chen Haddad Okafor Nowak Dubois Garcia Khan O'Brien Berg".split()
PROSE = (
    "The patient was seen in the clinic and the plan was discussed with the family again. ",
    "Apixaban was stopped because of a gastric bleed. [1] ",
    "Net sales rose to $1,234 million in fiscal 2023, from $1,102 million the year before. [2] ",
    "See the notes of the ward",
    "No change.\n",
    "Is the valve tight? ",
    "Potassium was 6.2 mmol/L; it fell to 4.7 by the evening",
)
_SIZES = (3, 12, 40, 400)


def value(dice: random.Random) -> str:
    """Return one invented value of personal data in one of its usual forms."""
    name = f"{dice.choice(FIRST)} {dice.choice(LAST)}"
    digits = "".join(dice.choices("123456789", k=16))
    forms = (
        name,
        f"Dr. {name}",
        f"{name.split()[1]}, {name.split(maxsplit=1)[0]}",
        f"{digits[:3]}-{digits[3:5]}-{digits[5:9]}",
        f"({digits[:3]}) 555-{digits[3:7]}",
        f"{name.replace(' ', '.').lower()}@ward.example.org",
        f"MRN: {digits[:8]}",
        f"DOB {dice.randint(1, 12):02}/{dice.randint(1, 28):02}/19{digits[0]}{digits[1]}",
        f"{dice.randint(1, 999)} Main St., Apt 4, Springfield, IL 62704",
        f"account number {digits[:10]}",
        *KNOWN,
    )
    return dice.choice(forms)


def planted(dice: random.Random) -> str:
    """Return a text of some sentences with values in it, also where sentences end."""
    parts = []
    for _ in range(dice.randint(2, 9)):
        parts.append(dice.choice(PROSE))
        if dice.random() < 0.6:
            parts.append(dice.choice(("", " ", "by ", "for ", "\n")) + value(dice))
            parts.append(dice.choice((". ", " ", ", ", "\n", " [1] ", "")))
    return "".join(parts)


def real_texts(folder: Path, dice: random.Random) -> list[str]:
    """Return texts of the sets in the folder, some run together."""
    large = json.loads((folder / "presidio_research" / "generated_large.json").read_text("utf-8"))
    lines = (folder / "kiji" / "samples.jsonl").read_text("utf-8").splitlines()
    texts = [one["full_text"] for one in large]
    texts += [one.get("text") or one.get("full_text") or "" for one in map(json.loads, lines)]
    dice.shuffle(texts)
    return [" ".join(texts[at : at + 4])[:1500] for at in range(0, len(texts), 4)]


class Remembering:
    """The detector of a deployment, which reads the same window once."""

    def __init__(self) -> None:
        self._detector = Consistent(real_detector.detector())
        self._read: dict[str, list[Span]] = {}
        self.version = self._detector.version
        self.windows = 0

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return what the detector says of each text, said before or now."""
        for text in texts:
            if text not in self._read:
                (self._read[text],) = self._detector.detect([text])
                self.windows += 1
        return [self._read[text] for text in texts]

    def forget(self) -> None:
        """Keep nothing of the text before."""
        self._read.clear()


def lookup(wanted: Collection[str]) -> Mapping[str, str]:
    """Return the values of the pseudonyms that stand in planted texts."""
    return {token: KNOWN[token] for token in wanted if token in KNOWN}


def screen(detector: Remembering, reveals: frozenset[str]) -> Screen:
    """Return a fresh screen."""
    return Screen(detector=detector, rules=RULES, reveals=reveals, lookup=lookup)


def masked_values(detector: Remembering, text: str, reveals: frozenset[str]) -> set[str]:
    """Return what the detector would mask with the whole text before it."""
    (spans,) = detector.detect([tokens.blank(text)])
    acted = (s for s in spans if s.entity not in reveals and RULES.acts_on(s))
    return {text[s.start : s.end] for s in acted if s.end - s.start > 3}


def measure(texts: Sequence[str], splits: int, seed: int) -> dict[str, Any]:
    """Split each text many times; return the counts."""
    dice, detector = random.Random(seed), Remembering()
    counts = dict.fromkeys(
        ("splits", "pieces", "unequal", "leaks", "windows_of_one_split", "values", "shown_values"),
        0,
    )
    each = -(-splits // len(texts))
    for text in texts:
        reveals = frozenset(dice.choice(((), (), ("PERSON",), ("US_SSN", "DATE_TIME"))))
        whole = screen(detector, reveals).redact(text)
        known, gone = detector.windows, {
            text[at:end] for at, end in _gone(text, whole) if end - at > 3
        }  # fmt: skip
        for _ in range(each):
            one, size = screen(detector, reveals), dice.choice(_SIZES)
            cuts = {0, len(text), *_cuts(dice, len(text), size)}
            pieces = [text[a:b] for a, b in pairwise(sorted(cuts))]
            streamed = "".join([*map(one.feed, pieces), one.finish()])
            counts["splits"] += 1
            counts["pieces"] += len(pieces)
            counts["unequal"] += streamed != whole
            counts["leaks"] += any(v in streamed and v not in whole for v in gone)
        counts["windows_of_one_split"] += detector.windows - known
        values = masked_values(detector, text, reveals)
        counts["values"] += len(values)
        counts["shown_values"] += sum(v in whole for v in values)
        detector.forget()
    return counts


def _cuts(dice: random.Random, length: int, size: int) -> list[int]:
    found, at = [], 0
    while at < length:
        at += dice.randint(1, size)
        found.append(min(at, length))
    return found


def _gone(text: str, whole: str) -> list[tuple[int, int]]:
    """Return the runs of words of the text that the redacted one has no more."""
    runs, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        if word not in whole:
            runs.append((start, at))
    return runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=20_000)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--data", type=Path, help="folder that holds presidio_research and kiji")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    texts = real_texts(arguments.data, dice)[: arguments.texts // 2] if arguments.data else []
    texts += [planted(dice) for _ in range(arguments.texts - len(texts))]
    began = time.process_time()
    counts = measure(texts, arguments.splits, arguments.seed)
    result = {"machine": machine(), "texts": len(texts), **counts}
    result["cpu_s"] = round(time.process_time() - began, 1)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, number in result.items():
        print(f"{name:<24}{number}")


if __name__ == "__main__":
    main()
