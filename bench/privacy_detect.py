"""How much personal data is found, beside Presidio's default, on the same texts in the same run.

    python -m bench.privacy_detect --data DIR [--sets NAME...] [--limit N] [--only FINDER]
                                   [--misses N] [--json]

DIR holds a folder for each set under ``pii`` (or itself), ``synthea_fhir_r4``, ``ccda`` and
``hl7v2`` (whose messages are also searched as ingest reads them, ``hl7v2_read``); sets that are
absent are named and left out. A gold span counts as found when any finding
overlaps it (recall), as covered when findings cover all its letters and digits (full), whatever
type they name; precision is the share of findings that overlap gold. Presidio's default keeps
findings of score 0.4 and more; the platform's are those that its rules act on.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench._setting import machine
from bench.privacy.examples import READERS, Views
from bench.privacy.fhir import synthea
from bench.privacy.finders import ANY_FINDER, Finder, chosen
from bench.privacy.interchange import ccda, hl7v2, hl7v2_read
from bench.privacy.scores import Tally, shown, tally

_ALL = {
    **READERS,
    "synthea_fhir_r4": synthea,
    "ccda": ccda,
    "hl7v2": hl7v2,
    "hl7v2_read": hl7v2_read,
}
# Sets that are another view of a folder.
_FOLDERS = {"hl7v2_read": "hl7v2"}
_SEED = 3


def read(data: Path, name: str, limit: int | None) -> Views | None:
    """Return the views of a set, or None when its folder is absent."""
    place = _FOLDERS.get(name, name)
    folder = next((at for at in (data / "pii" / place, data / place) if at.is_dir()), None)
    return _ALL[name](folder, limit) if folder else None


def measure(views: Views, finders: Mapping[str, Finder]) -> dict[str, dict[str, Tally]]:
    """Return each view's count by each finder; the texts are searched once by each."""
    texts = [example.text for example in next(iter(views.values()))]
    answers = {name: find(texts) for name, find in finders.items()}
    return {
        view: {name: tally(examples, answer) for name, answer in answers.items()}
        for view, examples in views.items()
    }


def table(view: str, tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Yield one view's figures as aligned lines."""
    first = next(iter(tallies.values()))
    yield f"\n== {view}: {first.seen.total()} gold spans"
    yield f"{'':<20}{'recall':>8}{'full':>8}{'prec.':>8}{'F2':>8}{'found':>8}"
    for name, one in tallies.items():
        yield (
            f"{name:<20}{one.recall:>8.3f}{one.full_recall:>8.3f}{one.precision:>8.3f}"
            f"{one.f2:>8.3f}{one.findings.total():>8}"
        )
    yield f"{'by gold type':<34}{'gold':>6}" + "".join(f"{name:>24}" for name in tallies)
    for kind, count in sorted(first.seen.items(), key=lambda pair: -pair[1]):
        rates = (
            f"{one.hit[kind] / count:>16.3f}{one.full[kind] / count:>8.3f}"
            for one in tallies.values()
        )
        yield f"  {kind:<32}{count:>6}" + "".join(rates)
    for name, one in tallies.items():
        yield f"by found type, {name}: " + ", ".join(
            f"{kind} {one.right[kind]}/{count}" for kind, count in one.findings.most_common()
        )


def listing(one: Tally, count: int) -> Iterator[str]:
    """Yield up to so many misses of each gold type, and false alarms of each found type."""
    for title, places in (("missed", one.missed), ("false", one.false)):
        by_kind = defaultdict(list)
        for example, place in places:
            by_kind[place[2]].append((example, place))
        for kind, found in sorted(by_kind.items()):
            yield f"-- {title} {kind}: {len(found)}"
            for example, place in random.Random(_SEED).sample(found, min(count, len(found))):
                yield from shown(example, place)


def main() -> int:
    """Measure and print; return the exit code: 2 when a set that was asked for is absent.

    The data is not ours to keep here: without a folder nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds the sets")
    parser.add_argument("--sets", nargs="+", choices=sorted(_ALL), help="only these sets")
    parser.add_argument("--limit", type=int, default=None, help="read only N texts of each set")
    parser.add_argument("--only", choices=sorted(ANY_FINDER), help="run one side alone, for tuning")
    parser.add_argument("--misses", type=int, default=0, help="list N misses of each type")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.data is None:
        reason = f"give --data, a folder that holds any of {', '.join(sorted(_ALL))}"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    finders = chosen(options.only)
    figures: dict[str, dict[str, object]] = {}
    absent = []
    for name in options.sets or _ALL:
        if (views := read(options.data, name, options.limit)) is None:
            absent.append(name)
            continue
        began = time.monotonic()
        for view, tallies in measure(views, finders).items():
            figures[view] = {side: one.figures() for side, one in tallies.items()}
            if not options.json:
                report(view, tallies, options.misses)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    if absent:
        print(f"absent: {', '.join(absent)}", file=sys.stderr)
    if options.json:
        print(json.dumps({"machine": machine(), "sets": figures, "absent": absent}, indent=2))
    return 2 if absent and options.sets else 0


def report(view: str, tallies: Mapping[str, Tally], misses: int) -> None:
    """Print one view's figures, and what the platform missed when that was asked for."""
    print("\n".join(table(view, tallies)), flush=True)
    if misses:
        print("\n".join(listing(list(tallies.values())[-1], misses)), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
