"""Makes the schemas beside it from what their makers publish.

    pip install ocsf-json-schema==1.2.0; npm pack @elastic/ecs@9.4.0; tar xzf elastic-ecs-9.4.0.tgz
    python make.py package

OCSF: the definitions of release 1.8.0, as that package holds them, and what release 1.9.0 adds for
its profile ``record_integrity`` (https://github.com/ocsf/ocsf-schema, pull request 1661), written
out below as far as exports use it: 1.9.0 as a whole is in no package yet, and a minor release takes
nothing away. Attributes that lead to objects which no export uses are left out, so the schema is
stricter than OCSF's.

ECS: names, types and values of the fields of release 9.4.0 in the sets below.

Both are under the Apache License 2.0.
"""

import json
import subprocess
import sys
from pathlib import Path

from ocsf_json_schema import OcsfJsonSchema, get_ocsf_schema

HERE = Path(__file__).parent
CLASSES = (
    "api_activity datastore_activity entity_management authentication application_lifecycle "
    "event_log_actvity network_activity detection_finding"
).split()
OBJECTS = (
    "metadata product actor user organization api service request network_endpoint object "
    "resource_details database observable managed_entity application finding_info fingerprint "
    "ai_model policy trace"
).split()
PROFILES = ["ai_operation", "trace"]
FIELD_SETS = set(
    "@timestamp destination ecs event gen_ai http log message organization related rule service "
    "trace user".split()
)


def string() -> dict:
    return {"type": "string"}


def local(name: str) -> dict:
    return {"$ref": f"#/$defs/{name}"}


ADDED = {
    "attestation": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "uid": string(),
            "authority_uid": string(),
            "chain_uid": string(),
            "fingerprint": local("fingerprint"),
            "prev_event": local("prev_event"),
        },
        "required": ["fingerprint"],
    },
    "prev_event": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "uid": string(),
            "type_uid": {"type": "integer"},
            "fingerprint": local("fingerprint"),
        },
        "required": ["uid"],
    },
}
ADDED_TO_FINGERPRINT = {
    "encoding": string(),
    "encoding_id": {"const": 1},  # Hex
    "serialization": string(),
    "serialization_id": {"enum": [1, 2]},  # Flat, JCS
}


def pruned(schema: dict) -> dict:
    """Return the schema without attributes of other objects, its references made local."""
    properties = {}
    for name, found in schema["properties"].items():
        holder = found.get("items", found)
        if "$ref" in holder:
            target = holder["$ref"].split("?")[0].rsplit("/", 1)[1]
            if target not in OBJECTS:
                if name in schema.get("required", []):
                    raise SystemExit(f"{schema['title']} needs {target}")
                continue
            holder["$ref"] = f"#/$defs/{target}"
        found.pop("title", None)
        properties[name] = found
    kept = {
        key: schema[key]
        for key in ("type", "required", "anyOf", "oneOf", "additionalProperties")
        if key in schema
    }
    return kept | {"properties": properties}


def ocsf() -> dict:
    published = OcsfJsonSchema(get_ocsf_schema("1.8.0"))
    defs = {name: pruned(published.get_object_schema(name, PROFILES)) for name in OBJECTS}
    defs["fingerprint"]["properties"] |= ADDED_TO_FINGERPRINT
    classes = {}
    for name in CLASSES:
        schema = pruned(published.get_class_schema(name, PROFILES))
        schema["properties"]["attestation_list"] = {"type": "array", "items": local("attestation")}
        classes[schema["properties"]["class_uid"]["const"]] = schema
    return {"version": "1.9.0", "classes": classes, "$defs": defs | ADDED}


def ecs(package: Path) -> dict:
    flat = package / "build" / "commonjs" / "ecs_flat.js"
    print_it = f"console.log(JSON.stringify(require({str(flat.resolve())!r}).EcsFlat))"
    fields = json.loads(subprocess.check_output(["node", "-e", print_it]))
    found = {}
    for name, field in fields.items():
        if name.split(".")[0] not in FIELD_SETS:
            continue
        found[name] = {"type": field["type"], "array": "array" in field["normalize"]}
        if values := field.get("allowed_values"):
            found[name]["values"] = {
                value["name"]: value.get("expected_event_types", []) for value in values
            }
    return found


def write(name: str, value: dict) -> None:
    text = json.dumps(value, indent=0, sort_keys=True, ensure_ascii=False)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write("ocsf-1.9.0.json", ocsf())
    write("ecs-9.4.0.json", ecs(Path(sys.argv[1])))
