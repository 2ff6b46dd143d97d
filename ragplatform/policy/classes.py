"""Access classes: documents with equal labels share one, named by the labels' hash."""

import hashlib
import re
from datetime import date
from functools import lru_cache
from typing import Final

from ragplatform.errors import InvalidRequestError
from ragplatform.labels import canonical_labels
from ragplatform.model import Category, Labels, Sensitivity

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


# A pure function of its argument, so remembering it can never give a stale verdict.
@lru_cache(maxsize=16_384)
def access_class(labels: Labels) -> str:
    """Return the access class of these labels, 64 lowercase hexadecimal digits."""
    return hashlib.sha256(canonical_labels(labels).encode()).hexdigest()


def validate_labels(labels: Labels) -> None:
    """Do nothing for labels that are fit to be stored and decided about.

    Raises ``InvalidRequestError`` naming the field. Which restrictions exist is policy, not form:
    see ``base.known-restrictions``.
    """
    for field, value in (
        ("tenant", labels.tenant),
        ("collection", labels.collection),
        ("state", labels.state),
    ):
        _require_name(field, value)
    if labels.department:
        _require_name("department", labels.department)
    for restriction in sorted(labels.restrictions):
        _require_name("restrictions", restriction)
    if labels.retain_until and not _is_day(labels.retain_until):
        raise InvalidRequestError("retain_until is no day such as 2031-12-31")
    if not isinstance(labels.sensitivity, Sensitivity):
        raise InvalidRequestError(
            f"sensitivity must be one of {[level.name.lower() for level in Sensitivity]}"
        )
    if not all(isinstance(category, Category) for category in labels.categories):
        raise InvalidRequestError(f"categories must be of {[kind.value for kind in Category]}")


def _is_day(text: str) -> bool:
    try:
        # ISO 8601 has other forms too; only this one compares as text.
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _require_name(field: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise InvalidRequestError(
            f"{field} {value!r} is no name: use 1 to 63 of a-z, 0-9, '_' and '-', "
            "the first a letter or digit"
        )
