"""How many false sentences the support check lets through, how many true ones it drops, how long.

    python -m bench.support [--real DIR] [--most 400] [--seed 1] [--json]

The sentences are those of the demo's documents, or with ``--real`` of SQuAD 2's paragraphs in that
folder. Each is put before the check as it is and in other true forms: without its last clause, its
figures in another spelling. Then it is made false in one way at a time: another number, unit, date,
scale or name, a "not" put in or taken out, a direction turned round, its end taken from another
sentence of the passage. The evidence is the passage that it stands in. A sentence that a change
leaves as it was, or that the passage holds elsewhere too, does not count.
"""

import argparse
import gzip
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from bench._setting import machine, percentile
from ragplatform.answer import sentences, support

ROOT = Path(__file__).resolve().parent.parent
_SHORTEST, _LONGEST, _PER_PASSAGE = 40, 300, 10
_MONTHS = "January February March April June July August September October November".split()
_NAMES = ("Abigail", "Thornbury", "Castellani", "Ravensworth", "Quillon")
_TURNS = {
    "increased": "decreased", "rose": "fell", "higher": "lower", "above": "below", "more": "less",
    "before": "after", "started": "stopped", "left": "right", "positive": "negative",
    "approved": "declined", "up": "down", "first": "last", "largest": "smallest", "most": "least",
}  # fmt: skip
_TURNED = {**_TURNS, **{other: one for one, other in _TURNS.items()}}
_AUXILIARY = re.compile(r"\b(is|was|are|were|has|have|had|can|may|must|should|will|would)\b")
Change = Callable[[str, random.Random, list[str]], str]


def number(text: str, chance: random.Random, _: list[str]) -> str:
    """Return the text with one digit of one number changed."""
    found = list(re.finditer(r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d", text))
    if not found:
        return text
    one = chance.choice(found)
    at = chance.choice([n for n in range(one.start(), one.end()) if text[n].isdigit()])
    other = str((int(text[at]) + chance.randint(1, 8)) % 9 + 1)
    return text[:at] + other + text[at + 1 :]


def unit(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text with a unit changed."""
    for one, other in (("mmol/L", "mg/dL"), (" mg", " g"), (" %", " kg"), (" kg", " lb"),
                       (" percent", " points"), ("$", "€"), (" days", " weeks"),
                       (" hours", " minutes"), (" years", " months"), (" mm", " cm")):  # fmt: skip
        held = re.escape(one)
        changed = re.sub(rf"(?<=\d){held}(?!\w)|(?<=\s){held}(?=\d)", other, text)
        if changed != text:
            return changed
    return text


def date(text: str, chance: random.Random, _: list[str]) -> str:
    """Return the text with a month changed."""
    found = re.search(rf"\b({'|'.join(_MONTHS)})\b", text)
    if not found:
        return text
    other = chance.choice([month for month in _MONTHS if month != found[1]])
    return text[: found.start()] + other + text[found.end() :]


def scale(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text with millions for billions and the other way round."""
    turned = {"million": "billion", "billion": "million", "thousand": "million"}
    return re.sub(r"\b(million|billion|thousand)\b", lambda m: turned[m[1]], text, count=1)


def name(text: str, chance: random.Random, _: list[str]) -> str:
    """Return the text with a name changed."""
    found = list(re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{3,}", text))
    if not found:
        return text
    one = chance.choice(found)
    return text[: one.start()] + chance.choice(_NAMES) + text[one.end() :]


def negation(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text with a "not" taken out, or one put in."""
    without = re.sub(r"\b(not|never) ", "", text, count=1)
    return without if without != text else _AUXILIARY.sub(r"\1 not", text, count=1)


def direction(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text with one word turned into its opposite."""
    words = "|".join(sorted(_TURNED, key=len, reverse=True))
    return re.sub(rf"\b({words})\b", lambda m: _TURNED[m[1]], text, count=1)


def mixture(text: str, chance: random.Random, others: list[str]) -> str:
    """Return the beginning of the text with the end of another sentence."""
    words, end = text.split(), chance.choice(others or [""]).split()
    if len(words) < 8 or len(end) < 8:
        return text
    return " ".join([*words[: len(words) // 2], *end[len(end) // 2 :]])


def as_it_is(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text."""
    return text


def shorter(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text without its last clause."""
    head, _comma, tail = text.rpartition(", ")
    return f"{head}." if len(head) > _SHORTEST and tail and head.count('"') % 2 == 0 else ""


def respelt(text: str, _: random.Random, __: list[str]) -> str:
    """Return the text with a figure in another spelling, "" where there is none."""
    for pattern, form in (
        (r"(?<=\d) %", " percent"),
        (r"\b(\d{1,3}),000,000\b", r"\1 million"),
        (r"\b(January|February|March) (\d{1,2}), (\d{4})", r"\2 \1 \3"),
        (r"\b(\d),(\d{3})\b", r"\1\2"),
        (r"\btwo weeks\b", "14 days"),
    ):
        if (changed := re.sub(pattern, form, text)) != text:
            return changed
    return ""


TRUE: dict[str, Change] = {"as it is": as_it_is, "shorter": shorter, "respelt": respelt}
FALSE: dict[str, Change] = {
    "number": number, "unit": unit, "date": date, "scale": scale, "name": name,
    "negation": negation, "direction": direction, "mixture": mixture,
}  # fmt: skip


def passages(real: Path | None) -> Iterator[list[str]]:
    """Yield passages as their sentences."""
    if real is not None:
        with gzip.open(real / "squad2_dev" / "paragraphs.jsonl.gz", "rt", encoding="utf-8") as rows:
            texts = [json.loads(row)["text"] for row in rows]
    else:
        texts = [path.read_text("utf-8") for path in sorted(ROOT.glob("demo/source/*/**/*.md"))]
    for text in texts:
        body = re.sub(r"\A\+\+\+.*?\n\+\+\+\n", "", text, flags=re.S).replace("**", "")
        whole = [body[start:end] for start, end in sentences.split(body)]
        for at in range(0, len(whole), _PER_PASSAGE):
            yield whole[at : at + _PER_PASSAGE]


def measure(real: Path | None, most: int, seed: int) -> dict[str, object]:
    """Put sentences before the check and return what it made of them."""
    chance = random.Random(seed)
    pool = [
        (text, passage)
        for passage in passages(real)
        for text in passage
        if _SHORTEST <= len(text) <= _LONGEST and text.endswith(".") and text[0].isupper()
    ]
    chance.shuffle(pool)
    kept: dict[str, list[bool]] = defaultdict(list)
    took: list[float] = []
    slipped: list[tuple[str, str, str]] = []
    for text, passage in pool[:most]:
        others = [one for one in passage if one != text]
        for kinds, true in ((TRUE, True), (FALSE, False)):
            for kind, change in kinds.items():
                claim = change(text, chance, others)
                if not claim or (not true and (claim == text or claim in passage)):
                    continue
                evidence = support.Evidence(passage)
                began = time.process_time()
                verdict = support.check(claim, evidence)
                took.append(time.process_time() - began)
                kept[kind].append(verdict.supported)
                if verdict.supported is not true:
                    slipped.append((kind, verdict.failed or "", claim))
    return {
        "machine": machine(),
        "sentences": min(most, len(pool)),
        "true_kept": {kind: _share(kept[kind], wanted=True) for kind in TRUE},
        "false_caught": {kind: _share(kept[kind], wanted=False) for kind in FALSE},
        "cpu_ms_p50": round(1000 * percentile(took, 50), 3),
        "cpu_ms_p99": round(1000 * percentile(took, 99), 3),
        "wrong": slipped,
    }


def _share(kept: list[bool], *, wanted: bool) -> dict[str, float]:
    count = sum(one is wanted for one in kept)
    return {"of": len(kept), "share": round(count / len(kept), 3) if kept else 0.0}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="folder of data sets")
    parser.add_argument("--most", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = measure(given.real, given.most, given.seed)
    if given.json:
        print(json.dumps(result))
        return
    for name_, value in result.items():
        if name_ != "wrong":
            print(name_, value)


if __name__ == "__main__":
    main()
