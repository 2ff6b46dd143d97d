"""Labels that people give single documents by hand, in place of what their source says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json, Labels, Sensitivity
from ragplatform.policy.classes import validate_labels

KEYS: Final = ("sensitivity", "department", "restrictions", "retain_until", "state")


def relabelled(labels: Labels, changes: Mapping[str, Json]) -> Labels:
    """Return the labels with those in place that were given by hand; none change nothing.

    Raises ``InvalidRequestError`` for a label that is none, or a value outside its list.
    """
    for key, value in changes.items():
        labels = _changed(labels, key, value)
    validate_labels(labels)
    return labels


def opens(before: Labels, after: Labels) -> bool:
    """Return whether the new labels could let anybody read or erase what the old ones did not.

    Another department is another circle of readers, and counts as opening.
    """
    return (
        after.sensitivity < before.sensitivity
        or not before.restrictions <= after.restrictions
        or after.department != before.department
        or after.retain_until < before.retain_until
        or (after.state != before.state and after.state == "current")
    )


def _changed(labels: Labels, key: str, value: Json) -> Labels:
    if key == "restrictions" and isinstance(value, list | tuple):
        return replace(labels, restrictions=frozenset(map(str, value)))
    if not isinstance(value, str):
        raise InvalidRequestError(f"label {key!r}: wanted a word")
    if key == "sensitivity":
        try:
            return replace(labels, sensitivity=Sensitivity[value.upper()])
        except KeyError as error:
            known = ", ".join(level.name.lower() for level in Sensitivity)
            raise InvalidRequestError(f"sensitivity is one of {known}") from error
    if key == "department":
        return replace(labels, department=value)
    if key == "retain_until":
        return replace(labels, retain_until=value)
    if key == "state":
        return replace(labels, state=value)
    raise InvalidRequestError(f"label {key!r}: known are {', '.join(KEYS)}")
