"""What was erased, by keyed marks alone: the document that it was, and the content that it had.

A row of the ledger says so too, for as long as there is one. A restored ledger has none of what was
taken in and erased after its backup; the marks stand in the audit log and are put back from there.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Final

import sqlalchemy as sa

from ingest.ledger_tables import GRAVES
from ragplatform.tables import insert

ERASED_BEFORE: Final = "erased_before"
"""Why a document is put aside that has the content of an erased one under another name."""

_BATCH: Final = 500


def content_mark(subject_ref: Callable[[str, str], str], tenant: str, sha256: str) -> str:
    """Return the keyed mark of a content: nobody without the key tells whose it was."""
    return subject_ref(tenant, f"content:{sha256}")


class Graves:
    """The marks in the ledger's database. Made by ``Ledger``, which says when its methods raise."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction

    def bury(self, tenant: str, document: str, contents: Collection[str] = ()) -> None:
        """Keep a document out from now on, and what has one of these marks under other names."""
        rows = [
            {"tenant": tenant, "mark": mark, "document": document}
            for mark in (document, *sorted(contents))
        ]
        with self._transaction() as connection:
            connection.execute(insert(connection.dialect, GRAVES).on_conflict_do_nothing(), rows)

    def among(self, tenant: str, marks: Collection[str]) -> frozenset[str]:
        """Return those of the marks that are of something erased."""
        found: set[str] = set()
        with self._transaction() as connection:
            for some in _batches(marks):
                here = sa.and_(GRAVES.c.tenant == tenant, GRAVES.c.mark.in_(some))
                found.update(connection.execute(sa.select(GRAVES.c.mark).where(here)).scalars())
        return frozenset(found)

    def contents_of(self, tenant: str, document: str) -> frozenset[str]:
        """Return the marks of the contents that an erased document had."""
        mine = sa.and_(GRAVES.c.tenant == tenant, GRAVES.c.document == document)
        with self._transaction() as connection:
            found = connection.execute(sa.select(GRAVES.c.mark).where(mine)).scalars()
            return frozenset(found) - {document}


def _batches(marks: Collection[str]) -> Iterator[list[str]]:
    rest = iter(sorted(marks))
    while batch := list(islice(rest, _BATCH)):
        yield batch
