"""The publisher: keeps witnesses up, says when one is not, and is never in the writer's way."""

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ragplatform.audit.events import Action, AuditEvent
from ragplatform.audit.log import AuditLog
from ragplatform.audit.storage import WriterLock
from ragplatform.audit.witness import FolderWitness, Witness
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import Note, Signature, parse_note
from ragplatform.audit.witness_publisher import Lag, Publisher, _slug, cosigned
from ragplatform.errors import AuditError, WitnessError
from tests.fakes_audit import event, open_log
from tests.fakes_disk import QuickDisk
from tests.fakes_witness import WitnessHost, prove


class Case:
    """A log, two witnesses, a clock, and what was recorded."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "audit"
        self.log = self.folder / "log"
        self.write(3)
        (tmp_path / "held").mkdir()
        held = HeldCheckpoints(tmp_path / "held", storage=QuickDisk())
        self.host = WitnessHost(tmp_path / "witness", self.folder)
        self.folder_witness = FolderWitness(held, every_s=0.05, prove=prove)
        self.http = self.host.client(every_s=0.05)
        self.time = time.time()
        self.recorded: list[AuditEvent] = []
        self.unrecordable = False

    def write(self, records: int) -> None:
        with open_log(self.log) as writer:
            for number in range(records):
                writer.append(event(number))

    def record(self, happened: AuditEvent) -> None:
        if self.unrecordable:
            raise AuditError("full")
        self.recorded.append(happened)

    def publisher(self, *witnesses: Witness) -> Publisher:
        return Publisher(
            self.folder,
            witnesses=witnesses or (self.folder_witness, self.http),
            record=self.record,
            late_after_s=60,
            storage=QuickDisk(),
            now=lambda: self.time,
        )

    def actions(self) -> list[Action]:
        return [one.action for one in self.recorded]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def sizes(lags: Sequence[Lag]) -> list[tuple[int, int, bool]]:
    return [(lag.standing.size, lag.newest, lag.good) for lag in lags]


def test_each_witness_gets_each_new_state_once(case: Case) -> None:
    assert sizes(case.publisher().push()) == [(3, 3, True)] * 2
    case.publisher().push()
    assert len(case.host.seen) == 1
    case.write(2)
    assert sizes(case.publisher().status()) == [(3, 5, True)] * 2
    assert sizes(case.publisher().push()) == [(5, 5, True)] * 2
    assert len(case.host.seen) == 2
    assert case.recorded == []


def test_the_cosigned_checkpoint_lies_beside_the_log(case: Case) -> None:
    case.publisher().push()

    text = cosigned(case.log)

    assert text is not None
    assert case.host.witness.key.cosigned_at(parse_note(text)) is not None


def test_a_witness_that_is_away_is_recorded_once_and_so_is_its_return(case: Case) -> None:
    case.publisher().push()
    case.host.away = True
    case.write(1)
    for _ in range(4):
        case.publisher().push()
        case.time += 30

    assert case.actions() == [Action.WITNESS_LAGGING]
    assert case.recorded[0].details["records"] == 4
    assert [lag.late for lag in case.publisher().status()] == [False, True]

    case.host.away = False
    case.publisher().push()
    assert case.actions() == [Action.WITNESS_LAGGING, Action.WITNESS_CAUGHT_UP]


def test_a_log_that_no_witness_has_seen_is_late_as_soon_as_it_is_old(case: Case) -> None:
    case.host.away = True
    case.publisher().push()
    assert case.recorded == []

    case.time += 120
    case.publisher().push()
    assert case.actions() == [Action.WITNESS_LAGGING]


def test_an_idle_log_is_never_late(case: Case) -> None:
    case.publisher().push()
    case.time += 86_400

    assert all(lag.good for lag in case.publisher().status())
    case.publisher().push()
    case.write(1)
    assert all(lag.good for lag in case.publisher().status())


def test_a_forked_log_is_recorded_as_a_conflict_and_stays_one(case: Case) -> None:
    case.publisher().push()
    for path in [*case.log.glob("*.jsonl"), case.log / "checkpoint", case.log / "key.pub"]:
        path.unlink()
    case.write(9)

    for _ in range(3):
        lags = case.publisher().push()

    # The records are the same numbers, so only times differ: enough for other hashes.
    assert [lag.standing.conflict for lag in lags] == [True, True]
    assert case.actions() == [Action.WITNESS_CONFLICT] * 2
    case.host.away = True
    assert not any(lag.good for lag in case.publisher().push())


def test_what_cannot_be_recorded_is_recorded_later(case: Case) -> None:
    case.host.away = case.unrecordable = True
    case.time += 120
    case.publisher().push()
    case.unrecordable = False

    case.publisher().push()

    assert case.actions() == [Action.WITNESS_LAGGING]


def test_one_process_hands_over_to_a_witness(case: Case) -> None:
    lock = WriterLock(case.folder / f"witness-{_slug(case.http.name)}.lock")

    lags = case.publisher().push()

    assert [lag.standing.size for lag in lags] == [3, 0]
    assert case.host.seen == []
    lock.release()


def test_a_damaged_log_keeps_no_other_from_its_witness(case: Case) -> None:
    with open_log(case.folder / "another", origin="another") as writer:
        writer.append(event())
    case.host.know(case.folder)
    (case.log / "key.pub").write_bytes(b"\xff")

    lags = {lag.log: lag for lag in case.publisher(case.http).push()}

    assert lags["another"].standing.size == 1
    assert lags["log"].standing.problem


def test_a_damaged_state_file_only_makes_it_ask_again(case: Case) -> None:
    case.publisher(case.http).push()
    [state] = (case.log / "witness").glob("*.json")
    state.write_bytes(b"{")
    case.write(1)

    assert sizes(case.publisher(case.http).push()) == [(4, 4, True)]
    assert json.loads(state.read_bytes())["size"] == 4


class Stuck:
    """A witness that does not answer for as long as the test wants."""

    name = "stuck"
    every_s = 0.01

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.free = threading.Event()

    def hand_over(self, log: Path, note: Note, known: int) -> Sequence[Signature]:
        self.asked.set()
        self.free.wait(20)
        raise WitnessError("away")


def test_appends_and_other_witnesses_do_not_wait_for_a_stuck_one(case: Case) -> None:
    stuck = Stuck()
    publisher = case.publisher(stuck, case.folder_witness)
    publisher.start()
    assert stuck.asked.wait(10)

    with open_log(case.log) as writer:
        for number in range(5):
            writer.append(event(number))
        held = wait_for(case, 8)

    stuck.free.set()
    publisher.close()
    assert held


def wait_for(case: Case, size: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        newest = case.folder_witness.held.newest("ragplatform/test")
        if newest is not None and newest.size >= size:
            return True
        time.sleep(0.02)
    return False


def test_what_was_recorded_last_is_handed_over_at_the_end(case: Case) -> None:
    slow = FolderWitness(case.folder_witness.held, every_s=3600, prove=prove)
    publisher = case.publisher(slow)
    publisher.start()
    case.write(4)

    publisher.close()

    assert wait_for(case, 7)


def test_a_checkpoint_is_synced_before_a_witness_sees_it(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)

    case.publisher(case.http).push()
    case.publisher(case.http).push()

    # Once: a log in which nothing happens is not synced in every round.
    assert synced == [str(case.log / "segment-000000000000.jsonl"), str(case.log)]


def test_a_log_without_records_is_nobodys_concern(tmp_path: Path, case: Case) -> None:
    log: AuditLog = open_log(case.folder / "empty", origin="empty")
    log.close()

    lags = {lag.log: lag for lag in case.publisher(case.http).push()}

    assert lags["empty"].good
    assert len(case.host.seen) == 1
