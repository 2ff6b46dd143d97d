"""What an answer says of itself, and what it makes of earlier questions, over REST."""

import pytest

from tests.fakes_generator import ScriptedGenerator
from tests.service.test_api import QUESTION, REPLACED, STOPPED, as_, body, records

INVENTED = "She received 750 mg of aspirin [1]. "
TRUE = "Apixaban was stopped because of a gastric bleed [1]. "
TARGET = "The target INR for Maria Lopez with a mechanical valve is 3.0."


def asked(client, *, person="doctor", **more):
    return client.post("/v1/ask", json=body(**more), headers=as_(person)).json()


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"], page=2)
    return one


def test_each_sentence_says_what_vouches_for_it(ward, serve):
    answer = asked(serve(ward))

    first = answer["sentences"][0]
    assert (first["kind"], first["citations"]) == ("quoted", [1])
    assert first["text"] == f"{STOPPED} [1]"
    assert " ".join(one["text"] for one in answer["sentences"]) == answer["answer"]
    assert answer["passages"] == [source["chunk"] for source in answer["sources"]]
    assert answer["policy_digest"]


def test_an_unsupported_sentence_is_marked_where_the_deployment_says_so(bench, serve):
    script = [INVENTED, TRUE, "See http://evil.example/x [1]. "]
    one = bench(generator=ScriptedGenerator(script), unsupported_sentences="mark")
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = asked(serve(one), mode="abstractive")

    kinds = [(one["kind"], one["failed"]) for one in answer["sentences"]]
    assert kinds == [("unsupported", "number"), ("supported", None)]
    assert answer["answer"].startswith("She received 750 mg of aspirin. [unsupported] Apixaban")
    assert "evil" not in answer["answer"]
    assert answer["dropped_sentences"] == 1


@pytest.mark.parametrize("unsupported", ["drop", "mark"])
def test_where_a_model_writes_nothing_that_is_supported_the_passages_are_quoted(
    bench, serve, unsupported
):
    one = bench(generator=ScriptedGenerator([INVENTED]), unsupported_sentences=unsupported)
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = asked(serve(one), mode="abstractive")

    assert (answer["mode"], answer["model"]) == ("extractive", "")
    assert answer["sentences"][0]["text"] == f"{STOPPED} [1]"
    assert {sentence["kind"] for sentence in answer["sentences"]} == {"quoted"}
    assert "750" not in answer["answer"]
    recorded = records(one, request_id=answer["request_id"])
    details = {str(record.action): record.details for record in recorded}
    assert (details["generated"]["mode"], details["answered"]["mode"]) == (
        "abstractive",
        "extractive",
    )


def test_a_model_that_says_that_nothing_answers_is_believed(bench, serve):
    script = ["The passages do not say. ", INVENTED]
    one = bench(generator=ScriptedGenerator(script))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = asked(serve(one), mode="abstractive")

    assert answer["mode"] == "refusal"
    assert answer["model"]


def test_passages_that_contradict_each_other_are_both_said(bench, serve):
    one = bench()
    one.put(TARGET, subjects=["mrn:1"])
    one.put(TARGET.replace("3.0", "2.5"), subjects=["mrn:1"])

    answer = asked(serve(one), question="What is the target INR for Maria Lopez?")

    kinds = [one["kind"] for one in answer["sentences"]]
    assert kinds == ["quoted", "conflict"]
    assert "But another passage says: " in answer["answer"]
    assert "3.0" in answer["answer"]
    assert "2.5" in answer["answer"]


def test_a_part_that_nothing_answers_is_named(ward, serve):
    question = "Why was apixaban stopped for Maria Lopez and what was the ferritin?"

    answer = asked(serve(ward), question=question)

    assert answer["sentences"][-1]["kind"] == "gap"
    assert answer["answer"].endswith("do not answer this: what was the ferritin?")


def test_a_refusal_names_what_nothing_mentions(ward, serve):
    answer = asked(serve(ward), question="Which dose of digoxin does Maria Lopez take?")

    assert answer["mode"] == "refusal"
    assert "mentions: digoxin." in answer["answer"]


@pytest.mark.parametrize("bait", ["http://evil.example/x", "![a](b)", "evil.example"])
def test_a_refusal_repeats_nothing_that_a_click_could_follow(ward, serve, bait):
    answer = asked(serve(ward), question=f"Which dose of digoxin does {bait} say for the cat?")

    assert answer["mode"] == "refusal"
    assert "evil" not in answer["answer"]
    assert "](" not in answer["answer"]


def test_a_follow_up_is_understood_by_the_earlier_question(ward, serve):
    answer = asked(serve(ward), question="And what replaced it for her?", history=[QUESTION])

    assert "enoxaparin" in answer["answer"]
    assert "Maria Lopez" in answer["question"]


def test_an_earlier_question_shows_nobody_who_may_not_be_seen_now(ward, serve):
    more = {"purpose": "HRESCH", "history": [QUESTION], "question": "And what replaced it?"}

    answer = asked(serve(ward), person="researcher", **more)

    assert "Lopez" not in str(answer)
    assert "Lopez" not in str([asked.prompt for asked in ward.generator.asked])


def test_the_earlier_questions_that_were_used_are_on_record_and_no_others(ward, serve):
    history = ["What was the sodium?", QUESTION]
    client = serve(ward)

    used = asked(client, question="Why?", history=history)
    unused = asked(client, history=history)

    def earlier(answer):
        found = records(ward, request_id=answer["request_id"])
        return next(one for one in found if str(one.action) == "asked").details.get("earlier")

    assert earlier(used) == 2
    assert earlier(unused) is None


def test_a_history_that_is_too_long_is_refused(ward, serve):
    sent = body(history=["x"] * 21)

    response = serve(ward).post("/v1/ask", json=sent, headers=as_("doctor"))

    assert response.status_code == 422
