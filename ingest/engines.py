"""Which engine a run uses, and with how many workers."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ingest.engine import Engine, InProcess, Stage
from ingest.engine_pool import Pool
from ingest.engine_spread import Spread
from ragplatform.errors import ConfigurationError

# What a worker takes at most with the models of the repository, and what is left to the job and
# the rest of the machine: docs/measurements.md, "Ingest by several workers".
WORKER_BYTES: Final = 1024**3
RESERVED_BYTES: Final = 2 * 1024**3


class EngineKind(StrEnum):
    """Where the stages run."""

    HERE = "here"
    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What the operator asks for. 0 workers: as many as there is room for.

    ``address`` is that of a Ray cluster; "" starts one on this machine for the run.
    """

    kind: EngineKind = EngineKind.LOCAL
    workers: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        if self.address and self.kind is not EngineKind.RAY:
            raise ConfigurationError("--address is for --engine ray alone")
        if self.workers > 1 and self.kind is EngineKind.HERE:
            raise ConfigurationError("--engine here is one process: leave --workers out")


def open_engine(
    choice: EngineChoice,
    *,
    here: Callable[[], Stage],
    elsewhere: Callable[[], Stage],
    ray_without_tls: bool,
) -> tuple[Engine, str]:
    """Return the engine, and a note for people about where the work is done.

    ``here`` makes the stages in this process; ``elsewhere`` can be sent to another and makes them
    there. Raises ``ConfigurationError`` when the engine cannot be had.
    """
    if choice.kind is EngineKind.RAY:
        # A library of 200 MB that only this choice needs, and an optional one.
        from ingest.engine_ray import RayWorkers

        ray = RayWorkers(
            make=elsewhere,
            count=choice.workers,
            address=choice.address,
            without_tls=ray_without_tls,
        )
        return Spread(workers=ray), f"{ray.count} workers on Ray; "
    count = choice.workers or room_for_workers()
    if choice.kind is EngineKind.HERE or (count == 1 and not choice.workers):
        # Where there is room for one, another process would only be memory.
        return InProcess(make=here), ""
    return Spread(workers=Pool(make=elsewhere, count=count)), f"{count} workers; "


def room_for_workers() -> int:
    """Return how many workers this machine has cores and memory for: one at least."""
    by_memory = (_free_bytes() - RESERVED_BYTES) // WORKER_BYTES
    return max(1, min(len(os.sched_getaffinity(0)), by_memory))


def _free_bytes() -> int:
    """Return how much memory may be taken: the machine's, or less where a container has a limit."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)
