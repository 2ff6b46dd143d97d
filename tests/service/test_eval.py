"""``ragplatform eval``: through the gate, on record, by a key or in process."""

import json

import pytest
from typer.testing import CliRunner

from ragplatform import egress, identities, wiring
from ragplatform.__main__ import app
from ragplatform.audit.events import Action
from ragplatform.evaluation.summary import read_run
from ragplatform.model import Principal, Sensitivity
from tests.fakes import make_bench
from tests.served import served_bench

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
FOUND = {"id": "found", "purpose": "TREAT",
         "question": "Why was apixaban stopped for Maria Lopez?",
         "relevant": [{"document": "doc-0", "page": 2}], "answers": ["gastric bleed"]}  # fmt: skip
CUP = {"id": "cup", "question": "Which football club won the cup final in Lisbon?",
       "purpose": "TREAT", "expect": "abstain"}  # fmt: skip


@pytest.fixture
def ward(tmp_path, monkeypatch):
    one = make_bench(tmp_path / "ward")
    one.put(STOPPED, subjects=["mrn:1"], page=2)
    for name in ("data_dir", "secrets_dir", "policies_dir"):
        monkeypatch.setenv(f"RAGPLATFORM_{name.upper()}", str(getattr(one.settings, name)))
    yield one
    one.platform.store.close()


def written(tmp_path, *lines):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(*words):
    return CliRunner().invoke(app, ["eval", *words])


def test_the_service_is_asked_with_a_key_and_every_question_is_on_record(
    ward, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAGPLATFORM_API_KEY", "doctor")
    file, kept, drawn = written(tmp_path, FOUND, CUP), tmp_path / "run.json", tmp_path / "run.svg"

    with served_bench(ward) as url:
        done = run(file, "--url", url, "--json", "--output", str(kept), "--svg", str(drawn),
                   "--fail-under", "ndcg@10=0.9", "--fail-under", "abstained=1")  # fmt: skip

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    for name in ("ndcg@10", "mrr", "answered", "answer_match", "citation_precision", "support"):
        assert told["metrics"][name]["mean"] == 1.0, name
    assert told["metrics"]["abstained"] == {"mean": 1.0, "questions": 1, "low": 1.0, "high": 1.0}
    assert told["outcomes"] == {"answered": 1, "refused": 1}
    assert "Lopez" not in done.stdout + kept.read_text() + drawn.read_text()
    for request in told["requests"].values():
        (asked,) = ward.records(action=Action.ASKED, request_id=request)
        assert asked.actor == "dr"
    assert read_run(kept).scores["found"]["mrr"] == 1.0


def test_a_measure_below_its_limit_and_one_not_measured_are_exit_code_1(
    ward, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAGPLATFORM_API_KEY", "stranger")
    file = written(tmp_path, FOUND)

    with served_bench(ward) as url:
        low = run(file, "--url", url, "--fail-under", "recall@10=0.5")
        none = run(file, "--url", url, "--search-only", "--fail-under", "support=0.5")

    assert (low.exit_code, none.exit_code) == (1, 1)
    assert "recall@10 is 0.000" in low.stdout
    assert "support is not measured" in none.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "RAGPLATFORM_API_KEY"),
        (("--fail-under", "fame=1"), "MEASURE=VALUE"),
        (("--fail-under", "mrr=2"), "MEASURE=VALUE"),
        (("--mode", "guess"), "no such mode"),
        (("--as", "dr", "--url", "http://127.0.0.1:9"), "leave out"),
        (("--against", "absent.json"), "not a run"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said_before_anything_is_asked(ward, tmp_path, words, says):
    done = run(written(tmp_path, FOUND), *words)

    assert done.exit_code == 2
    assert says in done.output
    assert ward.records(action=Action.SEARCHED) == []


def test_a_service_that_is_away_or_does_not_know_the_key_is_exit_code_2(
    ward, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAGPLATFORM_API_KEY", "nobody")

    with served_bench(ward) as url:
        done = run(written(tmp_path, FOUND), "--url", url)

    assert done.exit_code == 2
    assert "unauthenticated" in done.output


def test_in_process_each_line_s_person_asks_and_the_record_says_who_ran_it(
    ward, tmp_path, monkeypatch
):
    monkeypatch.setattr(wiring, "build", lambda settings, kind: ward.platform)
    doctor = Principal(
        "dr9",
        "mercy",
        frozenset({"physician"}),
        frozenset({"cardiology"}),
        Sensitivity.CONFIDENTIAL,
    )
    identities.add_key(ward.settings, doctor, frozenset({"mrn:1"}), actor="op")
    line = {**FOUND, "as": "mercy/dr9"}
    denied = {**FOUND, "id": "denied", "as": "dr9", "purpose": "AML", "expect": "denied",
              "relevant": []}  # fmt: skip

    done = run(written(tmp_path, line, denied), "--in-process", "--json")

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["metrics"]["recall@10"]["mean"] == 1.0
    assert told["metrics"]["denied"]["mean"] == 1.0
    asked = ward.records(action=Action.ASKED, actor="dr9")
    assert asked
    assert all(record.client.startswith("host user") for record in asked)


def test_nobody_is_asked_for_whom_the_key_file_does_not_have(ward, tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "build", lambda settings, kind: ward.platform)

    done = run(written(tmp_path, FOUND), "--as", "ghost")

    assert done.exit_code == 2
    assert "nobody is there" in done.output


def test_two_runs_are_compared_question_by_question(ward, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGPLATFORM_API_KEY", "doctor")
    lines = [{**FOUND, "id": f"q{n}"} for n in range(6)]
    good, bad, drawn = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "both.svg"
    with served_bench(ward) as url:
        run(written(tmp_path, *lines), "--url", url, "--search-only", "--output", str(good))
        monkeypatch.setenv("RAGPLATFORM_API_KEY", "stranger")
        run(written(tmp_path, *lines), "--url", url, "--search-only", "--output", str(bad))

    words = ["eval-compare", str(good), str(bad), "--svg", str(drawn), "--fail-if-worse", "--json"]
    worse = CliRunner().invoke(app, words)
    same = CliRunner().invoke(app, ["eval-compare", str(good), str(good), "--fail-if-worse"])

    assert worse.exit_code == 1
    told = json.loads(worse.stdout)["mrr"]
    assert (told["before"], told["after"], told["clear"]) == (1.0, 0.0, True)
    assert same.exit_code == 0
    assert "may be chance" in same.stdout
    assert drawn.read_text().startswith("<svg")


def test_the_seal_is_on_while_an_evaluation_asks(ward, tmp_path):
    run(written(tmp_path, FOUND))

    assert egress.sealed()
