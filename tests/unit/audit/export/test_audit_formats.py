"""Every kind of event is valid in every format, whatever names from outside hold."""

import csv
import hashlib
import io
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import cef, ecs, fhir_codes, fhir_r4, fhir_r5, ocsf, plain
from ragplatform.audit.export.formats import WRITERS, Format
from ragplatform.audit.export.kinds import kind_of
from ragplatform.audit.record import Record, canonical
from tests.sample_records import HOSTILE, records

SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture(scope="module", params=["success", "denied", "failure", "hostile"])
def every(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """A record of every action, with each outcome and with a hostile name."""
    folder = tmp_path_factory.mktemp("log")
    if request.param == "hostile":
        return records(folder, actor=HOSTILE)
    return records(folder, Outcome(request.param))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[Action, Record]:
    return {record.action: record for record in records(tmp_path_factory.mktemp("log"))}


def scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from scalars(inner)
    else:
        yield value


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text("utf-8"))
    return found


@pytest.mark.parametrize("action", Action)
def test_every_action_has_its_kind(action: Action) -> None:
    assert kind_of(action).family


def test_ocsf_events_fit_the_schema_of_their_class(every: list[Record]) -> None:
    published = schema("ocsf-1.9.0.json")

    for event in map(ocsf.event, every):
        one = published["classes"][str(event["class_uid"])] | {"$defs": published["$defs"]}
        jsonschema.Draft202012Validator(one).validate(event)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]


def test_an_ocsf_attestation_is_the_digest_of_the_event_without_it(every: list[Record]) -> None:
    for event in map(ocsf.event, every):
        value = event["attestation_list"][0].pop("fingerprint")["value"]

        assert hashlib.sha256(canonical(event)).hexdigest() == value
        assert not any(isinstance(value, float) for value in scalars(event)), "RFC 8785 differs"


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_fhir_events_are_audit_events_of_their_release(every: list[Record], release: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fhir.resources.auditevent import AuditEvent as InR5
        from fhir.resources.R4B.auditevent import AuditEvent as InR4B

    model, make = (InR4B, fhir_r4.event) if release == "R4" else (InR5, fhir_r5.event)
    for event in map(make, every):
        again = json.loads(model.model_validate_json(json.dumps(event)).model_dump_json())
        assert again["id"] == event["id"]


def test_a_viewed_source_fulfils_the_patterns_of_ihe(shown: dict[Action, Record]) -> None:
    event = fhir_r4.event(shown[Action.SOURCE_VIEWED])

    assert event["meta"]["profile"] == [
        f"{fhir_codes.BALP}/StructureDefinition/IHE.BasicAudit.Read"
    ]
    assert (event["type"]["code"], event["action"], event["outcome"]) == ("rest", "R", "0")
    assert "read" in codes(event["subtype"])
    assert len(entities(event, "2")) == 1
    assert {"110152", "110153", "IRCP"} <= set(agents(event))
    assert all(agents(event)[kind]["network"] for kind in ("110152", "110153"))


def test_a_disclosure_of_one_patient_fulfils_the_pattern_of_ihe(tmp_path: Path) -> None:
    event = fhir_r4.event(one_patient(tmp_path))

    assert event["meta"]["profile"][0].endswith("IHE.BasicAudit.PrivacyDisclosure.Source")
    assert (event["type"]["code"], event["action"]) == ("110106", "R")
    assert "disclose" in codes(event["subtype"])
    assert agents(event)["110153"]["who"] == event["source"]["observer"]
    assert agents(event)["110152"]["who"]
    [patient] = entities(event, "1")
    assert (patient["role"]["code"], patient["what"]["type"]) == ("1", "Patient")
    assert len(event["entity"]) >= 2


def test_no_profile_is_claimed_that_a_record_does_not_fulfil(every: list[Record]) -> None:
    for record in every:
        event = fhir_r4.event(record)
        claimed = event.get("meta", {}).get("profile", [""])[0]
        if claimed:
            assert event["outcome"] == "0"
            assert len(entities(event, "2")) == 1 or claimed.endswith("Source")


def one_patient(folder: Path) -> Record:
    from tests import sample_records as samples
    from tests.fakes_audit import event, open_log

    passage = samples.PASSAGES[0] | {"subjects": ["s-9f31"]}  # type: ignore[operator]
    with open_log(folder, origin="api.mercy") as log:
        log.append(event(action=Action.RETRIEVED, details={"passages": [passage]}))
    from ragplatform.audit.query import read

    return read(folder)[0]


def codes(codings: list[dict[str, str]]) -> set[str]:
    return {coding["code"] for coding in codings}


def agents(event: dict[str, Any]) -> dict[str, Any]:
    return {agent["type"]["coding"][0]["code"]: agent for agent in event["agent"]}


def entities(event: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entity for entity in event["entity"] if entity["type"]["code"] == kind]


# Header: seven fields parted by bars that no backslash stands before. Source: CEF version 25.
_CEF = re.compile(
    r"CEF:0\|(?P<header>(?:[^|\\]|\\\\|\\\|)*(?:\|(?:[^|\\]|\\\\|\\\|)*){4})\|(\d|10)\|(?P<rest>.*)"
)
_PAIR = re.compile(r"(\w+)=((?:[^=\\]|\\[\\=nr])*?)(?= \w+=|$)")
_KEYS = {"rt", "act", "cat", "outcome", "reason", "suid", "requestClientApplication", "fileId"} | {
    "deviceExternalId",
    "externalId",
    "dhost",
    *(f"cs{n}" for n in range(1, 7)),
    *(f"cs{n}Label" for n in range(1, 7)),
}


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), value)


def test_cef_lines_parse_back_to_keys_of_the_dictionary(every: list[Record]) -> None:
    for record in every:
        line = cef.line(record)
        assert line.splitlines() == [line]
        match = _CEF.fullmatch(line)
        assert match is not None
        pairs = dict(_PAIR.findall(match["rest"]))
        assert " ".join(f"{k}={v}" for k, v in pairs.items()) == match["rest"]
        assert set(pairs) <= _KEYS
        assert unescaped(pairs["cs5"]) == record.leaf.hex()
        assert all(len(unescaped(pairs[k])) <= n for k, n in cef.LENGTHS.items() if k in pairs)


def test_a_name_cannot_add_a_key_to_a_cef_line(tmp_path: Path) -> None:
    line = cef.line(records(tmp_path, actor="anna outcome=success|x\nCEF:0|evil")[0])

    assert r"suid=anna outcome\=success|x\nCEF:0|evil" in line


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def test_ecs_documents_hold_known_fields_with_values_that_are_expected(every: list[Record]) -> None:
    fields = schema("ecs-9.4.0.json")
    for document in map(ecs.event, every):
        for path, value in leaves(document):
            if path.startswith("ragplatform."):
                continue
            assert isinstance(value, list) == fields[path]["array"], path
            allowed = fields[path].get("values")
            assert not allowed or set(value if isinstance(value, list) else [value]) <= set(allowed)
        event = document["event"]
        expected = fields["event.category"]["values"][event["category"][0]]
        assert set(event["type"]) <= set(expected)


def test_json_lines_hold_all_but_the_sealed_text(every: list[Record]) -> None:
    for record in every:
        line = WRITERS[Format.NDJSON].text(record)
        found = json.loads(line)
        assert (found["actor"], found["leaf"]) == (record.actor, record.leaf.hex())
        assert found["details"] == record.details
        assert "who has it?" not in line


def test_csv_rows_read_back_and_none_begins_as_a_formula(every: list[Record]) -> None:
    text = plain.heading() + "".join(map(plain.row, every))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert [row["action"] for row in rows] == [str(record.action) for record in every]
    assert [int(row["index"]) for row in rows] == [record.index for record in every]
    assert not any(
        cell[:1] in {"=", "+", "-", "@", "\t", "\r"} for r in rows for cell in r.values()
    )


def test_a_formula_in_a_name_becomes_text(tmp_path: Path) -> None:
    [row, *_] = csv.DictReader(
        io.StringIO(plain.heading() + plain.row(records(tmp_path, actor="=1+1")[0]))
    )

    assert row["actor"] == "'=1+1"


@pytest.mark.parametrize("name", Format)
def test_each_record_takes_one_line_that_steers_no_terminal(
    every: list[Record], name: Format
) -> None:
    for record in every:
        text = WRITERS[name].text(record)
        if name is not Format.CSV:
            assert len(text.splitlines()) == 1
            assert "\x1b" not in text


@pytest.mark.parametrize("name", Format)
def test_every_format_leads_back_to_the_record(every: list[Record], name: Format) -> None:
    for record in every:
        text = WRITERS[name].text(record)
        assert record.leaf.hex() in text
        assert record.origin in text
        assert str(record.index) in text
