"""Witnesses and forwarding from the command line, with a witness in a process of its own."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from click.testing import Result
from typer.testing import CliRunner

from ragplatform import config, egress, forwarding, openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.query import find_logs, read
from ragplatform.audit.storage import Disk
from ragplatform.audit.witness_book import found_witness
from ragplatform.commands import doctor
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError
from tests.fakes_audit import event
from tests.fakes_tls import Authority, SyslogReceiver
from tests.fakes_tsa import StampingAuthority

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A deployment whose deployment and two tenants have a log each."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = config.load()
    made.keys_dir.mkdir(parents=True)
    made.master_key_file.write_text(bytes(range(32)).hex())
    made.master_key_file.chmod(0o600)
    grow(made, 3)
    return made


def grow(settings: Settings, records: int, *, first: int = 0) -> None:
    with openers.open_audit(settings, "api") as audit:
        for number in range(first, first + records):
            for tenant in ("", "mercy", "harbor"):
                audit.append(event(number, tenant=tenant, actor=f"u:{tenant}"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


def found(*arguments: str) -> tuple[int, list[dict[str, object]]]:
    result = run(*arguments, "--json")
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    made = tmp_path / "mounted"
    made.mkdir()
    monkeypatch.setenv("RAGPLATFORM_WITNESS_FOLDERS", str(made))
    return made


def test_without_a_witness_the_commands_say_what_to_set(settings: Settings) -> None:
    assert settings
    result = run("witness", "push")

    assert result.exit_code == 2
    assert "witness_folders" in result.output
    assert run("forward", "--once").exit_code == 2


def test_a_folder_gets_each_logs_checkpoint(settings: Settings, folder: Path) -> None:
    code, pushed = found("witness", "push")
    assert code == 0
    assert {entry["log"]: entry["held"] for entry in pushed} == {
        "api": 3, "api.harbor": 3, "api.mercy": 3,
    }  # fmt: skip

    grow(settings, 2, first=3)
    code, lags = found("witness", "status")
    assert (code, {entry["lag_records"] for entry in lags}) == (0, {2})
    assert run("verify", "--witness", str(folder)).exit_code == 0


def test_an_unmounted_folder_fails_the_push_and_later_the_status(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rmdir()
    monkeypatch.setenv("RAGPLATFORM_WITNESS_LATE_S", "0.05")
    monkeypatch.setenv("RAGPLATFORM_WITNESS_INTERVAL_S", "0.01")

    time.sleep(0.1)
    code, _ = found("witness", "push")

    assert code == 1
    assert run("witness", "status").exit_code == 1
    recorded = read(settings.audit_dir / "cli", action=Action.WITNESS_LAGGING)
    assert {record.details["log"] for record in recorded} >= {"api", "api.mercy", "api.harbor"}


def test_the_doctor_says_how_far_witnesses_are(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("witness", "push")
    assert doctor._witnesses(config.load()).startswith("1 witnesses, none late")

    forge(settings, 2)
    run("witness", "push")
    with pytest.raises(ConfigurationError, match="rolled back"):
        doctor._witnesses(config.load())

    monkeypatch.setenv("RAGPLATFORM_WITNESS_FOLDERS", "")
    assert "none is set" in doctor._witnesses(config.load())
    assert folder.exists()


def forge(settings: Settings, records: int) -> None:
    """Write all logs anew, as whoever has the master secret can."""
    shutil.rmtree(settings.audit_dir)
    grow(settings, records, first=100)


@pytest.mark.parametrize("records", range(1, 8))
def test_verify_finds_whoever_has_the_key_and_rewrote_everything(
    settings: Settings, folder: Path, records: int
) -> None:
    grow(settings, 2, first=3)
    run("witness", "push")
    forge(settings, records)

    assert found("verify")[0] == 0
    code, reports = found("verify", "--witness", str(folder))

    assert code == 1
    wanted = "are missing" if records < 5 else "was rewritten"
    assert [wanted in str(report["problem"]) for report in reports] == [True] * 3


def test_verify_finds_a_log_that_is_gone(settings: Settings, folder: Path) -> None:
    run("witness", "push")
    shutil.rmtree(settings.audit_dir / "api.mercy")

    code, reports = found("verify", "--witness", str(folder))

    assert code == 1
    assert [report["origin"] for report in reports if not report["ok"]] == ["api.mercy"]


def test_verify_finds_a_fork_in_what_was_held_before(settings: Settings, folder: Path) -> None:
    run("witness", "push")
    kept = folder.parent / "kept"
    shutil.move(folder / "api.mercy", kept)
    forge(settings, 5)
    run("witness", "push")
    old = "000000000000/checkpoint-000000000003"
    shutil.copy(kept / old, folder / "api.mercy" / old)

    code, reports = found("verify", "--witness", str(folder))

    assert code == 1
    bad = {str(report["origin"]): report["problem"] for report in reports if not report["ok"]}
    assert "forked" in str(bad["api.mercy"])


def test_a_held_checkpoint_that_was_altered_is_not_passed_over(
    settings: Settings, folder: Path
) -> None:
    assert settings
    run("witness", "push")
    [held] = (folder / "api").rglob("checkpoint-*")
    held.write_bytes(held.read_bytes()[:-3])

    assert run("verify", "--witness", str(folder)).exit_code == 1
    held.unlink()
    assert run("verify", "--witness", str(folder / "none")).exit_code == 2


@dataclass
class Served:
    """A witness that runs in a process of its own."""

    url: str
    key: str
    folder: Path
    process: subprocess.Popen[bytes]


@pytest.fixture
def served(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("localhost")
    made = found_witness(tmp_path / "witness", "witness.test/w1", storage=Disk())
    keys = run("witness", "keys").stdout
    (tmp_path / "witness" / "logs").write_text(f"# the logs of this deployment\n{keys}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ragplatform", "audit", "witness", "serve"]
    process = subprocess.Popen(
        [
            *command, str(tmp_path / "witness"), "--port", str(port),
            "--tls-cert", str(cert), "--tls-key", str(key),
        ],
        cwd=ROOT,
    )  # fmt: skip
    url = f"https://127.0.0.1:{port}"
    monkeypatch.setenv("RAGPLATFORM_WITNESS_URLS", f"{url} {made}")
    monkeypatch.setenv("RAGPLATFORM_WITNESS_CA_FILE", str(authority.root_file))
    assert settings
    try:
        wait_until_up(url, authority)
        yield Served(url, str(made), tmp_path / "witness", process)
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(url: str, authority: Authority) -> None:
    tls = egress.tls_context(authority.root_file)
    for _ in range(600):
        try:
            assert httpx2.get(f"{url}/livez", verify=tls, trust_env=False).text == "ok\n"
        except httpx2.ConnectError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the witness did not come up")


def test_a_witness_elsewhere_cosigns_and_finds_what_was_rewritten(
    settings: Settings, served: Served
) -> None:
    code, pushed = found("witness", "push")
    assert (code, {entry["held"] for entry in pushed}) == (0, {3})
    grow(settings, 4, first=3)
    assert found("witness", "push")[0] == 0
    assert run("verify", "--witness", served.url).exit_code == 0

    forge(settings, 9)
    code, pushed = found("witness", "push")
    assert code == 1
    assert {entry["conflict"] for entry in pushed if entry["log"] != "cli"} == {True}
    code, reports = found("verify", "--witness", served.url)
    assert code == 1
    assert {str(r["origin"]) for r in reports if not r["ok"]} == {"api", "api.mercy", "api.harbor"}


def test_what_the_witness_holds_can_be_kept_and_verified_with(
    settings: Settings, served: Served, tmp_path: Path
) -> None:
    run("witness", "push")
    tls = egress.tls_context(tmp_path / "ca" / "root.pem")
    every = httpx2.get(f"{served.url}/checkpoints", verify=tls, trust_env=False)
    origin = hashlib.sha256(b"api.mercy").hexdigest()
    one = httpx2.get(f"{served.url}/{origin}/checkpoint", verify=tls, trust_env=False)
    none = httpx2.get(f"{served.url}/logs/checkpoint", verify=tls, trust_env=False)
    huge = httpx2.post(
        f"{served.url}/add-checkpoint", content=b"x" * 70_000, verify=tls, trust_env=False
    )
    kept = tmp_path / "kept"
    kept.write_bytes(every.content)
    held = ("verify", "--from-checkpoint", str(kept))
    other = str(found_witness(tmp_path / "other", "witness.test/w1", storage=Disk()))

    assert run(*held).exit_code == 0
    assert run(*held, "--witness-key", served.key).exit_code == 0
    assert run(*held, "--witness-key", other).exit_code == 1
    forge(settings, 2)
    assert run("verify", "--from-checkpoint", str(kept)).exit_code == 1
    assert one.text.startswith("api.mercy\n3\n")
    assert (none.status_code, huge.status_code) == (404, 413)


def test_a_witness_under_another_key_is_not_believed(
    settings: Settings, served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("witness", "push")
    other = found_witness(tmp_path / "other", "witness.test/w1", storage=Disk())
    assert run("verify", "--witness", served.url, "--witness-key", str(other)).exit_code == 1

    monkeypatch.setenv("RAGPLATFORM_WITNESS_URLS", f"{served.url} {other}")
    grow(settings, 1, first=3)
    assert found("witness", "push")[0] == 1


def test_a_log_that_the_witness_does_not_know_is_said(settings: Settings, served: Served) -> None:
    (served.folder / "logs").write_text("")
    assert settings

    code, pushed = found("witness", "push")

    assert code == 1
    assert "verifier key" in str(pushed[0]["problem"])


def test_a_killed_witness_remembers_what_it_signed(settings: Settings, served: Served) -> None:
    assert settings
    run("witness", "push")
    served.process.kill()
    served.process.wait(20)

    again = found_again(served.folder)

    assert again == ["api", "api.harbor", "api.mercy"]


def found_again(folder: Path) -> list[str]:
    from ragplatform import witnessing

    witness = witnessing.open_own_witness(folder)
    try:
        return witness.held.origins()
    finally:
        witness.close()


def test_time_stamps_are_kept_and_verified(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tsa = StampingAuthority(tmp_path / "tsa")
    monkeypatch.setenv("RAGPLATFORM_TIMESTAMP_URL", tsa.url)
    monkeypatch.setenv("RAGPLATFORM_TIMESTAMP_CHAIN_FILE", str(tsa.authority.root_file))
    try:
        assert found("witness", "push")[0] == 0
        grow(settings, 1, first=3)
        assert found("witness", "push")[0] == 0
    finally:
        tsa.close()

    code, stamps = found("witness", "verify")
    assert (code, len(stamps), {stamp["size"] for stamp in stamps}) == (0, 6, {3, 4})
    assert len(list((folder / "api").rglob("*.tsr"))) == 2
    kept = tmp_path / "kept"
    shutil.copytree(settings.audit_dir / "api" / "witness", kept)
    assert forged_stamps(settings, kept) == 1
    [token, _] = (settings.audit_dir / "api" / "witness").rglob("*.tsr")
    token.write_bytes(token.read_bytes()[:-1])
    assert found("witness", "verify")[0] == 1


def forged_stamps(settings: Settings, kept: Path) -> int:
    """Return how the check ends when a log was rewritten beneath its time-stamps."""
    aside = settings.audit_dir.with_name("aside")
    shutil.copytree(settings.audit_dir, aside)
    forge(settings, 9)
    shutil.copytree(kept, settings.audit_dir / "api" / "witness")
    code, stamps = found("witness", "verify")
    assert all("rewritten" in str(stamp["problem"]) for stamp in stamps)
    shutil.rmtree(settings.audit_dir)
    shutil.move(aside, settings.audit_dir)
    return code


def test_a_witness_for_the_network_wants_tls(tmp_path: Path) -> None:
    found_witness(tmp_path / "witness", "w", storage=Disk())

    result = run("witness", "serve", str(tmp_path / "witness"), "--host", "192.0.2.1")

    assert result.exit_code == 2
    assert "--tls-cert" in result.output


def test_a_second_witness_is_not_made_in_one_folder(tmp_path: Path) -> None:
    assert run("witness", "init", str(tmp_path / "w"), "--name", "witness.test/w1").exit_code == 0
    assert run("witness", "init", str(tmp_path / "w"), "--name", "witness.test/w2").exit_code == 2
    assert (tmp_path / "w" / "witness.key").stat().st_mode & 0o077 == 0


def test_records_are_sent_to_a_file_and_to_a_receiver(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receiver = SyslogReceiver(Authority(tmp_path / "ca"))
    monkeypatch.setenv("RAGPLATFORM_FORWARD_FILE", str(tmp_path / "tail"))
    monkeypatch.setenv("RAGPLATFORM_FORWARD_SYSLOG", f"127.0.0.1:{receiver.port}")
    monkeypatch.setenv("RAGPLATFORM_FORWARD_CA_FILE", str(receiver.authority.root_file))
    try:
        assert run("forward", "--once").exit_code == 0
        assert run("forward", "status", "--most", "0").exit_code == 0
        grow(settings, 1, first=3)
        code, lags = found("forward", "status")
    finally:
        receiver.close()

    assert len((tmp_path / "tail").read_text().splitlines()) == len(receiver.messages) == 9
    assert (code, {entry["behind"] for entry in lags}) == (0, {1})
    assert run("forward", "--once").exit_code == 2
    assert run("forward", "status", "--most", "0").exit_code == 1


@pytest.mark.parametrize("name", sorted(forwarding.FORMATS))
def test_every_format_is_one_line_for_each_record(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("RAGPLATFORM_FORWARD_FILE", str(tmp_path / "tail"))
    monkeypatch.setenv("RAGPLATFORM_FORWARD_FORMAT", name)

    assert run("forward", "--once").exit_code == 0

    sent = (tmp_path / "tail").read_text().splitlines()
    assert len(sent) == sum(len(read(log)) for log in find_logs(settings.audit_dir)) == 9
    assert all(line.startswith("CEF:" if name == "cef" else "{") for line in sent)


def test_an_unknown_format_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find_logs(settings.audit_dir)
    monkeypatch.setenv("RAGPLATFORM_FORWARD_FILE", str(tmp_path / "tail"))
    monkeypatch.setenv("RAGPLATFORM_FORWARD_FORMAT", "chatty")

    result = run("forward", "--once")

    assert result.exit_code == 2
    assert "json" in result.output
