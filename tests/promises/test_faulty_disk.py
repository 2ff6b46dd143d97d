"""Promise 4 on a disk that fails: 503 and no text, no crash, and service again with the disk.

``RAGPLATFORM_FAULTS`` sets at how many points the disk of the audit log fails (2,000 by default),
``RAGPLATFORM_SEED`` repeats the choices of a failure.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ragplatform.api.app import create_app
from ragplatform.audit.events import Action, AuditEvent
from ragplatform.audit.lasting import LastingLog
from ragplatform.audit.log import AuditLog, GivenUp, utc_now
from ragplatform.audit.query import find_logs, read
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError
from ragplatform.model import Receipt
from tests.fakes import Bench, make_bench
from tests.fakes_audit import ORIGIN, Pauses, event, open_log
from tests.fakes_disk import Fault, FaultyDisk

FAULTS = int(os.environ.get("RAGPLATFORM_FAULTS", "2000"))
SEED = int(os.environ.get("RAGPLATFORM_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
PARTS = 10
TEXT = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
ASKED = {"question": "Why was apixaban stopped for Maria Lopez?", "purpose": "TREAT"}
WRITING = frozenset({"write", "open", "rename", "make_folder", "truncate"})
SYNCING = frozenset({"sync"})


def fault(chance: random.Random) -> Fault:
    """Return one of a full disk, an error of the device, and a sync that fails."""
    times = chance.choice([1, 2, 5, float("inf")])
    # A question makes three records, of one write and one sync each.
    at = chance.randrange(4)
    return chance.choice(
        [
            Fault(errno.ENOSPC, WRITING, at, times),
            Fault(errno.EIO, WRITING | SYNCING, at, times),
            Fault(errno.EIO, SYNCING, at, times),
            Fault(errno.EIO, SYNCING, at, times, forgets=True),
        ]
    )


@dataclass
class Ward:
    """A platform on a disk that fails, and what its log promised."""

    bench: Bench
    disk: FaultyDisk
    pauses: Pauses
    client: TestClient
    receipts: list[Receipt] = field(default_factory=list)
    refused: int = 0

    def listen(self) -> None:
        """Keep every receipt, and count what was refused."""
        append = self.bench.audit.append_together

        def heard(events: Sequence[AuditEvent]) -> list[Receipt]:
            try:
                receipts = append(events)
            except AuditError:
                self.refused += len(events)
                raise
            self.receipts += receipts
            return receipts

        self.bench.audit.append_together = heard  # type: ignore[method-assign]

    def ask(self, number: int) -> Any:
        headers = {"Authorization": "Bearer doctor"}
        if number % 4 == 3:
            source = f"/v1/sources/{self.bench.documents[0]}?purpose=TREAT"
            return self.client.get(source, headers=headers)
        path = "/v1/search" if number % 4 == 2 else "/v1/ask"
        body = ASKED | ({"stream": True} if number % 4 == 1 else {})
        return self.client.post(path, json=body, headers=headers)


def wrong(response: Any) -> str:
    """Say what is wrong with a response that had to be a refusal; empty if nothing is."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        # Which passages are shown is on record then, so a sentence may have begun to leave; the
        # answer's end is not: its last words, and that it is final, stay.
        good = "event: error" in text and "audit_unavailable" in text
        ended = [mark for mark in ("event: final", "[1]") if mark in text]
        return "" if good and not ended else f"the stream was {ended} {text[-90:]}"
    if (response.status_code, response.json().get("code")) != (503, "audit_unavailable"):
        return f"{response.status_code}: {text[:90]}"
    return "text of a passage" if "pixaban" in text or "Lopez" in text else ""


@pytest.fixture
def ward(memory: Path) -> Iterator[Ward]:
    disk, pauses = FaultyDisk(), Pauses()
    bench = make_bench(memory, disk=disk, pause_clock=pauses)
    bench.put(TEXT, subjects=["mrn:1"])
    made = Ward(
        bench, disk, pauses, TestClient(create_app(bench.platform), raise_server_exceptions=False)
    )
    made.listen()
    yield made
    made.client.close()
    bench.platform.store.close()


@pytest.mark.timeout(60 + FAULTS // 10)
@pytest.mark.parametrize("part", range(PARTS))
def test_wherever_the_disk_fails_there_is_no_answer_and_service_returns_with_it(
    ward: Ward, part: int
) -> None:
    chance, points = random.Random(SEED + part), 0
    while points < FAULTS // PARTS:
        points += fail_once(ward, fault(chance), chance.randrange(4), f"{SEED + part}/{points}")
        if chance.random() < 1 / 2:
            # Out of patience: the log is tried again while the disk still fails, somewhere else.
            ward.pauses.now_s += 60
            points += fail_once(ward, None, chance.randrange(4), f"{SEED + part}/{points}, again")
        ward.disk.set(None)
        ward.pauses.now_s += 60

    assert ward.ask(0).status_code == 200
    assert lost(ward.bench.settings.audit_dir, ward.receipts) == []
    # A gap whose own record failed is recorded anew, and the later one counts for both.
    gaps = {gap.details["since"]: gap for gap in ward.bench.records(action=Action.RESUMED)}
    assert sum(int(str(gap.details["refused"])) for gap in gaps.values()) == ward.refused


def fail_once(ward: Ward, new: Fault | None, number: int, what: str) -> int:
    """Ask, with a new fault or the one there is; return 1 if the disk failed, else 0."""
    if new is not None:
        ward.disk.set(new)
    before = ward.disk.fired
    response = ward.ask(number)
    if ward.disk.fired > before:
        assert wrong(response) == "", (what, ward.disk.fault)
        return 1
    assert response.status_code == 200, (what, ward.disk.fault)
    assert "event: error" not in response.text, (what, ward.disk.fault)
    return 0


def lost(folder: Path, receipts: list[Receipt]) -> list[str]:
    """Return what is wrong with the logs, and which acknowledged records are not in them."""
    found = {(r.origin, r.index): r.leaf for log in find_logs(folder) for r in read(log)}
    missing = [r for r in receipts if found.get((r.origin, r.index)) != r.leaf]
    problems = [verify(log, public_key=None).problem for log in find_logs(folder)]
    return [problem for problem in problems if problem] + [f"lost: {r.index}" for r in missing]


@pytest.mark.parametrize("part", range(4))
def test_a_log_of_small_segments_is_whole_wherever_its_disk_fails(memory: Path, part: int) -> None:
    """Beginning a log and filling segment after segment fail at each of their steps too."""
    chance, points = random.Random(SEED + part), 0
    for life in count():
        if points >= FAULTS // 4:
            break
        disk, receipts, folder = FaultyDisk(), list[Receipt](), memory / str(life)
        log = lasting(folder / "log", disk)
        for number in range(40):
            disk.set(fault(chance))
            try:
                receipts.append(log.append(event(number)))
            except AuditError:
                points += 1
            assert bool(disk.fired) <= log.dark, (SEED + part, life, number)
        disk.set(None)
        receipts.append(log.append(event(99)))
        log.close()
        assert lost(folder, receipts) == [], (SEED + part, life)


def lasting(directory: Path, disk: FaultyDisk) -> LastingLog:
    """Return a log of small segments, with pauses that are always over."""

    def open_one(after: GivenUp | None) -> AuditLog:
        return open_log(directory, storage=disk, segment_bytes=2_500, after=after)

    pauses: Callable[[], float] = count(0, 100).__next__
    return LastingLog(
        origin=ORIGIN, tenant="", log=None, open_log=open_one, clock=utc_now, pause_clock=pauses
    )
