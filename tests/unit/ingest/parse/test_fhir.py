"""FHIR resources become lines that a person can read, and name their patients."""

import json
from random import Random
from typing import Any

import pytest

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.interchange import split
from ingest.parse.kind import Kind
from ingest.parse.route import parse
from ragplatform.errors import ParseError

ANNA: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "a1",
    "identifier": [
        {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-21-9714"},
        {"type": {"coding": [{"code": "MR"}], "text": "MRN"}, "system": "urn:h", "value": "M-1"},
    ],
    "name": [{"family": "Äberg", "given": ["Anna"], "prefix": ["Ms."]}],
    "birthDate": "1961-04-02",
    "telecom": [{"system": "phone", "value": "555-0101", "use": "home"}],
    "address": [{"line": ["2 Elm St"], "city": "Salem", "state": "MA", "postalCode": "01970"}],
}
BORIS: dict[str, Any] = {"resourceType": "Patient", "id": "b2", "name": [{"text": "Boris"}]}
CLINIC: dict[str, Any] = {"resourceType": "Organization", "id": "o", "name": "Elm Clinic"}


def lab(whose: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "HbA1c"}],
            "text": "Hemoglobin A1c",
        },
        "subject": {"reference": f"Patient/{whose}"},
        "effectiveDateTime": "2024-05-06T07:08:00+02:00",
        "valueQuantity": {"value": 7.20, "unit": "%"},
        "performer": [{"reference": "Organization/o"}],
        **more,
    }


def bundle(*resources: dict[str, Any]) -> bytes:
    entries = [{"resource": one} for one in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def lines(*resources: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in resources).encode()


def read(data: bytes, name: str = "a.json") -> ParsedDocument:
    return parse(data, name, 1_000_000)


def test_a_result_is_one_line_with_its_code_and_its_references_resolved() -> None:
    document = read(bundle(ANNA, CLINIC, lab("a1")))

    assert "Hemoglobin A1c (HbA1c (LOINC 4548-4)): 7.2 %" in document.text
    assert "Subject: Ms. Anna Äberg" in document.text
    assert "Performer: Elm Clinic" in document.text
    assert "Effective: 2024-05-06 07:08" in document.text
    assert [h.title.split(":")[0] for h in document.headings] == [
        "Patient",
        "Organization",
        "Observation",
    ]


def test_identifiers_stand_behind_the_labels_that_people_write() -> None:
    text = read(json.dumps(ANNA).encode(), "patient.json").text

    assert "MRN: M-1" in text
    assert "SSN: 999-21-9714" in text
    assert "Phone (home): 555-0101" in text
    assert "Address: 2 Elm St, Salem, MA 01970" in text
    assert "Date of birth: 1961-04-02" in text


def test_the_patient_is_claimed_under_the_record_number_first() -> None:
    claims = read(bundle(ANNA, CLINIC, lab("a1"))).claims

    assert [ids[0] for ids in claims.subjects] == [SubjectId("mrn", "M-1", "urn:h")]
    assert claims.date == "2024-05-06"


def test_a_claim_is_dated_by_the_end_of_what_it_bills() -> None:
    claim = {
        "resourceType": "Claim",
        "id": "c1",
        "patient": {"reference": "Patient/a1"},
        "created": "2024-05-06",
        "billablePeriod": {"start": "2024-05-01", "end": "2024-06-30T10:00:00Z"},
    }

    claims = read(json.dumps(claim).encode()).claims

    assert (claims.date, claims.type) == ("2024-06-30", "Claim")


def test_a_resource_whose_patient_is_elsewhere_names_the_logical_id() -> None:
    claims = read(json.dumps(lab("a1")).encode()).claims

    assert claims.subjects == ((SubjectId("patient", "a1"),),)


def test_security_labels_become_markings() -> None:
    marked = lab("a1", meta={"security": [{"code": "R"}, {"code": "PSY"}, {"code": "ETH"}]})

    claims = read(json.dumps(marked).encode()).claims

    assert claims.markings == {"restricted", "psychotherapy", "part2"}


@pytest.mark.parametrize("write", [bundle, lines])
def test_a_file_about_several_patients_is_cut_so_that_nobody_sees_another(write: Any) -> None:
    data = write(ANNA, BORIS, CLINIC, lab("a1"), lab("b2"))

    parts = {part.key: read(part.cut(data)) for part in split(data, "bulk.ndjson")}

    assert parts.keys() == {"Patient/a1", "Patient/b2", "about-nobody"}
    assert "Anna Äberg" not in parts["Patient/b2"].text
    assert "Boris" not in parts["Patient/a1"].text
    # What both refer to goes with both.
    assert all("Elm Clinic" in parts[key].text for key in parts)
    assert len(parts["Patient/a1"].claims.subjects) == 1


def test_a_bundle_about_one_patient_stays_whole() -> None:
    assert split(bundle(ANNA, CLINIC, lab("a1")), "a.json") == ()


def test_a_bundle_in_a_bundle_is_never_taken_for_one_persons() -> None:
    inner = json.loads(bundle(BORIS, lab("b2")))

    data = bundle(ANNA, inner)

    assert split(data, "a.json") == ()
    assert len(read(data).claims.subjects) == 2


def test_a_resource_is_known_wherever_its_type_stands() -> None:
    last = {"meta": {"source": "x"}, "code": {"text": "A note"}, "resourceType": "Basic"}

    assert read(json.dumps(last).encode()).media_type == Kind.FHIR.value


def test_a_note_inside_a_resource_is_read() -> None:
    note = {
        "resourceType": "DocumentReference",
        "content": [{"attachment": {"contentType": "text/plain", "data": "U2VlbiB0b2RheS4="}}],
    }

    assert "Seen today." in read(json.dumps(note).encode()).text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"resourceType": "Patient", "id": ', "malformed"),
        (b'{"resourceType": "Bundle", "entry": [{"resource": {"id": "x"}}]}', "malformed"),
        (b'{"resourceType": "Patient", "meta": 7}', "malformed"),
        (b'{"resourceType": "Patient"}\n[]', "malformed"),
    ],
)
def test_what_is_no_sound_fhir_is_put_aside_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(data)

    assert caught.value.reason == reason


KEYS = (
    "value code system coding text reference start end low url family given line display data "
    "contentType extension valueString identifier concept status div unit resourceType id meta"
).split()


def anything(random: Random, depth: int = 0) -> Any:
    """Return a value of any shape below FHIR's own names."""
    if depth > 3 or random.random() < 0.4:
        return random.choice([None, True, 7, 1.5, "", "x", "urn:a", "Patient/a", "2024-01-01"])
    if random.random() < 0.3:
        return [anything(random, depth + 1) for _ in range(random.randrange(3))]
    keys = random.sample(KEYS, random.randrange(4))
    return {key: anything(random, depth + 1) for key in keys}


@pytest.mark.parametrize("seed", range(20))
def test_no_shape_of_any_field_breaks_the_reader(seed: int) -> None:
    random = Random(seed)
    names = sorted({*ANNA, *lab("a"), "contained", "text", "patient", "period"})
    for _ in range(60):
        resource = {name: anything(random) for name in random.sample(names, 5)}
        try:
            read(json.dumps({**resource, "resourceType": "Basic"}).encode(), "a.fhir")
        except ParseError as error:
            if error.reason not in {"malformed", "no_text", "unsupported_type"}:
                raise
