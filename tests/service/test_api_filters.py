"""Filters in a request take away from what its caller may read, and are on record."""

import pytest

from ragplatform.audit.events import Action
from ragplatform.model import Facts

QUESTION = "What were total current assets?"


def as_(person):
    return {"Authorization": f"Bearer {person}"}


def facts(year, *, kind="10-k", day="2023-02-08"):
    words = {"kinds": {kind}, "organisations": {"bestbuy", "$bby"}, "years": {year}, "dates": {day}}
    return Facts(**{name: frozenset(values) for name, values in words.items()})


@pytest.fixture
def ward(bench):
    one = bench()
    one.put("Total current assets were 10,799 in all.", subjects=["mrn:1"], facts=facts("2022"))
    for_all = {"department": "administration", "sensitivity": 0}
    later = facts("2023", day="2024-03-15")
    one.put("Total current assets were 8,802 in all.", facts=later, **for_all)
    one.put("Total current assets are the sum of cash and stock.", **for_all)
    one.put("Total current assets of many.", collection="research", **for_all)
    one.put("Total current assets of a secret file.", facts=facts("2022"), tenant="harbor")
    return one


def search(client, filters, who="doctor", path="/v1/search"):
    asked = {"question": QUESTION, "purpose": "TREAT", "filters": filters}
    return client.post(path, json=asked, headers=as_(who))


def found(response):
    return {result["document"] for result in response.json()["results"]}


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        ({}, {"doc-0", "doc-1", "doc-2"}),
        ({"years": [2022]}, {"doc-0"}),
        ({"years": [2022, 2023]}, {"doc-0", "doc-1"}),
        ({"types": ["10-K"], "organisations": ["Best Buy"]}, {"doc-0", "doc-1"}),
        ({"organisations": ["BBY"]}, {"doc-0", "doc-1"}),
        ({"organisations": ["best buy co., inc."]}, {"doc-0", "doc-1"}),
        ({"organisations": ["Costco"]}, set()),
        ({"documents": ["doc-2"]}, {"doc-2"}),
        ({"documents": ["doc-4"]}, set()),
        ({"media_types": ["application/pdf"]}, {"doc-0", "doc-1", "doc-2"}),
        ({"media_types": ["text/plain"]}, set()),
        ({"subjects": ["mrn:1"]}, {"doc-0"}),
        ({"dated_from": "2023-02-08", "dated_to": "2023-12-31"}, {"doc-0"}),
        ({"dated_to": "2023-02-07"}, set()),
        ({"dated_from": "2023-02-09"}, {"doc-1"}),
        ({"quarters": ["2022-Q4"]}, set()),
        ({"parts": ["balance-sheet"]}, set()),
    ],
)
def test_a_search_finds_what_its_filters_leave_of_the_scope(ward, serve, filters, documents):
    assert found(search(serve(ward), filters)) == documents


@pytest.mark.parametrize(
    "filters",
    [
        {"year": [2022]},
        {"years": []},
        {"years": ["next"]},
        {"documents": [""]},
        {"quarters": ["2022"]},
        {"dated_from": "yesterday"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/ask"])
def test_a_filter_that_is_not_understood_is_refused(ward, serve, filters, path):
    response = search(serve(ward), filters, path=path)

    assert response.status_code == 422
    assert ward.records(action=Action.SEARCHED) == ward.records(action=Action.ASKED) == []


def test_an_answer_comes_from_what_the_filters_leave(ward, serve):
    answer = search(serve(ward), {"years": [2023]}, path="/v1/ask").json()

    assert {source["document"] for source in answer["sources"]} == {"doc-1"}


def test_where_filters_leave_nothing_the_answer_says_so(ward, serve):
    answer = search(serve(ward), {"years": [1999]}, path="/v1/ask").json()

    assert (answer["refusal"], answer["sources"]) == ("no_passage", [])


def test_a_record_says_by_what_a_question_was_narrowed_and_seals_to_what(ward, serve):
    response = search(serve(ward), {"subjects": ["mrn:1"], "years": [2022]})

    [asked] = [
        record
        for record in ward.records(request_id=response.json()["request_id"])
        if record.action is Action.SEARCHED
    ]
    assert asked.details["filters"] == ["subjects", "years"]
    assert set(asked.sealed.parts) == {"filters", "question"}
    assert "mrn:1" not in str(asked)


def test_filters_open_no_door_to_a_person_without_a_right(ward, serve):
    response = search(serve(ward), {"documents": ["doc-0"]}, who="reception")

    assert response.status_code == 403


def test_a_person_who_is_shown_no_dates_may_not_find_them_out_by_a_range(ward, serve):
    asked = {"question": QUESTION, "purpose": "HRESCH", "filters": {"dated_to": "2023-12-31"}}
    response = serve(ward).post("/v1/search", json=asked, headers=as_("researcher"))

    assert response.status_code == 403
    [denied] = ward.records(action=Action.DENIED)
    assert denied.details["reason"] == "dates are hidden"
