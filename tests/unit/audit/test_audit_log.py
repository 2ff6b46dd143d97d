"""The writer: no receipt without a durable record, one writer, no way on after a failed write."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.layout import segments
from ragplatform.audit.query import read
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError, ConfigurationError, TamperedError
from ragplatform.model import Receipt
from tests.fakes_audit import SEALING_KEY, GateDisk, event, open_log, write_groups
from tests.fakes_disk import JournalDisk

ROOT = Path(__file__).resolve().parents[3]


class FailingDisk(JournalDisk):
    """A disk that refuses the ``n``-th operation of a kind, counted from when it is armed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, before=self.check)
        self.kind = ""
        self.left = 0

    def arm(self, kind: str, after: int = 0) -> None:
        self.kind, self.left = kind, after

    def check(self, kind: str) -> None:
        if kind == self.kind:
            self.left -= 1
            if self.left < 0:
                self.kind = ""
                raise OSError(28, "No space left on device")


def indexes(directory: Path) -> list[int]:
    return [record.index for record in read(directory)]


def test_events_that_are_recorded_together_cost_one_sync_and_stand_in_order(
    tmp_path: Path,
) -> None:
    disk = FailingDisk(tmp_path)
    with open_log(tmp_path / "log", storage=disk) as log:
        log.append(event(0))
        # The second sync from here on would fail.
        disk.arm("sync", after=1)

        receipts = log.append_together([event(1), event(2)])

        assert [one.index for one in receipts] == [1, 2]
        disk.arm("")
    assert [record.request_id for record in read(tmp_path / "log")] == ["r-0", "r-1", "r-2"]
    assert [record.leaf for record in read(tmp_path / "log")][1:] == [one.leaf for one in receipts]
    assert verify(tmp_path / "log", public_key=None).ok


def test_of_events_that_belong_together_none_is_recorded_where_one_cannot_be(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path / "log") as log:
        with pytest.raises(AuditError, match="cannot be recorded"):
            log.append_together([event(0), event(1, details={"unheard_of": 1})])

        assert log.append(event(2)).index == 0
    assert indexes(tmp_path / "log") == [0]


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    with (
        open_log(tmp_path / "log"),
        pytest.raises(AuditError, match=f"process {os.getpid()}:"),
    ):
        open_log(tmp_path / "log")

    open_log(tmp_path / "log").close()


def test_a_second_writer_in_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.fakes_audit import open_log\n"
        "from ragplatform.errors import AuditError\n"
        "try: open_log(Path(sys.argv[1]))\n"
        "except AuditError as error: print(error)"
    )
    with open_log(tmp_path / "log"):
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "log")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )

    assert f"process {os.getpid()}:" in said.stdout


@pytest.mark.parametrize("kind", ["write", "sync"])
def test_after_a_failed_write_or_sync_nothing_is_recorded_until_opened_anew(
    tmp_path: Path, kind: str
) -> None:
    disk = FailingDisk(tmp_path)
    log = open_log(tmp_path / "log", storage=disk)
    log.append(event(0))
    assert log.writable
    disk.arm(kind)

    with pytest.raises(AuditError, match="No space left"):
        log.append(event(1))
    assert not log.writable
    for _ in range(3):
        with pytest.raises(AuditError, match="open it anew"):
            log.append(event(2))
    log.close()

    with open_log(tmp_path / "log", storage=disk) as again:
        receipt = again.append(event(3))
    numbers = [record.details.get("number") for record in read(tmp_path / "log")]
    assert numbers[0] == 0
    assert numbers[-1] == 3
    assert 2 not in numbers
    assert read(tmp_path / "log")[receipt.index].leaf == receipt.leaf
    assert verify(tmp_path / "log", public_key=log.public_key).ok


def test_every_thread_of_a_failed_group_is_told(tmp_path: Path) -> None:
    disk = GateDisk()
    log = open_log(tmp_path / "log", storage=disk)
    disk.gate.clear()
    outcomes: list[str] = []

    def append() -> None:
        try:
            log.append(event())
            outcomes.append("recorded")
        except AuditError:
            outcomes.append("refused")

    while disk.syncing.acquire(blocking=False):
        pass
    threads = [threading.Thread(target=append) for _ in range(8)]
    threads[0].start()
    assert disk.syncing.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    while len(log._pending) < 7:
        time.sleep(0.001)
    disk.failure = OSError(5, "Input/output error")
    disk.gate.set()
    for thread in threads:
        thread.join(10)
    log.close()

    assert outcomes == ["refused"] * 8


def test_an_interrupted_write_poisons_too(tmp_path: Path) -> None:
    def interrupt(kind: str) -> None:
        if kind == "sync" and armed:
            raise KeyboardInterrupt

    armed: list[int] = []
    log = open_log(tmp_path / "log", storage=JournalDisk(tmp_path, before=interrupt))
    armed.append(1)

    with pytest.raises(KeyboardInterrupt):
        log.append(event())
    with pytest.raises(AuditError, match="open it anew"):
        log.append(event())
    log.close()


def test_an_interrupted_waiter_keeps_nobody_waiting(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    disk = GateDisk()
    log = open_log(tmp_path / "log", storage=disk)
    disk.gate.clear()
    before = signal.signal(signal.SIGUSR1, interrupt)
    leader = threading.Thread(target=log.append, args=(event(0),))
    leader.start()
    while log._pending or not log._leading:
        time.sleep(0.001)

    def send() -> None:
        while not log._pending:
            time.sleep(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        log.append(event(1))
    signal.signal(signal.SIGUSR1, before)
    follower = threading.Thread(target=log.append, args=(event(2),))
    follower.start()
    while len(log._pending) < 2:
        time.sleep(0.001)
    disk.gate.set()
    for thread in (leader, sender, follower):
        thread.join(10)
    log.close()

    assert indexes(tmp_path / "log") == [0, 1, 2]


def test_an_event_that_cannot_be_encoded_takes_no_index_and_poisons_nothing(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path / "log") as log:
        with pytest.raises(AuditError):
            log.append(event(details={"collections": ["x" * 1000]}))

        assert log.append(event()).index == 0


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.close()
    log.close()

    with pytest.raises(AuditError, match="closed"):
        log.append(event())


def test_a_forked_child_may_not_write_its_parents_log(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log._process += 1

        with pytest.raises(AuditError, match="parent process"):
            log.append(event())


def test_another_signing_key_or_origin_is_refused(tmp_path: Path) -> None:
    write_groups(tmp_path / "log", [1])

    with pytest.raises(ConfigurationError, match="was begun as"):
        open_log(tmp_path / "log", signing_key=bytes(32))
    with pytest.raises(ConfigurationError, match="was begun as"):
        open_log(tmp_path / "log", origin="ragplatform/other")


def test_a_clock_without_a_zone_is_refused(tmp_path: Path) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with (
        open_log(tmp_path / "log", clock=lambda: naive) as log,
        pytest.raises(AuditError, match="zone"),
    ):
        log.append(event())


def test_times_never_run_backwards_even_when_the_clock_does(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    steps = [0, 5, 3, 3, 9]

    def clock() -> Iterator[datetime]:
        for step in steps:
            yield start + timedelta(seconds=step)

    ticks = clock()
    with open_log(tmp_path / "log", clock=lambda: next(ticks)) as log:
        for number in range(3):
            log.append(event(number))
    with open_log(tmp_path / "log", clock=lambda: next(ticks)) as log:
        for number in range(2):
            log.append(event(number))

    seconds = [(record.time - start).seconds for record in read(tmp_path / "log")]
    assert seconds == [0, 5, 5, 5, 9]


def test_a_receipt_names_the_place_and_hash_of_its_record(tmp_path: Path) -> None:
    receipts = write_groups(tmp_path / "log", [1, 3, 1, 2])

    records = read(tmp_path / "log")
    assert [(r.index, r.leaf) for r in records] == [(r.index, r.leaf) for r in receipts]


def test_a_log_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for round_number in range(4):
        with open_log(tmp_path / "log") as log:
            assert log.append(event()).index == round_number

    report = verify(tmp_path / "log", public_key=None)
    assert (report.ok, report.records) == (True, 4)


def test_segments_follow_one_another_without_a_gap(tmp_path: Path) -> None:
    for _ in range(2):
        with open_log(tmp_path / "log", segment_bytes=2000) as log:
            for number in range(20):
                log.append(event(number))

    assert len(segments(tmp_path / "log")) > 5
    assert indexes(tmp_path / "log") == list(range(40))
    assert verify(tmp_path / "log", public_key=None).records == 40


def test_eight_threads_lose_nothing_and_share_no_index(tmp_path: Path) -> None:
    receipts: list[Receipt] = []
    with open_log(tmp_path / "log") as log:

        def append(worker: int) -> None:
            first = worker * 100
            receipts.extend(log.append(event(number)) for number in range(first, first + 100))

        threads = [threading.Thread(target=append, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    records = read(tmp_path / "log")
    assert sorted(receipt.index for receipt in receipts) == list(range(800))
    assert {receipt.leaf for receipt in receipts} == {record.leaf for record in records}
    numbers = sorted(int(str(record.details["number"])) for record in records)
    assert numbers == list(range(800))
    assert verify(tmp_path / "log", public_key=None).ok


def test_closing_waits_for_those_who_are_at_it(tmp_path: Path) -> None:
    disk = GateDisk()
    log = open_log(tmp_path / "log", storage=disk)
    disk.gate.clear()
    receipts: list[Receipt] = []
    threads = [
        threading.Thread(target=lambda: receipts.append(log.append(event()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while len(log._pending) < 3:
        time.sleep(0.001)
    closing = threading.Thread(target=log.close)
    closing.start()

    disk.gate.set()
    for thread in [*threads, closing]:
        thread.join(10)

    assert sorted(receipt.index for receipt in receipts) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["key.pub", "checkpoint"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_log_without_its_key_or_checkpoint_is_not_written(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    write_groups(tmp_path / "log", [1])
    (tmp_path / "log" / name).unlink()
    if content is not None:
        (tmp_path / "log" / name).write_bytes(content)

    with pytest.raises((TamperedError, ConfigurationError)):
        open_log(tmp_path / "log")


def test_one_flipped_byte_in_any_record_stops_the_writer_from_opening(tmp_path: Path) -> None:
    write_groups(tmp_path / "log", [1, 2])
    path = segments(tmp_path / "log")[0][1]
    good = path.read_bytes()
    for offset in range(len(good)):
        path.write_bytes(good[:offset] + bytes([good[offset] ^ 1]) + good[offset + 1 :])
        with pytest.raises(TamperedError):
            open_log(tmp_path / "log")


def test_a_cut_off_end_below_the_checkpoint_is_no_torn_write(tmp_path: Path) -> None:
    write_groups(tmp_path / "log", [1, 2])
    path = segments(tmp_path / "log")[0][1]
    lines = path.read_bytes().splitlines(keepends=True)

    for keep in range(len(lines)):
        path.write_bytes(b"".join(lines[:keep]))
        with pytest.raises(TamperedError):
            open_log(tmp_path / "log")


def test_a_torn_end_is_cut_off_kept_and_recorded(tmp_path: Path) -> None:
    write_groups(tmp_path / "log", [1])
    path = segments(tmp_path / "log")[0][1]
    whole = path.read_bytes()
    first_line = whole.split(b"\n")[0]
    path.write_bytes(whole + first_line + b"\n" + first_line[:40])

    open_log(tmp_path / "log").close()

    _, recovered = read(tmp_path / "log")
    assert recovered.action is Action.RECOVERED
    assert recovered.details["bytes"] == len(first_line) + 41
    assert recovered.details["unacknowledged_records"] == 1
    kept = tmp_path / "log" / str(recovered.details["kept_as"])
    assert kept.read_bytes() == first_line + b"\n" + first_line[:40]
    assert verify(tmp_path / "log", public_key=None).ok


def test_a_disk_that_refuses_at_opening_is_an_audit_error(tmp_path: Path) -> None:
    disk = FailingDisk(tmp_path)
    for kind in ("make_folder", "open", "write", "sync", "rename", "sync_folder"):
        disk.arm(kind)
        with pytest.raises(AuditError, match="cannot be opened"):
            open_log(tmp_path / "log", storage=disk)

    open_log(tmp_path / "log").close()


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    write_groups(tmp_path / "log", [1], sealing_key=SEALING_KEY)

    assert (tmp_path / "log").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "log").iterdir())
