"""The vault's keys are counted and changed from the command line, on record."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform import config, identities, openers
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.audit.query import read


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command on a deployment with one subject in its vault."""
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    settings = config.load()
    identities.create_keys(settings)
    vault = openers.open_vault(settings)
    vault.store("mercy", "s_1", [("PERSON", "Maria Lopez")])
    vault.close()
    return lambda *arguments: CliRunner().invoke(app, ["vault", *arguments])


def test_without_a_folder_for_keys_nothing_is_changed(run):
    for command in ("new-key", "rotate"):
        result = run(command)

        assert result.exit_code == 2
        assert "RAGPLATFORM_VAULT_KEYS_DIR" in result.stderr


def test_a_folder_without_a_key_is_an_error_that_says_what_to_do(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_VAULT_KEYS_DIR", str(tmp_path))

    assert "ragplatform vault new-key" in run("rotate").stderr


def test_rotation_moves_every_subject_and_the_values_stay(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_VAULT_KEYS_DIR", str(tmp_path / "keys"))
    before = json.loads(run("new-key").exit_code == 0 and run("status", "--json").stdout)

    rotated = json.loads(run("rotate", "--json").stdout)
    again = json.loads(run("rotate", "--json").stdout)

    assert before == {"subjects_by_key": {"master": 1}}
    assert rotated == {"wrapped": 1, "subjects_by_key": {"file-1": 1}}
    assert again["wrapped"] == 0
    vault = openers.open_vault(config.load())
    token = vault.token("mercy", "PERSON", "Maria Lopez")
    assert vault.reveal("mercy", [token]) == {token: "Maria Lopez"}
    vault.close()


def test_new_keys_and_rotations_are_on_record(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_VAULT_KEYS_DIR", str(tmp_path / "keys"))
    run("new-key")
    run("rotate")

    made, rotated = read(config.load().audit_dir / "cli")
    assert (made.action, made.details) == (Action.KEY_MADE, {"key": "1.key"})
    assert (rotated.action, rotated.details) == (Action.KEYS_ROTATED, {"subjects": {"master": 1}})
    assert made.actor.startswith("host user ")
