"""Processor time of a process and of all that it started, and its greatest memory."""

import resource
import time
from pathlib import Path

_TICKS_PER_S = 100


def cpu_seconds() -> float:
    """Return the processor seconds used so far by all threads, and by all processes below.

    Those that ended count once they were waited for.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(_used(pid) for pid in _descendants())
    return time.process_time() + ended.ru_utime + ended.ru_stime + living


def peak_memory_mb() -> float:
    """Return the most memory that this process had at once, in megabytes of 10^6 bytes."""
    # Not ru_maxrss: a process that was started inherits that of the one that started it. Linux
    # counts in units of 1,024 bytes.
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (row.split()[1] for row in rows if row.startswith("VmHWM:"))
    return int(peak) * 1024 / 1e6


def _descendants() -> list[int]:
    found, new = list[int](), [Path("/proc/self/task")]
    while new:
        files = [file for folder in new for file in folder.glob("*/children")]
        below = [int(pid) for file in files for pid in _read(file).split()]
        found += below
        new = [Path(f"/proc/{pid}/task") for pid in below]
    return found


def _used(pid: int) -> float:
    # The name, in brackets, may hold spaces; behind it user and system time are fields 12 and 13.
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
