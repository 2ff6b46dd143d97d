"""Which conditions of a policy fail for a question, told by asking Cedar about each by itself."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from ragplatform.errors import PolicyError

_HEAD: Final = {"op": "All"}
# Cedar writes brackets around every attribute; those of a call stay.
_BRACKETED: Final = re.compile(r"(?<!\w)\(((?:principal|resource|context)\.\w+)\)")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition that a policy asks for, as a policy of its own: it permits where it holds."""

    policy: str
    text: str
    alone: cedarpy.PolicySet


def conditions_of(identity: str, body: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return what must all hold for the policy to apply, in the order in which it asks.

    ``body`` is the policy as Cedar's JSON. Raises ``PolicyError`` when Cedar cannot read a part.
    """
    return tuple(
        _condition(identity, kind, part)
        for one in body["conditions"]
        for kind, part in _parts(one["kind"], one["body"])
    )


def _parts(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the parts of ``when { a && b }`` and of ``unless { a || b }``, which all must hold."""
    joint = "&&" if kind == "when" else "||"
    match body:
        case {**only} if set(only) == {joint}:
            yield from _parts(kind, only[joint]["left"])
            yield from _parts(kind, only[joint]["right"])
        case _:
            yield kind, body


def _condition(identity: str, kind: str, part: Mapping[str, Any]) -> Condition:
    policy = {
        "effect": "permit",
        "principal": _HEAD,
        "action": _HEAD,
        "resource": _HEAD,
        "conditions": [{"kind": kind, "body": part}],
        "annotations": {},
    }
    text = json.dumps({"staticPolicies": {"one": policy}, "templates": {}, "templateLinks": []})
    try:
        shown = cedarpy.policies_from_json_str(text)
        return Condition(identity, _plain(shown, kind), cedarpy.PolicySet.from_json_str(text))
    except ValueError as error:
        raise PolicyError(f"{identity}: a condition cannot be read by itself: {error}") from error


def _plain(shown: str, kind: str) -> str:
    """Return the condition's own text: ``context.related``, or ``not (...)`` for an unless."""
    inner = shown[shown.index("{") + 1 : shown.rindex("}")].strip()
    inner = _BRACKETED.sub(r"\1", inner)
    return inner if kind == "when" else f"not ({inner})"
