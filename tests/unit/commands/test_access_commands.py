"""Relations and consent from the command line, decided by one's key and on record."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform import config, identities, openers
from ragplatform.__main__ import app
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.model import Consent, Principal, Purpose
from tests.fakes import POLICIES

LEE = Principal("lee", "mercy", frozenset({"physician"}))
FEED = "principal,subject,starts,ends\nlee,mrn:1,,\nadams,mrn:2,2026-01-01,2026-01-31\n"


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    settings = config.load()
    identities.create_keys(settings)
    return settings


@pytest.fixture
def run(settings, monkeypatch, tmp_path):
    """Run a command with a key of somebody in these roles."""
    (tmp_path / "feed.csv").write_text(FEED)

    def ran(*arguments, roles=("access-admin",)):
        who = Principal("office", "mercy", frozenset(roles))
        key = identities.add_key(settings, who, frozenset(), actor="test").key
        monkeypatch.setenv("RAGPLATFORM_API_KEY", key)
        return CliRunner().invoke(app, ["access", *arguments])

    return ran


def standing(settings, purpose=Purpose.TREAT):
    vault = openers.open_vault(settings)
    register = openers.open_register(settings, vault)
    found = register.standing(LEE, purpose)
    ref = vault.subject_ref("mercy", "mrn:1")
    register.close()
    vault.close()
    return found, ref


def records(settings, action):
    logs = query.find_logs(settings.audit_dir)
    return [record for log in logs for record in query.read(log, action=action)]


def test_a_feed_is_imported_and_listed(run, settings, tmp_path):
    done = run("import", str(tmp_path / "feed.csv"), "--feed", "ward", "--max-age-hours", "26")

    assert done.exit_code == 0, done.output
    found, ref = standing(settings)
    assert found.related == {ref}
    [listed] = [json.loads(line) for line in run("feeds", "--json").stdout.splitlines()]
    assert (listed["feed"], listed["relations"], listed["max_age_s"]) == ("ward", 2, 26 * 3600)
    [record] = records(settings, Action.RELATIONS_CHANGED)
    assert (record.actor, record.details["relations"]) == ("office", 2)


def test_a_dry_run_changes_and_records_nothing(run, settings, tmp_path):
    done = run("import", str(tmp_path / "feed.csv"), "--feed", "ward", "--dry-run", "--json")

    assert json.loads(done.stdout) == {"feed": "ward", "relations": 2, "dry_run": True}
    assert standing(settings)[0].related == frozenset()
    assert records(settings, Action.RELATIONS_CHANGED) == []


def test_consent_is_kept_and_taken_back(run, settings):
    assert run("consent", "mrn:1", "HRESCH", "refused").exit_code == 0
    found, ref = standing(settings, Purpose.HRESCH)
    assert found.refusing == {ref}

    assert run("consent", "mrn:1", "HRESCH", "silent").exit_code == 0
    assert standing(settings, Purpose.HRESCH)[0].refusing == frozenset()
    said = [record.details["consent"] for record in records(settings, Action.CONSENT_CHANGED)]
    assert said == [Consent.REFUSED, Consent.SILENT]


@pytest.mark.parametrize("roles", [("physician",), ("operator",), ()])
def test_who_has_not_the_duty_changes_nothing_and_is_recorded(run, settings, tmp_path, roles):
    for arguments in (
        ("import", str(tmp_path / "feed.csv"), "--feed", "ward"),
        ("consent", "mrn:1", "TREAT", "refused"),
        ("feeds",),
    ):
        assert run(*arguments, roles=roles).exit_code == 2

    found, _ = standing(settings)
    assert (found.related, found.refusing) == (frozenset(), frozenset())
    assert len(records(settings, Action.DENIED)) == 3


def test_without_a_key_or_with_a_wrong_one_nothing_is_done(settings, monkeypatch, run, tmp_path):
    run("feeds")
    for key in ("", "rp_office_wrong"):
        monkeypatch.setenv("RAGPLATFORM_API_KEY", key)
        done = CliRunner().invoke(
            app, ["access", "import", str(tmp_path / "feed.csv"), "--feed", "ward"]
        )
        assert done.exit_code == 2
    assert standing(settings)[0].related == frozenset()


def test_a_wrong_file_is_named_with_its_line(run, settings, tmp_path):
    (tmp_path / "feed.csv").write_text(FEED + "only-one-cell\n")

    done = run("import", str(tmp_path / "feed.csv"), "--feed", "ward")

    assert done.exit_code == 2
    assert "line 4" in done.stderr
    assert standing(settings)[0].related == frozenset()
