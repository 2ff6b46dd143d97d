"""Personal data in texts that callers bring: who may ask, what is told, and what is recorded."""

import json

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.query import read
from ragplatform.entities import CATEGORY_OF
from ragplatform.model import Span
from tests.fakes_privacy import FailingDetector, RegexDetector

TEXT = "Maria Lopez, SSN 123-45-6789."
PATHS = ["/v1/pii:analyze", "/v1/pii:redact"]


class SecretDetector(RegexDetector):
    """Finds the word hunter2, a password."""

    def detect(self, texts):
        found = super().detect(texts)
        for text, spans in zip(texts, found, strict=True):
            at = text.find("hunter2")
            if at >= 0:
                spans.append(Span(at, at + 7, "SECRET", CATEGORY_OF["SECRET"], 0.9, "word"))
        return found


class DateDetector(RegexDetector):
    """Finds one date, which the rules keep in clear."""

    def detect(self, texts):
        return [
            [Span(0, 10, "DATE_TIME", CATEGORY_OF["DATE_TIME"], 0.9, "date"), *spans]
            for spans in super().detect(texts)
        ]


def as_(person):
    return {"Authorization": f"Bearer {person}"}


def body(text=TEXT, purpose="TREAT", **more):
    return {"text": text, "purpose": purpose, **more}


def records(one, response):
    found = read(one.settings.audit_dir / "api.mercy", request_id=response.json()["request_id"])
    return [record for record in found if record.action is not Action.AUTHENTICATED]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_known_key_nothing_is_searched(bench, serve, path):
    one = bench(detector=FailingDetector())

    response = serve(one).post(path, json=body(), headers=as_("nobody"))

    assert response.status_code == 401
    assert "Lopez" not in response.text


@pytest.mark.parametrize("path", PATHS)
def test_who_may_not_act_for_the_purpose_is_refused_on_record_and_nothing_is_searched(
    bench, serve, path
):
    one = bench(detector=FailingDetector())

    response = serve(one).post(path, json=body(), headers=as_("reception"))

    assert response.status_code == 403
    assert "TREAT" in response.json()["detail"]
    [record] = records(one, response)
    assert (str(record.action), str(record.outcome)) == ("denied", "denied")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("purpose", [None, "", "BECAUSE"])
def test_no_purpose_no_answer(bench, serve, path, purpose):
    response = serve(bench()).post(path, json=body(purpose=purpose), headers=as_("doctor"))

    assert response.status_code == 422


def test_spans_are_told_by_offsets_and_the_text_is_not_repeated(bench, serve):
    one = bench()

    response = serve(one).post(PATHS[0], json=body("😀 " + TEXT), headers=as_("doctor"))

    [result] = response.json()["results"]
    assert result["spans"][0] == {
        "start": 2, "end": 13, "type": "PERSON", "category": "PII", "score": 0.9,
        "recogniser": "regex", "mode": "pseudonymise",
    }  # fmt: skip
    assert "Lopez" not in response.text


@pytest.mark.parametrize("path", PATHS)
def test_the_record_holds_counts_and_no_content(bench, serve, path):
    one = bench()

    response = serve(one).post(path, json=body(collection="clinical"), headers=as_("doctor"))

    [record] = records(one, response)
    assert str(record.action) in {"analysed", "redacted"}
    assert (record.actor, record.purpose) == ("dr", "TREAT")
    assert record.details["characters"] == len(TEXT)
    assert record.details["collection"] == "clinical"
    assert {"PERSON": 1, "US_SSN": 1} in record.details.values()
    written = b"".join(f.read_bytes() for f in one.settings.audit_dir.rglob("*") if f.is_file())
    assert b"Lopez" not in written
    assert b"6789" not in written


@pytest.mark.parametrize("path", PATHS)
def test_without_a_record_there_is_no_answer(bench, serve, path):
    one = bench()
    client = serve(one)
    one.audit.close()

    response = client.post(path, json=body(), headers=as_("doctor"))

    assert (response.status_code, response.json()["code"]) == (503, "audit_unavailable")
    assert "results" not in response.json()


@pytest.mark.parametrize("path", PATHS)
def test_a_detector_that_fails_lets_no_text_through_and_is_recorded(bench, serve, path):
    one = bench(detector=FailingDetector())

    response = serve(one).post(path, json=body(), headers=as_("doctor"))

    assert (response.status_code, response.json()["code"]) == (503, "detector_failed")
    assert "Lopez" not in response.text
    [record] = records(one, response)
    assert (str(record.action), record.details["code"]) == ("failed", "detector_failed")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "sent",
    [
        {"purpose": "TREAT"},
        {"purpose": "TREAT", "text": "x", "texts": ["Maria Lopez"]},
        {"purpose": "TREAT", "texts": []},
        {"purpose": "TREAT", "texts": ["Maria Lopez"] * 1001},
        {"purpose": "TREAT", "texts": [{"Maria": "Lopez"}]},
        {"purpose": "TREAT", "text": "Maria Lopez", "collection": "../x"},
        {"purpose": "TREAT", "text": "Maria Lopez", "language": "tlh"},
        {"purpose": "TREAT", "text": "Maria Lopez", "min_score": 2},
        {"purpose": "TREAT", "text": "Maria Lopez", "mode": "none"},
        {"purpose": "TREAT", "text": "Maria Lopez", "kolektion": "clinical"},
    ],
)
def test_what_is_malformed_is_refused_and_not_echoed(bench, serve, path, sent):
    response = serve(bench()).post(path, json=sent, headers=as_("doctor"))

    assert response.status_code == 422
    assert "Lopez" not in response.text


@pytest.mark.parametrize("path", PATHS)
def test_half_a_pair_of_surrogates_is_refused_rather_than_a_failure(bench, serve, path):
    sent = b'{"purpose": "TREAT", "text": "\\ud83d Maria Lopez"}'
    headers = {**as_("doctor"), "Content-Type": "application/json"}

    response = serve(bench()).post(path, content=sent, headers=headers)

    assert response.status_code == 422


@pytest.mark.parametrize("path", PATHS)
def test_what_is_too_large_is_a_problem_of_its_own(bench, serve, path):
    client = serve(bench())
    large, too_large = "x " * 200_000, "x " * 600_000

    assert client.post(path, json=body(large), headers=as_("doctor")).status_code == 200
    response = client.post(path, json=body(too_large), headers=as_("doctor"))

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/ask", *PATHS])
def test_a_body_that_does_not_say_how_long_it_is_is_counted(bench, serve, path):
    def pieces():
        yield b'{"purpose": "TREAT", "text": "'
        for _ in range(40):
            yield b"x " * 20_000

    headers = {**as_("doctor"), "Content-Type": "application/json"}
    response = serve(bench()).post(path, content=pieces(), headers=headers)

    assert (response.status_code, response.json()["status"]) == (413, 413)


def test_a_min_score_goes_before_the_thresholds_of_the_rules(bench, serve):
    client = serve(bench())

    found = [
        len(client.post(PATHS[0], json=sent, headers=as_("doctor")).json()["results"][0]["spans"])
        for sent in (body(), body(min_score=0.95), body(min_score=0))
    ]

    assert found == [2, 0, 2]


def test_masks_are_given_to_whoever_may_ask_and_results_stand_in_order(bench, serve):
    sent = {"texts": [TEXT, "", "no name"], "purpose": "HRESCH"}

    response = serve(bench()).post(PATHS[1], json=sent, headers=as_("researcher"))

    results = response.json()["results"]
    assert [one["text"] for one in results] == ["[PERSON], SSN [US_SSN].", "", "no name"]
    assert results[0]["replaced"] == {"PERSON": 1, "US_SSN": 1}


def test_pseudonyms_are_given_only_for_types_that_the_caller_may_see_in_clear(bench, serve):
    one = bench()
    client = serve(one)

    doctor = client.post(PATHS[1], json=body(mode="policy"), headers=as_("doctor"))
    sent = body(mode="policy", purpose="HRESCH")
    researcher = client.post(PATHS[1], json=sent, headers=as_("researcher"))

    token = one.platform.store.vault.token("mercy", "PERSON", "Maria Lopez")
    assert doctor.json()["results"][0]["text"] == f"{token}, SSN [US_SSN]."
    assert researcher.json()["results"][0]["text"] == "[PERSON], SSN [US_SSN]."


def test_a_token_that_the_caller_wrote_is_not_passed_off_as_ours(bench, serve):
    one = bench()
    token = one.platform.store.vault.token("mercy", "PERSON", "Maria Lopez")

    response = serve(one).post(PATHS[1], json=body(token, mode="policy"), headers=as_("doctor"))

    assert token not in response.text


def test_what_the_rules_keep_in_clear_is_counted_apart(bench, serve):
    one = bench(detector=DateDetector())
    text = f"2026-01-02 {TEXT}"

    kept = serve(one).post(PATHS[1], json=body(text, mode="policy"), headers=as_("doctor"))
    masked = serve(one).post(PATHS[1], json=body(text), headers=as_("doctor"))

    [result] = kept.json()["results"]
    assert result["text"].startswith("2026-01-02 ")
    assert (result["kept"], result["replaced"]) == ({"DATE_TIME": 1}, {"PERSON": 1, "US_SSN": 1})
    assert masked.json()["results"][0]["text"].startswith("[DATE_TIME] ")


def test_a_text_that_the_rules_keep_out_is_not_given_back(bench, serve):
    one = bench(detector=SecretDetector())
    sent = body("the password is hunter2", mode="policy")

    response = serve(one).post(PATHS[1], json=sent, headers=as_("doctor"))

    [result] = response.json()["results"]
    assert (result["text"], result["quarantine"]) == (None, "contains_secret")
    assert "hunter2" not in response.text


def test_nothing_that_is_brought_is_kept(bench, serve):
    one = bench()
    client = serve(one)
    for path in PATHS:
        client.post(
            path, json=body(mode="policy") if "redact" in path else body(), headers=as_("doctor")
        )

    token = one.platform.store.vault.token("mercy", "PERSON", "Maria Lopez")
    assert one.platform.store.vault.reveal("mercy", [token]) == {}
    files = [f for f in one.settings.data_dir.rglob("*") if f.is_file()]
    assert [f.name for f in files if b"Maria Lopez" in f.read_bytes()] == []


def test_the_interface_describes_both_with_their_limits(bench, serve):
    described = serve(bench()).get("/openapi.json").json()

    for path in PATHS:
        operation = described["paths"][path]["post"]
        assert {"401", "403", "413", "422", "503"} <= set(operation["responses"])
    schemas = described["components"]["schemas"]
    assert schemas["TextsBody" if "TextsBody" in schemas else "AnalyzeBody"]["properties"]["texts"]
    assert "value" not in json.dumps(schemas["SpanOut"]["properties"])
