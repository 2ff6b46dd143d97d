"""Promise 3: what policy masks, pseudonymises or drops is never indexed, embedded or streamed."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.errors import DetectorError
from ragplatform.model import AllOf, AnyOf, Clause, Labels, Purpose, Scope, Span
from ragplatform.privacy import tokens
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from tests import real_detector
from tests.fakes_privacy import FailingDetector

RULES = PrivacyRules.load(Path(__file__).resolve().parents[2] / "policies" / "privacy.toml")
LABELS = Labels("mercy", "clinical")
# Every value of this letter that the rules do not leave in clear, as it stands there.
PLANTED = (
    "Smith, John",
    "00123456",
    "03/04/1985",
    "John Smith",
    "123 Main Street, Apt 4B",
    "62704",
    "Angela Okafor",
    "1234567893",
    "(617) 555-0123",
    "617-555-0199",
    "john.smith@ward.local",
    "078-05-1120",
    "1EG4-TE5-MK73",
    "patient_face_22.jpg",
    "AB12CD34",
    "SN-99A3321",
    "1HGCM82633A004352",
    "ABC 1234",
    "000123456789",
    "021000021",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "D1234567",
    "C01234567",
    "AB1234563",
    "10.22.3.4",
    "00:1B:44:11:3A:B7",
    "912-70-1234",
    "A-99812",
)
LETTER = """Patient: Smith, John   MRN: 00123456   DOB: 03/04/1985

John Smith is a 92-year-old man living at 123 Main Street, Apt 4B, Springfield, IL 62704.
He was seen on March 3, 2021 by Dr. Angela Okafor, NPI 1234567893, DEA number AB1234563.
Phone: (617) 555-0123, fax: 617-555-0199, email john.smith@ward.local. SSN 078-05-1120.
Medicare ID 1EG4-TE5-MK73. He takes Metformin 500 mg daily for two weeks. See
patient_face_22.jpg and the fingerprint scan: AB12CD34. Pacemaker serial number: SN-99A3321.
Vehicle 1HGCM82633A004352, license plate ABC 1234. Account number 000123456789,
routing number 021000021, card 4111 1111 1111 1111, IBAN GB82 WEST 1234 5698 7654 32.
Driver's license number D1234567, passport no. C01234567, taxpayer ITIN 912-70-1234.
Logged in from 10.22.3.4 with adapter 00:1B:44:11:3A:B7; case number A-99812.
Signed: Angela Okafor
"""


def scope(*reveals: str) -> Scope:
    everything = AnyOf((AllOf((Clause("collection", frozenset({"clinical"})),)),))
    return Scope("mercy", "p", Purpose.TREAT, everything, frozenset(reveals), "d", "k")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module")
def privacy(folder: Path) -> Iterator[Privacy]:
    vault = Vault(f"sqlite:///{folder / 'vault.db'}", master=bytes(range(32)))
    detector = real_detector.detector()
    yield Privacy(detector=detector, rules=RULES, vault=vault)
    vault.close()


def left_in(text: str) -> list[str]:
    return [v for v in PLANTED if re.search(rf"(?<!\w){re.escape(v)}(?!\w)", text)]


def test_no_planted_value_is_left_in_what_is_indexed_or_embedded(privacy: Privacy) -> None:
    assert left_in(LETTER) == list(PLANTED)
    done = privacy.transform(LETTER, privacy.inspect([LETTER])[0], LABELS)
    assert left_in(done.text) == []
    assert "Metformin 500 mg daily for two weeks" in done.text
    assert not tokens.tokens_in(privacy.embed_view(done.text))


def test_no_planted_value_lies_in_clear_in_the_vaults_files(privacy: Privacy, folder: Path) -> None:
    done = privacy.transform(LETTER, privacy.inspect([LETTER])[0], LABELS)
    privacy.commit("mercy", [privacy.subject_ref("mercy", "00123456")], done)
    raw = b"".join(file.read_bytes() for file in folder.iterdir())
    assert [value for value in PLANTED if value.encode() in raw] == []


def test_a_permitted_reader_gets_back_what_was_written_until_it_is_forgotten(
    privacy: Privacy,
) -> None:
    done = privacy.transform(LETTER, privacy.inspect([LETTER])[0], LABELS)
    subject = privacy.subject_ref("mercy", "to be forgotten")
    elsewhere = privacy.subject_ref("mercy", "00123456")
    privacy.commit("mercy", [subject], done)
    shown = privacy.reveal(done.text, scope("PERSON", "US_SSN"))
    assert "Angela Okafor" in shown
    assert "078-05-1120" in shown
    assert "(617) 555-0123" not in shown
    privacy.forget("mercy", subject)
    privacy.forget("mercy", elsewhere)
    assert privacy.reveal(done.text, scope("PERSON", "US_SSN")) == done.text


def test_a_document_that_holds_a_key_stays_out(privacy: Privacy) -> None:
    text = "Notes of the week.\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n"
    done = privacy.transform(text, privacy.inspect([text])[0], LABELS)
    assert done.quarantine == "contains_secret"


def test_an_answer_that_quotes_raw_data_is_masked_for_a_reader_without_rights(
    privacy: Privacy,
) -> None:
    screen = privacy.screen(scope())
    shown = screen.redact(LETTER)
    assert left_in(shown) == []
    assert "March 3, 2021" not in shown
    assert screen.counts["PERSON"] >= 2


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 61, 200])
def test_no_value_is_streamed_however_the_stream_is_cut(privacy: Privacy, size: int) -> None:
    text = LETTER[:700]
    screen = privacy.screen(scope("DATE_TIME"))
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    streamed = "".join([*(screen.feed(piece) for piece in pieces), screen.finish()])
    assert streamed == privacy.screen(scope("DATE_TIME")).redact(text)
    assert left_in(streamed) == []


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_split_gives_the_whole_text_screened(privacy: Privacy, data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.sampled_from(LETTER.splitlines(keepends=True)), max_size=6))
    text = "".join(lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    screen = privacy.screen(scope("LOCATION"))
    parts = [screen.feed(text[a:b]) for a, b in pairwise([0, *cuts, len(text)])]
    assert "".join([*parts, screen.finish()]) == privacy.screen(scope("LOCATION")).redact(text)


class Remembering:
    """The real detector; a text that it has read before it need not read again."""

    def __init__(self) -> None:
        self._detector = real_detector.detector()
        self._read: dict[str, list[Span]] = {}
        self.version = self._detector.version

    def detect(self, texts: Sequence[str]) -> list[list[Span]]:
        unread = [text for text in texts if text not in self._read]
        self._read.update(zip(unread, self._detector.detect(unread), strict=True))
        return [self._read[text] for text in texts]


@pytest.fixture(scope="module")
def remembering(folder: Path) -> Iterator[Privacy]:
    vault = Vault(f"sqlite:///{folder / 'splits.db'}", master=bytes(range(32)))
    yield Privacy(detector=Remembering(), rules=RULES, vault=vault)
    vault.close()


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(start=st.integers(0, len(LETTER)), cuts=st.sets(st.integers(0, 700), max_size=40))
def test_thousands_of_splits_of_the_letter_give_it_screened(
    remembering: Privacy, start: int, cuts: set[int]
) -> None:
    # Few beginnings, so that what is streamed repeats: the places of the cuts are what varies.
    text = LETTER[start // 100 * 100 :][:700]
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    screen = remembering.screen(scope("LOCATION"))

    streamed = "".join([*(screen.feed(text[a:b]) for a, b in pairwise(edges)), screen.finish()])

    assert streamed == remembering.screen(scope("LOCATION")).redact(text)
    assert left_in(streamed) == []


def test_a_detector_that_fails_lets_no_text_through(folder: Path) -> None:
    vault = Vault(f"sqlite:///{folder / 'other.db'}", master=bytes(range(32)))
    privacy = Privacy(detector=FailingDetector(), rules=RULES, vault=vault)
    for act in (
        lambda: privacy.inspect([LETTER]),
        lambda: privacy.clear_question(LETTER, scope()),
        lambda: privacy.screen(scope()).redact(LETTER),
    ):
        with pytest.raises(DetectorError):
            act()
    vault.close()
