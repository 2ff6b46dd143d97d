"""The Model Context Protocol, by its real client: the same gate, over HTTP and over a pipe."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("mcp", reason="MCP (the extra `mcp`, in the lock file) is not installed")

import httpx2
from fastapi.testclient import TestClient
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from ragplatform.api import mcp as served_mcp
from ragplatform.api.app import create_app
from ragplatform.audit.events import Action
from tests.fakes import make_bench
from tests.served import served_bench

STOPPED = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
QUESTION = {"question": "Why was apixaban stopped for Maria Lopez?", "purpose": "TREAT"}
ABSENT = "00000000-0000-4000-8000-999999999999"
MODES = ("auto", "legacy")
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer doctor"}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    one = make_bench(tmp_path_factory.mktemp("ward"), mcp_origins=["https://ui.internal"])
    one.put(STOPPED, subjects=["mrn:1"], page=2, page_label="F-12")
    yield one
    one.platform.store.close()


@pytest.fixture(scope="module")
def url(ward):
    with served_bench(ward) as base:
        yield f"{base}/mcp"


@pytest.fixture(scope="module")
def plain(ward):
    """A client that sends what it is told, by the name of this host."""
    with TestClient(
        create_app(ward.platform), raise_server_exceptions=False, base_url="http://127.0.0.1"
    ) as client:
        yield client


@asynccontextmanager
async def session(url, person, mode="auto"):
    headers = {"Authorization": f"Bearer {person}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def call(url, person, tool, arguments, mode="auto"):
    async def once():
        async with session(url, person, mode) as client:
            try:
                return await client.call_tool(tool, arguments)
            except MCPError as error:
                # Out of the session it would come in a group.
                return error

    result = asyncio.run(once())
    if isinstance(result, MCPError):
        raise result
    return result


def problem_of(result):
    assert result.is_error
    return json.loads(result.content[0].text)


def done(ward, request_id):
    found = [str(r.action) for r in ward.records(request_id=request_id)]
    return [action for action in found if action != "authenticated"]


@pytest.mark.parametrize("mode", MODES)
def test_a_person_without_a_right_gets_a_tool_error_with_the_reason_and_on_record(ward, url, mode):
    asked = {**QUESTION, "purpose": "HOPERAT"}

    problem = problem_of(call(url, "reception", "ask", asked, mode))

    assert problem["code"] == "denied"
    assert "reception" in problem["detail"]
    assert done(ward, problem["request_id"]) == ["asked", "denied"]


@pytest.mark.parametrize("mode", MODES)
def test_there_are_four_tools_with_strict_schemas_that_want_a_purpose_and_nothing_else(url, mode):
    async def look():
        async with session(url, "doctor", mode) as client:
            listed = await client.list_tools()
            for other in (client.list_resources, client.list_prompts):
                with pytest.raises(MCPError, match="Method not found"):
                    await other()
            return listed.tools

    tools = asyncio.run(look())

    assert [tool.name for tool in tools] == ["search", "ask", "get_source", "explain_access"]
    for tool in tools:
        assert "purpose" in tool.input_schema["required"]
        assert tool.input_schema["additionalProperties"] is False
        assert tool.annotations.read_only_hint


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_is_the_one_of_the_rest_interface_and_recorded_alike(ward, url, plain, mode):
    rest = plain.post("/v1/ask", json=QUESTION, headers=HEADERS).json()

    told = call(url, "doctor", "ask", QUESTION, mode).structured_content

    assert told["answer"] == rest["answer"]
    assert told["citations"] == rest["citations"]
    assert done(ward, told["request_id"]) == ["asked", "retrieved", "answered"]
    (asked,) = ward.records(request_id=told["request_id"], action=Action.ASKED)
    assert (asked.actor, asked.purpose) == ("dr", "TREAT")


def test_a_search_shows_each_caller_what_that_caller_may_see(url):
    found = call(url, "doctor", "search", QUESTION).structured_content["results"]
    masked = call(url, "researcher", "search", {**QUESTION, "purpose": "HRESCH"})
    nothing = call(url, "stranger", "search", QUESTION)

    assert found[0]["text"] == STOPPED
    assert found[0]["page_label"] == "F-12"
    assert "gastric bleed" in masked.content[0].text
    assert "Lopez" not in str(masked)
    assert "pixaban" not in str(nothing)


def test_filters_of_a_tool_narrow_as_those_of_the_rest_interface(url):
    for tool in ("search", "ask"):
        narrowed = {**QUESTION, "filters": {"documents": ["another"]}}
        assert "pixaban was" not in call(url, "doctor", tool, narrowed).content[0].text


def test_a_forbidden_passage_and_an_absent_one_are_the_same_error(ward, url):
    chunk = ward.documents[0]

    shown = call(url, "doctor", "get_source", {"chunk": chunk, "purpose": "TREAT"})
    hidden = problem_of(call(url, "stranger", "get_source", {"chunk": chunk, "purpose": "TREAT"}))
    absent = problem_of(call(url, "stranger", "get_source", {"chunk": ABSENT, "purpose": "TREAT"}))

    assert shown.structured_content["text"] == STOPPED
    assert hidden.pop("request_id") != absent.pop("request_id")
    assert hidden == absent
    assert hidden["code"] == "not_found"


def test_access_is_explained_to_whom_it_concerns(ward, url):
    labels = {"collection": "clinical", "department": "cardiology"}

    told = call(url, "doctor", "explain_access", {"purpose": "HRESCH", "labels": labels})
    about_others = call(
        url,
        "doctor",
        "explain_access",
        {"purpose": "TREAT", "labels": labels, "reader": {"id": "x", "roles": ["nurse"]}},
    )

    assert told.structured_content["allowed"] is False
    assert problem_of(about_others)["code"] == "denied"
    assert ward.records(action=Action.EXPLAINED)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ask", {"question": "Maria Lopez?"}),
        ("ask", {**QUESTION, "purpose": "because Maria Lopez"}),
        ("ask", {**QUESTION, "principal": "Maria Lopez"}),
        ("search", {**QUESTION, "limit": "10"}),
        ("search", {**QUESTION, "limit": 51}),
        ("search", {**QUESTION, "collections": ["Maria Lopez"]}),
        ("get_source", {"chunk": ["Maria Lopez"], "purpose": "TREAT"}),
        ("explain_access", {"purpose": "TREAT", "labels": {"collection": "Maria Lopez"}}),
    ],
    ids=str,
)
def test_arguments_that_are_not_of_the_schema_are_refused_and_not_echoed(
    ward, url, tool, arguments
):
    before = len(ward.records())

    problem = problem_of(call(url, "doctor", tool, arguments))

    assert problem["code"] == "invalid_request"
    assert "Lopez" not in str(problem)
    assert {str(r.action) for r in ward.records()[before:]} <= {"authenticated"}


def test_an_unknown_tool_is_refused_and_not_echoed(url):
    with pytest.raises(MCPError, match="no such tool") as refused:
        call(url, "doctor", "Maria Lopez", {})

    assert "Lopez" not in str(refused.value)


@pytest.mark.parametrize("mode", MODES)
def test_a_bug_of_ours_is_recorded_and_says_nothing_of_a_document(ward, url, monkeypatch, mode):
    def broken(*given, **named):
        raise RuntimeError(STOPPED)

    monkeypatch.setattr(type(ward.platform.retriever), "retrieve", broken)

    problem = problem_of(call(url, "doctor", "search", QUESTION, mode))

    assert problem["code"] == "internal"
    assert "pixaban" not in str(problem)
    (record,) = ward.records(action=Action.FAILED)[-1:]
    assert record.details["code"] == "RuntimeError"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}], ids=["none", "wrong"])
def test_without_a_key_there_is_not_even_a_list_of_tools(ward, plain, headers):
    answer = plain.post("/mcp", json=LIST, headers={"Accept": HEADERS["Accept"], **headers})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "search" not in answer.text
    # Attempts in a row are counted in one record.
    assert Action.AUTHENTICATED_FAILED in {record.action for record in ward.records()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 421),
        ({"Host": "rebound.example:8080"}, 421),
        ({"Host": "localhost.rebound.example"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://rebound.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Origin": "https://ui.internal"}, 200),
    ],
    ids=str,
)
def test_a_page_that_rebinds_a_name_to_this_host_gets_nothing(plain, headers, status):
    answer = plain.post("/mcp", json=LIST, headers={**HEADERS, **headers})

    assert answer.status_code == status
    assert ("search" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Maria Lopez",
        b"[]",
        json.dumps([LIST]).encode(),
        b'{"jsonrpc": "1.0", "id": 1, "method": "Maria Lopez"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": ["Maria Lopez"]}',
        b'{"jsonrpc": "2.0", "id": null, "method": "Maria Lopez"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["Maria Lopez"]}',
        b"[" * 60_000,
    ],
    ids=range(9),
)
def test_what_is_no_message_is_refused_and_not_echoed(plain, body):
    headers = {**HEADERS, "Content-Type": "application/json"}

    answer = plain.post("/mcp", content=body, headers=headers)

    assert answer.status_code == 422
    assert "Lopez" not in answer.text


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_are_no_sessions_to_follow_or_to_end(plain, method):
    assert plain.request(method, "/mcp", headers=HEADERS).status_code == 405


def test_schemas_name_no_address_that_a_client_would_load():
    for tool in served_mcp.TOOLS:
        described = tool.described()
        for schema in (described.input_schema, described.output_schema):
            assert "http" not in json.dumps(schema)


# Over a pipe


def over_pipe(ward, url, key, *words):
    """Start the command as a program would, and speak to it."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("data_dir", "secrets_dir", "policies_dir"):
        kept[f"RAGPLATFORM_{name.upper()}"] = str(getattr(ward.settings, name))
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "ragplatform", "mcp", "--url", url.removesuffix("/mcp"), *words],
        env={**kept, "RAGPLATFORM_API_KEY": key},
    )


@pytest.mark.timeout(120)
def test_over_a_pipe_the_purpose_is_fixed_and_no_call_can_name_another(ward, url):
    async def speak():
        async with Client(over_pipe(ward, url, "researcher", "--purpose", "HRESCH")) as client:
            tools = (await client.list_tools()).tools
            plain = {"question": QUESTION["question"]}
            return (
                tools,
                await client.call_tool("ask", plain),
                await client.call_tool("search", {**plain, "purpose": "TREAT"}),
            )

    tools, answer, other = asyncio.run(speak())

    assert [tool.name for tool in tools] == ["search", "ask", "get_source", "explain_access"]
    assert not any("purpose" in tool.input_schema["properties"] for tool in tools)
    assert "gastric bleed" in answer.structured_content["answer"]
    assert "Lopez" not in str(answer)
    (asked,) = ward.records(request_id=answer.structured_content["request_id"], action=Action.ASKED)
    assert (asked.actor, asked.purpose) == ("res", "HRESCH")
    assert other.is_error
    assert "TREAT" not in other.content[0].text
