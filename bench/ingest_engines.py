"""Measures ingest by one worker and by two, of this machine and on Ray.

    python -m bench.ingest_engines DATA [--repeat 3] [--scale-mb 2] [--engines local,ray]

DATA is the folder of data sets that ``bench/_mix.py`` reads. The same documents go in by one worker
and by two, turn about, in fresh deployments. A rate is of the documents after the first fifth, when
every worker has loaded its models; ``wall_s`` is the whole run. On a machine with other work on it
the fastest of each is nearest to what a quiet one does; all are printed. ``cpu_s_each`` are
processor seconds by kind of process. From them follows what two cores allow: one worker takes its
own and its parser's, since the rest goes on beside it; two take half of all.

Deployments lie in memory, if there is such a place, so that other programs' disk does not count.
``bench/ingest_growth.py`` measures how the cost grows.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from bench import _mix
from bench._setting import ROOT, machine
from ingest import sources, wiring
from ingest.engines import EngineChoice, EngineKind
from ingest.report import FileResult, FileState, Report
from ragplatform import config
from ragplatform.identities import create_keys
from ragplatform.model import Purpose

_MEMORY = Path("/dev/shm")  # noqa: S108  # its folders there are made by tempfile
_SKIPPED = 0.2


class Watch:
    """Samples the memory of this process and of all below it, and keeps the highest."""

    def __init__(self) -> None:
        self.whole = 0
        self.processes: dict[str, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._end.wait(0.5):
            whole = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    # Shared pages count by shares: models that two workers map are there once.
                    pss = process.memory_full_info().pss
                    kind = "job" if process == me else _kind(process.cmdline())
                except psutil.Error:
                    continue
                whole += pss
                self.processes[kind] = max(self.processes.get(kind, 0), pss)
            self.whole = max(self.whole, whole)


def cpu_by_kind() -> dict[str, float]:
    """Return the processor seconds so far of this process and of all below it, by kind."""
    me = psutil.Process()
    used: dict[str, float] = {}
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
            kind = "job" if process == me else _kind(process.cmdline())
        except psutil.Error:
            continue
        seconds = times.user + times.system
        if kind == "parser":
            # A child for each document, which has ended when it is looked for.
            seconds += times.children_user + times.children_system
        used[kind] = used.get(kind, 0.0) + seconds
    return used


def _kind(command: Sequence[str]) -> str:
    line = " ".join(command)
    if "engine_worker" in line or "ray::Seat" in line:
        return "worker"
    return "parser" if "parse.worker" in line else "other"


def one_run(folder: Path, engine: str, workers: int) -> dict[str, Any]:
    """Take a folder into a fresh deployment; return rates, seconds and memory."""
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as temporary, Watch() as watch:
        settings = config.load(data_dir=Path(temporary) / "data")
        create_keys(settings)
        report = Report(run=uuid.uuid4().hex)
        where = wiring.target("bench", "folder", Purpose.HOPERAT)
        told: list[tuple[float, str]] = []
        marks: list[dict[str, float]] = []
        files = list(sources.find([folder], sources.parse_labels([])))
        mark = int(len(files) * _SKIPPED)

        def on_result(result: FileResult) -> None:
            if result.state is FileState.INDEXED:
                told.append((time.perf_counter(), result.name))
                if len(told) == mark + 1:
                    marks.append(cpu_by_kind())

        began = time.perf_counter()
        choice = EngineChoice(EngineKind(engine), workers)
        with wiring.job(settings, report, where, on_result, choice) as opened:
            opened.job.run(files, report)
            marks.append(cpu_by_kind())
            wall = time.perf_counter() - began
        sizes = {file.name: file.path.stat().st_size for file in files}
    span = told[-1][0] - told[mark][0]
    before, after = marks
    return {
        "engine": engine,
        "workers": workers,
        "bytes": sum(sizes.values()),
        "states": dict(report.states),
        "chunks": report.chunks,
        "wall_s": round(wall, 2),
        "bytes_per_s": round(sum(sizes[name] for _, name in told[mark + 1 :]) / span),
        "cpu_s_each": {
            kind: round(seconds - before.get(kind, 0.0), 2) for kind, seconds in after.items()
        },
        "cpu_s": {name: round(value, 3) for name, value in report.cpu.items()},
        "peak_mib": round(watch.whole / 2**20),
        "peak_mib_each": {kind: round(size / 2**20) for kind, size in watch.processes.items()},
        "load": round(psutil.getloadavg()[0], 1),
    }


def apart(folder: Path, engine: str, workers: int) -> dict[str, Any]:
    """Do one run in a process of its own, so that nothing of another is in its memory."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.ingest_engines", "--one", engine, str(workers), str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def scaling(folder: Path, engines: Sequence[str], repeat: int) -> list[dict[str, Any]]:
    """Return each run, one worker and two turn about."""
    return [
        apart(folder, engine, workers)
        for _ in range(repeat)
        for engine in engines
        for workers in (1, 2)
    ]


def speedups(runs: Sequence[dict[str, Any]], engines: Sequence[str]) -> dict[str, Any]:
    """Return for each engine the ratio of the medians, of the fastest, and of each pair."""
    found = {}
    for engine in engines:
        rates = {
            workers: [
                run["bytes_per_s"]
                for run in runs
                if (run["engine"], run["workers"]) == (engine, workers)
            ]
            for workers in (1, 2)
        }
        found[engine] = {
            "medians": round(statistics.median(rates[2]) / statistics.median(rates[1]), 2),
            "fastest": round(max(rates[2]) / max(rates[1]), 2),
            "two_cores_allow": round(_allowed(runs, engine), 2),
            "pairs": [round(b / a, 2) for a, b in zip(rates[1], rates[2], strict=True)],
            "bytes_per_s": rates,
        }
    return found


def _allowed(runs: Sequence[dict[str, Any]], engine: str) -> float:
    used: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for run in runs:
        if run["engine"] == engine:
            used[run["workers"]].append(run["cpu_s_each"])
    alone = statistics.median(one["worker"] + one.get("parser", 0.0) for one in used[1])
    return alone / (statistics.median(sum(one.values()) for one in used[2]) / 2)


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale-mb", type=float, default=2)
    parser.add_argument("--engines", default="local,ray")
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "WORKERS", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.one:
        engine, workers, folder = arguments.one
        print(json.dumps(one_run(Path(folder), engine, int(workers))))
        return
    if arguments.data is None:
        parser.error("DATA is missing")
    engines = [name for name in arguments.engines.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        _mix.write(arguments.data, folder, int(arguments.scale_mb * 10**6))
        runs = scaling(folder, engines, arguments.repeat)
    print(json.dumps({"machine": machine(), "scaling": speedups(runs, engines)}, indent=1))


if __name__ == "__main__":
    main()
