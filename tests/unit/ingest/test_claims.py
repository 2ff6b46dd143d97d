"""What a document says of itself adds to what people say of it, and never opens anything."""

from pathlib import Path

import pytest

from ingest.claims import labelled, mapping
from ingest.expand import cut, pieces
from ingest.parse.document import Claims, Part, SubjectId
from ingest.parse.route import parse
from ingest.sources import GivenLabels, SourceFile, find
from ragplatform.errors import ConfigurationError, ParseError
from ragplatform.model import Sensitivity

ANNA = (SubjectId("mrn", "M-1", "urn:h"), SubjectId("patient", "a1"))
BORIS = (SubjectId("mrn", "M-2", "urn:other"),)


def test_a_given_subject_outranks_the_files_own() -> None:
    given = GivenLabels(subjects=frozenset({"mrn:MH-9"}))

    assert labelled(given, Claims(subjects=(ANNA,))).subjects == {"mrn:MH-9"}


def test_a_source_whose_claims_are_not_believed_adds_nothing() -> None:
    given = GivenLabels(claims=False)

    assert labelled(given, Claims(subjects=(ANNA,), markings=frozenset({"vip"}))) == given


def test_a_marking_closes_further_and_never_opens() -> None:
    secret = GivenLabels(sensitivity=Sensitivity.RESTRICTED, restrictions=frozenset({"sar"}))
    public = GivenLabels(sensitivity=Sensitivity.PUBLIC)
    claims = Claims(markings=frozenset({"restricted", "part2"}))

    assert labelled(secret, Claims()) == secret
    assert labelled(secret, claims).restrictions == {"sar", "part2"}
    assert labelled(public, claims).sensitivity is Sensitivity.RESTRICTED


def test_one_person_is_one_subject_and_several_are_restricted_as_such() -> None:
    one = labelled(GivenLabels(), Claims(subjects=(ANNA,)))
    both = labelled(GivenLabels(), Claims(subjects=(ANNA, BORIS)))

    assert (one.subjects, one.restrictions) == ({"mrn:M-1"}, frozenset())
    assert both.subjects == {"mrn:M-1", "mrn:M-2"}
    assert both.restrictions == {"mixed-subjects"}


RESOURCES = b'{"resourceType": "Patient", "id": "1"}, {"resourceType": "Patient", "id": "2"}'


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.json", b"[" + RESOURCES + b"]"),
        ("inside.json", b'{"entries": [' + RESOURCES + b"]}"),
        ("wide.json", ("[" + RESOURCES.decode() + "]").encode("utf-16")),
        ("later.ndjson", b'{"a": 1}\n{"resourceType": "Patient", "id": "2"}\n'),
        ("fhir.xml", b'<Patient xmlns="http://hl7.org/fhir"><id value="1"/></Patient>'),
        ("headless.txt", b"PID|1||123^^^MR||LOPEZ^MARIA\r"),
    ],
)
def test_records_in_a_form_that_does_not_say_whose_are_open_to_no_relation(
    name: str, data: bytes
) -> None:
    claims = parse(data, name, 10_000).claims

    assert labelled(GivenLabels(), claims).restrictions == {"mixed-subjects"}
    known = GivenLabels(subjects=frozenset({"mrn:MH-9"}))
    assert labelled(known, claims) == known


def test_a_mapping_says_which_systems_count() -> None:
    given = GivenLabels(id_systems=(("urn:h", "north"),))

    both = labelled(given, Claims(subjects=(ANNA, BORIS)))

    # No relation can name the second by accident, and the first is not alone.
    assert both.subjects == {"north:M-1", "mrn:urn:other|M-2"}
    assert both.restrictions == {"mixed-subjects"}
    assert list(mapping(given)) == ["urn:h=north"]
    assert list(mapping(GivenLabels())) == []


def test_rules_carry_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_text("x")
    rule = '[[rule]]\nmatch = "*.hl7"\nclaims = false\nid_systems = { "urn:h" = "mrn" }\n'
    (tmp_path / "labels.toml").write_text(rule)

    [source] = find([tmp_path], GivenLabels())

    assert not source.labels.claims
    assert source.labels.id_systems == (("urn:h", "mrn"),)


@pytest.mark.parametrize("wrong", ['claims = "no"', 'id_systems = ["mrn"]'])
def test_a_rule_with_a_wrong_mapping_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "a.hl7").write_text("x")
    (tmp_path / "labels.toml").write_text(f'[[rule]]\nmatch = "*"\n{wrong}\n')

    with pytest.raises(ConfigurationError):
        list(find([tmp_path], GivenLabels()))


class Halves:
    """Cuts every file in two; refuses what is called bad."""

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        if name == "bad.json":
            raise ParseError("malformed", "no")
        middle = len(data) // 2
        return (Part("1", ((0, middle),)), Part("2", ((middle, len(data)), (0, 1))))


def pieces_of(path: Path, data: bytes) -> list[tuple[str, bytes | None]]:
    source = SourceFile(path, path.name, GivenLabels())
    found = cut(source, data, splitter=Halves())
    return [(one.name, one.content) for one in pieces(source, data, found)]


def test_a_file_that_can_be_cut_gives_its_parts() -> None:
    found = pieces_of(Path("a.json"), b"abcd")

    assert found == [("a.json#1", b"ab"), ("a.json#2", b"cd\na")]


@pytest.mark.parametrize("name", ["b.pdf", "bad.json"])
def test_a_file_that_cannot_be_cut_stays_whole(name: str) -> None:
    assert pieces_of(Path(name), b"abcd") == []


def test_a_part_is_not_cut_again() -> None:
    part = SourceFile(Path("a.json"), "a.json#1", GivenLabels(), b"ab", is_part=True)

    assert cut(part, b"ab", splitter=Halves()) == ()
