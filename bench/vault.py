"""How fast values get pseudonyms, are kept, and are given back.

    python -m bench.vault [--values 5000] [--subjects 100] [--json]

One process, one thread, a vault of its own in SQLite with durable commits. ``token`` computes
pseudonyms alone; ``store`` keeps the values of one subject at a time; ``reveal`` gives back batches
of 20, as many as an answer may show.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench._setting import machine
from bench.privacy.people import people
from ragplatform.privacy.vault import Vault

TENANT = "mercy"
_BATCH = 20


def measure(folder: Path, values: int, subjects: int) -> dict[str, Any]:
    """Return what each step did per second."""
    names = [one.name for one in people(min(values, 1000))]
    pairs = [
        ("PERSON", f"{names[number % len(names)]} {number // len(names) or ''}".strip())
        for number in range(values)
    ]
    each = -(-len(pairs) // subjects)
    with closing(Vault(f"sqlite:///{folder / 'vault.db'}", master=bytes(range(32)))) as vault:
        tokens: list[str] = []

        def compute() -> None:
            tokens.extend(vault.token(TENANT, entity, value) for entity, value in pairs)

        def store() -> None:
            for number in range(subjects):
                mine = pairs[number * each : (number + 1) * each]
                vault.store(TENANT, f"subject-{number}", mine)

        def reveal() -> None:
            for start in range(0, len(tokens), _BATCH):
                assert vault.reveal(TENANT, tokens[start : start + _BATCH])

        steps: dict[str, Callable[[], None]] = {"token": compute, "store": store, "reveal": reveal}
        return {f"{name}_per_s": round(len(pairs) / _seconds(do)) for name, do in steps.items()}


def _seconds(do: Callable[[], None]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def main() -> int:
    """Measure, print and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, default=5000)
    parser.add_argument("--subjects", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-vault-") as temporary:
        figures = measure(Path(temporary), options.values, options.subjects)
    print(json.dumps({"machine": machine(), "values": options.values, **figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
