"""Scanning documents of any format: every file is told of, nothing is taken in."""

import json

import pytest
from typer.testing import CliRunner

from ingest.__main__ import app
from ragplatform import openers
from tests.fakes import POLICIES
from tests.fakes_privacy import FailingDetector, RegexDetector

PAGE = "<html><body><h1>Letter</h1><p>Seen: Maria Lopez, SSN 123-45-6789.</p></body></html>"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    monkeypatch.setattr(openers, "open_detector", lambda settings: RegexDetector())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "letter.html").write_text(PAGE)
    (tmp_path / "in" / "rules.md").write_text("# Visiting hours\n\nEight in the evening.\n")
    return lambda *arguments: CliRunner().invoke(app, ["scan", *arguments])


def test_every_file_of_a_folder_is_told_of_and_no_value_is_shown(run):
    result = run("in", "--json")

    letter, rules = map(json.loads, result.stdout.splitlines())
    assert (letter["file"], rules["file"], rules["spans"]) == ("letter.html", "rules.md", [])
    assert [span["type"] for span in letter["spans"]] == ["PERSON", "US_SSN"]
    assert "Lopez" not in result.output + run("in").output


def test_the_exit_code_says_whether_anything_was_found(run, tmp_path):
    assert run("in/rules.md").exit_code == 0
    assert run("in").exit_code == 1
    (tmp_path / "in" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    assert run("in").exit_code == 2
    assert run("nowhere").exit_code == 2


def test_a_file_that_fails_is_named_and_hides_no_other(run, tmp_path):
    (tmp_path / "in" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")

    result = run("in", "--json")

    assert "broken.pdf" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_a_detector_that_fails_is_no_clean_file(run, monkeypatch):
    monkeypatch.setattr(openers, "open_detector", lambda settings: FailingDetector())

    assert run("in/rules.md").exit_code == 2


def test_nothing_is_written(run, tmp_path):
    before = sorted(tmp_path.rglob("*"))

    run("in")

    assert sorted(tmp_path.rglob("*")) == before
