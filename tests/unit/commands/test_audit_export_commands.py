"""What leaves is what was asked for, in a file of the caller's own, and is recorded."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform import config, openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.query import read
from ragplatform.errors import AuditError
from tests.fakes_audit import event

# Written by the last version that kept one log for all tenants, with the master secret below.
MIXED = Path(__file__).parents[1] / "audit" / "mixed_log" / "api"


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A deployment of two tenants, begun before each had a log; three questions asked of each."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = config.load()
    made.keys_dir.mkdir(parents=True)
    made.master_key_file.write_text(bytes(range(32)).hex())
    made.master_key_file.chmod(0o600)
    shutil.copytree(MIXED, made.audit_dir / "api")
    with openers.open_audit(made, "api") as audit:
        for number in range(3):
            for tenant in ("", "mercy", "harbor"):
                audit.append(event(number, tenant=tenant, sealed={"question": "who has it?"}))
    return made


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def exported(settings, tenant):
    log = settings.audit_dir / (f"cli.{tenant}" if tenant else "cli")
    return [record for record in read(log) if record.action is Action.EXPORTED]


def lines(out):
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_tenants_export_holds_its_records_alone(settings, tmp_path):
    out = tmp_path / "mercy.ndjson"
    assert run("export", "ndjson", "--tenant", "mercy", "--out", out).exit_code == 0

    assert {line["tenant"] for line in lines(out)} == {"mercy"}
    assert {line["origin"] for line in lines(out)} == {"api", "api.mercy"}
    assert "who has it?" not in out.read_text()


@pytest.mark.parametrize("command", [["export", "ndjson"], ["package"]])
def test_a_misspelt_tenant_is_an_error_and_begins_no_log(settings, tmp_path, command):
    done = run(*command, "--tenant", "mercies", "--out", tmp_path / "out")

    assert done.exit_code == 2
    assert not (settings.audit_dir / "cli.mercies").exists()
    assert not (tmp_path / "out").exists()


def test_nobody_else_can_read_what_was_exported(settings, tmp_path):
    out = tmp_path / "all.csv"
    assert run("export", "csv", "--out", out).exit_code == 0

    assert out.stat().st_mode & 0o777 == 0o600


def test_an_export_is_recorded_before_it_begins_and_when_it_is_done(settings, tmp_path):
    out = tmp_path / "mercy.ocsf"
    run("export", "ocsf", "--tenant", "mercy", "--action", "asked", "--out", out)

    begun, done = exported(settings, "mercy")
    assert (begun.details["stage"], begun.details["actions"]) == ("begun", ["asked"])
    assert (done.details["stage"], done.details["records"]) == ("done", 4)
    assert done.details["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_an_export_of_all_is_recorded_with_each_tenant_whose_records_left(settings, tmp_path):
    run("export", "ndjson", "--out", tmp_path / "all.ndjson")

    for tenant in ("", "mercy", "harbor"):
        assert [r.details["stage"] for r in exported(settings, tenant)] == ["begun", "done"]


def test_without_a_record_nothing_leaves(settings, tmp_path, monkeypatch):
    def refuse(self, event):
        raise AuditError("no space")

    monkeypatch.setattr(TenantLogs, "append", refuse)
    result = run("export", "ndjson", "--out", tmp_path / "all.ndjson")

    assert result.exit_code == 2
    assert not (tmp_path / "all.ndjson").exists()
    assert "u:anna" not in result.output


def test_a_file_whose_end_cannot_be_recorded_does_not_stay(settings, tmp_path, monkeypatch):
    append = TenantLogs.append

    def refuse_the_end(self, event):
        if event.details.get("stage") == "done":
            raise AuditError("no space")
        return append(self, event)

    monkeypatch.setattr(TenantLogs, "append", refuse_the_end)
    assert run("export", "ndjson", "--out", tmp_path / "all.ndjson").exit_code == 2
    assert not (tmp_path / "all.ndjson").exists()


def test_a_file_that_is_there_already_is_left_alone(settings, tmp_path):
    out = tmp_path / "mine.txt"
    out.write_text("mine")

    assert run("export", "ndjson", "--out", out).exit_code == 2
    assert out.read_text() == "mine"


def test_times_bound_an_export(settings, tmp_path):
    now = datetime.now(UTC)
    assert run("export", "ndjson", "--since", (now + timedelta(hours=1)).isoformat()).stdout == ""
    past = run("export", "ndjson", "--until", "2020-01-01")

    assert (past.exit_code, past.stdout) == (0, "")
    assert len(run("export", "ndjson", "--since", "2020-01-01", "--action", "asked").stdout) > 0
    assert run("export", "ndjson", "--since", "yesterday").exit_code == 2


def test_one_log_alone_can_be_exported(settings):
    found = run("export", "ndjson", "--origin", "api.harbor").stdout.splitlines()

    assert {json.loads(line)["origin"] for line in found} == {"api.harbor"}
    assert run("export", "ndjson", "--origin", "api.nobody").exit_code == 2


@pytest.mark.parametrize("form", ["ocsf", "fhir-r4", "fhir-r5", "cef", "ecs", "ndjson", "csv"])
def test_every_format_can_be_exported(settings, form):
    result = run("export", form, "--action", "asked")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 11 + (form == "csv")


def test_a_package_is_private_recorded_and_good(settings, tmp_path):
    out = tmp_path / "evidence.zip"
    result = run("package", "--tenant", "mercy", "--out", out)

    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    begun, done = exported(settings, "mercy")
    assert (begun.details["stage"], done.details["format"]) == ("begun", "package")
    assert done.details["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "out")
    assert verify(tmp_path / "out") == 0
    assert (tmp_path / "out" / "keys" / "cli.mercy.pub").is_file()
    every = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.ndjson"))
    assert b"harbor" not in every


def test_a_package_of_the_deployment_holds_every_log(settings, tmp_path):
    run("package", "--out", tmp_path / "evidence.zip")
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(tmp_path / "out")

    logs = {path.name for path in (tmp_path / "out" / "logs").iterdir()}
    assert logs == {"api", "api.mercy", "api.harbor"}
    assert verify(tmp_path / "out") == 0


def verify(folder):
    script = [sys.executable, "-B", str(folder / "verify_package.py"), str(folder)]
    return subprocess.run(script, check=False).returncode


def test_a_full_disk_is_said_and_leaves_no_file(settings, tmp_path, monkeypatch):
    def full(self, records, writer):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ragplatform.commands.audit_export.Export.__init__", full)
    result = run("export", "csv", "--out", tmp_path / "all.csv")

    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert not (tmp_path / "all.csv").exists()
