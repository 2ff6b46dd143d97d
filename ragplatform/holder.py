"""Names a process so that another one can tell later whether it still lives."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Return a name for this process that no later one on any machine bears."""
    return f"{socket.gethostname()}|{_boot_id()}|{os.getpid()}|{_started(os.getpid())}"


def is_here(holder: str) -> bool:
    """Return whether it is a process of this machine, so that ``is_alive`` knows."""
    return holder.partition("|")[0] == socket.gethostname()


def is_alive(holder: str) -> bool:
    """Return whether the process lives; one on another machine is believed to."""
    if not is_here(holder):
        return True
    boot, _, process = holder.partition("|")[2].partition("|")
    pid, _, started = process.partition("|")
    return boot == _boot_id() and pid.isdigit() and _started(int(pid)) == started


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, or ``gone``.

    A process number alone is given to another process sooner or later. A zombie is gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "gone"
    # The name in field 2 may hold anything: the fields are counted from behind it (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return "gone" if fields[0] in {"Z", "X"} else fields[19]
