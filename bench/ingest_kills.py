"""Kills ingest before every stage and every write, many times over, and counts what was wrong.

    python -m bench.ingest_kills [--kills 1000] [--stride 8] [--seed 1] [--json]

Stories of ``tests.ingest_crash`` are gone through, each with a seed of its own and at every
``--stride``-th point, until so many processes died by SIGKILL: a changed corpus, one that things
leave, one that goes back to what it was, and an erasure. Half of the deaths are power cuts. After
each the next run is looked at. How far it is goes to standard error, after every story.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Any

from bench._setting import ROOT, machine

_STORIES = ("leave", "again", "back", "erase")


def one_story(then: str, stride: int, seed: int) -> list[dict[str, Any]]:
    """Return what became of every point of a story."""
    with tempfile.TemporaryDirectory(prefix="bench-kills-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.ingest_crash", folder, then, str(stride), str(seed)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(kills: int, stride: int, seed: int) -> dict[str, Any]:
    """Return how often it died before each boundary, and what was wrong after."""
    before: Counter[str] = Counter()
    stories: Counter[str] = Counter()
    points, cuts, number = 0, 0, 0
    wrong: list[dict[str, Any]] = []
    while before.total() < kills or number < len(_STORIES):
        then = _STORIES[number % len(_STORIES)]
        number += 1
        for line in one_story(then, stride, seed + number):
            before.update(line["killed"])
            stories[then] += len(line["killed"])
            points += 1
            cuts += line["cuts"]
            if line["wrong"]:
                wrong.append(line | {"story": then, "seed": seed + number})
        so_far = {"kills": before.total(), "cuts": cuts, "wrong": wrong, "before": before}
        print(json.dumps(so_far), file=sys.stderr, flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "kills": before.total(),
        "power_cuts": cuts,
        "points": points,
        "by_story": dict(stories),
        "before": dict(sorted(before.items())),
        "wrong": wrong,
        "cpu_s": round(used.ru_utime + used.ru_stime),
        "machine": machine(),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--stride", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.kills, given.stride, given.seed)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['kills']} kills, {found['power_cuts']} of them power cuts, {found['cpu_s']} s")
    for name, count in found["before"].items():
        print(f"{count:6} before {name}")
    print(f"wrong after: {len(found['wrong'])}")


if __name__ == "__main__":
    main()
