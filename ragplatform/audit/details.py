"""What a detail of a record may be: types narrow enough that no sentence of a document fits one.

Each type refuses by form alone, and no message repeats the value that was refused.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ragplatform.model import Json

# Long enough for any id, digest or reason; too short for a passage to slip in unsealed.
LONGEST_DETAIL: Final = 256


class Kind(StrEnum):
    """The type of one detail."""

    ID = "id"
    """A name that this or another system gave: printable, on one line, 256 characters at most."""
    CODE = "code"
    """A word of this program or of its policies: 64 characters at most."""
    DIGEST = "digest"
    """A digest or keyed reference: 8 to 128 characters, none of them a space."""
    COUNT = "count"
    """A whole number, 0 or more."""
    FLAG = "flag"
    """True or false."""
    MOMENT = "moment"
    """A moment as RFC 3339 writes it, with its zone."""
    COUNTS = "counts"
    """For each of some codes, how many."""
    NOTE = "note"
    """A sentence of this program or of the policy engine: 256 characters at most, no content."""
    PART = "part"
    """An object with details of its own."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One detail that an event may carry. ``many``: a list of that kind, which may be empty.

    One that is not ``required`` may be absent or null. ``parts`` are those of kind ``PART``.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = True
    many: bool = False
    parts: tuple["Detail", ...] = ()
    known: Mapping[str, "Detail"] = field(init=False, repr=False, compare=False)
    needed: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Looked up for each passage of each record.
        object.__setattr__(self, "known", by_name(self.parts))
        object.__setattr__(self, "needed", tuple(one.name for one in self.parts if one.required))

    @property
    def type_name(self) -> str:
        """The type as the documentation writes it."""
        return f"list of {self.kind}" if self.many else str(self.kind)


_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+ -]{0,63}")
_DIGEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:+/=.-]{7,127}")
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
# What an id looks like that a caller gave and nobody has looked up.
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,63}")


def unverified_id(text: str) -> str | None:
    """Return a caller's word for an id if it looks like one, else None.

    What a caller writes where an id belongs may be a name or a sentence: it is not recorded.
    """
    return text if _PLAIN_ID.fullmatch(text) else None


def recordable(text: str, longest: int = 128) -> str:
    """Return a caller's word as a detail of kind ``ID`` can hold it: short and printable."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text[:longest])


def check(given: Mapping[str, Json], known: Mapping[str, Detail], required: Iterable[str]) -> None:
    """Refuse details that are not those of the vocabulary.

    Raises ``ValueError`` or ``TypeError`` that names the detail, never its value.
    """
    for name in required:
        if given.get(name) is None:
            raise ValueError(f"the detail {name!r} is missing")
    for name, value in given.items():
        detail = known.get(name)
        if detail is None:
            # The name may be what must not be written anywhere.
            raise ValueError(f"one of {len(given)} details is none of {', '.join(known) or 'none'}")
        if value is None and not detail.required:
            continue
        if not detail.many:
            _check_one(detail, value)
        elif isinstance(value, list | tuple):
            for one in value:
                _check_one(detail, one)
        else:
            raise TypeError(f"the detail {name!r} is no list")


def by_name(details: Sequence[Detail]) -> dict[str, Detail]:
    """Return the details by their names."""
    return {detail.name: detail for detail in details}


def _check_one(detail: Detail, value: Json) -> None:
    kind = detail.kind
    if kind is Kind.PART:
        if not isinstance(value, Mapping):
            raise TypeError(f"the detail {detail.name!r} holds something that is no object")
        check(value, detail.known, detail.needed)
    elif kind is Kind.COUNTS:
        if not isinstance(value, Mapping) or not all(
            isinstance(code, str) and _CODE.fullmatch(code) and _is_count(count)
            for code, count in value.items()
        ):
            raise ValueError(f"the detail {detail.name!r} does not count codes")
    elif not _fits(kind, value):
        raise ValueError(f"the detail {detail.name!r} is no {kind}")


def _fits(kind: Kind, value: Json) -> bool:
    if kind is Kind.COUNT:
        return _is_count(value)
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if kind is Kind.CODE:
        return _CODE.fullmatch(value) is not None
    if kind is Kind.DIGEST:
        return _DIGEST.fullmatch(value) is not None
    if kind is Kind.MOMENT:
        return _MOMENT.fullmatch(value) is not None
    return 1 <= len(value) <= LONGEST_DETAIL and (kind is Kind.NOTE or value.isprintable())


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
