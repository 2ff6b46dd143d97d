"""Synthea's patients (Apache-2.0) as the texts that a hospital's files hold, gold by field.

Every patient is written in every layout, and each Patient resource as its file has it. Facts that
are no identifier under Safe Harbor (state, country, sex, hospital) are neutral.

Source: 45 CFR 164.514(b)(2)(i) for which fields are gold.
"""

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from bench.privacy.examples import Example, Views
from bench.privacy.layouts import in_all_layouts, marked, unmarked

_IDENTIFIERS = {"MR": "mrn", "SS": "ssn", "DL": "licence", "PPN": "passport"}
# Where the Patient resource holds what: paths without positions.
_PATHS = {
    "id": "identifier",
    "identifier.value": "identifier",
    "birthDate": "birth",
    "deceasedDateTime": "death",
    "name.family": "family",
    "name.given": "given",
    "telecom.value": "phone",
    "address.line": "line",
    "address.city": "city",
    "address.postalCode": "zip",
    "address.state": "-state",
    "address.country": "-country",
    "address.extension.extension.valueDecimal": "coordinates",
    "extension.valueString": "mother",
    "extension.valueAddress.city": "birth_city",
    "extension.valueAddress.state": "-state",
    "extension.valueAddress.country": "-country",
}
# A number cannot hold a mark: it is written as a string, whose quotes go again.
_NUMBER = re.compile('"(' + marked("coordinates", '[^"]*') + ')"')
_MOST_VISITS = 6


def synthea(folder: Path, limit: int | None) -> Views:
    """Return every patient of the folder's bundles in every layout, and as FHIR."""
    examples = list[Example]()
    for path in sorted(folder.glob("*.json")):
        bundle = json.loads(path.read_text(encoding="utf-8"))
        resources = [entry["resource"] for entry in bundle["entry"]]
        patient = next((one for one in resources if one["resourceType"] == "Patient"), None)
        if patient is None:
            continue
        examples += in_all_layouts(_fields(patient, resources))
        # The narrative repeats the generator's name and seeds, which are no patient's.
        resource = {key: value for key, value in patient.items() if key != "text"}
        text = json.dumps(_marked(resource, ""), indent=1, ensure_ascii=False)
        examples.append(unmarked(_NUMBER.sub(r"\1", text)))
    return {"synthea_fhir": examples[:limit]}


def _marked(node: Any, path: str) -> Any:
    """Return a part of the resource with its identifying values marked, nothing else changed."""
    if isinstance(node, dict):
        return {key: _marked(value, f"{path}.{key}".lstrip(".")) for key, value in node.items()}
    if isinstance(node, list):
        return [_marked(value, path) for value in node]
    return marked(_PATHS[path], str(node)) if path in _PATHS else node


def _fields(patient: Mapping[str, Any], resources: list[Any]) -> dict[str, str | date]:
    name = patient["name"][0]
    address = patient["address"][0]
    fields: dict[str, str | date] = {
        "given": name["given"][0],
        "family": name["family"],
        "prefix": name.get("prefix", ["Mx."])[0],
        "line": ", ".join(address["line"]),
        "city": address["city"],
        "state": address["state"],
        "sex": patient["gender"],
        "birth": date.fromisoformat(patient["birthDate"]),
        "phone": patient["telecom"][0]["value"],
    }
    if "postalCode" in address:
        fields["zip"] = address["postalCode"]
    for one in patient["identifier"]:
        for code in one.get("type", {}).get("coding", ()):
            if field := _IDENTIFIERS.get(code["code"]):
                fields[field] = one["value"]
    for extension in patient["extension"]:
        if extension["url"].endswith("mothersMaidenName"):
            fields["mother"] = extension["valueString"]
        if extension["url"].endswith("birthPlace"):
            fields["birth_city"] = extension["valueAddress"]["city"]
    if len(patient["name"]) > 1:
        fields["maiden"] = patient["name"][1]["family"]
    if "deceasedDateTime" in patient:
        fields["death"] = date.fromisoformat(patient["deceasedDateTime"][:10])
    return {**fields, **_care(resources)}


def _care(resources: list[Any]) -> dict[str, str | date]:
    """Return who cared for the patient, and when and for what they came."""
    fields: dict[str, str | date] = {}
    for one in resources:
        kind = one["resourceType"]
        if kind == "Practitioner" and "doctor" not in fields:
            fields["doctor"] = f"{one['name'][0]['given'][0]} {one['name'][0]['family']}"
        if kind == "Organization" and "hospital" not in fields:
            fields["hospital"] = one["name"].title()
    visits = [one for one in resources if one["resourceType"] in {"Condition", "Procedure"}]
    for number, one in enumerate(visits[-_MOST_VISITS:], 1):
        when = one.get("onsetDateTime") or one["performedPeriod"]["start"]
        fields[f"visit{number}"] = date.fromisoformat(when[:10])
        fields[f"what{number}"] = one["code"]["text"]
    return fields
