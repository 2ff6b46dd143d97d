"""C-CDA documents keep their sections, tables and codes, and name their patients."""

import pytest

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.route import parse
from ragplatform.errors import ParseError

PATIENT = """<recordTarget><patientRole>
  <id root="2.16.840.1.113883.4.1" extension="999-21-9714"/><id root="1.2.3" extension="M-1"/>
  <addr><streetAddressLine>2 Elm St</streetAddressLine><city>Salem</city><state>MA</state></addr>
  <telecom value="tel:555-0101"/>
  <patient><name><given>Anna</given><family>Äberg</family></name><birthTime value="19610402"/>
  </patient></patientRole></recordTarget>"""
SECTION = """<component><section><title>Allergies</title><text>
  <paragraph>Seen in <content ID="r1">hives</content> clinic.</paragraph>
  <list><item>first</item><item>second <br/>line</item></list>
  <table><thead><tr><th>Substance</th><th>Reaction</th></tr></thead>
  <tbody><tr><td>Codeine</td><td><content>Rash</content></td></tr>
  <tr><td colspan="2">none other</td></tr></tbody></table></text>
  <entry><observation><code code="ASSERTION"/><effectiveTime><low value="20060501"/></effectiveTime>
  <value code="247472004" codeSystem="2.16.840.1.113883.6.96"><originalText>
  <reference value="#r1"/></originalText></value></observation></entry>
  <component><section><title>Inner</title><text>More.</text></section></component>
  </section></component>"""


def document(*inner: str, body: str = SECTION) -> bytes:
    parts = "".join(inner) or PATIENT
    return (
        '<?xml version="1.0"?><!-- made here --><ClinicalDocument xmlns="urn:hl7-org:v3">'
        '<code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary"/>'
        '<title>Health Summary</title><effectiveTime value="20240506"/>'
        f"{parts}<component><structuredBody>{body}</structuredBody></component>"
        "</ClinicalDocument>"
    ).encode()


def read(data: bytes) -> ParsedDocument:
    return parse(data, "a.xml", 1_000_000)


def test_sections_are_headings_and_table_rows_are_lines() -> None:
    found = read(document())

    titles = [(heading.level, heading.title) for heading in found.headings]
    assert titles == [(1, "Health Summary"), (2, "Allergies"), (3, "Inner")]
    for line in (
        "Document type: Summary (LOINC 34133-9)",
        "Patient name: Anna Äberg",
        "Address: 2 Elm St, Salem, MA",
        "Seen in hives clinic.",
        "- first",
        "Substance: Codeine; Reaction: Rash",
        "none other",
    ):
        assert line in found.text.split("\n")


def test_a_coded_statement_takes_its_name_from_the_narrative_it_refers_to() -> None:
    line = "Observation: hives (SNOMED CT 247472004), 2006-05-01"

    assert line in read(document()).text.split("\n")


def test_the_patient_is_claimed_under_the_record_number_first() -> None:
    claims = read(document()).claims

    assert claims.subjects == (
        (
            SubjectId("mrn", "M-1", "1.2.3"),
            SubjectId("ssn", "999-21-9714", "2.16.840.1.113883.4.1"),
        ),
    )
    assert (claims.date, claims.type) == ("2024-05-06", "Summary (LOINC 34133-9)")


def test_two_record_targets_are_two_people_even_without_numbers() -> None:
    other = "<recordTarget><patientRole><id nullFlavor='UNK'/></patientRole></recordTarget>"

    assert len(read(document(PATIENT, other)).claims.subjects) == 2


@pytest.mark.parametrize("code", ["R", "V"])
def test_a_confidential_document_asks_to_be_kept_closer(code: str) -> None:
    data = document(PATIENT, f'<confidentialityCode code="{code}"/>')

    assert read(data).claims.markings == {"restricted"}


def test_an_unstructured_document_gives_the_text_inside() -> None:
    body = '<nonXMLBody><text mediaType="text/plain" representation="B64">U2Vlbi4=</text>'
    data = document().replace(b"<structuredBody>", f"{body}</nonXMLBody><structuredBody>".encode())

    assert "Seen." in read(data).text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + document()[21:], "active_content"),
        (document()[:-30], "malformed"),
        (document(body="<section>" * 5000), "resource_limit"),
        (
            document(body="<component><section>" * 40 + "x" + "</section></component>" * 40),
            "resource_limit",
        ),
    ],
)
def test_hostile_or_damaged_xml_is_put_aside_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(data)

    assert caught.value.reason == reason
