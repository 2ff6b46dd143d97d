"""Logs of tenants, and those from before tenants had their own, are read, checked and opened."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform import config, openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.query import find_logs, read
from ragplatform.audit.record import unseal
from ragplatform.audit.seeds import SealSeeds
from ragplatform.errors import TamperedError
from tests.fakes_audit import event

# Written by the last version that kept one log for all tenants, with this master secret: start, a
# question of mercy, one of harbor, stop.
MIXED = Path(__file__).parents[1] / "audit" / "mixed_log" / "api"
MASTER = bytes(range(32))


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A deployment that was begun before tenants had logs of their own, and has run since."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = config.load()
    made.keys_dir.mkdir(parents=True)
    made.master_key_file.write_text(MASTER.hex())
    made.master_key_file.chmod(0o600)
    shutil.copytree(MIXED, made.audit_dir / "api")
    with openers.open_audit(made, "api") as audit:
        for tenant in ("", "mercy", "harbor"):
            sealed = {"question": f"asked in {tenant}"} if tenant else {}
            audit.append(event(tenant=tenant, actor=f"u:{tenant}", sealed=sealed))
    return made


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *arguments])


def verdicts(*arguments):
    result = run("verify", *arguments, "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, {Path(report["log"]).name: report["ok"] for report in found}


def opened(origin, index):
    result = run("unseal", origin, str(index), "--reason", "a complaint", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def flip(log):
    [segment] = log.glob("segment-*")
    raw = segment.read_bytes()
    segment.write_bytes(raw.replace(b'"outcome":"success"', b'"outcome":"failure"', 1))


def test_an_old_log_is_written_on_and_all_logs_verify(settings):
    assert verdicts() == (0, {"api": True, "api.harbor": True, "api.mercy": True})
    assert [record.tenant for record in read(settings.audit_dir / "api")] == [
        "", "mercy", "harbor", "", "",
    ]  # fmt: skip


def test_one_altered_log_fails_the_whole_and_is_named_alone(settings):
    flip(settings.audit_dir / "api.harbor")

    assert verdicts() == (1, {"api": True, "api.harbor": False, "api.mercy": True})
    assert run("verify", str(settings.audit_dir / "api.mercy")).exit_code == 0


@pytest.mark.parametrize("lost", ["key.pub", "checkpoint", "segment-000000000000.jsonl"])
def test_a_log_that_lost_a_file_is_not_passed_over(settings, lost):
    (settings.audit_dir / "api.harbor" / lost).unlink()

    assert verdicts() == (1, {"api": True, "api.harbor": False, "api.mercy": True})


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_verdict_that_nobody_reads_is_not_called_tampering(settings, form):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ragplatform", "audit", "verify", *form]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (2, b"")


def test_a_witness_that_holds_nothing_vouches_for_nothing(settings, tmp_path):
    result = run("verify", "--witness", str(tmp_path))

    assert result.exit_code == 2
    assert "holds no checkpoint" in result.stderr


def test_a_log_put_in_another_s_place_is_found(settings):
    shutil.rmtree(settings.audit_dir / "api.mercy")
    shutil.copytree(settings.audit_dir / "api.harbor", settings.audit_dir / "api.mercy")

    assert run("verify").exit_code == 1


def test_checkpoints_of_all_logs_are_held_together_and_checked_with(settings, tmp_path):
    held = tmp_path / "held"
    held.write_text(run("checkpoint").stdout)
    given = ("--from-checkpoint", str(held))
    assert verdicts(*given) == (0, {"api": True, "api.harbor": True, "api.mercy": True})

    shutil.rmtree(settings.audit_dir / "api.harbor")
    with openers.open_audit(settings, "api") as audit:
        audit.append(event(tenant="harbor", actor="u:another"))
    assert verdicts()[0] == 0
    assert verdicts(*given) == (1, {"api": True, "api.harbor": False, "api.mercy": True})
    alone = run("verify", str(settings.audit_dir / "api.mercy"), *given)
    assert alone.exit_code == 0


def test_a_log_that_is_gone_is_missed_by_its_held_checkpoint(settings, tmp_path):
    held = tmp_path / "held"
    held.write_text(run("checkpoint").stdout)
    shutil.rmtree(settings.audit_dir / "api.harbor")

    for folder in ((), (str(settings.audit_dir),)):
        code, found = verdicts(*folder, "--from-checkpoint", str(held))
        assert (code, found) == (1, {"api": True, "api.harbor": False, "api.mercy": True})


@pytest.mark.parametrize("text", ["", "nothing of ours\n", "{0}{0}", "{0}and more\n"])
def test_a_file_of_held_checkpoints_that_cannot_be_used_is_not_passed_over(
    settings, tmp_path, text
):
    held = tmp_path / "held"
    held.write_text(text.format(run("checkpoint").stdout))

    assert run("verify", "--from-checkpoint", str(held)).exit_code == 2


def test_a_log_whose_checkpoint_is_not_among_those_held_is_not_called_good(settings, tmp_path):
    held = tmp_path / "held"
    held.write_text(run("checkpoint", str(settings.audit_dir / "api.mercy")).stdout)

    result = run("verify", str(settings.audit_dir / "api.harbor"), "--from-checkpoint", str(held))

    assert result.exit_code == 2


def test_records_open_wherever_they_stand(settings):
    assert opened("api", 1) == {"question": "Is Ms Adams on metformin?"}
    assert opened("api", 2) == {"question": "Does Mr Bell hold bonds?"}
    assert opened("api.mercy", 0) == {"question": "asked in mercy"}
    assert opened("api.harbor", 0) == {"question": "asked in harbor"}


def test_a_look_is_recorded_in_the_log_of_the_tenant_it_concerns(settings):
    opened("api", 2)
    opened("api.mercy", 0)

    [old] = read(settings.audit_dir / "cli.harbor")
    [new] = read(settings.audit_dir / "cli.mercy")
    assert (old.action, old.details) == (Action.UNSEALED, {"origin": "api", "index": 2})
    assert (new.action, new.details) == (Action.UNSEALED, {"origin": "api.mercy", "index": 0})


def test_no_key_that_a_tenant_may_be_given_opens_old_records_or_another_tenant_s(settings):
    [_, _, theirs, *_] = read(settings.audit_dir / "api")
    [other] = read(settings.audit_dir / "api.harbor")
    for use in ("audit-seal", "audit-seal-tenant"):
        for record in (theirs, other):
            seeds = SealSeeds(settings.data_dir / "seals" / f"{record.origin}.json")
            with pytest.raises(TamperedError):
                unseal(record, openers.derive(settings, use, "mercy"), seeds)


@pytest.mark.parametrize("origin", ["api.nobody", "../audit/api", ".", "/", "keys"])
def test_an_origin_that_is_no_log_of_the_deployment_opens_nothing(settings, origin):
    result = run("unseal", origin, "0", "--reason", "a complaint")

    assert result.exit_code == 2
    assert "no such record" in result.stderr
    assert not (settings.audit_dir / "cli").exists()


def test_events_of_all_logs_are_listed_in_the_order_of_time(settings):
    lines = run("events", "--json").stdout.splitlines()

    found = [(record["origin"], record["tenant"]) for record in map(json.loads, lines)]
    assert found[-3:] == [("api", ""), ("api.mercy", "mercy"), ("api.harbor", "harbor")]
    assert len(found) == 7


def test_a_reviewer_is_given_logs_that_hold_no_other_tenant_s_new_records(settings):
    logs = find_logs(settings.audit_dir, tenant="mercy")

    assert [log.name for log in logs] == ["api", "api.mercy"]
    assert [record.actor for log in logs for record in read(log, tenant="mercy")] == [
        "dr", "u:mercy",
    ]  # fmt: skip
