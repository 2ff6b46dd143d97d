"""The audit log is asked from the command line, each look on record before it is printed."""

import csv
import io
import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from ragplatform import config, identities, openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.query import read
from tests.audit_story import STORY, act, passage, retrieved, write_story

ANNA_RAW = "mrn:1"


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A deployment in which two doctors saw a passage of a person."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = config.load()
    identities.create_keys(made)
    anna = openers.subject_ref(made, "mercy", ANNA_RAW)
    with openers.open_audit(made, "api") as log:
        log.append(retrieved("dr", passage("p1", anna)))
        log.append(retrieved("=cmd", passage("p1", anna), purpose="HRESCH"))
        log.append(act(Action.ASKED, tenant="harbor", actor="rm"))
        log.append(act(Action.BROKE_GLASS, "dr2", details={"opening": "o1"}, subjects=[anna]))
        log.append(retrieved("dr2", passage("p2", anna), details={"glass": ["o1"]}))
    return made


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["audit", *arguments])
    assert result.exit_code == code, result.output
    return result


def rows(*arguments):
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


def looks(settings, origin="cli.mercy"):
    log = settings.audit_dir / origin
    return [one.details for one in read(log, action=Action.AUDIT_READ)] if log.is_dir() else []


@pytest.mark.parametrize(
    ("conditions", "actors"),
    [
        (["--tenant", "mercy"], ["dr", "=cmd", "dr2", "dr2"]),
        (["--tenant", "harbor"], ["rm"]),
        ([], ["dr", "=cmd", "rm", "dr2", "dr2"]),
        (["--actor", "rm"], ["rm"]),
        (["--purpose", "HRESCH"], ["=cmd"]),
        (["--action", "broke_glass"], ["dr2"]),
        (["--outcome", "denied"], []),
        (["--passage", "p2"], ["dr2"]),
        (["--document", "doc-p1"], ["dr", "=cmd"]),
        (["--subject", ANNA_RAW, "--tenant", "mercy", "--actor", "dr"], ["dr"]),
        (["--since", "2999-01-01"], []),
        (["--until", "2999-01-01", "--limit", "2"], ["dr2", "dr2"]),
    ],
)
def test_each_condition_narrows(settings, conditions, actors):
    assert [row["actor"] for row in rows("events", *conditions)] == actors


def test_pages_follow_one_another(settings):
    newest = run("events", "--tenant", "mercy", "--limit", "3", "--json")
    cursor = newest.stderr.split("--cursor ")[1].split()[0]

    older = rows("events", "--tenant", "mercy", "--limit", "3", "--cursor", cursor)
    # The look at the first page is newer than both.
    assert [row["actor"] for row in older] == ["dr"]


def test_who_saw_a_passage_is_printed_and_the_look_recorded(settings):
    assert [row["actor"] for row in rows("who-saw", "p1", "--tenant", "mercy")] == ["dr", "=cmd"]
    assert looks(settings) == [
        {"asked": "who_saw", "by": ["passage", "oldest_first"], "rows": 2, "passage": "p1"}
    ]


def test_an_accounting_of_disclosures_opens_in_a_spreadsheet_and_runs_nothing(settings):
    text = run("about-subject", ANNA_RAW, "--tenant", "mercy", "--csv").stdout

    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["recipient"] for row in table] == ["dr", "'=cmd", "dr2"]
    assert [row["exempt"] for row in table] == ["yes", "no", "yes"]
    assert table[0]["documents"] == "doc-p1"
    assert looks(settings)[0]["subject"] == openers.subject_ref(settings, "mercy", ANNA_RAW)


def test_what_was_done_under_a_broken_glass_is_printed(settings):
    acts = rows("under-glass", "dr2", "--tenant", "mercy")

    assert [(row["how"], row["showed"]) for row in acts] == [("opened", False), ("in_force", True)]
    assert run("under-glass", "dr2", "--tenant", "mercy").stdout.count("retrieved") == 1


@pytest.mark.parametrize(
    "command",
    [["events"], ["who-saw", "p1", "--tenant", "mercy"], ["under-glass", "x", "--tenant", "mercy"]],
)
def test_without_the_record_of_the_look_nothing_is_printed(settings, command):
    run("index", "catch-up")
    (settings.audit_dir / "cli").write_text("no folder")

    result = run(*command, "--json", code=2)

    assert "dr" not in result.stdout


def test_logs_from_elsewhere_are_asked_without_keys_and_without_a_record(settings, tmp_path):
    write_story(tmp_path / "copied")

    assert len(rows("events", str(tmp_path / "copied"))) == len(STORY)
    alone = rows("events", str(tmp_path / "copied" / "api.mercy"), "--actor", "res")
    assert [row["time"] for row in alone] == ["2026-03-01T08:01:00.000000Z"]
    assert looks(settings, "cli") == []


def test_a_time_that_cannot_be_read_is_refused(settings):
    assert "--since" in run("events", "--since", "yesterday", code=2).stderr


def test_the_index_is_checked_and_made_anew(settings):
    assert json.loads(run("index", "catch-up", "--json").stdout) == {"records": 5}
    assert run("index", "check").stdout.count("ok") == 3
    engine = sa.create_engine(settings.effective_audit_index_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_passages SET passage = 'p9'")
    engine.dispose()

    result = run("index", "check", code=1)

    assert "api.mercy/0 in audit_passages" in result.stdout
    run("index", "rebuild")
    run("index", "check")


@pytest.mark.parametrize("command", [["who-saw", "p1"], ["about-subject", ANNA_RAW], ["events"]])
def test_a_tenant_that_there_is_not_is_named_and_gets_no_log(settings, command):
    assert "no log of a tenant 'mercyy'" in run(*command, "--tenant", "mercyy", code=2).stderr
    assert not list(settings.audit_dir.glob("*.mercyy"))


def test_a_deployment_without_a_log_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))

    assert "no audit log" in run("events", code=2).stderr
