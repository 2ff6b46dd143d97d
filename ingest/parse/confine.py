"""Takes from a process what a parser does not need: network, files, programs, resources.

Linux only; each wall is best effort and reports whether it stands. No service library, no import of
a parser: this runs before anything untrusted is touched.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

# Source: linux/prctl.h, linux/sched.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True, slots=True)
class Isolation:
    """Which walls stand around the parser.

    ``network`` is ``namespace`` (no interface at all), ``seccomp`` (no socket can be made) or
    ``audit_hook`` (Python's own sockets refused: a tripwire, not a wall). ``files`` is ``landlock``
    or ``none``, ``syscalls`` is ``seccomp`` or ``none``.
    """

    network: str
    files: str
    syscalls: str

    def __str__(self) -> str:
        return f"network {self.network}, files {self.files}, system calls {self.syscalls}"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent thread is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the wish was known to the kernel.
        os._exit(1)


def wall_in() -> Isolation:
    """Raise every wall that the kernel permits, for good, and say which ones stand."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    namespace = _leave_network()
    _drop_capabilities()
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock = restrict_files()
    network = "namespace" if namespace else "audit_hook"
    return Isolation(network, "landlock" if landlock else "none", "none")


def _leave_network() -> bool:
    if not hasattr(_LIBC, "unshare"):
        return False
    if _LIBC.unshare(_CLONE_NEWNET) == 0:
        return True
    return bool(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _drop_capabilities() -> None:
    """Give up every capability, so that root inside is nobody in particular."""
    # Source: linux/capability.h: version 3, two sets of effective, permitted, inheritable.
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    _LIBC.capset(header, ctypes.create_string_buffer(24))


# Landlock. Source: linux/landlock.h; the numbers are the same on every architecture.
_SYS_CREATE_RULESET: Final = 444
_SYS_ADD_RULE: Final = 445
_SYS_RESTRICT_SELF: Final = 446
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# The file rights that each version of the interface (index) knows.
_FILE_RIGHTS: Final = (0, 1 << 13, 1 << 14, 1 << 15, 1 << 15, 1 << 16, 1 << 16, 1 << 16)
_TCP_RIGHTS: Final = 0b11
_SCOPES: Final = 0b11


def restrict_files() -> bool:
    """Leave only reading of the interpreter and its packages: no write, no other file, no TCP.

    Each call adds a layer; a process in an inner layer cannot trace or signal one in an outer.
    """
    version = _LIBC.syscall(_SYS_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = _FILE_RIGHTS[min(version, len(_FILE_RIGHTS) - 1)] - 1
    tcp = _TCP_RIGHTS if version >= 4 else 0
    scopes = _SCOPES if version >= 6 else 0
    sizes = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}
    attributes = struct.pack("QQQ", rights, tcp, scopes)[: sizes.get(version, 24)]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = _LIBC.syscall(_SYS_CREATE_RULESET, buffer, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for folder in _readable_folders():
            _allow_reading(ruleset, folder)
        return bool(_LIBC.syscall(_SYS_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow_reading(ruleset: int, folder: Path) -> None:
    handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", _READ_FILE | _READ_DIR, handle), 12)
        _LIBC.syscall(_SYS_ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(handle)


def _readable_folders() -> list[Path]:
    """Return where late imports (codecs, detection tables) are read from: code, never data."""
    paths = sysconfig.get_paths()
    names = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders = {Path(name) for name in names} | {Path(__file__).resolve().parent}
    return sorted(folder for folder in folders if folder.is_dir())


# The system calls that no parser makes, one line each: sockets (socket, connect, bind, listen),
# processes (clone, fork, vfork, clone3, execve, execveat; ARM has no fork and vfork), other
# processes' memory and fate (ptrace, process_vm_readv and _writev, kill), namespaces and mounts
# (mount, unshare, setns), kernel services with a long record of holes (bpf, keyctl, add_key,
# io_uring_setup, userfaultfd). With each set, the AUDIT_ARCH word of its architecture.
# Source: linux/audit.h, asm/unistd_64.h, asm-generic/unistd.h.
_X86_64: Final = (
    *(41, 42, 49, 50),
    *(56, 57, 58, 435, 59, 322),
    *(101, 310, 311, 62),
    *(165, 272, 308),
    *(321, 250, 248, 425, 323),
)
_AARCH64: Final = (
    *(198, 203, 200, 201),
    *(220, 435, 221, 281),
    *(117, 270, 271, 129),
    *(40, 97, 268),
    *(280, 219, 217, 425, 282),
)
_FILTERS: Final[Mapping[str, tuple[int, tuple[int, ...]]]] = {
    "x86_64": (0xC000003E, _X86_64),
    "aarch64": (0xC00000B7, _AARCH64),
}


def forbid_system_calls() -> bool:
    """Have the kernel refuse sockets, new processes and other processes' memory from now on."""
    known = _FILTERS.get(platform.machine())
    if known is None or sys.maxsize < 2**32:
        return False
    architecture, numbers = known
    refuse = 0x00050000 | errno.EPERM
    steps = [
        _step(0x20, 0, 0, 4),  # load the architecture
        _step(0x15, 1, 0, architecture),
        _step(0x06, 0, 0, 0x80000000),  # another one: kill the process
        _step(0x20, 0, 0, 0),  # load the number
        _step(0x35, 0, 1, 0x40000000),  # the x32 twins of all calls
        _step(0x06, 0, 0, refuse),
    ]
    for number in numbers:
        steps += [_step(0x15, 0, 1, number), _step(0x06, 0, 0, refuse)]
    steps.append(_step(0x06, 0, 0, 0x7FFF0000))  # all else is allowed
    code = ctypes.create_string_buffer(b"".join(steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program))
    return bool(done == 0)


def _step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def limit_resources(*, memory_bytes: int, cpu_s: int) -> None:
    """Bound memory and CPU time of this process; no file may grow, no core is left behind."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


_FORBIDDEN_EVENTS: Final = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.kill",
    "pty.",
)


def add_tripwire() -> None:
    """Refuse Python's own sockets and processes: the last resort where the kernel offers none."""

    def refuse(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(_FORBIDDEN_EVENTS):
            raise PermissionError(errno.EPERM, f"a parser may not do {event}")

    sys.addaudithook(refuse)
