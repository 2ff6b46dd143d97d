"""What is found once is found everywhere in its document, and medicine stays readable."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import Span
from ragplatform.privacy.consistency import Consistent, everywhere
from tests.fakes_privacy import KNOWN_NAMES, RegexDetector

JOHN = ("John A. Smith", "PERSON")
MARY = ("Mary Brown", "PERSON")


def found(text: str, *values: tuple[str, str], score: float = 0.9) -> list[Span]:
    """Return a span for the first place of each value."""
    spans = [
        Span(at, at + len(value), entity, CATEGORY_OF[entity], score, "test")
        for value, entity in values
        for at in [text.index(value)]
    ]
    return sorted(spans, key=lambda span: span.start)


def read(text: str, *values: tuple[str, str]) -> list[str]:
    return [text[span.start : span.end] for span in everywhere(text, found(text, *values))]


def more(text: str, *values: tuple[str, str]) -> list[str]:
    """Return what is found beside the values themselves."""
    return [value for value in read(text, *values) if value not in {v for v, _ in values}]


@pytest.mark.parametrize(
    ("written", "again"),
    [
        ("Mr. Smith slept.", "Smith"),
        ("Smith slept.", "Smith"),
        ("SMITH slept.", "SMITH"),
        ("Smith's wife came.", "Smith"),
        ("John was seen.", "John"),
        ("SMITH, JOHN was seen.", "SMITH, JOHN"),
        ("Smith, John A. was seen.", "Smith, John A"),
        ("J. Smith was seen.", "J. Smith"),
        ("J.A. Smith was seen.", "J.A. Smith"),
        ("JA Smith was seen.", "JA Smith"),
        ("Smith, J. was seen.", "Smith, J"),
        ("john smith was seen.", "john smith"),
        ("John\nSmith was seen.", "John\nSmith"),
        ("PID SMITH^JOHN^A here.", "SMITH^JOHN^A"),
        ("JOHN SMITH was seen.", "JOHN SMITH"),
    ],
)
def test_a_person_is_found_again_however_the_name_is_written(written: str, again: str) -> None:
    text = f"Patient: John A. Smith.\n\n{written}"
    assert more(text, JOHN) == [again]


@pytest.mark.parametrize(
    "written",
    ["A smith works iron.", "Smithson left.", "The Johnson rod.", "B. Jones left.", "a blacksmith"],
)
def test_other_words_are_not_taken_for_the_person(written: str) -> None:
    assert more(f"Patient: John A. Smith. {written}", JOHN) == []


@pytest.mark.parametrize(
    "written",
    ["Brown sputum was seen.", "The sputum is brown.", "the Brown Building", "BROWN STAIN"],
)
def test_an_ordinary_word_is_no_name_by_itself(written: str) -> None:
    assert more(f"Patient: Mary Brown.\n{written}", MARY) == []


@pytest.mark.parametrize(
    ("written", "again"),
    [
        ("Mrs. Brown left.", "Brown"),
        ("It was seen by Brown today.", "Brown"),
        ("Brown's sister called.", "Brown"),
        ("Brown, M. called.", "Brown, M"),
        ("BROWN, MARY", "BROWN, MARY"),
    ],
)
def test_an_ordinary_word_is_a_name_where_only_a_name_can_stand(written: str, again: str) -> None:
    assert more(f"Patient: Mary Brown.\n{written}", MARY) == [again]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("She has Parkinson's disease.", "Parkinson's"),
        ("She has Parkinson's.", "Parkinson's"),
        ("A Foley catheter was placed.", "Foley"),
        ("Stage II Hodgkin lymphoma.", "Hodgkin"),
        ("Wolff-Parkinson-White syndrome.", "Wolff-Parkinson-White"),
        ("Guillain-Barré syndrome.", "Guillain-Barré"),
        ("Apgar scores were 8 and 9.", "Apgar"),
        ("Bell's palsy on the left.", "Bell's palsy"),
        ("Takes Metformin daily.", "Metformin"),
        ("Bilateral Pneumonia.", "Bilateral Pneumonia"),
    ],
)
def test_a_disease_a_device_or_a_drug_is_no_person(text: str, name: str) -> None:
    assert read(text, (name, "PERSON")) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mr. Parkinson has a cold.", "Parkinson"),
        ("Dr. Crohn came.", "Crohn"),
        ("Helen Foley has a catheter.", "Helen Foley"),
        ("Signed: Hodgkin", "Hodgkin"),
    ],
)
def test_a_person_called_like_a_disease_stays_one(text: str, name: str) -> None:
    assert read(text, (name, "PERSON")) == [name]


def test_a_patient_and_a_disease_of_one_name_are_told_apart() -> None:
    text = "James Parkinson. Mr. Parkinson has Parkinson's disease; a Parkinson score was taken."
    assert read(text, ("James Parkinson", "PERSON")) == ["James Parkinson", "Parkinson"]


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("| Name | Ward |\n|---|---|\n| Smith, John | Cardiology |\n", ["Smith, John"]),
        ('name,dob,note\n"Li, Ava",1970-02-03,fine\n', ["Li, Ava", "1970-02-03"]),
        ("Patient\tMRN\nZoë Krüger\tA0012\n", ["Zoë Krüger", "A0012"]),
        ("Patient\tZoë Krüger\n", ["Zoë Krüger"]),
        ("Provider | Unit\nMercy Hospital | 3\nunknown | 4\n", []),
        ("First Name;Last Name;Phone\nIda;Oja;617-555-0123\n", ["Ida", "Oja", "617-555-0123"]),
    ],
)
def test_a_cell_is_read_by_the_head_of_its_column_or_row(table: str, cells: list[str]) -> None:
    assert read(table) == cells


def test_the_head_of_a_column_is_no_value() -> None:
    table = "| Patient | Attending |\n|---|---|\n| Ida Oja | Max Roe |\n"
    assert read(table, ("Patient", "PERSON"), ("Attending", "PERSON")) == ["Ida Oja", "Max Roe"]


@pytest.mark.parametrize(
    "signature",
    [
        "Electronically signed by: Ida Oja, MD",
        "Signed: Dr. Ida Oja",
        "Dictated by Ida Oja",
        "Sincerely,\n\nIda B. Oja",
    ],
)
def test_a_signature_is_a_name_and_is_found_again(signature: str) -> None:
    text = f"Seen today.\n\n{signature}\n\nOja will call."
    assert "Oja" in read(text)
    assert len(read(text)) == 2


def test_other_values_are_found_again_as_they_were_written() -> None:
    text = "MRN 1234567, tel 617-555-0123; again 617-555-0123 and 1234567, not 12345678."
    values = (("1234567", "MEDICAL_RECORD_NUMBER"), ("617-555-0123", "PHONE_NUMBER"))
    assert read(text, *values) == ["1234567", "617-555-0123"] * 1 + ["617-555-0123", "1234567"]


def test_a_short_number_or_an_ordinary_word_is_not_looked_for_again() -> None:
    text = "Ward 12, May. Give 12 mg in May."
    assert more(text, ("12", "UNIQUE_CODE"), ("May", "PERSON")) == []


def test_what_was_found_longer_by_half_is_completed() -> None:
    text = "John Smith came. Smith, John left."
    at = text.rindex("John")
    half = Span(at, at + 4, "PERSON", CATEGORY_OF["PERSON"], 0.9, "test")
    spans = everywhere(text, [*found(text, ("John Smith", "PERSON")), half])
    assert [text[s.start : s.end] for s in spans] == ["John Smith", "Smith, John"]


@pytest.mark.parametrize(
    "answer", [[], [[], []], [[Span(0, 99, "PERSON", CATEGORY_OF["PERSON"], 1.0, "x")]]]
)
def test_a_detector_that_answers_oddly_is_not_believed(answer: list[list[Span]]) -> None:
    class Odd:
        version = "odd"

        def detect(self, _texts: object) -> list[list[Span]]:
            return answer

    with pytest.raises(DetectorError):
        Consistent(Odd()).detect(["John Smith"])


PIECES = st.sampled_from(
    [
        *KNOWN_NAMES,
        *["Mr. Smith", "SMITH, JOHN", "Lopez", "J. Smith", "Müller's", "MRN 1234567", "1234567"],
        *["078-05-1120", "a.b@c.org", "| Name | Ward |", "| Ida Oja | 3 |", "Signed: Ida Oja"],
        *[" ", ", ", ". ", "\n", "^", "A.", "x", "ß", "🙂", "Parkinson's disease"],
    ]
)


@settings(deadline=None)
@given(text=st.lists(PIECES, max_size=30).map("".join))
def test_nothing_found_is_lost_and_nothing_overlaps(text: str) -> None:
    spans = RegexDetector().detect([text])[0]
    result = everywhere(text, spans)
    end = 0
    for span in result:
        assert end <= span.start < span.end <= len(text)
        end = span.end
    covered = {at for span in result for at in range(span.start, span.end)}
    assert {at for span in spans for at in range(span.start, span.end)} <= covered


@settings(deadline=None)
@given(text=st.lists(PIECES, max_size=30).map(" ".join))
def test_a_second_look_finds_nothing_more(text: str) -> None:
    once = everywhere(text, RegexDetector().detect([text])[0])
    places = [(span.start, span.end) for span in everywhere(text, once)]
    assert all(any(s <= span.start and span.end <= e for s, e in places) for span in once)


def test_the_time_grows_with_the_length_alone() -> None:
    def seconds(copies: int) -> float:
        text = "".join(
            f"Patient: Given{n % 50} Family{n % 50}. Mr. Family{n % 50} slept; he ate and walked a "
            f"little. | Name | Ward |\n| Ida Oja | 3 |\n"
            for n in range(copies)
        )
        spans = [
            Span(m.start(), m.end(), "PERSON", CATEGORY_OF["PERSON"], 0.9, "test")
            for m in re.finditer(r"Given\d+ Family\d+", text)
        ]
        best = 1e9
        for _ in range(3):
            started = time.process_time()
            everywhere(text, spans)
            best = min(best, time.process_time() - started)
        return best

    # Eight times the text; a quadratic step would take 64 times as long.
    assert seconds(4000) < 20 * seconds(500)


@pytest.mark.parametrize("entity", ["LOCATION", "ORGANIZATION"])
def test_a_name_that_was_taken_for_a_place_is_the_persons_again(entity: str) -> None:
    text = "General Hospital\nSmith, John | MRN 5\nPatient: John A. Smith"
    spans = found(text, ("Smith", entity), JOHN)

    seen = {(text[s.start : s.end], s.entity) for s in everywhere(text, spans)}

    assert seen == {("Smith, John", "PERSON"), ("John A. Smith", "PERSON")}


def test_a_place_that_holds_more_than_a_name_stays_a_place() -> None:
    text = "Smith County Clinic\nPatient: John A. Smith"
    spans = found(text, ("Smith County Clinic", "ORGANIZATION"), JOHN)

    assert ("Smith County Clinic", "ORGANIZATION") in {
        (text[s.start : s.end], s.entity) for s in everywhere(text, spans)
    }
