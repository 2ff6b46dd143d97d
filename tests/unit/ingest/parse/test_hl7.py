"""HL7 v2 messages become lines that a person can read, and name their patients."""

from random import Random

import pytest

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.interchange import split
from ingest.parse.kind import Kind
from ingest.parse.route import parse
from ragplatform.errors import ParseError

HEADER = r"MSH|^~\&|LAB|NORTH|EHR|NORTH|20240506070800+0200||ORU^R01|7|P|2.5.1"
ANNA = (
    "PID|1||M-1^^^NORTH&1.2.3&ISO^MR~999-21-9714^^^USA^SS||Äberg^Anna^B^^Ms.||19610402|F|||"
    "2 Elm St^^Salem^MA^01970||^PRN^PH^^^978^5550101"
)
BORIS = "PID|1||M-2^^^NORTH&1.2.3&ISO^MR||Ivanov^Boris"
RESULT = "OBX|1|NM|4548-4^Hemoglobin A1c^LN||7.2|%|4-6|H|||F|||20240506"


def read(*segments: str, end: str = "\r") -> ParsedDocument:
    return parse(end.join(segments).encode(), "a.hl7", 1_000_000)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_message_reads_like_a_chart_whatever_its_line_ends(end: str) -> None:
    document = read(HEADER, ANNA, "OBR|1|||58410-2^CBC^LN", RESULT, end=end)

    for line in (
        "MRN: M-1 (MR, NORTH)",
        "SSN: 999-21-9714",
        "Patient name: Ms. Anna B Äberg",
        "Date of birth: 1961-04-02",
        "Address: 2 Elm St, Salem, MA 01970",
        "Home phone: (978) 5550101",
        "Test: CBC (LOINC 58410-2)",
        "Hemoglobin A1c (LOINC 4548-4): 7.2 %; reference range 4-6; flag H; status F; "
        "observed 2024-05-06",
    ):
        assert line in document.text.split("\n")
    assert document.media_type == Kind.HL7.value
    assert "HL7 message ORU^R01 (results)" in [heading.title for heading in document.headings]


def test_the_patient_is_claimed_with_who_gave_the_number_out() -> None:
    claims = read(HEADER, ANNA, RESULT, "PV1|1|I||||||||||||||Y").claims

    assert claims.subjects == (
        (SubjectId("mrn", "M-1", "1.2.3"), SubjectId("ssn", "999-21-9714", "USA")),
    )
    assert (claims.date, claims.type, claims.markings) == ("2024-05-06", "ORU^R01", {"vip"})


def test_a_patient_without_any_number_is_still_somebody() -> None:
    claims = read(HEADER, ANNA, RESULT, HEADER, "PID|1||||Ivanov^Boris").claims

    assert len(claims.subjects) == 2


def test_a_segment_that_has_no_table_is_written_by_number() -> None:
    odd = "ZZZ|1|22^Inpatient^HL70004|20240506070800||x^1.2.3.4^ISO"

    line = "Segment ZZZ: field 1: 1; field 2: Inpatient; field 3: 2024-05-06 07:08; field 5: x"
    assert line in read(HEADER, ANNA, odd).text.split("\n")


def test_a_report_in_many_lines_is_named_once_and_escapes_are_resolved() -> None:
    lines = [rf"OBX|{n}|FT|R^Report^L||Line {n} \T\ more\.br\next" for n in (1, 2)]

    text = read(HEADER, ANNA, *lines).text

    assert text.count("Report") == 1
    assert "Line 2 & more\nnext" in text


def test_an_attached_report_is_read_and_one_that_cannot_be_is_told() -> None:
    note = "OBX|1|ED|N^Note^L||LAB^TEXT^PLAIN^Base64^U2VlbiB0b2RheS4="

    assert "Seen today." in read(HEADER, ANNA, note).text
    assert read(HEADER, ANNA, "OBX|1|ED|N||x").warnings == ("attachment_not_read",)


def test_a_batch_is_cut_into_one_part_for_each_patient() -> None:
    batch = ["FHS|^~\\&|N", "BHS|^~\\&|N", HEADER, ANNA, RESULT, HEADER, BORIS, HEADER, ANNA]
    data = "\r".join([*batch, "BTS|3", "FTS|1"]).encode()

    parts = [parse(part.cut(data), "a.hl7", 10**6) for part in split(data, "a.hl7")]

    assert [len(part.claims.subjects) for part in parts] == [1, 1]
    assert parts[0].text.count("HL7 message") == 2
    assert "Boris" not in parts[0].text
    assert "Anna" not in parts[1].text


def test_results_of_several_patients_in_one_message_are_cut_before_each() -> None:
    data = "\r".join([HEADER, ANNA, RESULT, BORIS, RESULT]).encode()

    parts = [parse(part.cut(data), "a.hl7", 10**6) for part in split(data, "a.hl7")]

    assert [part.claims.subjects[0][0].value for part in parts] == ["M-1", "M-2"]
    assert all("7.2 %" in part.text for part in parts)


def test_a_merge_of_two_patients_is_about_both() -> None:
    data = "\r".join([HEADER.replace("ORU^R01", "ADT^A24"), ANNA, BORIS]).encode()

    assert split(data, "a.hl7") == ()
    assert len(parse(data, "a.hl7", 10**6).claims.subjects) == 2


@pytest.mark.parametrize("data", [b"MSH|\rPID|1", b"MSH|^^^^^^^^^|\rPID|1", b"FHS|^~\\&\rBHS|x"])
def test_a_header_without_delimiters_is_put_aside(data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse(data, "a.hl7", 1000)

    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("seed", range(10))
def test_no_damage_breaks_the_reader(seed: int) -> None:
    random = Random(seed)
    whole = "\r".join([HEADER, ANNA, RESULT, "NTE|1||x", "ZZZ|a^b&c~d", BORIS]).encode()
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(random.randrange(1, 8)):
            data[random.randrange(8, len(data))] = random.choice(b"|^~\\&\r\n\x00M\xff1")
        try:
            split(bytes(data), "a.hl7")
            parse(bytes(data), "a.hl7", 10**6)
        except ParseError as error:
            if error.reason not in {"malformed", "no_text"}:
                raise
