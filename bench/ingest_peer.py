"""Ingest with tagging and embedding beside Haystack, Presidio and Qdrant, in turns in one run.

    python -m bench.ingest_peer --data DIR --peer DIR [--megabytes 1] [--rounds 3]
                                [--recall 500] [--json]

DIR of ``--data`` holds the public sets of ``bench._mix``; that of ``--peer`` the packages of
``bench/peer-requirements.txt``. Both sides read the same text files, with the same encoder's
weights, into the same engine in a folder, durably; each round each side is a fresh process with an
empty store, and who begins changes. The clock runs from the first file, models loaded, to the last
sync; CPU seconds count every thread and process. The peer keeps no ledger, log, vault or labels and
reads in its own process. ``--recall`` texts of each set of gold are searched by both sides.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import _mix
from bench._setting import ROOT, machine
from bench.ingest import Source, run_once
from bench.privacy.clock import cpu_seconds, peak_memory_mb
from bench.privacy.examples import presidio_research, tab
from bench.privacy.fhir import synthea
from bench.privacy.scores import Finding, tally
from ragplatform import config, openers
from ragplatform.identities import create_keys

PLATFORM, PEER = "ragplatform", "haystack_presidio_qdrant"
_GOLD = {
    "pii/presidio_research": presidio_research,
    "pii/tab_echr144": tab,
    "synthea_fhir_r4": synthea,
}


def own_side(folder: Path) -> dict[str, Any]:
    """Take the folder in, in this process, and return what that took."""
    with tempfile.TemporaryDirectory(prefix="bench-own-") as data:
        settings = config.load(data_dir=Path(data) / "data")
        create_keys(settings)
        before = cpu_seconds()
        done = run_once(settings, [Source(folder, "bench", "mix")])
        return {
            "files": done.states.total(),
            "states": dict(done.states),
            "chunks": done.chunks,
            "open_s": done.open_s,
            "cpu_s": done.cpu_s,
            "cpu_s_with_opening": cpu_seconds() - before,
            "wall_s": done.wall_s,
            "peak_memory_mb": peak_memory_mb(),
        }


def in_turns(folder: Path, peer: Path, rounds: int) -> list[dict[str, dict[str, Any]]]:
    """Return what each side took in each round."""
    model = openers.model_store(config.load()).resolve("all-minilm-l6-v2")
    sides = {
        PLATFORM: ["-m", "bench.ingest_peer", "--own", str(folder)],
        PEER: ["-m", "bench._haystack", str(folder), str(model)],
    }
    order = list(sides)
    taken = []
    for _ in range(rounds):
        taken.append({name: _fresh(sides[name], peer if name == PEER else None) for name in order})
        order.reverse()
    return taken


def compared(rounds: Sequence[dict[str, dict[str, Any]]], size: int) -> dict[str, Any]:
    """Return medians of each side, and of the rounds' own ratios."""
    result: dict[str, Any] = {"bytes": size, "rounds": len(rounds)}
    for name in (PLATFORM, PEER):
        taken = [one[name] for one in rounds]
        cpu, wall = (statistics.median(one[key] for one in taken) for key in ("cpu_s", "wall_s"))
        result[name] = {
            **taken[0],
            "cpu_s": round(cpu, 2),
            "wall_s": round(wall, 2),
            "bytes_per_cpu_s": round(size / cpu),
            "bytes_per_s": round(size / wall),
            "cpu_s_of_each": [round(one["cpu_s"], 2) for one in taken],
            "wall_s_of_each": [round(one["wall_s"], 2) for one in taken],
        }
    for key in ("cpu_s", "wall_s"):
        ratios = [one[PEER][key] / one[PLATFORM][key] for one in rounds]
        result[f"ratio_{key[:-2]}"] = round(statistics.median(ratios), 2)
    return result


def recall(data: Path, most: int) -> dict[str, Any]:
    """Return what both sides find of the gold in each set, the peer as its cleaner searches."""
    from bench._haystack import cleaner  # noqa: PLC0415 - there only with the peer's packages

    peer, own = cleaner(), openers.open_inspector(config.load())
    analyzer = peer._analyzer
    figures = {}
    for name, read in _GOLD.items():
        for view, examples in read(data / name, most).items():
            texts = [example.text for example in examples]
            ours = (own.certain(spans) for spans in own.inspect(texts))
            found: dict[str, list[list[Finding]]] = {
                PLATFORM: [[(s.start, s.end, s.entity) for s in spans] for spans in ours],
                PEER: [
                    [
                        (one.start, one.end, one.entity_type)
                        for one in analyzer.analyze(
                            text=text, language="en", score_threshold=peer.score_threshold
                        )
                    ]
                    for text in texts
                ],
            }
            figures[view] = {side: tally(examples, one).figures() for side, one in found.items()}
    return figures


def _fresh(arguments: Sequence[str], packages: Path | None) -> dict[str, Any]:
    """Run one side in a process of its own and return what it printed."""
    path = os.pathsep.join([str(ROOT), *([str(packages)] if packages else [])])
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """Measure and print; return the exit code.

    Neither data nor peer are ours to keep here: without them nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds the sets")
    parser.add_argument("--peer", type=Path, help="folder that holds the peer's packages")
    parser.add_argument("--megabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recall", type=int, default=0, help="texts of each set; 0: none")
    parser.add_argument("--own", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    if options.own is not None:
        print(json.dumps(own_side(options.own)))
        return 0
    if options.data is None or options.peer is None:
        reason = "give --data and --peer, see the head of bench/ingest_peer.py"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    result: dict[str, Any] = {"machine": machine()}
    if options.rounds:
        with tempfile.TemporaryDirectory(prefix="bench-mix-") as folder:
            size = _mix.write(options.data, Path(folder), round(options.megabytes * 1e6))
            rounds = in_turns(Path(folder), options.peer, options.rounds)
            result["speed"] = compared(rounds, size)
    if options.recall:
        sys.path.append(str(options.peer))
        result["recall"] = recall(options.data, options.recall)
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
