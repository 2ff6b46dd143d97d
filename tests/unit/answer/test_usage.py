"""What a model's part of an answer took, in the answer and on record."""

from ragplatform.audit.events import Action
from ragplatform.model import Usage
from tests.fakes_generator import ScriptedGenerator

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
REPLACED = "It was replaced by enoxaparin 40 mg once daily for Maria Lopez."
BODY = {"question": "Why was apixaban stopped?", "purpose": "TREAT", "mode": "abstractive"}


def test_the_record_says_what_the_model_read_and_wrote(bench, serve):
    written = ["Apixaban was stopped because of a gastric bleed [1]."]
    one = bench(generator=ScriptedGenerator(written, usage=Usage(210, 12)))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    serve(one).post("/v1/ask", json=BODY, headers={"Authorization": "Bearer doctor"})

    (record,) = one.records(action=Action.GENERATED)
    assert (record.details["prompt_tokens"], record.details["completion_tokens"]) == (210, 12)


def test_a_server_that_does_not_count_leaves_the_record_without_counts(bench, serve):
    written = ["Apixaban was stopped because of a gastric bleed [1]."]
    one = bench(generator=ScriptedGenerator(written))
    one.put(f"{STOPPED} {REPLACED}", subjects=["mrn:1"])

    serve(one).post("/v1/ask", json=BODY, headers={"Authorization": "Bearer doctor"})

    (record,) = one.records(action=Action.GENERATED)
    assert "prompt_tokens" not in record.details or record.details["prompt_tokens"] is None
