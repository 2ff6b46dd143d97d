"""Scanning and redacting from the command line: exit codes, offsets, and nothing shown unasked."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform import config, identities, openers
from ragplatform.__main__ import app
from ragplatform.model import Category, Span
from tests.fakes import POLICIES
from tests.fakes_privacy import FailingDetector, RegexDetector

NOTE = "Seen today.\nMaria Lopez, SSN 123-45-6789, call 617-555-0123.\n"
CLEAN = "Nothing here.\n"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command where there is no deployment: an empty folder, no key."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"note.txt": NOTE, "clean.txt": CLEAN}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(openers, "open_detector", lambda settings: RegexDetector())

    def command(*arguments, stdin=None):
        return CliRunner().invoke(app, ["privacy", *arguments], input=stdin)

    return command


def spans_of(result):
    return [span for line in result.stdout.splitlines() for span in json.loads(line)["spans"]]


def test_the_exit_code_says_whether_anything_was_found(run):
    assert run("scan", "clean.txt").exit_code == 0
    assert run("scan", "clean.txt", "note.txt").exit_code == 1
    assert run("scan", "clean.txt", "none.txt").exit_code == 2
    assert run("scan", "note.txt", "none.txt").exit_code == 2


def test_a_file_that_cannot_be_read_hides_no_other_and_is_named(run):
    result = run("scan", "none.txt", "note.txt")

    assert "none.txt" in result.stderr
    assert "US_SSN" in result.stdout


def test_without_being_asked_no_value_is_shown(run):
    for more in ([], ["--json"], ["--explain"], ["--explain", "--json"]):
        result = run("scan", "note.txt", *more)

        assert "PERSON" in result.stdout
        assert "Lopez" not in result.output
        assert "6789" not in result.output


def test_values_are_shown_when_asked_for_and_cannot_steer_the_terminal(run, tmp_path, monkeypatch):
    class Hostile(RegexDetector):
        def detect(self, texts):
            return [[Span(0, len(t), "PERSON", Category.PII, 1.0, "all")] for t in texts]

    monkeypatch.setattr(openers, "open_detector", lambda settings: Hostile())
    (tmp_path / "odd.txt").write_text("\x1b[31m[bold]Lopez[/bold]")

    shown = run("scan", "odd.txt", "--show-values").stdout

    assert "[bold]Lopez[/bold]" in shown
    assert "\x1b" not in shown


def test_lines_and_columns_count_from_one(run):
    [name, number, phone] = spans_of(run("scan", "note.txt", "--json"))

    assert (name["line"], name["column"], name["start"]) == (2, 1, 12)
    assert (number["line"], number["column"]) == (2, 18)
    assert phone["recogniser"] == "regex"


def test_the_rules_thresholds_decide_unless_another_is_given(run):
    assert len(spans_of(run("scan", "note.txt", "--json"))) == 3
    assert spans_of(run("scan", "note.txt", "--json", "--min-score", "0.95")) == []


def test_only_the_types_asked_for_count(run):
    found = spans_of(run("scan", "note.txt", "--json", "--types", "us_ssn"))

    assert [span["type"] for span in found] == ["US_SSN"]
    assert run("scan", "clean.txt", "--types", "SSN").exit_code == 2


def test_an_explanation_names_recogniser_threshold_mode_and_rule(run):
    [name, *_] = spans_of(run("scan", "note.txt", "--json", "--explain"))

    assert name["explanation"] == {
        "context": "",
        "check_holds": False,
        "threshold": 0.4,
        "reaches_threshold": True,
        "reported": True,
        "mode": "pseudonymise",
        "rule": "types.PERSON",
    }


def test_an_explanation_lists_what_was_left_alone_too(run):
    result = run("scan", "note.txt", "--json", "--explain", "--min-score", "0.95")

    assert result.exit_code == 0
    assert {span["explanation"]["reported"] for span in spans_of(result)} == {False}


def test_the_same_text_is_read_whatever_its_encoding(run, tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"):
        (tmp_path / "in.txt").write_bytes("Größe: Maria Lopez, geboren in Köln".encode(encoding))

        [span] = spans_of(run("scan", "in.txt", "--json"))

        assert span["start"] == 7


def test_what_is_no_text_is_an_error_and_not_a_clean_file(run, tmp_path):
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7\n\0\0Maria Lopez")

    result = run("scan", "scan.pdf")

    assert result.exit_code == 2
    assert "ragplatform-ingest" in result.stderr


def test_standard_input_is_a_file_named_by_a_dash(run):
    assert spans_of(run("scan", "-", "--json", stdin=NOTE))[0]["type"] == "PERSON"


def test_a_detector_that_fails_is_no_clean_file(run, monkeypatch):
    monkeypatch.setattr(openers, "open_detector", lambda settings: FailingDetector())

    result = run("scan", "note.txt")

    assert result.exit_code == 2
    assert "detector_failed" in result.stderr
    assert "Lopez" not in result.output


def test_in_bulk_one_line_answers_one_line(run, tmp_path):
    given = [{"id": "a", "text": NOTE}, {"id": 2, "text": CLEAN}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in given))

    result = run("scan", "--jsonl", "in.jsonl")
    to_file = run(
        "scan", "--jsonl", "-", "--output", "out.jsonl", stdin=(tmp_path / "in.jsonl").read_text()
    )

    assert (result.exit_code, to_file.exit_code) == (0, 0)
    assert (tmp_path / "out.jsonl").read_text() == result.stdout
    written = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["id"], len(line["spans"])) for line in written] == [("a", 3), (2, 0)]
    assert set(written[0]["spans"][0]) == {"start", "end", "type", "category", "score"}


def test_in_bulk_a_bad_line_fails_after_what_is_right(run):
    result = run("scan", "--jsonl", "-", stdin='{"id": 1, "text": "x"}\n{"id": 2}\n')

    assert result.exit_code == 2
    assert json.loads(result.stdout) == {"id": 1, "spans": []}
    assert "line 2" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["note.txt", "--jsonl", "in.jsonl"],
        ["note.txt", "--output", "out"],
        ["--jsonl", "none.jsonl"],
        ["--jsonl", "-", "--show-values"],
        ["--jsonl", "-", "--output", "no/such/folder"],
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(run, arguments):
    assert run("scan", *arguments, stdin="").exit_code == 2


def test_rules_that_the_settings_name_must_be_there(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(tmp_path))
    assert run("scan", "clean.txt").exit_code == 2

    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    assert run("scan", "clean.txt").exit_code == 0


def test_a_text_is_written_with_masks_and_only_counts_are_told(run):
    result = run("redact", "note.txt")

    assert result.exit_code == 0
    assert result.stdout == "Seen today.\n[PERSON], SSN [US_SSN], call [PHONE_NUMBER].\n"
    assert result.stderr == "mask 3\n"


def test_a_text_keeps_its_line_ends_and_every_other_character(run, tmp_path):
    (tmp_path / "in.txt").write_bytes("Grüße\r\n\u2028Maria Lopez\r\n".encode())

    assert run("redact", "in.txt", "--output", "out.txt").exit_code == 0
    assert (tmp_path / "out.txt").read_bytes() == "Grüße\r\n\u2028[PERSON]\r\n".encode()
    assert run("redact", "in.txt").stdout_bytes == (tmp_path / "out.txt").read_bytes()


def test_a_text_that_could_not_be_searched_is_not_written(run, monkeypatch, tmp_path):
    monkeypatch.setattr(openers, "open_detector", lambda settings: FailingDetector())

    result = run("redact", "note.txt", "--output", "out.txt")

    assert result.exit_code == 2
    assert not (tmp_path / "out.txt").exists()


def test_pseudonyms_need_the_deployment_s_keys(run, monkeypatch):
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    asked = ["redact", "note.txt", "--mode", "policy", "--tenant", "mercy"]

    assert run(*asked).exit_code == 2
    refused = run(*asked, "--collection", "clinical")

    assert refused.exit_code == 2
    assert "ragplatform init" in refused.stderr
    assert refused.stdout == ""


def test_pseudonyms_are_those_of_the_tenant_s_index_and_no_value_is_kept(run, monkeypatch):
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    settings = config.load()
    identities.create_keys(settings)

    result = run(
        *("redact", "note.txt", "--mode", "policy", "--tenant", "mercy"),
        *("--collection", "clinical"),
    )

    vault = openers.open_vault(settings)
    token = vault.token("mercy", "PERSON", "Maria Lopez")
    assert result.stdout.splitlines()[1].startswith(f"{token}, SSN [US_SSN:")
    assert vault.reveal("mercy", [token]) == {}
    vault.close()


def test_a_text_that_the_rules_keep_out_is_not_written(run, monkeypatch, tmp_path):
    class Secret(RegexDetector):
        def detect(self, texts):
            return [[Span(0, 4, "SECRET", Category.SECRET, 1.0, "all")] for _ in texts]

    monkeypatch.setattr(openers, "open_detector", lambda settings: Secret())
    monkeypatch.setenv("RAGPLATFORM_POLICIES_DIR", str(POLICIES))
    identities.create_keys(config.load())

    result = run(
        *("redact", "note.txt", "--mode", "policy", "--tenant", "mercy"),
        *("--collection", "clinical", "--output", "out.txt"),
    )

    assert (result.exit_code, result.stderr) == (1, "not written: contains_secret\n")
    assert not (tmp_path / "out.txt").exists()
