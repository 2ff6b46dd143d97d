"""How fast a log is verified, opened and proven, and how that grows with its records.

    python -m bench.audit_proofs [--sizes 10000,100000,1000000] [--proofs 300] [--json]

Each log is written in groups as a busy service leaves it, and opened once so that it gets its
tiles. Then, by one process: the whole log is verified, by both verifiers; it is opened for writing
again; and records drawn at random are proven, each with nothing kept from the one before. What a
proof weighs is its hashes, as a tlog-proof writes them.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench._setting import machine
from bench.audit_index import ORIGIN, SECRET, exponent, write_log
from ragplatform.audit import verify_audit
from ragplatform.audit.log import AuditLog
from ragplatform.audit.proofs import inclusion_proof
from ragplatform.audit.verify import verify

# A hash in base64 and its line end.
_LINE_BYTES = 45


def opened(folder: Path) -> float:
    """Open the log for writing and close it; return how many seconds the opening took."""
    began = time.perf_counter()
    log = AuditLog.open(folder, origin=ORIGIN, signing_key=SECRET, sealing_key=SECRET)
    took = time.perf_counter() - began
    log.close()
    return took


def measure(folder: Path, records: int, proofs: int) -> dict[str, Any]:
    """Return the figures of a log of so many records."""
    write_log(folder, records)
    first_s = opened(folder)
    began = time.process_time()
    report = verify(folder, public_key=None)
    spent = time.process_time() - began
    assert report.ok, report
    began = time.perf_counter()
    second = subprocess.run(
        [sys.executable, verify_audit.__file__, folder], capture_output=True, check=False
    )
    second_s = time.perf_counter() - began
    assert second.returncode == 0, second
    chance, times, hashes = random.Random(7), [], 0
    for _ in range(proofs):
        index = chance.randrange(records)
        began = time.perf_counter()
        hashes = max(hashes, len(inclusion_proof(folder, index, records)))
        times.append(1000 * (time.perf_counter() - began))
    return {
        "records": records,
        "megabytes": round(sum(path.stat().st_size for path in folder.glob("segment-*")) / 1e6),
        "open_without_tiles_s": round(first_s, 2),
        "open_s": round(statistics.median(opened(folder) for _ in range(5)), 3),
        "verified_per_cpu_s": round(records / spent),
        "second_verifier_per_s": round(records / second_s),
        "proof_p50_ms": round(statistics.median(times), 3),
        "proof_p99_ms": round(statistics.quantiles(times, n=100)[98], 3),
        "proof_bytes": hashes * _LINE_BYTES,
    }


def main() -> None:
    """Measure, and print a table or one JSON document."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--sizes", default="10000,100000,1000000")
    arguments.add_argument("--proofs", type=int, default=300)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    named, rows = machine(), []
    for size in map(int, given.sizes.split(",")):
        root = Path(tempfile.mkdtemp(prefix="audit-proofs-"))
        try:
            rows.append(measure(root / ORIGIN, size, given.proofs))
        finally:
            shutil.rmtree(root)
    grows = {
        name: exponent([(row["records"], row[name]) for row in rows])
        for name in ("open_s", "proof_p50_ms", "proof_bytes")
    }
    if given.json:
        print(json.dumps({"machine": named, "logs": rows, "growth_exponents": grows}, indent=1))
        return
    for row in rows:
        print("  ".join(f"{name} {value:,}" for name, value in row.items()))
    print("growth exponents:", grows)


if __name__ == "__main__":
    main()
