"""LangChain's retrievers: bound to one person and purpose, on record, and in a chain."""

import asyncio

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough

from ragplatform.audit.events import Action
from ragplatform.errors import (
    ConfigurationError,
    DeniedError,
    EgressBlockedError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
)
from ragplatform.langchain import PrincipalRetriever, ServiceRetriever
from ragplatform.model import Narrow, Purpose
from tests.fakes import make_bench
from tests.served import served_bench

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
QUESTION = "Why was apixaban stopped for Maria Lopez?"
KINDS = ("service", "principal")


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    one = make_bench(tmp_path_factory.mktemp("ward"))
    one.put(STOPPED, subjects=["mrn:1"], page=2, page_label="F-12")
    one.put("Visiting hours end at eight in the evening.", department="administration",
            collection="policies", sensitivity=0)  # fmt: skip
    yield one
    one.platform.store.close()


@pytest.fixture(scope="module")
def bound(ward):
    """Return a maker of retrievers of each kind over one ward."""
    with served_bench(ward) as url:

        def make(kind, person="doctor", purpose=Purpose.TREAT, **more):
            if kind == "service":
                return ServiceRetriever(url=url, key=person, purpose=purpose, **more)
            retriever, principal = ward.platform.retriever, ward.people[person]
            return PrincipalRetriever(
                retriever=retriever, principal=principal, purpose=purpose, **more
            )

        yield make


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_without_a_right_gets_the_refusal_and_it_is_on_record(ward, bound, kind):
    with pytest.raises(DeniedError, match="reception"):
        bound(kind, "reception", Purpose.HOPERAT).invoke(QUESTION)

    assert [str(r.action) for r in ward.records(actor="desk")][-2:] == ["searched", "denied"]


@pytest.mark.parametrize("kind", KINDS)
def test_documents_carry_where_they_stand_and_the_search_is_on_record(ward, bound, kind):
    found = bound(kind).invoke(QUESTION)

    first = found[0]
    assert first.page_content == STOPPED
    said = first.metadata
    assert (said["source"], said["page"], said["document"]) == ("document 0.pdf", 2, "doc-0")
    assert said["page_label"] == said["page_end_label"] == "F-12"
    assert said["start"] == 0 < said["end"]
    assert said["chunk"] == first.id == ward.documents[0]
    assert said["score"] > 0
    shown = ward.records(request_id=said["request_id"])
    assert [str(r.action) for r in shown if r.action != "authenticated"] == [
        "searched",
        "retrieved",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_researcher_reads_no_name_and_asynchronously_the_same_as_synchronously(bound, kind):
    retriever = bound(kind, "researcher", Purpose.HRESCH)

    once, again = retriever.invoke(QUESTION), asyncio.run(retriever.ainvoke(QUESTION))

    assert [d.page_content for d in once] == [d.page_content for d in again]
    assert "gastric bleed" in once[0].page_content
    assert not any("Lopez" in str(document) for document in once)


@pytest.mark.parametrize("kind", KINDS)
def test_no_argument_of_a_call_changes_who_asks_for_what(ward, bound, kind):
    retriever = bound(kind, "researcher", Purpose.HRESCH, collections=["clinical"], limit=1)
    more = {"purpose": "TREAT", "principal": ward.people["doctor"], "key": "doctor",
            "collections": None, "limit": 50}  # fmt: skip

    found = retriever.invoke(QUESTION, config={"configurable": more, "metadata": more}, **more)

    assert len(found) == 1
    assert "Lopez" not in str(found)
    request = found[0].metadata["request_id"]
    (asked,) = ward.records(action=Action.SEARCHED, request_id=request)
    assert (asked.actor, asked.purpose) == ("res", "HRESCH")
    assert (asked.details["number"], asked.details["collections"]) == (1, ["clinical"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["purpose", "_purpose", "_key", "_principal", "_body"])
def test_nothing_of_it_can_be_made_configurable_by_a_chain(bound, kind, field):
    with pytest.raises(ValueError, match="not found"):
        bound(kind).configurable_fields(**{field: ConfigurableField(id="x")})


@pytest.mark.parametrize("kind", KINDS)
def test_it_may_be_kept_to_some_documents(bound, kind):
    more = {"service": {"filters": {"documents": ["doc-1"]}},
            "principal": {"narrow": Narrow(documents=frozenset({"doc-1"}))}}  # fmt: skip

    found = bound(kind, **more[kind]).invoke(QUESTION)

    assert {document.metadata["document"] for document in found} <= {"doc-1"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_in_a_chain(bound, kind):
    prompt = ChatPromptTemplate.from_template("{passages}\n\n{question}")
    join = RunnableLambda(lambda found: "\n".join(d.page_content for d in found))
    chain = {"passages": bound(kind) | join, "question": RunnablePassthrough()} | prompt

    assert STOPPED in chain.invoke(QUESTION).to_string()
    assert STOPPED in asyncio.run(chain.ainvoke(QUESTION)).to_string()


def test_the_key_is_in_no_print_of_it(bound):
    retriever = bound("service", "doctor")

    assert "doctor" not in f"{retriever!r} {retriever} {retriever.to_json()} {retriever.__dict__}"


def test_an_unknown_key_and_an_empty_question_are_refused_as_they_are_over_http(bound):
    with pytest.raises(UnauthenticatedError):
        bound("service", "nobody").invoke(QUESTION)
    with pytest.raises(InvalidRequestError):
        bound("service").invoke("")


def test_a_service_outside_the_allowed_networks_is_never_called():
    elsewhere = ServiceRetriever(url="http://192.0.2.1", key="k", purpose=Purpose.TREAT)

    with pytest.raises(EgressBlockedError):
        elsewhere.invoke(QUESTION)


def test_a_service_that_is_away_is_said_to_be_away():
    away = ServiceRetriever(url="http://127.0.0.1:9", key="k", purpose=Purpose.TREAT)

    with pytest.raises(UnavailableError, match="does not answer"):
        away.invoke(QUESTION)


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 51}, {"collections": "policies"}, {"collections": ["A b"]}]
)
def test_what_cannot_be_is_refused_when_it_is_made(bound, wrong):
    for kind in KINDS:
        with pytest.raises(ConfigurationError):
            bound(kind, **wrong)


def test_it_is_not_made_while_traces_would_leave_the_network(bound, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "true")

    for kind in KINDS:
        with pytest.raises(ConfigurationError, match="LANGSMITH_TRACING"):
            bound(kind)


def test_both_retrievers_say_the_same_of_a_passage(bound):
    over_http, in_process = bound("service").invoke(QUESTION), bound("principal").invoke(QUESTION)

    for one, other in zip(over_http, in_process, strict=True):
        said, also = dict(one.metadata), dict(other.metadata)
        assert said.pop("request_id") != also.pop("request_id")
        assert said == also
        assert one.page_content == other.page_content
