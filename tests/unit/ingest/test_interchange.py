"""Records about several people are taken in apart, each under the person it is about."""

import json
from pathlib import Path

import pytest

from ragplatform.model import Sensitivity
from ragplatform.privacy.vault import Vault
from tests.ingest_crash import DIM, MASTER, Fuse, RecordParser, erase, ingest
from tests.stored import Stored, look

HL7 = "MSH|^~\\&|LAB|N|E|N|20240506||ORU^R01|1|P|2.5\rPID|1||{}^^^N^MR\rOBX|1|NM|1^Pulse^L||{}|/min"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def run(files: Path) -> Stored:
    data = files.parent / "data"
    ingest(files, data, Fuse(), parser=RecordParser())
    return look(data, dim=DIM, master=MASTER)


def reference(files: Path, raw: str) -> str:
    vault = Vault(f"sqlite:///{files.parent / 'data/catalog.db'}", master=MASTER)
    try:
        return vault.subject_ref("mercy", raw)
    finally:
        vault.close()


def bundle(*people: str) -> str:
    resources = []
    for one in people:
        number = {"type": {"coding": [{"code": "MR"}]}, "value": one}
        resources.append({"resourceType": "Patient", "id": f"p{one}", "identifier": [number]})
        text = {"text": f"Pulse of {one}"}
        about = {"reference": f"Patient/p{one}"}
        resources.append({"resourceType": "Observation", "code": text, "subject": about})
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})


def test_each_patient_of_a_bulk_file_has_passages_of_their_own(files: Path) -> None:
    (files / "bulk.json").write_text(bundle("1", "2", "3"))

    stored = run(files)

    refs = {reference(files, f"mrn:{one}") for one in "123"}
    assert len(stored.documents) == 3
    assert {passage.subjects for passage in stored.passages.values()} == {
        frozenset({ref}) for ref in refs
    }
    assert stored.wrong_after_a_run() == []


def test_erasing_one_patient_of_a_file_leaves_the_others(files: Path) -> None:
    (files / "batch.hl7").write_text("\r".join(HL7.format(one, 70) for one in ("1", "2")))
    run(files)

    erase(files.parent / "data", Fuse())

    after = look(files.parent / "data", dim=DIM, master=MASTER)
    [left] = {passage.subjects for passage in after.passages.values()}
    assert left == {reference(files, "mrn:2")}


def test_what_people_say_of_a_file_outranks_the_file(files: Path) -> None:
    (files / "a.hl7").write_text(HL7.format("1", 70))
    (files / "labels.toml").write_text('[[rule]]\nmatch = "*"\nsubjects = ["mrn:9"]\n')

    stored = run(files)

    [subjects] = {passage.subjects for passage in stored.passages.values()}
    assert subjects == {reference(files, "mrn:9")}


def test_a_file_that_is_not_believed_names_nobody(files: Path) -> None:
    (files / "a.hl7").write_text(HL7.format("1", 70))
    (files / "labels.toml").write_text('[[rule]]\nmatch = "*"\nclaims = false\n')

    [subjects] = {passage.subjects for passage in run(files).passages.values()}

    assert subjects == frozenset()


def test_a_message_about_two_people_is_restricted_as_such(files: Path) -> None:
    swap = HL7.format("1", 70).replace("ORU^R01", "ADT^A17") + "\rPID|2||2^^^N^MR"
    (files / "a.hl7").write_text(swap)

    [labels] = {passage.labels for passage in run(files).passages.values()}

    assert labels.restrictions == {"mixed-subjects"}


def test_a_marked_record_is_kept_closer_than_its_source(files: Path) -> None:
    note = {"resourceType": "Basic", "id": "1", "code": {"text": "A note"}}
    marked = {**note, "meta": {"security": [{"code": "R"}, {"code": "ETH"}]}}
    (files / "a.json").write_text(json.dumps(marked))

    [labels] = {passage.labels for passage in run(files).passages.values()}

    assert (labels.sensitivity, labels.restrictions) == (Sensitivity.RESTRICTED, {"part2"})


def test_running_again_changes_nothing_unless_the_mapping_does(files: Path) -> None:
    (files / "a.hl7").write_text(HL7.format("1", 70))
    first = run(files)
    assert run(files).same_as(first)
    (files / "labels.toml").write_text('[[rule]]\nmatch = "*"\nid_systems = { "N" = "north" }\n')

    after = run(files)

    assert {p.subjects for p in after.passages.values()} == {
        frozenset({reference(files, "north:1")})
    }
    assert after.wrong_after_a_run() == []
