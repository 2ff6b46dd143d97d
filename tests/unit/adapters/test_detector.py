"""Every type is found, nothing of the text is logged, and failures never pass."""

import logging
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import EntityRecognizer, RecognizerResult

from ragplatform.adapters import detector as module
from ragplatform.adapters.detector import IdentifierDetector
from ragplatform.adapters.rules.tier import RuleTier
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError
from ragplatform.model import Span
from tests import real_detector

OBVIOUS = {
    "PERSON": "Dr. Angela Okafor saw the patient.",
    "ORGANIZATION": "She works for Palmer-Hancock Inc in Dallas.",
    "OCCUPATION": "Occupation: primary school teacher",
    "USERNAME": "Username: jdoe42",
    "LOCATION": "She lives in Boston, near Chicago.",
    "STREET_ADDRESS": "He lives at 123 Main Street, Apt 4B.",
    "ZIP_CODE": "Springfield, IL 62704",
    "DATE_TIME": "Seen on March 3, 2021.",
    "DATE_OF_BIRTH": "DOB: 03/04/1985",
    "AGE": "A 45-year-old man.",
    "AGE_OVER_89": "A 92-year-old man.",
    "PHONE_NUMBER": "Call (617) 555-0123.",
    "FAX_NUMBER": "Fax: (617) 555-0199",
    "EMAIL_ADDRESS": "Write to nurse@ward.local today.",
    "US_SSN": "SSN 078-05-1120",
    "MEDICAL_RECORD_NUMBER": "MRN: 00123456",
    "HEALTH_PLAN_ID": "Medicare 1EG4-TE5-MK73",
    "NPI": "NPI 1234567893",
    "MEDICAL_LICENSE": "DEA number AB1234563",
    "DEVICE_ID": "Pacemaker serial number: SN-99A3321",
    "BIOMETRIC_ID": "Fingerprint scan: AB12CD34",
    "PHOTO_REFERENCE": "See patient_face_03.jpg for details.",
    "ACCOUNT_NUMBER": "Account number 000123456789",
    "US_BANK_NUMBER": "Please save to bank 12345678901 now.",
    "ABA_ROUTING_NUMBER": "Routing number 021000021",
    "IBAN_CODE": "Pay to GB82 WEST 1234 5698 7654 32 please.",
    "CREDIT_CARD": "Card 4111 1111 1111 1111",
    "SWIFT_CODE": "SWIFT: DEUTDEFF500",
    "POLICY_NUMBER": "Policy number PL-4471-882",
    "SECURITY_ID": "ISIN US0378331005",
    "LEI": "LEI 5493001KJTIIGC8Y1R12",
    "US_EIN": "EIN 12-3456789",
    "CRYPTO": "Wallet 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "US_ITIN": "Taxpayer ITIN 912-70-1234",
    "US_PASSPORT": "Passport no. C01234567",
    "US_DRIVER_LICENSE": "Driver's license number D1234567",
    "VEHICLE_ID": "Drives 1HGCM82633A004352.",
    "LICENSE_PLATE": "License plate ABC 1234",
    "NATIONAL_ID": "National insurance AB123456C",
    "URL": "See https://portal.mercy.org/x?id=3",
    "IP_ADDRESS": "From 10.22.3.4 at night.",
    "MAC_ADDRESS": "Adapter 00:1B:44:11:3A:B7",
    "UNIQUE_CODE": "Case number 2021-CV-0042",
    "NRP": "He is a Catholic.",
    "TIME_REFERENCE": "She has worked there since 1987.",
    "QUASI_IDENTIFIER": "The court ordered the Government to pay the applicant 9,292 euros (EUR).",
    "SECRET": "password: hunter2!x",
}


@pytest.fixture(scope="module")
def detector() -> IdentifierDetector:
    return real_detector.detector()


def entities(detector: IdentifierDetector, text: str) -> set[str]:
    return {span.entity for span in detector.detect([text])[0]}


def test_every_type_has_an_obvious_form_here() -> None:
    assert set(OBVIOUS) == set(CATEGORY_OF)


@pytest.mark.parametrize("entity", sorted(OBVIOUS))
def test_each_type_is_found_in_an_obvious_form(detector: IdentifierDetector, entity: str) -> None:
    assert entity in entities(detector, OBVIOUS[entity])


@pytest.mark.parametrize(
    "text",
    [
        "Take one tablet daily for two weeks, then every other day until 2024.",
        "The next visit is in three months; last year was quiet.",
        "Metformin and Lisinopril were continued. Tylenol as needed.",
        "No fever.It was gone by noon.",
        "If you have P.A.D. or live in the U.S., ask for Jimmy Dean® sausages.",
    ],
)
def test_ordinary_words_are_left_alone(detector: IdentifierDetector, text: str) -> None:
    assert entities(detector, text) <= {"TIME_REFERENCE", "LOCATION", "ORGANIZATION"}


@pytest.mark.parametrize(
    "text", ["The number 617-555-0123 is in use.", "Total of 1234567890 units, 943 476 5919 more."]
)
def test_a_number_is_no_national_id_without_a_word_that_says_so(
    detector: IdentifierDetector, text: str
) -> None:
    assert "NATIONAL_ID" not in entities(detector, text)


def test_any_failure_inside_is_an_error_that_quotes_nothing(
    detector: IdentifierDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str, *_args: object) -> None:
        raise ValueError(f"did not find word {text!r}")

    monkeypatch.setattr(detector._rules, "find", broken)
    with pytest.raises(DetectorError) as refused:
        detector.detect(["John Smith"])
    assert "Smith" not in str(refused.value)
    assert "ValueError" in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


class Says:
    """A tagger that finds one value wherever it stands, or fails."""

    version = "says"

    def __init__(self, value: str, entity: str, error: Exception | None = None) -> None:
        self._value, self._entity, self._error = value, entity, error

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        if self._error:
            raise self._error
        return [
            [Span(at, at + len(self._value), self._entity, CATEGORY_OF[self._entity], 0.9, "t")]
            for at in (text.index(self._value) for text in texts)
        ]


def with_tagger(one: Says) -> IdentifierDetector:
    return IdentifierDetector(rules=RuleTier(), tagger=one, added=())


def test_a_tagger_that_fails_lets_no_text_through() -> None:
    broken = with_tagger(Says("x", "PERSON", ValueError("did not like 'Smith'")))
    with pytest.raises(DetectorError) as refused:
        broken.detect(["John Smith"])
    assert "Smith" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Commission File Number 001-31719 of the registrant", False),
        ("Current Report on Form 8-K, filed in May 2019 (File No. 001-31719).", False),
        ("In the chart, file no. 001-31719, of the patient", True),
        ("Patient registration number 001-31719 is hers", True),
        ("seen for 30 sec, case no. 001-31719", True),
    ],
)
def test_what_a_securities_commission_numbers_is_nobodys(text: str, found: bool) -> None:
    detector = with_tagger(Says("001-31719", "UNIQUE_CODE"))
    assert ("UNIQUE_CODE" in entities(detector, text)) is found


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("adopted SFAS 123R in 2006", "123R", False),
        ("Mail the statement 12 Main Street again", "12 Main Street", True),
    ],
)
def test_the_number_of_a_standard_is_no_house(text: str, value: str, found: bool) -> None:
    detector = with_tagger(Says(value, "STREET_ADDRESS"))
    assert ("STREET_ADDRESS" in entities(detector, text)) is found


class Added(EntityRecognizer):
    """A deployment's own recogniser, which finds one word."""

    def __init__(self, entity: str, seconds: float = 0.0) -> None:
        self._seconds = seconds
        super().__init__(supported_entities=[entity], name="wards")

    def load(self) -> None: ...

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[object]:
        time.sleep(self._seconds)
        at = text.find("Ward 7B")
        return [RecognizerResult(entities[0], at, at + 7, 0.9)] if at >= 0 else []


def with_added(one: Added) -> IdentifierDetector:
    return IdentifierDetector(rules=RuleTier(), tagger=real_detector.tagger(), added=[one])


def test_a_recogniser_of_the_deployment_is_heard() -> None:
    assert "UNIQUE_CODE" in entities(with_added(Added("UNIQUE_CODE")), "Moved to Ward 7B today.")


def test_a_type_that_nobody_knows_stops_the_search() -> None:
    with pytest.raises(DetectorError, match="WARD"):
        with_added(Added("WARD")).detect(["Moved to Ward 7B today."])


def test_an_added_recogniser_that_ran_out_of_time_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REGEX_TIMEOUT_SECONDS", 0.01)
    with pytest.raises(DetectorError, match="ran out of time"):
        with_added(Added("UNIQUE_CODE", seconds=0.02)).detect(["John Smith"])


def test_a_name_that_must_go_wins_over_an_organisation() -> None:
    text = "Patient name: Whitfield, Eleanor"
    assert "PERSON" in entities(real_detector.detector(), text)


def test_nothing_is_fetched_and_nothing_of_the_text_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fresh = real_detector.detector()
    assert fresh.detect(["Write to angela@okafor-clinic.org"])[0]
    assert "okafor" not in caplog.text


def test_threads_get_each_their_own_answers(detector: IdentifierDetector) -> None:
    texts = [f"Dr. Angela Okafor, MRN {1000000 + n}." for n in range(24)]
    wanted = [detector.detect([text]) for text in texts]
    barrier = threading.Barrier(4)

    def work(n: int) -> list[object]:
        if n < 4:
            barrier.wait()
        return detector.detect([texts[n]])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(24))) == wanted


@settings(max_examples=12, deadline=None)
@given(at=st.integers(0, 700), words=st.integers(1, 3))
def test_a_value_is_found_wherever_a_window_ends(
    detector: IdentifierDetector, at: int, words: int
) -> None:
    filler = "word " * words
    head = (filler * 2000)[: 4650 + at]
    text = f"{head} mail angela.okafor@mercy.org {filler * 300}"
    spans = detector.detect([text])[0]
    assert any(re.fullmatch(r"[\w.]+@mercy\.org", text[s.start : s.end]) for s in spans)
