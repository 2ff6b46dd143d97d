"""One audit log's keys, its events, and logs with groups of a known size."""

import hashlib
import threading
from pathlib import Path
from typing import Any

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.log import AuditLog
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.storage import File
from ragplatform.audit.vocabulary import VOCABULARY
from ragplatform.model import Receipt
from tests.fakes_disk import QuickDisk
from tests.sample_events import sample

ORIGIN = "ragplatform/test"
SIGNING_KEY = bytes(range(32))
SEALING_KEY = bytes(range(32, 64))


def event(number: int = 0, *, action: Action = Action.ASKED, **changes: Any) -> AuditEvent:
    """Return an event that differs from those of other numbers."""
    fields: dict[str, Any] = {
        "tenant": "mercy",
        "actor": "u:anna",
        "request_id": f"r-{number}",
        "purpose": "TREAT",
        "details": {"number": number},
    }
    if action in VOCABULARY and action != Action.ASKED:
        fields["details"] = sample(action)
    return AuditEvent(action, Outcome.SUCCESS, **(fields | changes))


def open_log(directory: Path, **changes: Any) -> AuditLog:
    """Open a log with the test keys, on a disk that does not sync unless told otherwise."""
    arguments: dict[str, Any] = {
        "origin": ORIGIN,
        "signing_key": SIGNING_KEY,
        "sealing_key": SEALING_KEY,
        "storage": QuickDisk(),
    }
    return AuditLog.open(directory, **(arguments | changes))


def open_logs(folder: Path, **changes: Any) -> TenantLogs:
    """Open the logs of a process, each tenant's keys being unlike every other's."""
    arguments: dict[str, Any] = {
        "kind": "api",
        "signing_key": lambda origin: key_of("sign", origin),
        "sealing_key": lambda tenant: key_of("seal", tenant),
        "storage": QuickDisk(),
    }
    return TenantLogs.open(folder, **(arguments | changes))


def key_of(use: str, name: str) -> bytes:
    """Return the key that ``open_logs`` gives an origin or tenant."""
    return hashlib.sha256(f"{use}/{name}".encode()).digest()


class Pauses:
    """A clock for pauses that stands until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class GateDisk(QuickDisk):
    """A disk whose syncs wait while the gate is shut, so that a test decides what is grouped."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.syncing = threading.Semaphore(0)
        self.failure: OSError | None = None

    def open(self, path: Path) -> File:
        return _GateFile(super().open(path), self)


class _GateFile:
    def __init__(self, file: File, disk: GateDisk) -> None:
        self._disk = disk
        self.write = file.write
        self.truncate = file.truncate
        self.close = file.close

    def sync(self) -> None:
        self._disk.syncing.release()
        assert self._disk.gate.wait(10)
        if self._disk.failure is not None:
            raise self._disk.failure


def write_groups(directory: Path, sizes: list[int], **changes: Any) -> list[Receipt]:
    """Write a log whose groups have exactly these sizes, and close it."""
    disk = GateDisk()
    receipts: list[Receipt] = []
    number = 0
    with open_log(directory, storage=disk, **changes) as log:
        while disk.syncing.acquire(blocking=False):
            pass

        def append(its_number: int) -> None:
            receipts.append(log.append(event(its_number)))

        position = 0
        while position < len(sizes):
            # A group of one holds the gate while those of the next group gather behind it.
            assert sizes[position] == 1, "groups of one stand between larger ones"
            batch = sizes[position + 1] if position + 1 < len(sizes) else 0
            disk.gate.clear()
            threads = [threading.Thread(target=append, args=(number,))]
            threads[0].start()
            assert disk.syncing.acquire(timeout=10)
            for extra in range(1, batch + 1):
                thread = threading.Thread(target=append, args=(number + extra,))
                thread.start()
                while len(log._pending) < extra:
                    pass
                threads.append(thread)
            disk.gate.set()
            for thread in threads:
                thread.join()
            while disk.syncing.acquire(blocking=False):
                pass
            number += 1 + batch
            position += 2
    return sorted(receipts, key=lambda receipt: receipt.index)
