"""The port of configured sources: list what is there or what changed, and read one thing of it.

A source translates and decides nothing: labels come from the configuration (``mapping``), what is
read again from the ledger (``taking``). What it holds may be hostile: names are checked by
``safe_name``, reads are bounded, listings are streamed.
"""

import unicodedata
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from ragplatform.errors import QuarantinedError

# Windows and S3 end earlier, Linux at 4,096 bytes; nothing longer was ever a name.
LONGEST_NAME: Final = 1024
# Marks, embeddings, overrides and isolates: the name would be shown as another one.
_MISLEADING: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Control characters, and the surrogates that stand for bytes of a file name that are no text.
_NO_TEXT: Final = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a source has. Names and facts may hold personal data.

    ``name`` is stable below the source, its parts divided by ``/``; its ending tells the format
    where the content does not. ``version`` is a word that changes whenever the content may have
    changed, and never else where the source knows better. ``size`` is in bytes, None where the
    source does not say: it may lie. ``facts`` are what the source says of it otherwise, as pairs
    that mapping rules look at: owner, group, tags, mail folder; a key may stand several times.
    ``unread`` says why facts are missing: whatever they would have said, the thing is put aside.
    """

    name: str = field(repr=False)
    version: str
    size: int | None = None
    modified: str = ""
    facts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """The name of something that a source had and has no more, as change feeds tell it."""

    name: str = field(repr=False)


Entries = Generator[Found | Gone, None, str]


class Listing:
    """What a source has, or what has changed in it: to be gone through once.

    ``complete`` says that what is not named is not there; else only what changed is named.
    ``cursor`` and ``through`` hold when all was gone through without an error, never before: a
    listing that broke off removes nothing and moves no cursor.
    """

    def __init__(self, entries: Entries, *, complete: bool) -> None:
        """``entries`` returns the cursor for next time, ``""`` where a source keeps none."""
        self._entries = entries
        self.complete = complete
        self.cursor = ""
        self.through = False

    def __iter__(self) -> Iterator[Found | Gone]:
        self.cursor = yield from self._entries
        self.through = True


class Source(Protocol):
    """One place with documents. Not for several threads at once.

    Every method raises ``SourceError`` when the place is away, refuses us or answers what cannot
    be understood, ``EgressBlockedError`` when it lies outside the allowed networks.
    """

    def list(self, cursor: str) -> Listing:
        """Return what is there; with a cursor of an earlier listing, what changed since.

        A source may answer a cursor that it no longer understands with a complete listing, and
        always answers ``""`` with one. The same name is given once. Names that ``safe_name``
        refuses are given too: whoever takes them puts them aside.
        """

    def read(self, found: Found, limit: int) -> bytes:
        """Return the content, if it is what was listed.

        Raises ``MovedOnError`` when it is another version or gone: the next run will meet it;
        ``UnreadableError`` when the source does not let us read this one; ``QuarantinedError``
        ``too_large`` as soon as more than ``limit`` bytes come, whatever size was listed, and with
        another reason for what can never be read.
        """

    def close(self) -> None:
        """Close connections. Calling it again does nothing."""


def too_large(limit: int) -> QuarantinedError:
    """Return the error for content of more than ``limit`` bytes."""
    return QuarantinedError("too_large", f"the source gives more than {limit:,} bytes")


def safe_name(name: str) -> bool:
    """Return whether it is a relative path that leads nowhere else and looks like what it is.

    Names from a bucket, a server or a mailbox are data. One that is absolute, climbs, has an empty
    part, or holds control characters, bidirectional overrides or bytes that are no text is no
    document's.
    """
    if not name or len(name) > LONGEST_NAME:
        return False
    if any(part in {"", ".", ".."} for part in name.replace("\\", "/").split("/")):
        return False
    return not any(one in _MISLEADING or unicodedata.category(one) in _NO_TEXT for one in name)
