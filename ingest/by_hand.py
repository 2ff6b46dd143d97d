"""Labels that people give single documents by hand, in place of what their source says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json, Labels, Sensitivity
from ragplatform.policy.classes import validate_labels

KEYS: Final = ("sensitivity", "department", "restrictions", "retain_until", "state")
# Beside those: the restrictions that people took away, which their source may say again.
_LIFTED: Final = "lifted_restrictions"


def relabelled(labels: Labels, changes: Mapping[str, Json]) -> Labels:
    """Return the labels with those in place that were given by hand; none change nothing.

    Raises ``InvalidRequestError`` for a label that is none, or a value outside its list.
    """
    for key, value in changes.items():
        if key != _LIFTED:
            labels = _changed(labels, key, value)
    validate_labels(labels)
    return labels


def put_on_again(labels: Labels, by_hand: Mapping[str, Json]) -> Labels:
    """Return what a source says now with the labels on it that people gave before.

    Its restrictions stay but for those that people took away by name: a legal hold that the source
    came to say since must not be undone by a list from before it.
    """
    after = relabelled(labels, by_hand)
    said = labels.restrictions - _words(by_hand.get(_LIFTED))
    return replace(after, restrictions=after.restrictions | said)


def given(
    before: Labels, earlier: Mapping[str, Json], changes: Mapping[str, Json]
) -> dict[str, Json]:
    """Return all that people gave a document by hand, once the changes are among it."""
    all_of_it = {**earlier, **changes}
    if "restrictions" in changes:
        known = before.restrictions | _words(earlier.get(_LIFTED))
        all_of_it[_LIFTED] = sorted(known - _words(changes["restrictions"]))
    return all_of_it


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


def _words(value: Json) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()
