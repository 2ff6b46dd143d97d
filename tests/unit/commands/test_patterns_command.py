"""A file of own recognisers is sound, or what must be mended is named."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform.__main__ import app

SOUND = """
[[recogniser]]
name = "staff_badge"
entity = "UNIQUE_CODE"
regex = 'B-(?P<v>\\d{6})'
score = 0.6
finds = [{ text = "badge B-123456", value = "123456" }]
leaves = ["plan B-12"]
"""


@pytest.fixture
def check(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(text, *more):
        (tmp_path / "own.toml").write_text(text)
        return CliRunner().invoke(app, ["privacy", "patterns", "check", "own.toml", *more])

    return run


def test_a_sound_file_passes(check):
    result = check(SOUND, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"file": "own.toml", "ok": True, "problems": []}


def test_a_case_that_does_not_hold_is_named(check):
    result = check(SOUND.replace("plan B-12", "plan B-123456"))

    assert result.exit_code == 1
    assert "staff_badge: case 1 of leaves" in result.stdout


def test_a_file_that_is_not_there_cannot_be_checked():
    result = CliRunner().invoke(app, ["privacy", "patterns", "check", "/no/such/file.toml"])

    assert result.exit_code == 2
