"""A log whose disk failed comes back when the disk does, and what it records first is the gap."""

import errno
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.log import AuditLog
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.query import read
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError, AuditLockedError
from tests.fakes_audit import GateDisk, Pauses, event, key_of, open_log, open_logs
from tests.fakes_disk import PickyDisk

REVEALED = Action.REVEALED


def refuse(logs: TenantLogs, tenant: str = "mercy", action: Action = Action.ASKED) -> None:
    with pytest.raises(AuditError):
        logs.append(event(tenant=tenant, action=action))


@pytest.mark.parametrize("tenant", ["mercy", ""])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_when_space_returns_service_returns_and_the_gap_is_the_first_record(
    tmp_path: Path, tenant: str, number: int
) -> None:
    disk, clock, name = PickyDisk("", number), Pauses(), "api.mercy" if tenant else "api"
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event(tenant=tenant))
        disk.refused = f"{name}/"
        refuse(logs, tenant, Action.ASKED)
        with pytest.raises(AuditError):
            logs.append_together([event(tenant=tenant), event(tenant=tenant, action=REVEALED)])
        disk.refused = ""
        clock.now_s += 30
        logs.append(event(2, tenant=tenant))

    gap = read(tmp_path / name, action=Action.RESUMED)[0]
    assert gap.details["reason"] == errno.errorcode[number]
    assert gap.details["refused_by_action"] == {"asked": 2, "revealed": 1}
    assert gap.details["refused"] == 3
    assert (gap.tenant, gap.actor, gap.index) == (tenant, name, read(tmp_path / name)[-1].index - 1)
    assert verify(tmp_path / name, public_key=None).ok


def test_the_gap_says_from_when_to_when_nothing_could_be_recorded(tmp_path: Path) -> None:
    now, disk, clock = [datetime(2026, 3, 1, tzinfo=UTC)], PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock, clock=lambda: now[0]) as logs:
        logs.append(event())
        disk.refused = "api.mercy"
        refuse(logs)
        now[0] += timedelta(minutes=7)
        disk.refused = ""
        logs.append(event())

    gap = read(tmp_path / "api.mercy", action=Action.RESUMED)[0]
    assert gap.details["since"] == "2026-03-01T00:00:00.000000Z"
    assert gap.details["until"] == "2026-03-01T00:07:00.000000Z"


def test_a_failing_disk_is_tried_at_once_and_then_after_pauses_that_double_to_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, clock, tried = PickyDisk(""), Pauses(), list[float]()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event())
        disk.refused = "api.mercy"
        refuse(logs)
        real = AuditLog.open

        def spy(*given: object, **named: object) -> AuditLog:
            tried.append(clock.now_s)
            return real(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(AuditLog, "open", spy)
        for _ in range(200):
            refuse(logs)
            clock.now_s += 0.5

    assert tried == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]


def test_while_the_log_is_dark_every_event_is_refused_at_once(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event())
        disk.refused = "api.mercy"
        refuse(logs)
        refuse(logs)
        disk.refused = ""

        refuse(logs)  # it would work now, but it is not time to try
        assert (logs.writable, logs.dark) == (True, 1)
        clock.now_s += 1
        logs.mend()

        assert logs.dark == 0
        assert logs.append(event()).index == 2


def test_the_deployment_s_own_log_is_mended_although_no_event_comes(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        disk.refused = "api/"
        refuse(logs, "")
        assert not logs.writable
        logs.mend()
        assert not logs.writable

        disk.refused = ""
        clock.now_s += 1
        logs.mend()

        assert logs.writable


def test_no_other_process_can_write_while_the_log_is_dark(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event())
        disk.refused = "api.mercy"
        for _ in range(3):
            refuse(logs)
            clock.now_s += 30
            with pytest.raises(AuditLockedError):
                open_log(tmp_path / "api.mercy", origin="api.mercy")
        disk.refused = "api/"
        refuse(logs, "")
        refuse(logs, "")
        with open_logs(tmp_path) as others:
            assert others.process == "api-2"


def test_a_lock_that_another_process_took_meanwhile_is_not_written_past(tmp_path: Path) -> None:
    disk, clock, origin = PickyDisk(""), Pauses(), "api.mercy"
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event(0))
        disk.refused = "api.mercy"
        refuse(logs)
        disk.refused = ""
        (tmp_path / origin / "lock").unlink()
        other = open_log(tmp_path / origin, origin=origin, signing_key=key_of("sign", origin))
        other.append(event(1))
        refuse(logs)
        clock.now_s += 30
        other.close()

        logs.append(event(2))

    found = [str(record.action) for record in read(tmp_path / origin)]
    assert found == ["asked", "asked", "resumed", "asked"]
    assert verify(tmp_path / origin, public_key=None).ok


def test_a_log_whose_folder_is_gone_is_not_begun_anew_but_waited_for(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event(0))
        shutil.move(tmp_path / "api.mercy", tmp_path / "elsewhere")
        (tmp_path / "api.mercy").mkdir()
        disk.refused = "api.mercy"
        refuse(logs)
        disk.refused = ""
        refuse(logs)
        assert list((tmp_path / "api.mercy").iterdir()) == []

        (tmp_path / "api.mercy").rmdir()
        shutil.move(tmp_path / "elsewhere", tmp_path / "api.mercy")
        clock.now_s += 1
        logs.append(event(1))
    assert verify(tmp_path / "api.mercy", public_key=None).ok


def test_a_log_that_lost_acknowledged_records_meanwhile_stays_refused(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event(0))
        kept = (tmp_path / "api.mercy" / "segment-000000000000.jsonl").read_bytes()
        logs.append(event(1))
        disk.refused = "api.mercy"
        refuse(logs)
        disk.refused = ""
        (tmp_path / "api.mercy" / "segment-000000000000.jsonl").write_bytes(kept)

        for _ in range(3):
            refuse(logs)
            clock.now_s += 30

        assert logs.dark == 1
        assert (tmp_path / "api.mercy" / "segment-000000000000.jsonl").read_bytes() == kept
        assert logs.append(event(tenant="harbor")).index == 0


def test_each_thread_that_was_refused_is_counted_once(tmp_path: Path) -> None:
    disk, clock = GateDisk(), Pauses()
    refused = []
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event())
        disk.failure = OSError(errno.EIO, "Input/output error")

        def work() -> None:
            done = False
            while not done:
                try:
                    logs.append(event())
                    done = True
                except AuditError:
                    refused.append(1)
                time.sleep(0.001)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(refused) < 50:
            time.sleep(0.001)
        disk.failure = None
        clock.now_s += 30
        for thread in threads:
            thread.join(30)

    [gap] = read(tmp_path / "api.mercy", action=Action.RESUMED)
    assert gap.details["refused"] == len(refused)
    assert verify(tmp_path / "api.mercy", public_key=None).ok


def test_a_gap_that_cannot_be_recorded_leaves_the_log_dark(tmp_path: Path) -> None:
    disk, clock = PickyDisk(""), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        logs.append(event())
        disk.refused = "api.mercy"
        refuse(logs)
        disk.refused = ""
        segment = tmp_path / "api.mercy" / "segment-000000000000.jsonl"
        stop_after_opening(disk, segment)
        refuse(logs)
        assert logs.dark == 1
        disk.refuse = PickyDisk("").refuse  # type: ignore[method-assign]
        clock.now_s += 30

        logs.append(event())
    [gap] = read(tmp_path / "api.mercy", action=Action.RESUMED)
    assert gap.details["refused"] == 2


def stop_after_opening(disk: PickyDisk, segment: Path) -> None:
    """Let recovery write the last group anew, and refuse the record of the gap behind it."""
    left = [1]

    def refuse_later(path: Path) -> None:
        size = segment.stat().st_size
        if path == segment and size and left[0] < 0:
            raise OSError(errno.ENOSPC, "no space")
        left[0] -= path == segment

    disk.refuse = refuse_later  # type: ignore[method-assign]


def test_an_event_that_cannot_be_written_down_is_refused_and_darkens_nothing(
    tmp_path: Path,
) -> None:
    with open_logs(tmp_path) as logs:
        with pytest.raises(AuditError):
            logs.append(event(details={"text": "x" * 300}))

        assert logs.dark == 0
        assert logs.append(event()).index == 0
