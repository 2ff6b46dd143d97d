"""Details that fit the vocabulary, made from it: one plain example of each action."""

from collections.abc import Sequence

from ragplatform.audit.details import Detail, Kind
from ragplatform.audit.events import Action
from ragplatform.audit.vocabulary import VOCABULARY
from ragplatform.model import Json

_EXAMPLES: dict[Kind, Json] = {
    Kind.ID: "c-17",
    Kind.CODE: "policy",
    Kind.DIGEST: "0123456789abcdef",
    Kind.COUNT: 3,
    Kind.FLAG: True,
    Kind.MOMENT: "2026-01-02T03:04:05.000006Z",
    Kind.COUNTS: {"US_SSN": 2},
    Kind.NOTE: "nothing permits it",
}


def sample(action: Action, *, whole: bool = False) -> dict[str, Json]:
    """Return details of the action: those that are required or, ``whole``, every one."""
    return _filled(VOCABULARY[action].details, whole=whole)


def _filled(details: Sequence[Detail], *, whole: bool) -> dict[str, Json]:
    return {one.name: _value(one, whole=whole) for one in details if one.required or whole}


def _value(detail: Detail, *, whole: bool) -> Json:
    one = _EXAMPLES.get(detail.kind)
    if detail.kind is Kind.PART:
        one = _filled(detail.parts, whole=whole)
    return [one] if detail.many else one
