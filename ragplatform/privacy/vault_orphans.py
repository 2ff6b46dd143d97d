"""Keys of the vault that nothing is kept under any more, and since when that was seen.

A key is retired at a second look, a day or so after the first, and only if nobody used it between:
whoever seals something makes or takes its key before there is anything to be seen.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import sqlalchemy as sa

from ragplatform.privacy.vault_tables import ORPHANS, SUBJECTS, of_subject
from ragplatform.tables import insert


class Orphans:
    """The marks in the vault's database. Made by ``Vault``, which says when its methods raise."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction

    def look(
        self, tenant: str, in_use: Collection[str], *, now: datetime, after: timedelta
    ) -> list[str]:
        """Mark the subjects that are not in use; return those that were so for that long."""
        with self._transaction() as connection:
            mine = sa.select(SUBJECTS.c.subject).where(SUBJECTS.c.tenant == tenant)
            unused = sorted(set(connection.execute(mine).scalars()) - set(in_use))
            marked = {
                row.subject: datetime.fromisoformat(row.since)
                for row in connection.execute(sa.select(ORPHANS).where(ORPHANS.c.tenant == tenant))
            }
            for subject in marked.keys() - set(unused):
                connection.execute(sa.delete(ORPHANS).where(of_subject(ORPHANS, tenant, subject)))
            fresh = [
                {"tenant": tenant, "subject": subject, "since": now.isoformat()}
                for subject in unused
                if subject not in marked
            ]
            if fresh:
                connection.execute(
                    insert(connection.dialect, ORPHANS).on_conflict_do_nothing(), fresh
                )
        return [one for one in unused if one in marked and marked[one] <= now - after]

    def stands(self, tenant: str, subject: str) -> bool:
        """Return whether a subject is marked, so that nobody used its key since."""
        mine = sa.select(ORPHANS.c.since).where(of_subject(ORPHANS, tenant, subject))
        with self._transaction() as connection:
            return connection.execute(mine).one_or_none() is not None
