"""Each tenant's records stand in its own log, under its own keys, and fail for it alone."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ragplatform.audit.log import AuditLog
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.note import Signer
from ragplatform.audit.query import find_logs, read
from ragplatform.audit.record import unseal
from ragplatform.audit.verify import verify
from ragplatform.errors import AuditError, AuditLockedError, TamperedError
from tests.fakes_audit import Pauses, event, key_of, open_log, open_logs, write_groups
from tests.fakes_disk import PickyDisk, copy_log

OWNERS = {"mercy": "u:canary-anna", "harbor": "u:canary-hugo"}


def fill(folder: Path, rounds: int = 3) -> None:
    """Record acts of two tenants and of the deployment, as they come."""
    with open_logs(folder) as logs:
        for number in range(rounds):
            for tenant, actor in OWNERS.items():
                sealed = {"question": f"asked in {tenant}"}
                logs.append(event(number, tenant=tenant, actor=actor, sealed=sealed))
            logs.append(event(number, tenant="", actor="system"))


def flip(log: Path, what: bytes) -> None:
    """Alter one byte of a log's first segment."""
    [segment] = log.glob("segment-*")
    raw = bytearray(segment.read_bytes())
    raw[raw.index(what)] ^= 1
    segment.write_bytes(raw)


@pytest.mark.parametrize(
    "tenant",
    ["..", "../api", "a/b", "/etc", "Mercy", "mercy ", ".mercy", "a.b", "-a", "é", "a" * 64],
)
def test_a_name_that_no_tenant_has_is_not_recorded_and_makes_no_folder(
    tmp_path: Path, tenant: str
) -> None:
    with open_logs(tmp_path / "audit") as logs:
        with pytest.raises(AuditError):
            logs.append(event(tenant=tenant))
        assert logs.writable

    assert [path.name for path in tmp_path.iterdir()] == ["audit"]
    assert [path.name for path in (tmp_path / "audit").iterdir()] == ["api"]


def test_the_longest_name_of_a_tenant_can_be_recorded(tmp_path: Path) -> None:
    with open_logs(tmp_path, kind="ingest") as logs:
        assert logs.append(event(tenant="a" * 63)).origin == "ingest." + "a" * 63


def test_no_file_holds_records_of_two_tenants(tmp_path: Path) -> None:
    fill(tmp_path)

    assert [log.name for log in find_logs(tmp_path)] == ["api", "api.harbor", "api.mercy"]
    for name, owner in {"api": "", "api.harbor": "harbor", "api.mercy": "mercy"}.items():
        assert [record.tenant for record in read(tmp_path / name)] == [owner] * 3


def test_nothing_of_one_tenant_stands_in_a_file_of_another_or_of_the_deployment(
    tmp_path: Path,
) -> None:
    fill(tmp_path)

    for path in filter(Path.is_file, tmp_path.rglob("*")):
        owner = path.parent.name.partition(".")[2]
        found = {name for name, actor in OWNERS.items() for canary in (name, actor)
                 if canary.encode() in path.read_bytes()}  # fmt: skip
        assert found <= {owner}, path


def test_one_tenant_s_logs_verify_without_the_others(tmp_path: Path) -> None:
    fill(tmp_path / "audit")
    given = copy_log(tmp_path / "audit" / "api.mercy", tmp_path / "given" / "api.mercy")
    shutil.rmtree(tmp_path / "audit")

    key = Signer("api.mercy", key_of("sign", "api.mercy")).public_key
    report = verify(given, public_key=key)

    assert (report.ok, report.origin, report.records) == (True, "api.mercy", 3)


def test_each_log_is_signed_with_a_key_of_its_own(tmp_path: Path) -> None:
    fill(tmp_path)

    theirs = Signer("api.harbor", key_of("sign", "api.harbor")).public_key
    assert not verify(tmp_path / "api.mercy", public_key=theirs).ok
    assert len({(log / "key.pub").read_text().split("+")[2] for log in find_logs(tmp_path)}) == 3


def test_sealed_parts_open_with_the_key_of_their_tenant_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    record = read(tmp_path / "api.mercy")[0]

    assert unseal(record, key_of("seal", "mercy")) == {"question": "asked in mercy"}
    for other in ("harbor", ""):
        with pytest.raises(TamperedError):
            unseal(record, key_of("seal", other))
        with pytest.raises(TamperedError):
            unseal(replace(record, tenant=other), key_of("seal", other))


def test_a_log_that_was_altered_leaves_the_verdict_on_the_others(tmp_path: Path) -> None:
    fill(tmp_path)
    flip(tmp_path / "api.harbor", b"canary")

    verdicts = {log.name: verify(log, public_key=None).ok for log in find_logs(tmp_path)}

    assert verdicts == {"api": True, "api.harbor": False, "api.mercy": True}


def test_a_log_that_was_altered_is_not_written_on_and_the_others_are(tmp_path: Path) -> None:
    fill(tmp_path)
    flip(tmp_path / "api.harbor", b"canary")
    evidence = (tmp_path / "api.harbor" / "segment-000000000000.jsonl").read_bytes()

    with open_logs(tmp_path) as logs:
        for _ in range(2):
            with pytest.raises(AuditError):
                logs.append(event(tenant="harbor"))
        logs.append(event(tenant="mercy"))
        logs.append(event(tenant=""))

    assert (tmp_path / "api.harbor" / "segment-000000000000.jsonl").read_bytes() == evidence
    assert len(read(tmp_path / "api.mercy")) == 4


def test_a_log_that_was_altered_is_hashed_once_and_not_for_each_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    flip(tmp_path / "api.harbor", b"canary")
    with open_logs(tmp_path) as logs:
        monkeypatch.setattr(AuditLog, "open", lambda *_, **__: pytest.fail("opened again"))
        with pytest.raises(AuditError):
            logs.append(event(tenant="harbor"))


def test_a_full_disk_stops_one_tenant_until_it_has_room(tmp_path: Path) -> None:
    disk, clock = PickyDisk(refused="api.harbor"), Pauses()
    with open_logs(tmp_path, storage=disk, pause_clock=clock) as logs:
        with pytest.raises(AuditError):
            logs.append(event(tenant="harbor"))
        logs.append(event(tenant="mercy"))
        assert (logs.writable, logs.dark) == (True, 1)

        disk.refused = ""
        clock.now_s += 1
        assert logs.append(event(tenant="harbor")).index == 1
        assert logs.dark == 0
    assert [str(one.action) for one in read(tmp_path / "api.harbor")] == ["resumed", "asked"]


def test_a_second_process_writes_logs_of_its_own(tmp_path: Path) -> None:
    with open_logs(tmp_path) as first, open_logs(tmp_path) as second:
        assert first.append(event(tenant="mercy")).origin == "api.mercy"
        assert second.append(event(tenant="mercy")).origin == "api-2.mercy"
        # Numbered behind the tenant's name, this one's log would be the one above.
        assert first.append(event(tenant="mercy-2")).origin == "api.mercy-2"
        assert second.append(event(tenant="")).origin == "api-2"

    with open_logs(tmp_path) as third:
        assert third.append(event(tenant="mercy")).index == 1


def test_a_process_too_many_gets_no_log(tmp_path: Path) -> None:
    opened = [open_logs(tmp_path) for _ in range(16)]

    with pytest.raises(AuditLockedError):
        open_logs(tmp_path)
    for logs in opened:
        logs.close()


def test_a_tenant_s_log_has_one_writer(tmp_path: Path) -> None:
    origin, clock = "api.mercy", Pauses()
    with open_logs(tmp_path, pause_clock=clock) as logs:
        held = open_log(tmp_path / origin, origin=origin, signing_key=key_of("sign", origin))
        with pytest.raises(AuditLockedError):
            logs.append(event(tenant="mercy"))
        held.close()
        clock.now_s += 1

        logs.append(event(tenant="mercy"))
    assert read(tmp_path / origin)[0].details["reason"] == "locked"


def test_what_a_crash_left_of_a_tenant_s_log_is_mended_before_its_next_event(
    tmp_path: Path,
) -> None:
    origin = "api.mercy"
    keys = {"signing_key": key_of("sign", origin), "sealing_key": key_of("seal", "mercy")}
    write_groups(tmp_path / origin, [1], origin=origin, **keys)
    with (tmp_path / origin / "segment-000000000000.jsonl").open("ab") as file:
        file.write(b'{"above":')
    assert not verify(tmp_path / origin, public_key=None).ok

    open_logs(tmp_path).close()

    assert verify(tmp_path / origin, public_key=None).ok
    assert [str(record.action) for record in read(tmp_path / origin)] == ["asked", "recovered"]


def test_closed_logs_record_nothing_and_begin_no_log(tmp_path: Path) -> None:
    logs = open_logs(tmp_path)
    logs.append(event(tenant="mercy"))
    logs.close()
    logs.close()

    for tenant in ("", "mercy", "harbor"):
        with pytest.raises(AuditError):
            logs.append(event(tenant=tenant))
    assert not logs.writable
    assert not (tmp_path / "api.harbor").exists()


def test_a_log_whose_last_checkpoint_cannot_be_written_keeps_no_other_open(tmp_path: Path) -> None:
    disk = PickyDisk(refused="")
    logs = open_logs(tmp_path, storage=disk)
    for tenant in OWNERS:
        logs.append(event(tenant=tenant))
    disk.refused = "api.harbor/checkpoint"

    with pytest.raises(AuditError):
        logs.close()

    with open_logs(tmp_path) as again:
        assert again.process == "api"
        assert {again.append(event(tenant=tenant)).index for tenant in OWNERS} == {1}


def test_many_threads_of_many_tenants_lose_no_record(tmp_path: Path) -> None:
    def work(logs: TenantLogs, tenant: str) -> None:
        for number in range(20):
            logs.append(event(number, tenant=tenant))

    with open_logs(tmp_path) as logs:
        threads = [
            threading.Thread(target=work, args=(logs, f"t{number % 4}")) for number in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    for number in range(4):
        log = tmp_path / f"api.t{number}"
        assert [record.index for record in read(log)] == list(range(60))
        assert verify(log, public_key=None).ok
