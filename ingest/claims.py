"""How what a document says of itself joins the labels that people gave it.

A claim can name whom an unlabelled document is about, and close a document further; it never
replaces a given subject and never opens anything. Whoever may write a file could otherwise decide
who reads it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ingest.parse.document import MIXED_SUBJECTS, Claims, SubjectId
from ingest.sources import GivenLabels
from ragplatform.model import Sensitivity

_RESTRICTIONS: Final = frozenset({"part2", "psychotherapy", "vip"})


def labelled(given: GivenLabels, claims: Claims) -> GivenLabels:
    """Return the given labels, with what the claims add to them.

    Subjects are added only where none are given. A document that names several people is
    restricted as such, also when some of them are known under no accepted identifier, and so is one
    that holds records of people in a form that does not say whose.
    """
    if not given.claims:
        return given
    restrictions = given.restrictions | (claims.markings & _RESTRICTIONS)
    sensitivity = given.sensitivity
    if "restricted" in claims.markings:
        sensitivity = max(sensitivity, Sensitivity.RESTRICTED)
    subjects = given.subjects
    if not subjects:
        subjects = frozenset(_subject(ids, given) for ids in claims.subjects)
        # Policies let no relation open a document about several people; see policies/base.cedar.
        if len(claims.subjects) > 1 or MIXED_SUBJECTS in claims.markings:
            restrictions |= {MIXED_SUBJECTS}
    return replace(given, sensitivity=sensitivity, restrictions=restrictions, subjects=subjects)


def mapping(given: GivenLabels) -> Iterator[str]:
    """Yield what changes the effect of claims: nothing where all is as it is by default."""
    if not given.claims:
        yield "claims=false"
    for system, prefix in given.id_systems:
        yield f"{system}={prefix}"


def _subject(ids: tuple[SubjectId, ...], given: GivenLabels) -> str:
    """Return the raw id under which one person or account is known.

    One whose systems are all unknown is kept under a name that holds the system: no relation names
    it by accident, but its documents can be found and erased.
    """
    if not given.id_systems:
        return f"{ids[0].kind}:{ids[0].value}"
    prefixes = dict(given.id_systems)
    for one in ids:
        if prefix := prefixes.get(one.system) or prefixes.get(one.kind):
            return f"{prefix}:{one.value}"
    return f"{ids[0].kind}:{ids[0].system}|{ids[0].value}"
