"""Batches by OpenAI's own client, and what becomes of a line between submission and its turn."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import openai
import pytest
from fastapi.testclient import TestClient

from ingest import serving
from ragplatform import openers
from ragplatform.access.register import ConsentEntry
from ragplatform.api.app import create_app
from ragplatform.api.fairness import Shares, Turns
from ragplatform.api.openai.lines import request_id_of
from ragplatform.api.openai.runner import BatchRunner
from ragplatform.audit.events import Action
from ragplatform.batches.book import BatchBook, BatchState
from ragplatform.errors import GeneratorError, UnavailableError
from ragplatform.model import Consent, Purpose
from tests import hostile
from tests.fakes import KnownTokens
from tests.fakes_generator import ScriptedGenerator
from tests.state import entry_of

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
QUESTION = "Why was apixaban stopped for Maria Lopez?"
CHAT = "/v1/chat/completions"
WHY = {"X-Purpose-Of-Use": "TREAT"}


def line(name, body=None, url=CHAT):
    asked = {"model": "ragplatform", "messages": [{"role": "user", "content": QUESTION}]}
    return {"custom_id": name, "method": "POST", "url": url, "body": body or asked}


def lines_of(*lines):
    return "\n".join(json.dumps(one) for one in lines).encode()


def later(seconds):
    """Return a clock that is ahead."""
    return lambda: datetime.now(UTC).timestamp() + seconds


class Ward:
    """A platform that serves batches, and whose runner goes a step when it is told to."""

    def __init__(self, bench):
        self.bench = bench
        self.platform = bench.platform
        self.routes = serving.extension(bench.platform)
        self.http = TestClient(create_app(bench.platform, [self.routes]))
        self.now = datetime.now(UTC).timestamp()

    def client(self, person="doctor", **headers):
        return openai.OpenAI(
            base_url="http://testserver/v1", api_key=person, http_client=self.http, max_retries=0,
            default_headers=headers or WHY,
        )  # fmt: skip

    def submit(self, *lines, endpoint=CHAT, person="doctor"):
        client = self.client(person)
        file = client.files.create(file=("in.jsonl", lines_of(*lines)), purpose="batch")
        return client.batches.create(
            input_file_id=file.id, endpoint=endpoint, completion_window="24h"
        )

    def work(self, steps=99, **changes):
        """Do lines until none is left, or so many, and end what is through."""
        runner = self.runner(**changes)

        async def act():
            done = 0
            while done < steps and await runner.step():
                done += 1
            return done

        done = asyncio.run(act())
        runner.end_what_is_through()
        return done

    def runner(self, **changes):
        turns = Turns(Shares(4, 4, 4, 4, 1.0))
        platform = replace(self.platform, **changes)
        return BatchRunner(platform, turns, at_once=1, seen_s=3600, clock=lambda: self.now)

    def answers(self, batch, person="doctor", errors=False):
        found = self.client(person).batches.retrieve(batch.id)
        file = found.error_file_id if errors else found.output_file_id
        if file is None:
            return []
        text = self.client(person).files.content(file).text
        return [json.loads(one) for one in text.splitlines()]

    def close(self):
        self.http.close()
        self.routes.close()


@pytest.fixture
def ward(bench):
    one = bench()
    one.put(STOPPED, subjects=["mrn:1"])
    for entry in one.index._entries.values():
        one.platform.store.catalog.put_document(entry_of(entry.passage))
    made = Ward(one)
    yield made
    made.close()


def test_a_batch_is_answered_line_by_line_and_each_answer_is_on_record(ward):
    batch = ward.submit(line("a"), line("b"), line("c"))
    assert (batch.status, batch.request_counts.total) == ("in_progress", 3)

    assert ward.work() == 3

    ended = ward.client().batches.retrieve(batch.id)
    assert (ended.status, ended.request_counts.completed) == ("completed", 3)
    found = ward.answers(batch)
    assert [one["custom_id"] for one in found] == ["a", "b", "c"]
    body = found[0]["response"]["body"]
    assert body["choices"][0]["message"]["content"] == f"{STOPPED} [1]"
    answered = ward.bench.records(action=Action.ANSWERED)
    assert [one.request_id for one in answered] == [one["response"]["request_id"] for one in found]
    assert {one.trace for one in answered} == {batch.id.removeprefix("batch_")}
    assert ward.bench.records(action=Action.BATCH_READ)


def test_responses_and_embeddings_go_in_batches_too(ward):
    asked = {"model": "ragplatform", "input": QUESTION}
    responses = ward.submit(line("r", asked, "/v1/responses"), endpoint="/v1/responses")
    texts = {"model": "hash", "input": [STOPPED]}
    embeddings = ward.submit(line("e", texts, "/v1/embeddings"), endpoint="/v1/embeddings")

    ward.work()

    (one,) = ward.answers(responses)
    assert one["response"]["body"]["output"][0]["content"][0]["text"] == f"{STOPPED} [1]"
    (one,) = ward.answers(embeddings)
    assert len(one["response"]["body"]["data"][0]["embedding"]) == 256


def test_a_line_whose_answer_may_not_leave_ends_at_once_with_that_error(bench):
    one = bench(generator=ScriptedGenerator(hostile.obey("leaks")), answer_mode="abstractive")
    one.put(STOPPED, subjects=["mrn:1"])
    ward = Ward(one)
    batch = ward.submit(line("a"))

    assert ward.work() == 1

    (refused,) = ward.answers(batch, errors=True)
    assert refused["response"]["status_code"] == 502
    assert refused["response"]["body"]["error"]["code"] == "answer_unsafe"
    assert len(one.records(action=Action.EXIT_BLOCKED)) == 1
    ward.close()


def test_a_line_that_is_refused_is_an_error_of_its_own(ward):
    ward.work()
    other = {"model": "ragplatform:HPAYMT", "messages": [{"role": "user", "content": QUESTION}]}
    batch = ward.submit(line("good"), line("other purpose", other), line("bad", {"model": "x"}))

    ward.work()

    assert [one["custom_id"] for one in ward.answers(batch)] == ["good"]
    errors = ward.answers(batch, errors=True)
    assert [(e["custom_id"], e["response"]["status_code"]) for e in errors] == [
        ("other purpose", 400), ("bad", 400)
    ]  # fmt: skip
    assert "error" in errors[0]["response"]["body"]


@pytest.mark.parametrize(
    ("content", "endpoint"),
    [
        (b"", CHAT),
        (b"not json", CHAT),
        (lines_of(line("a"), line("a")), CHAT),
        (lines_of({**line("a"), "method": "GET"}), CHAT),
        (lines_of(line("a", url="/v1/embeddings")), CHAT),
        (lines_of(line("a", {"stream": True})), CHAT),
        (lines_of(line("a")), "/v1/ask"),
    ],
    ids=["empty", "no json", "twice", "method", "url", "stream", "endpoint"],
)
def test_a_file_that_holds_no_requests_is_refused_at_once(ward, content, endpoint):
    client = ward.client()
    file = client.files.create(file=("in.jsonl", content), purpose="batch")

    with pytest.raises(openai.BadRequestError):
        client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def test_nobody_else_and_no_other_purpose_sees_a_batch_or_its_files(ward):
    batch = ward.submit(line("a"))
    ward.work()
    output = ward.client().batches.retrieve(batch.id).output_file_id
    others = [ward.client("stranger"), ward.client("operator", **{"X-Purpose-Of-Use": "HOPERAT"}),
              ward.client("doctor", **{"X-Purpose-Of-Use": "ETREAT"})]  # fmt: skip

    for other in others:
        assert list(other.batches.list()) == []
        assert list(other.files.list(purpose="batch")) == []
        for act in (
            lambda one=other: one.batches.retrieve(batch.id),
            lambda one=other: one.batches.cancel(batch.id),
            lambda one=other: one.files.content(output),
            lambda one=other: one.files.retrieve(output),
            lambda one=other: one.files.delete(output),
            lambda one=other: one.batches.create(
                input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                act()
    assert len(ward.answers(batch)) == 1


def test_a_person_who_is_gone_when_the_turn_comes_gets_no_answer(ward):
    batch = ward.submit(line("a"))
    gone = KnownTokens({k: v for k, v in ward.bench.people.items() if k != "doctor"})

    ward.work(authenticator=gone)

    (error,) = ward.answers(batch, errors=True)
    assert error["response"]["status_code"] == 401
    assert ward.bench.records(action=Action.ASKED) == []
    assert ward.bench.records(action=Action.DENIED)[-1].details["act"] == "batch"


def test_a_role_that_was_lost_meanwhile_counts_for_nothing(ward):
    batch = ward.submit(line("a"))
    doctor = ward.bench.people["doctor"]
    ward.bench.people["doctor"] = replace(doctor, roles=frozenset({"reception"}))

    ward.work()

    ward.bench.people["doctor"] = doctor
    (error,) = ward.answers(batch, errors=True)
    assert error["response"]["status_code"] == 403
    assert "pixaban" not in json.dumps(error)


def test_a_consent_that_was_withdrawn_meanwhile_holds(ward):
    batch = ward.submit(line("a"))
    ref = ward.bench.privacy.subject_ref("mercy", "mrn:1")
    before = datetime.now(UTC) - timedelta(minutes=1)
    entry = ConsentEntry(ref, Purpose.TREAT, Consent.REFUSED, before)
    ward.platform.store.register.set_consent("mercy", entry, "c-1")

    ward.work()

    found = ward.answers(batch) + ward.answers(batch, errors=True)
    assert "gastric bleed" not in json.dumps(found)


class Silent:
    """An issuer: without a token it says nothing of anybody."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def recall(self, principal):
        return None


def test_whom_only_a_token_vouches_for_must_have_shown_one_lately(ward):
    batch = ward.submit(line("a"), line("b"))
    issuer = Silent(ward.platform.authenticator)
    assert ward.work(1, authenticator=issuer) == 1
    ward.now += 7200

    ward.work(authenticator=issuer)
    waiting = ward.client().batches.retrieve(batch.id)
    assert (waiting.status, waiting.request_counts.completed) == ("in_progress", 1)

    ward.now -= 7200
    ward.work(authenticator=issuer)
    assert ward.client().batches.retrieve(batch.id).status == "completed"


def test_a_line_whose_worker_died_is_done_by_the_next_and_given_once(ward, monkeypatch):
    batch = ward.submit(line("a"), line("b"))
    dying = BatchBook(ward.bench.settings.catalog_url, lease_s=0.0)
    assert dying.take().number == 1
    book = BatchBook(ward.bench.settings.catalog_url, clock=later(1))
    monkeypatch.setattr(ward.platform.batches, "_book", book)

    ward.work()

    assert [one["custom_id"] for one in ward.answers(batch)] == ["a", "b"]
    dying.close()
    book.close()


def test_a_crash_between_answer_and_note_gives_each_line_once(ward, monkeypatch):
    batch = ward.submit(line("a"), line("b"))
    real, calls = BatchBook.end_line, []

    def dying(self, taken, state, size):
        calls.append(taken.number)
        if len(calls) == 1:
            raise UnavailableError("killed here")
        return real(self, taken, state, size)

    monkeypatch.setattr(BatchBook, "end_line", dying)
    with pytest.raises(UnavailableError):
        ward.work()
    ward.work()

    assert [one["custom_id"] for one in ward.answers(batch)] == ["a", "b"]
    assert sorted(calls) == [1, 1, 2]


def test_a_line_that_kills_its_workers_is_given_up(ward, monkeypatch):
    batch = ward.submit(line("a"))
    book = BatchBook(ward.bench.settings.catalog_url, lease_s=-1.0)
    for _ in range(3):
        assert book.take() is not None
    book.close()

    ward.work()

    (error,) = ward.answers(batch, errors=True)
    assert error["response"]["status_code"] == 500


def broken(generator):
    def stream(*_, **__):
        raise GeneratorError("it wrote more than it was asked for")

    generator.stream = stream


def test_a_line_that_the_model_never_answers_is_given_up_and_others_go_on(ward, monkeypatch):
    odd = line("odd", {**line("x")["body"], "rag": {"mode": "abstractive"}})
    batch = ward.submit(odd, line("b"))
    broken(ward.platform.generator)

    for _ in range(6):
        with contextlib.suppress(UnavailableError):
            ward.work()

    assert [one["custom_id"] for one in ward.answers(batch)] == ["b"]
    assert [one["custom_id"] for one in ward.answers(batch, errors=True)] == ["odd"]


def test_a_model_that_is_away_gives_no_line_up(ward, monkeypatch):
    odd = line("odd", {**line("x")["body"], "rag": {"mode": "abstractive"}})
    batch = ward.submit(odd)
    broken(ward.platform.generator)
    monkeypatch.setattr(ward.platform.generator, "_available", False)

    for _ in range(6):
        with pytest.raises(UnavailableError):
            ward.work()

    counts = ward.client().batches.retrieve(batch.id).request_counts
    assert (counts.completed, counts.failed) == (0, 0)


def test_a_bug_at_one_line_ends_no_batch(ward, monkeypatch):
    batch = ward.submit(line("a"), line("b"))
    real, calls = ward.platform.answerer.prepare, []

    def prepare(_, asked):
        calls.append(asked)
        if asked.request_id == request_id_of(batch.id.removeprefix("batch_"), 1):
            raise RuntimeError("Maria Lopez")
        return real(asked)

    monkeypatch.setattr(type(ward.platform.answerer), "prepare", prepare)
    for _ in range(6):
        with contextlib.suppress(RuntimeError):
            ward.work()

    assert [one["custom_id"] for one in ward.answers(batch)] == ["b"]
    (error,) = ward.answers(batch, errors=True)
    assert error["response"]["status_code"] == 500
    assert "Lopez" not in json.dumps(error)
    assert len(calls) == 4


def test_a_cancelled_batch_begins_no_line_and_keeps_what_is_done(ward):
    batch = ward.submit(line("a"), line("b"))
    ward.work(1)

    ward.client().batches.cancel(batch.id)

    assert ward.work() == 0
    ended = ward.client().batches.retrieve(batch.id)
    assert (ended.status, ended.request_counts.completed) == ("cancelled", 1)
    assert [one["custom_id"] for one in ward.answers(batch)] == ["a"]


def test_a_batch_that_is_too_old_ends_with_what_it_has(ward, monkeypatch):
    batch = ward.submit(line("a"), line("b"))
    ward.work(1)
    monkeypatch.setattr(ward.platform.batches.book, "_clock", later(25 * 3600))

    assert ward.work() == 0

    assert ward.client().batches.retrieve(batch.id).status == BatchState.EXPIRED
    assert len(ward.answers(batch)) == 1


def test_answers_go_with_the_person_they_are_about(ward):
    batch = ward.submit(line("a"))
    ward.work()
    store = ward.platform.store
    ref = ward.bench.privacy.subject_ref("mercy", "mrn:1")
    openers.open_sealed_files(ward.bench.settings, store.vault).forget_subjects(
        "mercy", frozenset({ref})
    )

    (gone,) = ward.answers(batch)
    assert gone["error"]["code"] == "erased"
    assert gone["custom_id"] is None


def test_answers_go_with_the_document_they_quote_even_where_the_file_stays(ward):
    batch = ward.submit(line("a"))
    ward.work()
    own = ward.bench.privacy.subject_ref("mercy", "document:doc-0")

    ward.bench.privacy.forget("mercy", own)

    assert ward.answers(batch)[0]["error"]["code"] == "erased"


def test_what_was_erased_while_it_was_answered_is_not_kept(ward, monkeypatch):
    batch = ward.submit(line("a"))
    monkeypatch.setattr(type(ward.platform.store.catalog), "document", lambda *_: None)

    ward.work()

    assert ward.answers(batch)[0]["error"]["code"] == "erased"


def test_requests_and_answers_lie_nowhere_in_clear(ward):
    ward.submit(line("Lopez-7"))
    ward.work(0)

    def in_clear(word):
        files = [p for p in ward.bench.settings.data_dir.rglob("*") if p.is_file()]
        return [p for p in files if word in p.read_bytes()]

    assert in_clear(b"Lopez-7") == []
    ward.work()
    assert in_clear(b"Lopez-7") == []
    assert in_clear(b"batch_req_") == []


def test_what_is_kept_long_enough_is_destroyed(ward, monkeypatch):
    batch = ward.submit(line("a"))
    ward.client().files.create(file=("in.jsonl", lines_of(line("x"))), purpose="batch")
    ward.work()
    desk = ward.platform.batches
    monkeypatch.setattr(desk, "_clock", later(73 * 3600))

    assert desk.sweep() == 2

    with pytest.raises(openai.NotFoundError):
        ward.client().batches.retrieve(batch.id)
    assert list(ward.client().files.list(purpose="batch")) == []
    assert desk._files.places(kind="batch") == []


def test_files_and_answers_can_be_deleted_by_whom_they_belong_to(ward):
    client = ward.client()
    file = client.files.create(file=("in.jsonl", lines_of(line("x"))), purpose="batch")
    assert client.files.retrieve(file.id).purpose == "batch"
    assert client.files.delete(file.id).deleted
    batch = ward.submit(line("a"))
    ward.work()

    assert client.files.delete(client.batches.retrieve(batch.id).output_file_id).deleted

    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve(batch.id)


def test_who_may_not_act_for_the_purpose_brings_nothing(ward):
    client = ward.client("reception", **{"X-Purpose-Of-Use": "HRESCH"})

    with pytest.raises(openai.PermissionDeniedError):
        client.files.create(file=("in.jsonl", lines_of(line("x"))), purpose="batch")

    assert ward.platform.batches._files.places(kind="batch") == []


def test_batches_take_turns(ward):
    ward.bench.people["second"] = replace(ward.bench.people["doctor"], id="dr9")
    long = ward.submit(*(line(f"l{n}") for n in range(6)))
    short = ward.submit(line("s"), person="second")

    ward.work(2)

    for person, batch in (("doctor", long), ("second", short)):
        counts = ward.client(person).batches.retrieve(batch.id).request_counts
        assert counts.completed + counts.failed == 1
