"""Keys are made, listed, rotated and revoked from the command line, on record."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform import config, identities
from ragplatform.__main__ import app
from ragplatform.audit.query import read
from ragplatform.commands import console
from ragplatform.errors import UnauthenticatedError


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a way to run commands on a new deployment."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    settings = config.load()
    identities.create_keys(settings)
    monkeypatch.setattr(console, "settings", lambda *urls: config.load())

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, ["keys", *arguments])
        assert result.exit_code == code, result.output
        return result

    return run


def made(result):
    return json.loads(result.stdout)["key"]


def create(run, *more):
    options = ("--tenant", "mercy", "--roles", "physician", "--subjects", "mrn:1", "--json")
    return made(run("create", "job", *options, *more))


def who(key):
    return identities.authenticate(config.load(), key)


def recorded():
    return [
        (str(record.action), record.tenant, record.details["principal"])
        for record in read(config.load().audit_dir / "cli.mercy")
    ]


def test_a_key_is_made_for_some_days_and_purposes(run):
    key = create(run, "--days", "90", "--purposes", "TREAT,HPAYMT")

    assert who(key).purposes == {"TREAT", "HPAYMT"}
    assert recorded() == [("api_key_made", "mercy", "job")]


def test_a_list_names_keys_and_users_and_holds_nothing_that_opens_anything(run):
    key = create(run, "--days", "90", "--purposes", "TREAT")
    run("create", "chat", "--tenant", "mercy", "--roles", "", "--acts-for", "openwebui")
    run("add-user", "lee", "--tenant", "mercy", "--roles", "physician",
        "--client", "openwebui", "--sub", "7d")  # fmt: skip

    listed = run("list", "--json").stdout
    rows = [json.loads(line) for line in listed.splitlines()]

    assert [(row["id"], row["kind"], row["purposes"]) for row in rows] == [
        ("job", "key", ["TREAT"]),
        ("chat", "client openwebui", None),
        ("lee", "user of openwebui", None),
    ]
    assert rows[0]["expires"] > "2026"
    [digest, *_] = [entry.sha256 for entry in identities.key_file(config.load()).entries()]
    for shown in (listed, run("list").stdout):
        assert key not in shown
        assert digest not in shown
        assert "s_" not in shown


def test_a_rotated_key_and_its_successor_both_work_for_the_overlap(run):
    old = create(run)

    new = made(run("rotate", "job", "--overlap-hours", "1", "--json"))

    assert who(old) == who(new)
    assert recorded()[-1] == ("api_key_rotated", "mercy", "job")


def test_a_revoked_key_stands_for_nobody(run):
    key = create(run)

    run("revoke", "job")

    with pytest.raises(UnauthenticatedError):
        who(key)
    assert recorded()[-1] == ("api_key_revoked", "mercy", "job")


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate", "nobody"),
        ("revoke", "nobody"),
        ("create", "x", "--tenant", "t", "--roles", "r", "--purposes", "BECAUSE"),
        ("create", "x", "--tenant", "t", "--roles", "r", "--acts-for", "../x"),
    ],
    ids=["rotate", "revoke", "purpose", "client"],
)
def test_what_cannot_be_done_says_so_and_changes_nothing(run, arguments):
    create(run)
    before = config.load().api_keys_file.read_text()

    result = run(*arguments, code=2)

    assert "configuration" in result.output
    assert config.load().api_keys_file.read_text() == before


def test_users_and_listings_are_on_record(run):
    run("add-user", "lee", "--tenant", "mercy", "--roles", "physician",
        "--client", "openwebui", "--sub", "7d")  # fmt: skip

    assert recorded() == [("user_listed", "mercy", "lee")]
