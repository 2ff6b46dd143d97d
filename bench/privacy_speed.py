"""How fast personal data is found, beside Presidio's default, on the same texts in the same run.

    python -m bench.privacy_speed --data DIR [--characters 300000] [--rounds 5] [--largest 10000000]
                                  [--json]

DIR holds ``sec_edgar``, ``medquad``, ``mtsamples`` and ``pii``. Both sides are warmed up and take
turns over each set of texts; a side's figure is the median of its rounds, and the ratio the median
of the rounds' own ratios, so that a neighbour's load falls on both. Characters per CPU second
count all threads and processes; per second of the clock, what the machine gave. Memory is the peak
of a fresh process that searched all sets. The cost over lengths is that of one text of reports.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench._setting import machine
from bench.privacy.clock import cpu_seconds, peak_memory_mb
from bench.privacy.finders import ANY_FINDER, FINDERS, Finder, rules_alone
from bench.privacy.prose import SOURCES, upto

PLATFORM, PEER = "ragplatform", "presidio_default"
_SMALLEST = 1_000
# Small texts are searched again and again, or the clock's grain would be what is measured.
_LEAST_CHARACTERS = 200_000


def timed(find: Finder, texts: Sequence[str]) -> tuple[float, float]:
    """Return the CPU seconds and the seconds of one search."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    find(texts)
    return cpu_seconds() - cpu, time.perf_counter() - wall


def in_turns(finders: Mapping[str, Finder], texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return characters per second of each side, and by how much the platform is faster."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in finders}
    order = list(finders)
    for _ in range(rounds):
        for name in order:
            spent[name].append(timed(finders[name], texts))
        order.reverse()
    size = sum(map(len, texts))
    result: dict[str, Any] = {"texts": len(texts), "characters": size}
    for name, rows in spent.items():
        result[name] = {
            "characters_per_cpu_s": round(size / statistics.median(cpu for cpu, _ in rows)),
            "characters_per_s": round(size / statistics.median(wall for _, wall in rows)),
        }
    if set(finders) >= {PLATFORM, PEER}:
        pairs = list(zip(spent[PEER], spent[PLATFORM], strict=True))
        result["ratio_cpu"] = round(statistics.median(p[0] / q[0] for p, q in pairs), 2)
        result["ratio_wall"] = round(statistics.median(p[1] / q[1] for p, q in pairs), 2)
    return result


def over_lengths(find: Finder, text: str, largest: int) -> dict[str, Any]:
    """Return the CPU seconds of one text by its length, and the exponent that fits them."""
    rows, size = [], _SMALLEST
    while size <= min(largest, len(text)):
        repeats = max(1, _LEAST_CHARACTERS // size)
        starts = range(0, repeats * size, size)
        began = cpu_seconds()
        for start in starts:
            find([text[start : start + size]])
        rows.append((size, (cpu_seconds() - began) / repeats))
        size *= 10
    lengths, seconds = zip(*rows, strict=True)
    exponent = float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0]) if len(rows) > 1 else None
    return {
        "cpu_s": {str(length): round(spent, 4) for length, spent in rows},
        "characters_per_cpu_s": {str(length): round(length / spent) for length, spent in rows},
        "exponent": exponent and round(exponent, 3),
    }


def peak(name: str, texts: Sequence[str]) -> float:
    """Return the peak memory of a fresh process that makes this finder and searches the texts."""
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1) as pool:
        return round(pool.apply(_searched, (name, list(texts))), 1)


def _searched(name: str, texts: list[str]) -> float:
    ANY_FINDER[name]()(texts)
    return peak_memory_mb()


def measure(data: Path, characters: int, rounds: int, largest: int) -> dict[str, Any]:
    """Return all figures."""
    finders = {name: make() for name, make in FINDERS.items()}
    sets = {name: upto(read(data), characters) for name, read in SOURCES.items()}
    for find in finders.values():
        find([text for texts in sets.values() for text in texts[:5]])
    speed = {name: in_turns(finders, texts, rounds) for name, texts in sets.items()}
    everything = [text for texts in sets.values() for text in texts]
    long = "\n".join(upto(SOURCES["sec"](data), largest))
    long *= -(-largest // len(long))
    rules = rules_alone()
    rules(everything)
    return {
        "speed": speed,
        "rules_alone": {name: in_turns({"rules": rules}, t, rounds) for name, t in sets.items()},
        "peak_memory_mb": {name: peak(name, everything) for name in finders},
        "over_lengths": {
            PLATFORM: over_lengths(finders[PLATFORM], long, largest),
            "rules_alone": over_lengths(rules, long, largest),
        },
    }


def main() -> int:
    """Measure and print; return the exit code.

    The data is not ours to keep here: without a folder nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds the sets")
    parser.add_argument("--characters", type=int, default=300_000, help="of each set")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=10_000_000, help="longest single text")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    if options.data is None:
        reason = "give --data, a folder that holds sec_edgar, medquad, mtsamples and pii"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    named = machine()
    figures = measure(options.data, options.characters, options.rounds, options.largest)
    print(json.dumps({"machine": named, **figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
