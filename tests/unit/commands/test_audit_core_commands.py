"""Proving, archiving and handing out a log from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragplatform import config, openers
from ragplatform.__main__ import app
from ragplatform.audit.layout import segments
from ragplatform.audit.log import AuditLog
from ragplatform.audit.query import read
from tests import second_verifier
from tests.fakes_audit import event
from tests.second_verifier import SCRIPT, second

ORIGIN = "api.mercy"


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A deployment whose tenant's log has many segments."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = config.load()
    made.keys_dir.mkdir(parents=True)
    made.master_key_file.write_text(bytes(range(32)).hex())
    made.master_key_file.chmod(0o600)
    with open_log(made) as log:
        for number in range(12):
            log.append(event(number))
    return made


def open_log(settings):
    return AuditLog.open(
        settings.audit_dir / ORIGIN,
        origin=ORIGIN,
        signing_key=openers.derive(settings, "audit-sign", ORIGIN),
        sealing_key=bytes(32),
        segment_bytes=2_500,
    )


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_a_record_is_proven_in_a_file_that_is_checked_without_the_log(settings, tmp_path):
    proof = tmp_path / "record.tlog-proof"

    result = run("prove", ORIGIN, 5, "--out", proof)

    key = second.Key((settings.audit_dir / ORIGIN / "key.pub").read_text())
    assert result.exit_code == 0
    assert "record 5 of 12 in api.mercy" in second.check_proof(proof.read_text(), key)
    assert run("prove", ORIGIN, 5).stdout == proof.read_text()


@pytest.mark.parametrize("arguments", [(ORIGIN,), (ORIGIN, 12), ("none", 0)])
def test_what_cannot_be_proven_is_said(settings, arguments):
    assert run("prove", *arguments).exit_code == 2


def test_growth_is_proven_from_the_checkpoints_that_were_printed(settings, tmp_path):
    held = tmp_path / "held"
    held.write_text(run("checkpoint").stdout)
    with open_log(settings) as log:
        log.append(event(12))

    result = run("prove", ORIGIN, "--from-checkpoint", held)

    assert result.exit_code == 0
    assert result.stdout.startswith("old 12\n")


def test_old_segments_are_moved_recorded_and_verified_without_a_gap(settings, tmp_path):
    log = settings.audit_dir / ORIGIN
    begun = [first for first, _ in segments(log)]
    with open_log(settings):
        result = run("archive", ORIGIN, "--to", tmp_path / "cold")

    recorded = read(settings.audit_dir / "cli.mercy")
    assert result.exit_code == 0, result.output
    assert [record.details["first"] for record in recorded] == begun[:-2] != []
    assert {record.details["to"] for record in recorded} == {"cold"}
    assert len(segments(log)) == 2
    told = json.loads(run("verify", log, "--json").stdout)
    assert (told["ok"], sum(count for _, count in told["archived"])) == (True, segments(log)[0][0])
    whole = json.loads(run("verify", log, "--archive", tmp_path / "cold", "--json").stdout)
    assert (whole["ok"], whole["archived"]) == (True, [])
    assert second_verifier.check(log, archive=tmp_path / "cold").ok


def test_a_log_that_does_not_verify_is_not_archived(settings, tmp_path):
    path = segments(settings.audit_dir / ORIGIN)[0][1]
    path.write_bytes(path.read_bytes().replace(b"u:anna", b"u:anne", 1))

    result = run("archive", ORIGIN, "--to", tmp_path / "cold")

    assert result.exit_code == 2
    assert path.exists()
    assert not (tmp_path / "cold").exists()


def test_a_log_is_handed_out_as_static_tiles_once(settings, tmp_path):
    first = run("tiles", ORIGIN, tmp_path / "out")
    again = run("tiles", ORIGIN, tmp_path / "out")

    files = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
    }
    assert (first.exit_code, again.exit_code) == (0, 2)
    assert {"checkpoint", "tile/0/000.p/12", "tile/entries/000.p/12"} <= files


def test_the_second_verifier_is_handed_out_as_it_is(tmp_path):
    run("verifier", "--out", tmp_path / "verify_audit.py")

    assert (tmp_path / "verify_audit.py").read_text() == Path(SCRIPT).read_text()
    assert run("verifier").stdout == Path(SCRIPT).read_text()
