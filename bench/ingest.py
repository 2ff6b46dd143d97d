"""How fast documents go in, by stage, on real parts; and how fast a second run finds no change.

    python -m bench.ingest [--folder DIR] [--repeat 3] [--json]

Each repeat takes the demo corpus (both tenants), or DIR, into a fresh data directory, then runs
again over the unchanged files. Figures are medians over the repeats. Wall seconds are the stage's;
CPU seconds are this process's during the stage, and for ``parse`` the walled-in parser's as well,
its start included. ``rest`` is what no stage claims: reading labels, term weights, glue.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench._setting import ROOT, machine
from demo.tour import COLLECTIONS
from ingest import sources, wiring
from ingest.report import FileState, Report
from ragplatform import config
from ragplatform.config import Settings
from ragplatform.identities import create_keys
from ragplatform.model import Purpose

STAGES = "fingerprint parse detect transform chunk embed ledger audit vault index".split()


@dataclass(slots=True)
class TimedReport(Report):
    """A report that counts CPU seconds by stage beside the wall seconds."""

    cpu: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside towards the stage."""
        began, used = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - began  # type: ignore[assignment]  # seconds
            self.cpu[name] += time.process_time() - used  # type: ignore[assignment]  # seconds


@dataclass(frozen=True)
class Source:
    """A folder, and where its documents go."""

    folder: Path
    tenant: str
    collection: str


@dataclass(frozen=True)
class Pass:
    """One run over all sources: counts, and wall and CPU seconds by stage.

    ``open_s`` is the time to load models and open the stores, not part of ``wall_s``.
    """

    states: Counter[str]
    characters: int
    chunks: int
    found: int
    open_s: float
    wall_s: float
    cpu_s: float
    wall: Counter[str]
    cpu: Counter[str]


def children_cpu() -> float:
    """Return the CPU seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_once(settings: Settings, given: Sequence[Source]) -> Pass:
    """Take all sources in, one after the other, as the command does."""
    states: Counter[str] = Counter()
    wall: Counter[str] = Counter()
    cpu: Counter[str] = Counter()
    characters = chunks = found = 0
    open_s = wall_s = cpu_s = 0.0
    for source in given:
        files = list(sources.find([source.folder], sources.parse_labels([])))
        report = TimedReport(run=uuid.uuid4().hex)
        target = wiring.target(source.tenant, source.collection, Purpose.HOPERAT)
        before, began = children_cpu(), time.perf_counter()
        with wiring.job(settings, report, target, lambda _: None) as opened:
            open_s += time.perf_counter() - began
            began, used = time.perf_counter(), time.process_time()
            opened.job.run(files, report)
            wall_s += time.perf_counter() - began
            cpu_s += time.process_time() - used
        parser = children_cpu() - before
        cpu_s += parser
        report.cpu["parse"] += parser  # type: ignore[assignment]  # seconds
        states += report.states
        wall += report.seconds
        cpu += report.cpu
        characters += report.characters
        chunks += report.chunks
        found += report.personal_data.total()
    return Pass(states, characters, chunks, found, open_s, wall_s, cpu_s, wall, cpu)


def repeat(given: Sequence[Source], times: int) -> tuple[list[Pass], list[Pass]]:
    """Return the first and the second run of each repeat, each repeat in a fresh deployment."""
    first, second = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
            settings = config.load(data_dir=Path(folder) / "data")
            create_keys(settings)
            first.append(run_once(settings, given))
            second.append(run_once(settings, given))
    return first, second


def figures(first: Sequence[Pass], second: Sequence[Pass]) -> dict[str, Any]:
    """Return the medians."""

    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 3)

    one = first[0]
    files = one.states.total()
    wall_s = median([p.wall_s for p in first])
    rest = {
        "wall_s": median([p.wall_s - sum(p.wall.values()) for p in first]),
        "cpu_s": median([p.cpu_s - sum(p.cpu.values()) for p in first]),
    }
    stages = {
        name: {
            "wall_s": median([p.wall[name] for p in first]),
            "cpu_s": median([p.cpu[name] for p in first]),
        }
        for name in STAGES
    }
    return {
        "repeats": len(first),
        "files": files,
        "indexed": one.states[FileState.INDEXED],
        "quarantined": one.states[FileState.QUARANTINED],
        "failed": one.states[FileState.FAILED],
        "characters": one.characters,
        "chunks": one.chunks,
        "personal_data": one.found,
        "open_s": median([p.open_s for p in first]),
        "wall_s": wall_s,
        "wall_s_of_each": [round(p.wall_s, 3) for p in first],
        "cpu_s": median([p.cpu_s for p in first]),
        "documents_per_s": round(files / wall_s, 2),
        "characters_per_s": round(one.characters / wall_s),
        "characters_per_cpu_s": round(one.characters / median([p.cpu_s for p in first])),
        "stages": {**stages, "rest": rest},
        "unchanged_run": {
            "unchanged": second[0].states[FileState.UNCHANGED],
            "wall_s": median([p.wall_s for p in second]),
            "cpu_s": median([p.cpu_s for p in second]),
        },
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="measure this folder, not the demo corpus")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    given = [
        Source(ROOT / "demo" / "corpus" / tenant, tenant, name)
        for tenant, name in COLLECTIONS.items()
    ]
    if arguments.folder is not None:
        given = [Source(arguments.folder, "bench", "folder")]
    named = machine()
    result = {"machine": named, **figures(*repeat(given, arguments.repeat))}
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        print_table(result)


def print_table(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    for name, value in result.items():
        if name != "stages":
            print(f"{name:<22}{value}")
    print(f"{'stage':<14}{'wall s':>9}{'CPU s':>9}{'chars/wall s':>14}")
    for name, row in result["stages"].items():
        rate = result["characters"] / row["wall_s"] if row["wall_s"] else 0
        print(f"{name:<14}{row['wall_s']:>9.3f}{row['cpu_s']:>9.3f}{rate:>14,.0f}")


if __name__ == "__main__":
    main()
