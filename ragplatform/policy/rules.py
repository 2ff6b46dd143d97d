"""Reads Cedar files and refuses, with file and reason, whatever could decide wrongly later."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cedarpy

from ragplatform.errors import PolicyError
from ragplatform.model import Purpose
from ragplatform.policy.questions import Action

SCHEMA_NAME: Final = "schema.cedarschema"

# ``context.purpose`` in Cedar's JSON form.
_PURPOSE: Final = {".": {"left": {"Var": "context"}, "attr": "purpose"}}

_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,126}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy as people speak of it: its ``@id``, what it does, why, and where it stands."""

    id: str
    forbids: bool
    why: str
    file: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All policies of one folder, parsed and validated. ``digest`` changes with any byte.

    ``policies`` holds for each action and purpose only the policies that could decide or fail
    there: Cedar looks at every policy of a set at every request. ``bodies`` holds each as Cedar's
    JSON, by its ``@id``.
    """

    policies: Mapping[tuple[Action, Purpose], cedarpy.PolicySet] = field(repr=False)
    bodies: Mapping[str, Mapping[str, Any]] = field(repr=False)
    schema: cedarpy.Schema = field(repr=False)
    rules: Mapping[str, Rule]
    digest: str
    personal: bool
    """Whether some policy looks at who somebody is, and not at their attributes alone."""
    texts: Mapping[str, str] = field(repr=False)
    """The schema and every policy file as read, by name: what the digest is over."""


def read_rules(directory: Path) -> RuleBook:
    """Read ``schema.cedarschema`` and every ``*.cedar`` of the folder.

    Raises ``PolicyError`` with the file and the reason when one cannot be read or parsed, does
    not fit the schema, is a template, lacks ``@id`` or ``@why``, shares its ``@id`` with another,
    or when there is no policy at all.
    """
    schema_text = _read(directory / SCHEMA_NAME)
    try:
        schema = cedarpy.Schema.from_str(schema_text)
    except ValueError as error:
        raise PolicyError(f"{SCHEMA_NAME}: {error}") from error
    texts = {SCHEMA_NAME: schema_text}
    rules: dict[str, Rule] = {}
    parsed: dict[str, Any] = {}
    for path in sorted(directory.glob("*.cedar")):
        texts[path.name] = text = _read(path)
        for rule, body in _rules_of(path.name, text, schema):
            if rule.id in rules:
                raise PolicyError(
                    f"{path.name}: @id {rule.id!r} stands in {rules[rule.id].file} already"
                )
            rules[rule.id], parsed[rule.id] = rule, body
    if not rules:
        raise PolicyError(f"{directory}: no policy in any *.cedar file; at least one is needed")
    personal = any(map(_looks_at_who, parsed.values()))
    return RuleBook(_sliced(parsed), parsed, schema, rules, digest_of(texts), personal, texts)


def digest_of(texts: Mapping[str, str]) -> str:
    """Return the digest of a set of policies: its schema first, then its files by name."""
    names = [SCHEMA_NAME, *sorted(texts.keys() - {SCHEMA_NAME})]
    return hashlib.sha256(b"".join(_framed(name, texts[name]) for name in names)).hexdigest()


def _rules_of(file: str, text: str, schema: cedarpy.Schema) -> Iterator[tuple[Rule, Any]]:
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise PolicyError(f"{file}: {error}") from error
    if document["templates"]:
        # A template permits and forbids nothing until linked, which we never do: a forbid
        # written as one would silently be no forbid.
        raise PolicyError(f"{file}: templates (?principal, ?resource) are not supported")
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        raise PolicyError(f"{file}: " + "; ".join(_finding(result, e) for e in result.errors))
    for position, body in document["staticPolicies"].items():
        notes = body.get("annotations") or {}
        identity, why = notes.get("id"), notes.get("why")
        if not identity or not _ID.fullmatch(identity):
            raise PolicyError(f"{file}: {position} needs an @id of a-z, 0-9, '.' and '-'")
        if not why or not why.strip():
            raise PolicyError(f"{file}: {identity} needs a @why, one line in plain words")
        yield Rule(identity, body["effect"] == "forbid", why.strip(), file), body


def _finding(result: cedarpy.ValidationResult, error: cedarpy.ValidationError) -> str:
    name = result.id_annotations_by_policy_id.get(error.policy_id) or error.policy_id
    return f"{name}: {error.error}"


def bears(policy: Mapping[str, Any], action: Action, purpose: Purpose) -> bool:
    """Return whether the policy, as Cedar's JSON, could hold or fail there; in doubt, yes."""
    head = policy["action"]
    if head["op"] != "All":
        named = {one["id"] for one in head.get("entities", [head.get("entity", {"id": ""})])}
        # A name that is no action of ours is a group of actions, which may hold this one.
        if action not in named and named <= set(Action):
            return False
    first = next(iter(policy["conditions"]), None)
    if first is None or first["kind"] != "when":
        return True
    purposes = _first_asked(first["body"])
    return purposes is None or purpose in purposes


def _looks_at_who(part: Any) -> bool:
    """Return whether Cedar's JSON has the principal itself in it, or some person by name.

    What only reads ``principal.attribute`` cannot tell two people of equal attributes apart. In
    doubt, yes.
    """
    match part:
        case {".": {"left": {"Var": "principal"}}} | {"has": {"left": {"Var": "principal"}}}:
            return False
        case {"Var": "principal"} | {"type": "User"}:
            return True
        case dict():
            return any(map(_looks_at_who, part.values()))
        case list():
            return any(map(_looks_at_who, part))
    return False


def _sliced(
    parsed: Mapping[str, Any],
) -> dict[tuple[Action, Purpose], cedarpy.PolicySet]:
    sets: dict[tuple[str, ...], cedarpy.PolicySet] = {}
    sliced = {}
    for action in Action:
        for purpose in Purpose:
            names = tuple(name for name, body in parsed.items() if bears(body, action, purpose))
            if names not in sets:
                sets[names] = _policy_set({name: parsed[name] for name in names})
            sliced[action, purpose] = sets[names]
    return sliced


def _first_asked(body: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the purposes beyond which the condition is false, or None if that is unknown.

    Only what is evaluated first counts. An operand further right would be just as false, but one
    before it might fail, and a failure must deny.
    """
    match body:
        case {"&&": {"left": left}}:
            return _first_asked(left)
        case {"||": {"left": left, "right": right}}:
            one, other = _first_asked(left), _first_asked(right)
            return None if one is None or other is None else one | other
        case {"==": {"left": asked, "right": {"Value": str(value)}}} if asked == _PURPOSE:
            return frozenset({value})
        case {"contains": {"left": {"Set": list(values)}, "right": asked}} if asked == _PURPOSE:
            texts = [value.get("Value") for value in values]
            return frozenset(texts) if all(isinstance(text, str) for text in texts) else None
    return None


def _policy_set(parsed: Mapping[str, Any]) -> cedarpy.PolicySet:
    """Build the set with each ``@id`` as Cedar's own id.

    From text Cedar numbers policies by position, and a position in a verdict or an audit record
    would mean another policy after the next edit.
    """
    document = {"staticPolicies": dict(parsed), "templates": {}, "templateLinks": []}
    try:
        return cedarpy.PolicySet.from_json_str(json.dumps(document))
    except ValueError as error:
        raise PolicyError(f"the policies do not form one set: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error


def _framed(name: str, text: str) -> bytes:
    # Lengths keep two files from being taken for one file with both texts.
    data = text.encode()
    return f"{name}\0{len(data)}\0".encode() + data
