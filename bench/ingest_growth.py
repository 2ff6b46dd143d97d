"""What ingest costs as a corpus grows, and what an unchanged and a hardly changed one cost again.

    python -m bench.ingest_growth --data DIR [--megabytes 1 3 10] [--json]

DIR holds the public sets of ``bench._mix``. Each size is taken into a fresh deployment by a fresh
process: once, once more unchanged, and once more after every hundredth file got another line. CPU
seconds are of every thread and process, the opening of models and stores apart.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import _mix
from bench._setting import machine
from bench.ingest import Pass, Source, run_once
from bench.privacy.clock import peak_memory_mb
from ingest.report import FileState
from ragplatform import config
from ragplatform.identities import create_keys

_EVERY = 100


def one_size(data: Path, megabytes: float) -> dict[str, Any]:
    """Return what a corpus of so many megabytes costs the first, second and third time."""
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as place:
        folder = Path(place) / "files"
        size = _mix.write(data, folder, round(megabytes * 1e6))
        settings = config.load(data_dir=Path(place) / "data")
        create_keys(settings)
        given = [Source(folder, "bench", "mix")]
        first = run_once(settings, given)
        again = run_once(settings, given)
        for path in sorted(folder.rglob("*.txt"))[::_EVERY]:
            path.write_text(path.read_text(encoding="utf-8") + "\nOne more line.\n")
        changed = run_once(settings, given)
    return {
        "bytes": size,
        "files": first.states.total(),
        "chunks": first.chunks,
        "first": _row(first),
        "stages_cpu_s": {name: round(value, 2) for name, value in first.cpu.items()},
        "stages_wall_s": {name: round(value, 2) for name, value in first.wall.items()},
        "unchanged": _row(again) | {"times_faster": _share(first, again)},
        "one_percent": _row(changed)
        | {"indexed": changed.states[FileState.INDEXED], "times_faster": _share(first, changed)},
        "peak_memory_mb": round(peak_memory_mb()),
    }


def _row(done: Pass) -> dict[str, float]:
    return {
        "cpu_s": round(done.cpu_s, 3),
        "wall_s": round(done.wall_s, 3),
        "open_s": round(done.open_s, 3),
    }


def _share(first: Pass, later: Pass) -> dict[str, float]:
    return {
        "cpu": round(first.cpu_s / later.cpu_s, 1),
        "wall": round(first.wall_s / later.wall_s, 1),
    }


def main() -> int:
    """Measure and print; return the exit code.

    The data is not ours to keep here: without a folder nothing is measured, and that is said.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds the sets")
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1.0, 3.0, 10.0])
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    if options.data is None:
        reason = "give --data, a folder that holds the sets of bench/_mix.py"
        print(json.dumps({"skipped": reason}) if options.json else reason)
        return 0
    if options.one is not None:
        print(json.dumps(one_size(options.data, options.one)))
        return 0
    rows = [_fresh(options.data, megabytes) for megabytes in options.megabytes]
    result: dict[str, Any] = {"machine": machine(), "sizes": rows}
    if len(rows) > 1:
        sizes, seconds = ([row["bytes"] for row in rows], [row["first"]["cpu_s"] for row in rows])
        result["exponent"] = round(float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), 3)
    print(json.dumps(result, indent=2))
    return 0


def _fresh(data: Path, megabytes: float) -> dict[str, Any]:
    command = ["-m", "bench.ingest_growth", "--data", str(data), "--one", str(megabytes)]
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    raise SystemExit(main())
