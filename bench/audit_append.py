"""How fast the audit log appends, against what the same disk does bare, in the same run.

    python -m bench.audit_append [--rounds 7] [--seconds 1.0] [--directory DIR] [--json]

For 1, 8 and 64 writers each round measures two things one after the other: the bare bound, which is
a write of the same number of bytes for as many records as there are writers, and one fdatasync, by
a loop that does nothing else; and the log itself. The ratio is taken within each round, and medians
over rounds are reported, since a shared disk drifts. Verifying is measured on what was written.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench._setting import machine
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.log import AuditLog
from ragplatform.audit.storage import Disk
from ragplatform.audit.verify import verify

WRITERS = (1, 8, 64)
KEY = bytes(range(32))


def event() -> AuditEvent:
    """Return an event as the service writes one: ids and digests, and a sealed question."""
    return AuditEvent(
        Action.ASKED,
        Outcome.SUCCESS,
        tenant="mercy",
        actor="u:anna",
        request_id="01JD0000000000000000000000",
        purpose="TREAT",
        policy="ab" * 32,
        details={"scope": "cd" * 32, "number": 5, "collections": ["clinical"]},
        sealed={"question": "Which dose of metformin was the patient discharged on?"},
    )


def open_log(directory: Path) -> AuditLog:
    """Open a log on the real disk."""
    return AuditLog.open(
        directory, origin="ragplatform/bench", signing_key=KEY, sealing_key=KEY, storage=Disk()
    )


def bare(directory: Path, size: int, records: int, seconds: float) -> float:
    """Return records per second when each write of ``size`` bytes holds so many and is synced."""
    data = os.urandom(size)
    file = Disk().open(directory / "bare")
    offset = groups = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        file.write(data, offset)
        file.sync()
        offset += size
        groups += 1
    elapsed = time.perf_counter() - began
    file.close()
    (directory / "bare").unlink()
    return groups * records / elapsed


def append(log: AuditLog, writers: int, seconds: float) -> tuple[float, list[float]]:
    """Return records per second over all writers, and the time of each append."""
    latencies: list[list[float]] = [[] for _ in range(writers)]
    start = threading.Barrier(writers + 1)
    end = threading.Event()

    def work(own: list[float]) -> None:
        start.wait()
        while not end.is_set():
            began = time.perf_counter()
            log.append(event())
            own.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(own,)) for own in latencies]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    end.wait(seconds)
    end.set()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    flat = [latency for own in latencies for latency in own]
    return len(flat) / elapsed, flat


def group_bytes(directory: Path, writers: int) -> int:
    """Return how many bytes the log writes for one group of so many records."""
    with open_log(directory) as log:
        log.append(event())
    lines = next(directory.glob("segment-*")).read_bytes().splitlines(keepends=True)
    record, commit = lines[0], lines[1]
    return len(record) * writers + len(commit) + 67 * (writers - 1)


def measure(root: Path, writers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the medians for one number of writers."""
    size = group_bytes(root / f"size-{writers}", writers)
    rates, bounds, ratios, tails = [], [], [], []
    with open_log(root / f"log-{writers}") as log:
        for turn in range(rounds):
            pair = [0.0, 0.0]
            # In turns first and second, so that neither always runs on the other's leftovers.
            for part in (0, 1) if turn % 2 else (1, 0):
                if part == 0:
                    pair[0] = bare(root, size, writers, seconds)
                else:
                    pair[1], latencies = append(log, writers, seconds)
                    tails.append(statistics.quantiles(latencies, n=100)[98])
            bounds.append(pair[0])
            rates.append(pair[1])
            ratios.append(pair[1] / pair[0])
    return {
        "writers": writers,
        "bytes_per_group": size,
        "bare_records_per_s": round(statistics.median(bounds)),
        "log_records_per_s": round(statistics.median(rates)),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
        "ratio_highest": round(max(ratios), 3),
        "p99_ms": round(statistics.median(tails) * 1000, 2),
    }


def measure_verify(root: Path, writers: int) -> dict[str, Any]:
    """Return how fast one core verifies the log that so many writers wrote."""
    began = time.process_time()
    report = verify(root / f"log-{writers}", public_key=None)
    spent = time.process_time() - began
    assert report.ok, report
    return {
        "writers": writers,
        "records": report.records,
        "checkpoints": report.checkpoints,
        "verified_per_cpu_s": round(report.records / spent),
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--directory", type=Path, default=None, help="on the disk to measure")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    named = machine()
    root = Path(tempfile.mkdtemp(prefix="audit-bench-", dir=given.directory))
    try:
        appends = [measure(root, writers, given.rounds, given.seconds) for writers in WRITERS]
        verifies = [measure_verify(root, writers) for writers in WRITERS]
    finally:
        shutil.rmtree(root)
    figures = {
        "machine": named,
        "append": appends,
        "verify": verifies,
    }
    if given.json:
        print(json.dumps(figures, indent=1))
    else:
        print_table(appends, verifies)


def print_table(appends: list[dict[str, Any]], verifies: list[dict[str, Any]]) -> None:
    """Print the figures for people."""
    print("writers  bare rec/s  log rec/s  log/bare (lowest..highest)  p99 ms")
    for row in appends:
        print(
            f"{row['writers']:7}  {row['bare_records_per_s']:10,}  {row['log_records_per_s']:9,}"
            f"  {row['ratio']:8.2f} ({row['ratio_lowest']:.2f}..{row['ratio_highest']:.2f})"
            f"  {row['p99_ms']:14.2f}"
        )
    print("writers  records  checkpoints  verified rec per CPU-second")
    for row in verifies:
        print(
            f"{row['writers']:7}  {row['records']:7,}  {row['checkpoints']:11,}"
            f"  {row['verified_per_cpu_s']:12,}"
        )


if __name__ == "__main__":
    main()
