import re
import tomllib
from collections import Counter
from typing import Any

from demo.gold import read_cast
from ragplatform.model import Purpose, Sensitivity
from tests.unit.demo.demo_reading import DEMO, pages, rows


def _personas() -> dict[str, dict[str, Any]]:
    data = tomllib.loads((DEMO / "personas.toml").read_text("utf-8"))
    return {persona["id"]: persona for persona in data["persona"]}


def test_there_are_enough_questions_of_each_kind() -> None:
    kinds = Counter(row["kind"] for row in rows("questions.jsonl"))

    assert set(kinds) == {"fact", "person", "number", "unanswerable"}
    assert kinds.total() >= 40
    assert kinds["unanswerable"] >= 8


def test_every_answer_stands_where_the_question_says() -> None:
    astray = []
    for row in rows("questions.jsonl"):
        if row["file"] is None:
            assert row["kind"] == "unanswerable"
            continue
        text = pages(row["file"])
        on = " ".join(text) if row["page"] is None else text[row["page"] - 1]
        if row["evidence"] not in on:
            astray.append(row["id"])

    assert astray == []


def test_the_further_questions_have_their_evidence_in_the_file_that_they_name() -> None:
    further = rows("more_questions.jsonl")
    kinds = Counter(row["kind"] for row in further)
    astray = [
        row["id"]
        for row in further
        if row["file"] and _words(row["evidence"]) - _words(" ".join(pages(row["file"])))
    ]

    assert astray == []
    assert kinds["answerable"] >= 160
    assert kinds["unanswerable"] >= 100
    assert len({row["question"] for row in further}) == len(further)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+(?:[.,:][0-9]+)*", text.lower()))


def test_every_question_is_asked_by_a_persona_of_its_tenant_for_a_usual_purpose() -> None:
    personas = _personas()

    for row in (*rows("questions.jsonl"), *rows("more_questions.jsonl")):
        asker = personas[row["persona"]]
        assert asker["tenant"] == row["tenant"]
        assert row["purpose"] in asker["purposes"]


def test_the_flagship_sentence_names_the_patient_the_reason_and_the_replacement() -> None:
    page = pages("mercy/discharge/discharge_Whitfield_Eleanor.pdf")[1]

    sentence = next(s for s in re.split(r"(?<=\.) ", page) if "Apixaban was stopped" in s)

    assert "Eleanor Whitfield" in sentence
    assert "mechanical" in page
    assert "Apixaban was stopped for Eleanor Whitfield on March 6, 2026 because" in page
    assert "and warfarin with a target INR of 3.0 (range 2.5 to 3.5) replaced it" in page


def test_the_injected_instruction_is_in_exactly_one_document() -> None:
    files = {row["file"] for row in rows("planted.jsonl")}

    injected = {
        f for f in files if "/inbox/" not in f and "ignore previous instr" in " ".join(pages(f))
    }

    assert injected == {"mercy/messages/thread-outside-record.html"}


def test_personas_are_well_formed_and_hold_no_key() -> None:
    known = set(read_cast(DEMO / "source" / "cast.toml").person_of)

    for persona in _personas().values():
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", persona["id"])
        assert persona["clearance"].upper() in Sensitivity.__members__
        assert set(persona["purposes"]) <= set(Purpose)
        assert set(persona["subjects"]) <= known
        assert "key" not in persona


def test_dr_lee_has_five_patients_and_okafor_four_clients() -> None:
    personas = _personas()

    assert len(personas["dr-lee"]["subjects"]) == 5
    assert len(personas["rm-okafor"]["subjects"]) == 4
