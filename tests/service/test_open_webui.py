"""Requests of Open WebUI's shape, and what its screen makes of the answers."""

import json
from dataclasses import replace

import pytest

from ragplatform import identities
from ragplatform.audit.events import Action
from ragplatform.model import Principal, Sensitivity
from tests import open_webui
from tests.fakes_generator import ScriptedGenerator

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
REPLACED = "It was replaced by enoxaparin 40 mg once daily for Maria Lopez."
QUESTION = "Why was apixaban stopped for Maria Lopez?"
SECRET = "k3" * 20


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"], page=2)
    return one


@pytest.fixture
def registered(ward):
    """Let the platform tell the users of a registered Open WebUI apart; give its key."""
    settings = ward.settings
    client = Principal("open-webui", "mercy", frozenset())
    key = identities.add_key(settings, client, frozenset(), actor="t", acts_for="openwebui").key
    path = settings.keys_dir / "client-openwebui.secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    lee = Principal("dr", "mercy", frozenset({"physician"}), frozenset({"cardiology"}),
                    Sensitivity.CONFIDENTIAL)  # fmt: skip
    identities.add_user(
        settings, lee, frozenset({"mrn:1"}), client="openwebui", sub="7d", actor="t"
    )
    authenticator = identities.open_authenticator(settings, ward.platform.store.vault)
    ward.platform = replace(ward.platform, authenticator=authenticator)
    return key


def chunks_of(response):
    lines = [line for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_user_of_open_webui_reads_the_answer_with_its_source(ward, registered, serve):
    sent = open_webui.headers(registered, open_webui.statement("7d", SECRET))

    response = serve(ward).post(
        "/v1/chat/completions", json=open_webui.chat(QUESTION), headers=sent
    )

    text, sources, error = open_webui.shown(chunks_of(response))
    assert text.strip() == f"{STOPPED} [1]"
    assert sources == ["[1] document 0.pdf, page 2"]
    assert error is None
    (answered,) = ward.records(action=Action.ANSWERED)
    assert (answered.actor, answered.client) == ("dr", "open-webui")


def test_an_unlisted_user_and_no_user_are_nobody(ward, registered, serve):
    client = serve(ward)

    for user in ("", open_webui.statement("8e", SECRET), open_webui.statement("7d", "x" * 40)):
        sent = open_webui.headers(registered, user)
        response = client.post("/v1/chat/completions", json=open_webui.chat(QUESTION), headers=sent)
        assert response.status_code == 401
        assert response.json()["error"]["type"] == "authentication_error"


def test_its_list_of_models_is_of_the_purposes_of_its_user(ward, registered, serve):
    sent = open_webui.headers(registered, open_webui.statement("7d", SECRET))

    models = serve(ward).get("/v1/models", headers=sent).json()

    assert models["object"] == "list"
    assert "ragplatform:TREAT" in {one["id"] for one in models["data"]}


@pytest.mark.parametrize("name", open_webui.TASKS)
def test_its_tasks_search_nothing_and_ask_no_model(ward, serve, name):
    response = serve(ward).post(
        "/v1/chat/completions",
        json=open_webui.task(name, QUESTION, STOPPED),
        headers=open_webui.headers("doctor"),
    )

    content = json.loads(response.json()["choices"][0]["message"]["content"])
    assert content in (
        {"title": QUESTION}, {"tags": []}, {"follow_ups": []}, {"queries": []}
    )  # fmt: skip
    (record,) = ward.records(action=Action.CHAT_TASK)
    assert record.details == {"task": name}
    assert ward.records(action=Action.ASKED) == []
    assert ward.generator.asked == []


def test_a_question_that_only_looks_like_a_task_is_asked(ward, serve):
    sent = open_webui.chat(f"### Task: {QUESTION}")

    serve(ward).post("/v1/chat/completions", json=sent, headers=open_webui.headers("doctor"))

    assert len(ward.records(action=Action.ASKED)) == 1


def test_the_source_that_a_reader_opens_is_the_one_cited(bench, serve):
    cites = ["It was replaced by enoxaparin 40 mg once daily [3]."]
    one = bench(generator=ScriptedGenerator(cites))
    one.put("Apixaban was stopped for Maria Lopez: apixaban, apixaban.", subjects=["mrn:1"])
    one.put("Apixaban tablets of Maria Lopez are in the cupboard.", subjects=["mrn:1"])
    one.put(REPLACED, subjects=["mrn:1"], page=7)
    body = open_webui.chat("Was apixaban replaced by enoxaparin?") | {
        "rag": {"mode": "abstractive"}
    }

    response = serve(one).post(
        "/v1/chat/completions", json=body, headers=open_webui.headers("doctor")
    )

    text, sources, _ = open_webui.shown(chunks_of(response))
    number = int(text[text.index("[") + 1 : text.index("]")])
    assert sources[number - 1].endswith("page 7")


def test_earlier_questions_come_along_and_earlier_answers_do_not(ward, serve, monkeypatch):
    seen = []
    real = ward.platform.answerer.prepare
    monkeypatch.setattr(
        type(ward.platform.answerer), "prepare", lambda _, asked: seen.append(asked) or real(asked)
    )
    body = open_webui.chat(
        QUESTION, ("Who is Maria Lopez?", "SECRET ANSWER"), ("And her age?", "x")
    )

    serve(ward).post("/v1/chat/completions", json=body, headers=open_webui.headers("doctor"))

    assert seen[0].history == ("Who is Maria Lopez?", "And her age?")


def test_a_broken_answer_is_an_error_on_its_screen(bench, serve):
    script = ["Apixaban was stopped because of a gastric bleed [1]. ", "It was replaced by "]
    one = bench(generator=ScriptedGenerator(script, fail_after=1))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])
    body = open_webui.chat(QUESTION) | {"rag": {"mode": "abstractive"}}

    response = serve(one).post(
        "/v1/chat/completions", json=body, headers=open_webui.headers("doctor")
    )

    last = response.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "generator_unavailable"
