"""DICOM headers and structured reports become text; pixels never do."""

import io
from random import Random

import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.route import parse
from ragplatform.errors import ParseError


def code(meaning: str, value: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning, item.CodeValue, item.CodingSchemeDesignator = meaning, value, scheme
    return item


def node(kind: str, name: Dataset, **values: object) -> Dataset:
    item = Dataset()
    item.ValueType, item.ConceptNameCodeSequence = kind, [name]
    for key, value in values.items():
        setattr(item, key, value)
    return item


def saved(**values: object) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset("x", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.PatientID, dataset.PatientName = "M-1", "Aberg^Anna^B^Ms."
    dataset.PatientBirthDate, dataset.StudyDate, dataset.Modality = "19610402", "20240506", "SR"
    for key, value in values.items():
        setattr(dataset, key, value)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def read(data: bytes) -> ParsedDocument:
    return parse(data, "a.dcm", 1_000_000)


def test_the_header_reads_with_the_labels_that_people_write() -> None:
    lines = read(saved(StudyDescription="CT chest")).text.split("\n")

    for line in (
        "DICOM SR CT chest",
        "MRN: M-1",
        "Patient name: Ms. Anna B Aberg",
        "Date of birth: 1961-04-02",
        "Study Date: 2024-05-06",
    ):
        assert line in lines


def test_a_report_reads_as_sections_with_its_measurements() -> None:
    measured = Dataset()
    measured.NumericValue = "12.5"
    measured.MeasurementUnitsCodeSequence = [code("millimeter", "mm", "UCUM")]
    size = node("NUM", code("Diameter", "81827009", "SCT"), MeasuredValueSequence=[measured])
    note = node("TEXT", code("Finding", "121071", "DCM"), TextValue="A nodule.")
    section = node("CONTAINER", code("Findings", "121070", "DCM"), ContentSequence=[note, size])

    document = read(saved(ContentSequence=[section]))

    assert "Finding (DCM 121071): A nodule." in document.text
    assert "Diameter (SNOMED CT 81827009): 12.5 mm" in document.text
    assert "Findings (DCM 121070)" in [heading.title for heading in document.headings]


def test_the_patient_is_claimed_with_who_gave_the_number_out() -> None:
    claims = read(saved(IssuerOfPatientID="NORTH")).claims

    assert claims.subjects == ((SubjectId("mrn", "M-1", "NORTH"),),)
    assert (claims.date, claims.type) == ("2024-05-06", "DICOM SR")


def test_a_patient_without_a_number_is_still_somebody() -> None:
    claims = read(saved(PatientID="")).claims

    assert claims.subjects == ((SubjectId("unknown", "Ms. Anna B Aberg"),),)


def test_private_fields_and_pixels_are_left_out() -> None:
    data = saved(Rows=1, Columns=1, BitsAllocated=8, PixelData=b"PIXELS")

    assert "PIXELS" not in read(data).text


@pytest.mark.parametrize("data", [saved()[:200], saved()[:132] + b"\xff" * 40])
def test_a_damaged_object_is_put_aside(data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        read(data)

    assert caught.value.reason in {"malformed", "no_text"}


@pytest.mark.parametrize("seed", range(6))
def test_no_damage_breaks_the_reader(seed: int) -> None:
    random = Random(seed)
    whole = saved(ContentSequence=[node("TEXT", code("a", "b", "c"), TextValue="x")])
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(random.randrange(1, 8)):
            data[random.randrange(132, len(data))] = random.randrange(256)
        try:
            read(bytes(data))
        except ParseError as error:
            if error.reason not in {"malformed", "no_text", "resource_limit"}:
                raise
