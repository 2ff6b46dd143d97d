"""Who is asked for by name is found however the name is written, and nobody else is told of."""

import pytest

from ragplatform.adapters.edge import EdgeIndex
from tests.fakes import DIM, make_bench

HERS = "Apixaban was stopped for Maria Lopez because of a gastric bleed."
OTHERS = "Apixaban was stopped for Anna Müller because of a nose bleed."


@pytest.fixture
def ward(tmp_path):
    one = make_bench(tmp_path, index=EdgeIndex(folder=tmp_path / "index", dim=DIM))
    one.put(OTHERS, subjects=["mrn:1"])
    one.put(HERS, subjects=["mrn:1"])
    yield one
    one.platform.store.close()


@pytest.fixture
def search(ward, serve):
    client = serve(ward)

    def run(question, person="doctor"):
        answer = client.post(
            "/v1/search",
            json={"question": question, "purpose": "TREAT"},
            headers={"Authorization": f"Bearer {person}"},
        )
        return answer.json()["results"]

    return run


def test_namesakes_out_of_scope_change_nothing_that_a_search_shows(ward, search):
    question = "Why was apixaban stopped for Okafor?"
    before = search(question)

    names = [("PERSON", f"{given} Okafor") for given in ("Ada", "Ben", "Chidi", "Dayo", "Efe")]
    ward.platform.store.vault.store("mercy", "s_elsewhere", names)

    assert search(question) == before


@pytest.mark.parametrize(
    "question",
    [
        "Why was apixaban stopped for maria lopez?",
        "LOPEZ, MARIA: why was apixaban stopped?",
        "Lopez Maria, apixaban",
        "Why was apixaban stopped for Maria Lopez?",
    ],
)
def test_a_name_that_the_detector_misses_is_found_as_it_is_spelt(search, question):
    assert search(question)[0]["text"] == HERS


def test_a_firm_that_might_be_a_name_hides_no_sentence_about_people(ward, serve):
    ward.put("John Smith runs Globex Union since 2019.", subjects=["mrn:1"])

    answer = serve(ward).post(
        "/v1/ask",
        json={"question": "Who runs Globex Union?", "purpose": "TREAT"},
        headers={"Authorization": "Bearer doctor"},
    )

    assert "John Smith" in answer.json()["answer"]
