"""How often direct identifiers are found where there are few: health answers, annual reports.

    python -m bench.privacy_noise --data DIR [--characters 1500000] [--only FINDER]
                                  [--samples N] [--json]

DIR holds ``medquad`` and ``sec_edgar``. Counted are findings of direct identifier types per 1,000
words. Every finding counts, though annual reports name their officers and print telephone numbers:
``--samples`` shows some of each type, so that true ones can be told apart.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench._setting import machine
from bench.privacy.examples import Example
from bench.privacy.finders import ANY_FINDER, Finder, chosen
from bench.privacy.prose import SOURCES, upto
from bench.privacy.scores import Finding, shown

TEXTS = ("medquad", "sec")
# What points at nobody by itself. Dates, places, ages, professions and groups are
# quasi-identifiers, and so are durations, years, sums and counts; organisations and the addresses
# of web pages are public facts in these texts; a postcode needs a street.
NOT_DIRECT = frozenset(
    "DATE_TIME LOCATION ORGANIZATION NRP AGE OCCUPATION URL ZIP_CODE DOMAIN_NAME "
    "TIME_REFERENCE QUASI_IDENTIFIER".split()
)
_SEED = 7


def measure(texts: Sequence[str], find: Finder) -> tuple[dict[str, list[tuple[str, Finding]]], int]:
    """Return the findings of direct types, by type, with their texts; and the number of words."""
    found = defaultdict(list)
    for text, findings in zip(texts, find(texts), strict=True):
        for finding in findings:
            if finding[2] not in NOT_DIRECT:
                found[finding[2]].append((text, finding))
    return found, sum(len(re.findall(r"\S+", text)) for text in texts)


def samples(found: dict[str, list[tuple[str, Finding]]], count: int) -> Iterator[str]:
    """Yield up to so many findings of each type with the words around them."""
    for kind, places in sorted(found.items()):
        yield f"-- {kind}: {len(places)}"
        for text, finding in random.Random(_SEED).sample(places, min(count, len(places))):
            yield from shown(Example(text, ()), finding)


def main() -> int:
    """Measure and print; return the exit code.

    The data is not ours to keep here: without a folder nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds medquad and sec_edgar")
    parser.add_argument("--characters", type=int, default=1_500_000, help="of each set")
    parser.add_argument("--only", choices=sorted(ANY_FINDER), help="run one side alone, for tuning")
    parser.add_argument("--samples", type=int, default=0, help="show N findings of each type")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.data is None:
        reason = "give --data, a folder that holds medquad and sec_edgar"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    finders = chosen(options.only)
    rows = []
    for name in TEXTS:
        texts = upto(SOURCES[name](options.data), options.characters)
        for side, find in finders.items():
            found, words = measure(texts, find)
            total = sum(map(len, found.values()))
            by_type = {kind: round(1000 * len(f) / words, 3) for kind, f in sorted(found.items())}
            rows.append(
                {
                    "texts": name,
                    "finder": side,
                    "words": words,
                    "per_1000_words": round(1000 * total / words, 3),
                    "by_type": by_type,
                }
            )
            if not options.json:
                print(f"\n== {name}, {side}: {1000 * total / words:.3f} per 1,000 of {words} words")
                print(", ".join(f"{kind} {rate}" for kind, rate in by_type.items()))
                print("\n".join(samples(found, options.samples)), flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "figures": rows}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
