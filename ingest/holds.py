"""Legal holds: what nobody may erase, replace or open further, as long as a case needs it.

A document may be held for several cases at once, and goes only when all of them have ended. What a
case is called may tell whom it is about: records and columns hold a keyed reference of it, and its
name and the reason are sealed.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.errors import TamperedError
from ragplatform.migrations import bring_up
from ragplatform.privacy.sealing import seal_text, unseal_text
from ragplatform.tables import insert, open_engine, transaction

METADATA: Final = sa.MetaData()

_HOLDS: Final = sa.Table(
    "legal_holds",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("case_ref", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("target", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("placed_by", sa.String(128), nullable=False),
    sa.Column("placed_at", sa.String(32), nullable=False),
    sa.Index("legal_holds_by_target", "tenant", "kind", "target"),
)
_REF_CHARACTERS: Final = 24


class Held(StrEnum):
    """What a hold is on."""

    DOCUMENT = "document"
    SUBJECT = "subject"
    COLLECTION = "collection"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. ``case`` is a keyed reference; ``target`` an id, a subject's reference or a name.

    ``name`` is what people call the case.
    """

    tenant: str
    case: str
    kind: Held
    target: str
    placed_by: str
    placed_at: datetime
    name: str = field(repr=False)
    reason: str = field(repr=False)


class Holds:
    """The holds in a SQL database.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when the
    database does not answer: who cannot tell whether something is held must not touch it.
    """

    def __init__(self, url: str, *, derive: Callable[[str, str], bytes]) -> None:
        """Open the database, creating the table that is missing.

        ``derive`` gives the deployment's key for a use and a tenant.
        """
        self._derive = derive
        self._engine = open_engine(url, begin_immediate=False)
        with self._transaction() as connection:
            bring_up(connection, "holds")

    def case_ref(self, tenant: str, case: str) -> str:
        """Return the keyed reference of a case: ``c_`` and 24 characters, never its name."""
        key = self._derive("hold-case", tenant)
        digest = hmac.new(key, case.strip().encode(), hashlib.sha256).hexdigest()
        return f"c_{digest[:_REF_CHARACTERS]}"

    def place(self, hold: Hold) -> None:
        """Keep the hold; placing it again for the same case changes nothing.

        Durable when the call returns. Who calls this has recorded it.
        """
        said = json.dumps({"name": hold.name, "reason": hold.reason})
        bound = (hold.tenant, hold.case, hold.kind.value, hold.target)
        row = {
            "tenant": hold.tenant,
            "case_ref": hold.case,
            "kind": hold.kind.value,
            "target": hold.target,
            "sealed": seal_text(self._seal_key(hold.tenant), said, "hold", *bound),
            "placed_by": hold.placed_by,
            "placed_at": hold.placed_at.astimezone(UTC).isoformat(),
        }
        with self._transaction() as connection:
            connection.execute(
                insert(self._engine.dialect, _HOLDS).values(row).on_conflict_do_nothing()
            )

    def release(
        self, tenant: str, case: str, kind: Held | None = None, target: str | None = None
    ) -> int:
        """End the holds of a case, by its reference, all or one; return how many ended."""
        where = [_HOLDS.c.tenant == tenant, _HOLDS.c.case_ref == case]
        if kind is not None:
            where += [_HOLDS.c.kind == kind.value, _HOLDS.c.target == target]
        with self._transaction() as connection:
            return connection.execute(sa.delete(_HOLDS).where(*where)).rowcount

    def cases_on(
        self, tenant: str, *, document: str, collection: str, subjects: Collection[str]
    ) -> frozenset[str]:
        """Return the references of all cases that hold the document: itself, its collection, or
        one of those whom it is about.
        """
        found = set(self._cases(tenant, Held.DOCUMENT, [document]))
        found |= self._cases(tenant, Held.COLLECTION, [collection])
        return frozenset(found | self._cases(tenant, Held.SUBJECT, sorted(subjects)))

    def cases_on_subject(self, tenant: str, subject: str) -> frozenset[str]:
        """Return the references of the cases that hold all about a subject."""
        return frozenset(self._cases(tenant, Held.SUBJECT, [subject]))

    def of(self, tenant: str, case: str | None = None) -> list[Hold]:
        """Return the tenant's holds, of one case by its reference or of all, oldest first.

        Raises ``TamperedError`` when a row was changed or moved.
        """
        query = sa.select(_HOLDS).where(_HOLDS.c.tenant == tenant)
        if case is not None:
            query = query.where(_HOLDS.c.case_ref == case)
        order = (_HOLDS.c.placed_at, _HOLDS.c.case_ref, _HOLDS.c.kind, _HOLDS.c.target)
        with self._transaction() as connection:
            return [self._hold_of(row) for row in connection.execute(query.order_by(*order))]

    def close(self) -> None:
        """Close all connections. Calling it again does nothing."""
        self._engine.dispose()

    def _cases(self, tenant: str, kind: Held, targets: list[str]) -> set[str]:
        found: set[str] = set()
        with self._transaction() as connection:
            for start in range(0, len(targets), 500):
                query = sa.select(_HOLDS.c.case_ref).where(
                    _HOLDS.c.tenant == tenant,
                    _HOLDS.c.kind == kind.value,
                    _HOLDS.c.target.in_(targets[start : start + 500]),
                )
                found.update(connection.execute(query).scalars())
        return found

    def _hold_of(self, row: sa.Row[Any]) -> Hold:
        bound = (row.tenant, row.case_ref, row.kind, row.target)
        try:
            key = self._seal_key(row.tenant)
            said = json.loads(unseal_text(key, row.sealed, "hold", *bound, what="hold"))
            kind = Held(row.kind)
        except ValueError as error:
            raise TamperedError("a legal hold is not what was written") from error
        return Hold(
            tenant=row.tenant,
            case=row.case_ref,
            kind=kind,
            target=row.target,
            placed_by=row.placed_by,
            placed_at=datetime.fromisoformat(row.placed_at),
            name=said["name"],
            reason=said["reason"],
        )

    def _seal_key(self, tenant: str) -> bytes:
        return self._derive("hold-seal", tenant)

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the table of legal holds")
