"""The contract of ``ports.Detector``, held by ours and by the fake that stands in for it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.ports import Detector
from tests import real_detector
from tests.fakes_privacy import RegexDetector

SSN = "078-05-1120"
TEXT = f"Patient John Smith, SSN {SSN}, wrote from john.smith@mercy.org on Monday."


@pytest.fixture(scope="module", params=[RegexDetector, real_detector.detector])
def detector(request: pytest.FixtureRequest) -> Detector:
    return request.param()


def found(detector: Detector, text: str) -> dict[str, str]:
    return {text[s.start : s.end]: s.entity for s in detector.detect([text])[0]}


def test_no_texts_give_no_lists(detector: Detector) -> None:
    assert detector.detect([]) == []


@pytest.mark.parametrize("text", ["", " ", "\n\n", "no data here"])
def test_a_text_without_personal_data_gives_an_empty_list(detector: Detector, text: str) -> None:
    assert detector.detect([text]) == [[]]


def test_values_are_found_with_their_types(detector: Detector) -> None:
    values = found(detector, TEXT)
    assert values["John Smith"] == "PERSON"
    assert values[SSN] == "US_SSN"
    assert values["john.smith@mercy.org"] == "EMAIL_ADDRESS"


def test_answers_come_in_the_order_of_the_texts(detector: Detector) -> None:
    texts = ["nothing", TEXT, "", f"SSN {SSN}"]
    assert detector.detect(texts) == [detector.detect([text])[0] for text in texts]


def test_the_same_text_gives_the_same_spans(detector: Detector) -> None:
    assert detector.detect([TEXT]) == detector.detect([TEXT])


def test_offsets_count_code_points(detector: Detector) -> None:
    text = f"🙂🙂 Ünïcode — e\u0301, \u202e SSN {SSN} 🙂"
    assert found(detector, text)[SSN] == "US_SSN"


def test_a_long_text_is_searched_to_its_end(detector: Detector) -> None:
    filler = "The plan was discussed with the family and the team. " * 400
    text = f"{filler}SSN {SSN}. {filler}Reach me by mail: a.b@mercy.org"
    values = found(detector, text)
    assert values[SSN] == "US_SSN"
    assert values["a.b@mercy.org"] == "EMAIL_ADDRESS"


def test_the_version_is_a_word_that_stays(detector: Detector) -> None:
    assert detector.version
    assert detector.version == detector.version.strip()


VALUES = ["John Smith", SSN, "a.b@mercy.org", "(617) 555-0123", "MRN 1234567", "4 May 2020"]
ODD = ["\x00", "\ud800", "\u200b", "🙂", "[PERSON]", "x" * 50, "<&>"]
PIECES = st.sampled_from([*VALUES, *ODD, "Dr. ", " ", "\n", "\t", ", ", ". "])


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(texts=st.lists(st.lists(PIECES, max_size=20).map("".join), max_size=4))
def test_spans_are_sorted_apart_inside_and_of_known_types(
    detector: Detector, texts: list[str]
) -> None:
    answers = detector.detect(texts)
    assert len(answers) == len(texts)
    for text, spans in zip(texts, answers, strict=True):
        end = 0
        for span in spans:
            assert end <= span.start < span.end <= len(text)
            assert span.category is CATEGORY_OF[span.entity]
            assert 0 <= span.score <= 1
            assert span.source
            end = span.end
