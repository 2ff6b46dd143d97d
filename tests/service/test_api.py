"""The REST interface: who may see what, what it says, and what is recorded of it."""

import json
import re

import pytest

from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import GeneratorError, IndexUnavailableError
from tests.fakes_audit import Pauses
from tests.fakes_disk import PickyDisk
from tests.fakes_generator import ScriptedGenerator
from tests.fakes_privacy import FailingDetector

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
REPLACED = "It was replaced by enoxaparin 40 mg once daily for Maria Lopez."
QUESTION = "Why was apixaban stopped for Maria Lopez?"


def as_(person):
    return {"Authorization": f"Bearer {person}"}


def body(question=QUESTION, purpose="TREAT", **more):
    return {"question": question, "purpose": purpose, **more}


def records(one, **conditions):
    return one.records(**conditions)


def actions(one, request_id):
    """What a request did; that its credential was new here is tested by itself."""
    done = [str(record.action) for record in records(one, request_id=request_id)]
    return [action for action in done if action != "authenticated"]


def events(response):
    pairs = []
    for block in response.text.strip().split("\n\n"):
        name, data = block.split("\n", 1)
        pairs.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return pairs


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"], page=2, page_label="F-12")
    one.put("Visiting hours end at eight in the evening.", department="administration",
            sensitivity=0)  # fmt: skip
    return one


@pytest.mark.parametrize("headers", [{}, as_("nobody"), {"Authorization": "Basic eDp5"}])
@pytest.mark.parametrize("path", ["/v1/whoami", "/v1/audit/events", "/v1/sources/x?purpose=TREAT"])
def test_without_a_known_key_nothing_is_told_and_the_attempt_is_recorded(
    ward, serve, headers, path
):
    response = serve(ward).get(path, headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert records(ward)[-1].action is Action.AUTHENTICATED_FAILED


def test_a_person_without_a_right_is_refused_with_the_reason_and_on_record(ward, serve):
    response = serve(ward).post("/v1/ask", json=body(purpose="HOPERAT"), headers=as_("reception"))

    assert response.status_code == 403
    assert "reception" in response.json()["detail"]
    assert actions(ward, response.json()["request_id"]) == ["asked", "denied"]
    assert ward.generator.asked == []


def test_the_related_physician_reads_the_name_in_clear_with_page_and_offsets(ward, serve):
    answer = serve(ward).post("/v1/ask", json=body(), headers=as_("doctor")).json()

    assert "Maria Lopez" in answer["answer"]
    assert answer["mode"] == "extractive"
    citation = answer["citations"][0]
    assert (citation["page"], citation["number"]) == (2, 1)
    assert citation["page_label"] == "F-12"
    assert citation["quote"] == STOPPED
    assert actions(ward, answer["request_id"]) == ["asked", "retrieved", "answered"]


def test_a_physician_who_does_not_treat_the_patient_finds_nothing_of_it(ward, serve):
    client = serve(ward)

    found = client.post("/v1/search", json=body(), headers=as_("stranger"))

    assert "pixaban" not in found.text
    assert "Lopez" not in found.text


def test_a_researcher_reads_the_facts_and_no_name(ward, serve):
    response = serve(ward).post("/v1/ask", json=body(purpose="HRESCH"), headers=as_("researcher"))

    assert "gastric bleed" in response.json()["answer"]
    assert "Lopez" not in response.text


def test_no_purpose_no_answer(ward, serve):
    client = serve(ward)

    for purpose in (None, "", "BECAUSE", "treat"):
        sent = {"question": QUESTION, "purpose": purpose}
        response = client.post("/v1/ask", json=sent, headers=as_("doctor"))
        assert response.status_code == 422


@pytest.mark.parametrize("question", ["?", "]", "..."])
def test_a_question_without_a_word_is_answered_like_any_other(ward, serve, question):
    response = serve(ward).post("/v1/search", json=body(question), headers=as_("doctor"))

    assert response.status_code == 200


def test_a_malformed_request_is_told_what_to_put_right(ward, serve):
    sent = body(purpose="Maria Lopez")

    response = serve(ward).post("/v1/ask", json=sent, headers=as_("doctor"))

    (wrong,) = response.json()["errors"]
    assert wrong["field"] == "body.purpose"
    assert "'TREAT'" in wrong["message"]
    assert "Lopez" not in response.text


def test_a_malformed_request_is_not_echoed(ward, serve):
    sent = body(question=["Maria Lopez"], collectoins=["x"])

    response = serve(ward).post("/v1/ask", json=sent, headers=as_("doctor"))

    assert response.status_code == 422
    assert "Lopez" not in response.text
    assert {e["field"] for e in response.json()["errors"]} == {"body.question", "body.collectoins"}


def test_what_exists_and_is_forbidden_looks_like_what_does_not_exist(ward, serve):
    client, chunk = serve(ward), ward.documents[0]
    absent = "00000000-0000-4000-8000-999999999999"

    hidden = client.get(f"/v1/sources/{chunk}?purpose=TREAT", headers=as_("stranger")).json()
    missing = client.get(f"/v1/sources/{absent}?purpose=TREAT", headers=as_("stranger")).json()

    assert hidden.pop("request_id") != missing.pop("request_id")
    assert hidden == missing
    assert hidden["status"] == 404


def test_a_source_is_shown_to_whom_policy_permits_and_recorded(ward, serve):
    chunk = ward.documents[0]

    shown = serve(ward).get(f"/v1/sources/{chunk}?purpose=TREAT", headers=as_("doctor")).json()

    assert shown["text"] == f"{STOPPED} {REPLACED}"
    last = records(ward)[-1]
    assert last.action is Action.SOURCE_VIEWED
    assert last.details["passages"][0]["chunk"] == chunk


def test_a_stream_is_the_same_answer_and_ends_after_its_record(ward, serve):
    client = serve(ward)
    whole = client.post("/v1/ask", json=body(), headers=as_("doctor")).json()

    streamed = events(client.post("/v1/ask", json=body(stream=True), headers=as_("doctor")))

    assert streamed[0][0] == "sources"
    name, final = streamed[-1]
    assert name == "final"
    assert (
        "".join(data["text"] for kind, data in streamed if kind == "delta").strip()
        == (whole["answer"])
    )
    assert actions(ward, final["request_id"])[-1] == "answered"


def test_a_refusal_of_a_stream_is_a_status_not_a_broken_stream(ward, serve):
    response = serve(ward).post(
        "/v1/ask", json=body(purpose="HOPERAT", stream=True), headers=as_("reception")
    )

    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


def test_nothing_relevant_is_an_honest_refusal(ward, serve):
    sent = body("Which football club won the cup final yesterday evening in Lisbon?")

    answer = serve(ward).post("/v1/ask", json=sent, headers=as_("doctor")).json()

    assert answer["mode"] == "refusal"
    assert answer["citations"] == []
    assert answer["refusal"] in {"no_passage", "not_supported"}


def test_the_model_s_own_words_are_shown_only_where_a_passage_says_so(bench, serve):
    invented = [
        "Apixaban was stopped because of a gastric ", "bleed [1]. ",
        "She received 750 mg of aspirin [1]. ", "See http://evil.example/x [1]. ",
        "It was replaced by enoxaparin 40 mg once daily.",
    ]  # fmt: skip
    one = bench(generator=ScriptedGenerator(invented))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = serve(one).post(
        "/v1/ask", json=body(mode="abstractive"), headers=as_("doctor")
    ).json()  # fmt: skip

    assert answer["answer"] == (
        "Apixaban was stopped because of a gastric bleed. [1] "
        "It was replaced by enoxaparin 40 mg once daily. [1]"
    )
    assert answer["dropped_sentences"] == 2


def test_a_model_that_repeats_itself_or_the_question_is_heard_once(bench, serve):
    again = ["Was apixaban stopped because of a gastric bleed? [1] "]
    again += ["Apixaban was stopped because of a gastric bleed [1]. "] * 9
    one = bench(generator=ScriptedGenerator(again))
    one.put(f"{again[0]} {STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = serve(one).post(
        "/v1/ask", json=body(mode="abstractive"), headers=as_("doctor")
    ).json()  # fmt: skip

    assert answer["answer"] == "Apixaban was stopped because of a gastric bleed. [1]"


@pytest.mark.parametrize("lost", ["in circles", "in its prompt"])
def test_a_model_that_lost_its_way_is_hung_up_on_and_what_it_said_before_stays(bench, serve, lost):
    said = "Apixaban was stopped because of a gastric bleed [1].\n"

    def script(_, prompt):
        copied = "She is well. " if lost == "in circles" else prompt.splitlines()[0] + "\n"
        return [said, *[copied] * 400]

    one = bench(generator=ScriptedGenerator(script))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    answer = serve(one).post(
        "/v1/ask", json=body(mode="abstractive"), headers=as_("doctor")
    ).json()  # fmt: skip

    assert answer["answer"] == "Apixaban was stopped because of a gastric bleed. [1]"
    (written,) = records(one, action=Action.GENERATED)
    assert (written.outcome, written.details["complete"]) == (Outcome.SUCCESS, False)
    assert written.details["characters"] < 250


def test_the_prompt_holds_no_name_and_a_salt_that_two_people_never_share(bench, serve):
    one = bench(generator=ScriptedGenerator(["It was replaced by enoxaparin 40 mg once daily."]))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])
    client = serve(one)

    for person, purpose in (("doctor", "TREAT"), ("researcher", "HRESCH")):
        sent = body(purpose=purpose, mode="abstractive")
        client.post("/v1/ask", json=sent, headers=as_(person))

    assert len({asked.cache_salt for asked in one.generator.asked}) == 2
    assert all("Lopez" not in asked.prompt for asked in one.generator.asked)


def test_without_the_model_quotes_are_still_joined_and_the_answer_says_so(bench, serve):
    one = bench(generator=ScriptedGenerator([], available=False))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])
    client = serve(one)

    quoted = client.post("/v1/ask", json=body(), headers=as_("doctor")).json()
    written = client.post("/v1/ask", json=body(mode="abstractive"), headers=as_("doctor"))

    assert STOPPED in quoted["answer"]
    assert written.status_code == 503
    assert actions(one, written.json()["request_id"])[-1] == "failed"


def test_a_model_that_breaks_off_ends_the_stream_with_an_error_event(bench, serve):
    script = ["Apixaban was stopped because of a gastric bleed [1]. ", "It was replaced by "]
    one = bench(generator=ScriptedGenerator(script, fail_after=1))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    sent = body(mode="abstractive", stream=True)
    streamed = events(serve(one).post("/v1/ask", json=sent, headers=as_("doctor")))

    name, problem = streamed[-1]
    assert (name, problem["code"]) == ("error", GeneratorError.code)
    assert actions(one, problem["request_id"])[-1] == "failed"


def test_without_a_record_there_is_no_answer(ward, serve):
    client = serve(ward)
    ward.audit.close()

    for path in ("/v1/ask", "/v1/search"):
        response = client.post(path, json=body(), headers=as_("doctor"))
        assert (response.status_code, response.json()["code"]) == (503, "audit_unavailable")
        assert "pixaban" not in response.text


def test_a_log_that_fails_before_the_last_record_withholds_the_end_of_the_answer(
    ward, serve, monkeypatch
):
    real = ward.audit.append_together

    def failing(recorded):
        if any(event.action is Action.ANSWERED for event in recorded):
            ward.audit.close()
        return real(recorded)

    monkeypatch.setattr(ward.audit, "append_together", failing)

    streamed = events(serve(ward).post("/v1/ask", json=body(stream=True), headers=as_("doctor")))

    assert streamed[-1][0] == "error"
    assert "final" not in [name for name, _ in streamed]


def test_a_detector_that_fails_lets_no_question_through(bench, serve):
    one = bench()
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])
    broken = bench(detector=FailingDetector(), index=one.index)

    response = serve(broken).post("/v1/ask", json=body(), headers=as_("doctor"))

    assert response.status_code in {403, 503}
    assert "Lopez" not in response.text


def test_an_index_that_is_away_is_said_and_recorded(ward, serve, monkeypatch):
    def away(*args):
        raise IndexUnavailableError("the engine does not answer")

    monkeypatch.setattr(ward.index, "search", away)

    response = serve(ward).post("/v1/ask", json=body(), headers=as_("doctor"))

    assert (response.status_code, response.json()["code"]) == (503, "index_unavailable")
    assert actions(ward, response.json()["request_id"])[-1] == "failed"


def test_a_bug_tells_the_caller_nothing_and_is_recorded(ward, serve, monkeypatch):
    def bug(*args):
        raise RuntimeError("Maria Lopez")

    monkeypatch.setattr(ward.index, "search", bug)

    response = serve(ward).post("/v1/ask", json=body(), headers=as_("doctor"))

    assert response.status_code == 500
    assert "Lopez" not in response.text
    assert actions(ward, response.json()["request_id"])[-1] == "failed"


def test_a_hit_that_policy_denies_is_dropped_and_raises_an_alarm(ward, serve, monkeypatch):
    real = ward.index.search

    def leaky(vector, terms, scope, limit):
        other = ward.platform.policies.scope(
            ward.people["doctor"], scope.purpose, ward.platform.store.catalog.classes("mercy")
        )
        return real(vector, terms, other, limit)

    monkeypatch.setattr(ward.index, "search", leaky)

    response = serve(ward).post("/v1/search", json=body(), headers=as_("stranger"))

    assert "pixaban" not in response.text
    if response.status_code == 200:
        assert Action.DISAGREED in {record.action for record in records(ward)}


def test_compliance_reads_the_log_without_content_and_nobody_else_does(ward, serve):
    client = serve(ward)
    asked = client.post("/v1/ask", json=body(), headers=as_("doctor")).json()["request_id"]

    seen = client.get(f"/v1/audit/events?request_id={asked}", headers=as_("compliance"))
    denied = client.get("/v1/audit/events", headers=as_("doctor"))

    assert [r["action"] for r in seen.json()["records"]] == [
        "answered",
        "retrieved",
        "asked",
        "authenticated",
    ]
    assert "Lopez" not in seen.text
    assert "pixaban" not in seen.text
    assert denied.status_code == 403
    assert [str(r.outcome) for r in records(ward, action=Action.AUDIT_READ)] == [
        "success",
        "denied",
    ]


def test_nobody_reads_another_tenant_s_records(ward, serve):
    client = serve(ward)
    client.post("/v1/ask", json=body(purpose="SERVICE"), headers=as_("banker"))

    seen = client.get("/v1/audit/events", headers=as_("compliance")).json()["records"]

    assert "rm" not in {record["actor"] for record in seen}


def test_a_damaged_log_of_one_tenant_keeps_no_other_from_asking_or_reviewing(ward, serve):
    client = serve(ward)
    client.post("/v1/ask", json=body(purpose="SERVICE"), headers=as_("banker"))
    for segment in (ward.settings.audit_dir / "api.harbor").glob("segment-*"):
        segment.write_bytes(b"{}\n" + segment.read_bytes())

    asked = client.post("/v1/ask", json=body(), headers=as_("doctor"))
    seen = client.get("/v1/audit/events", headers=as_("compliance"))

    assert asked.status_code == 200
    assert asked.json()["request_id"] in {r["request_id"] for r in seen.json()["records"]}


def test_no_log_of_a_tenant_names_another_or_its_people(ward, serve):
    client = serve(ward)
    for who, purpose in (("doctor", "TREAT"), ("banker", "SERVICE")):
        for path in ("/v1/ask", "/v1/search"):
            client.post(path, json=body(purpose=purpose), headers=as_(who))
        client.get(f"/v1/sources/{ward.documents[0]}?purpose={purpose}", headers=as_(who))
        client.get("/v1/audit/events", headers=as_(who))

    for own, other in (("mercy", "harbor"), ("harbor", "mercy")):
        files = (ward.settings.audit_dir / f"api.{own}").iterdir()
        raw = b"".join(path.read_bytes() for path in files)
        assert f'"tenant":"{own}"'.encode() in raw
        assert other.encode() not in raw


def test_another_tenant_finds_nothing(ward, serve):
    client = serve(ward)

    for path in ("/v1/ask", "/v1/search"):
        response = client.post(path, json=body(purpose="SERVICE"), headers=as_("banker"))
        assert "pixaban" not in response.text
        assert "gastric" not in response.text


def test_who_i_am_says_for_which_purposes_i_may_ask(ward, serve):
    me = serve(ward).get("/v1/whoami", headers=as_("doctor")).json()

    assert me["purposes"] == ["ETREAT", "TREAT"]
    assert (me["tenant"], me["related_subjects"], me["reviewer"]) == ("mercy", 1, False)


def test_no_response_may_be_cached_and_each_has_its_own_id(ward, serve):
    client = serve(ward)
    first, second = (client.get("/v1/whoami", headers=as_("doctor")) for _ in range(2))

    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_the_interface_description_needs_no_network_and_names_every_endpoint(ward, serve):
    client = serve(ward)
    described = client.get("/openapi.json")

    assert set(described.json()["paths"]) == {
        "/v1/ask", "/v1/search", "/v1/sources/{chunk}", "/v1/whoami", "/v1/audit/events",
        "/v1/pii:analyze", "/v1/pii:redact", "/livez", "/readyz",
        "/v1/relations", "/v1/relations:remove", "/v1/relations/feeds", "/v1/consents",
        "/v1/breakglass", "/v1/breakglass/{opening}:end", "/v1/breakglass/reviews",
        "/v1/breakglass/{opening}:review", "/v1/sources/{chunk}:reveal", "/v1/policies:explain",
        "/v1/audit/passages/{passage}/disclosures", "/v1/audit/subjects/{subject}/disclosures",
        "/v1/audit/people/{person}/break-glass", "/v1/audit/records/{origin}/{index}:unseal",
        "/v1/audit/export", "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/models",
        "/v1/models/{model}", "/v1/batches", "/v1/batches/{batch_id}",
        "/v1/batches/{batch_id}/cancel", "/v1/feedback", "/v1/feedback/counts", "/mcp",
    }  # fmt: skip
    assert client.get("/docs").status_code == 404
    assert "cdn" not in described.text


def test_readiness_needs_a_token_of_the_model_and_a_log_that_can_be_written(bench, serve):
    good, bad = bench(), bench(generator=ScriptedGenerator([], available=False))

    assert serve(good).get("/readyz").json()["status"] == "ok"
    response = serve(bad).get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["model"] == "generator_unavailable"
    assert serve(bad).get("/livez").status_code == 200


def test_a_tenant_s_log_that_takes_no_records_stops_that_tenant_and_no_other(bench, serve):
    disk, clock = PickyDisk(""), Pauses()
    one = bench(disk=disk, pause_clock=clock)
    one.put(STOPPED, subjects=["mrn:1"])
    client = serve(one)
    disk.refused = "api.harbor"

    banker = client.post("/v1/search", json=body(purpose="TREAT"), headers=as_("banker"))
    doctor = client.post("/v1/search", json=body(), headers=as_("doctor"))
    ready = client.get("/readyz")

    assert (banker.status_code, doctor.status_code) == (503, 200)
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["dark_tenant_logs"] == 1
    assert "harbor" not in ready.text


def test_readiness_returns_with_the_space_for_the_deployment_s_own_log(bench, serve):
    disk, clock = PickyDisk(""), Pauses()
    one = bench(disk=disk, pause_clock=clock)
    client = serve(one)
    disk.refused = "audit/api/"
    assert client.get("/v1/whoami").status_code == 503  # a stranger: a record of the deployment

    dark = client.get("/readyz")
    disk.refused = ""
    clock.now_s += 1
    bright = client.get("/readyz")

    assert (dark.status_code, dark.json()["parts"]["audit"]) == (503, "audit_unavailable")
    assert (bright.status_code, bright.json()["status"]) == (200, "ok")
    assert records(one, action=Action.RESUMED)[0].details["reason"] == "ENOSPC"


def test_a_flood_of_strangers_is_one_record_that_counts_them(ward, serve):
    client = serve(ward)

    codes = {client.get("/v1/whoami").status_code for _ in range(30)}

    kept = records(ward, action=Action.AUTHENTICATED_FAILED)
    assert codes == {401}
    assert len(kept) < 5


def test_a_model_that_never_stops_is_stopped_and_the_end_is_on_record(bench, serve):
    # None of them twice: who goes round in circles is hung up on, and what came is answered.
    endless = [f"Apixaban {n} was stopped because of a gastric bleed. " for n in range(2400)]
    one = bench(generator=ScriptedGenerator(endless))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    sent = body(mode="abstractive", stream=True)
    streamed = events(serve(one).post("/v1/ask", json=sent, headers=as_("doctor")))

    name, problem = streamed[-1]
    assert (name, problem["code"]) == ("error", GeneratorError.code)
    assert actions(one, problem["request_id"])[-1] == "failed"


def test_a_caller_is_not_told_paths_or_processes(ward, serve):
    client = serve(ward)
    ward.audit.close()

    problem = client.post("/v1/ask", json=body(), headers=as_("doctor")).json()

    assert problem["code"] == "audit_unavailable"
    assert "/" not in problem["detail"]


def test_a_document_about_very_many_people_is_still_recorded(ward, serve):
    text = "The outbreak of norovirus on the ward ended in May."
    ward.put(text, subjects=[f"mrn:{n}" for n in range(1, 900)])

    sent = body("When did the norovirus outbreak end?")
    response = serve(ward).post("/v1/search", json=sent, headers=as_("doctor"))

    assert response.status_code == 200
    assert "norovirus" in response.text


@pytest.mark.parametrize(
    "bait",
    [
        "[chart](//evil.example/x)", "![p](//evil.example/p.png)", "<img src=//evil.example/q>",
        "mailto:x@evil.example", "ftp://evil.example", "evil.example/x", "&#104;ttps", "[a][b]",
        "[[7]7]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["extractive", "abstractive"])
def test_nothing_that_a_screen_could_follow_leaves_in_an_answer(bench, serve, bait, mode):
    sentence = f"Apixaban was stopped because of a gastric bleed {bait}."
    one = bench(generator=ScriptedGenerator([f"{sentence} "]))
    one.put(f"{sentence} It was replaced by enoxaparin 40 mg once daily.", subjects=["mrn:1"])

    response = serve(one).post("/v1/ask", json=body(mode=mode), headers=as_("doctor"))

    answer = response.json()["answer"]
    assert bait not in answer
    # Where a passage names a host, its quote may; nothing that leads there stands with it.
    assert not re.search(r"//|evil\.example[/:?]|\]\(|mailto:\S|<img", answer)
    assert "[7]" not in answer
