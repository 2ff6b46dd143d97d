"""What ingest put aside: a row for each document, and its bytes sealed until somebody decides.

A row holds no name, no subject's raw id and no text. Those are sealed with the bytes, and die with
the document, and with each of those it is about.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from ingest.sources import GivenLabels, SourceFile
from ingest.work import Work
from ragplatform.catalog import DocumentEntry
from ragplatform.errors import ForgottenError, NotFoundError, TamperedError
from ragplatform.labels import canonical_labels, labels_of
from ragplatform.migrations import bring_up
from ragplatform.model import Labels, Sensitivity
from ragplatform.policy.classes import access_class
from ragplatform.sealed_files import Place, SealedFiles
from ragplatform.tables import insert, open_engine, transaction

METADATA: Final = sa.MetaData()
ITEMS: Final = sa.Table(
    "quarantine_items",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("document", sa.String(128), primary_key=True),
    sa.Column("collection", sa.String(63), nullable=False),
    sa.Column("source_key", sa.String(128), nullable=False),
    sa.Column("generation", sa.String(128), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(128), nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("subjects", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("kept", sa.Integer, nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("put_by", sa.String(128), nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("waives", sa.Text, nullable=False),
    sa.Column("asked_by", sa.String(128), nullable=False),
    sa.Column("asked_until", sa.String(32), nullable=False),
    sa.Column("decided_by", sa.String(128), nullable=False),
)

_KIND: Final = "quarantine"
_ABOUT: Final = "about"
_WHY: Final = "why"
_BYTES: Final = "bytes"
_UNDECIDED: Final = {"waives": "[]", "asked_by": "", "asked_until": "", "decided_by": ""}


class ItemState(StrEnum):
    """What became of a document that was put aside."""

    WAITING = "waiting"
    ASKED = "asked"
    """Somebody asks to let it in all the same; a second person has to agree."""
    APPROVED = "approved"
    """It may be taken in, this version alone; an ingest of it takes it out of here."""
    REJECTED = "rejected"
    """Its bytes are destroyed, and the same ones are not put aside again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One document that was put aside.

    ``generation`` names the version by content, labels and pipeline: what is decided holds for it
    alone. ``kept`` says whether its bytes are here. ``waives`` are the reasons that are not to keep
    it out any more, once the release is approved.
    """

    tenant: str
    document: str
    collection: str
    source_key: str
    generation: str
    sha256: str
    reason: str
    labels: Labels
    subjects: frozenset[str]
    size: int
    kept: bool
    run: str
    put_by: str
    since: datetime
    state: ItemState
    waives: frozenset[str]
    asked_by: str
    asked_until: datetime | None
    decided_by: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What is sealed of an item: its name and labels as they were given, why, and its bytes.

    ``file`` is the name of the file that it lies in, which tells its format; ``origin`` the
    configured source and the container that it came from. ``data`` is None where
    the bytes were too many to be kept.
    """

    name: str = field(repr=False)
    file: str = field(repr=False)
    origin: tuple[str, str]
    labels: GivenLabels = field(repr=False)
    detail: str
    data: bytes | None = field(repr=False)

    def source(self, *, again: bool) -> SourceFile:
        """Return it as a source for a run. Raises ``NotFoundError`` without bytes."""
        if self.data is None:
            raise NotFoundError("its bytes were not kept: run ingest over its source again")
        source, container = self.origin
        return SourceFile(
            Path(self.file),
            self.name,
            self.labels,
            content=self.data,
            source=source,
            container=container,
            again=again,
        )


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people decided of one collection's documents, as it was when a run began."""

    rejected: Mapping[str, str] = field(default_factory=dict)
    """By document, the digest of the bytes that were rejected."""
    approved: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """By document and generation, the reasons that are waived."""
    held: frozenset[str] = frozenset()
    """All documents that were put aside, decided or not."""


def entry_of(item: Item) -> DocumentEntry:
    """Return the item as the catalog would know it: for whoever asks what keeps it."""
    return DocumentEntry(
        document=item.document,
        tenant=item.tenant,
        collection=item.collection,
        title="",
        media_type="",
        access_class=access_class(item.labels),
        subjects=item.subjects,
        generation=item.generation,
        chunks=0,
        treated=None,
        indexed_at=item.since,
    )


class Aside:
    """Keeps what was put aside. Safe to use from several threads and processes.

    All methods raise ``UnavailableError`` when database, vault or disk do not answer, and are
    durable when they return. Whoever calls has the act on record before.
    """

    def __init__(self, url: str, *, files: SealedFiles, most_bytes: int) -> None:
        """Open the database, creating the table if it is missing.

        ``most_bytes``: of a larger document only the row is kept.
        """
        self._files = files
        self._most_bytes = most_bytes
        self._engine = open_engine(url, begin_immediate=True)
        with self._transaction() as connection:
            bring_up(connection, "quarantine")

    def keep(self, work: Work, *, reason: str, detail: str, run: str, put_by: str) -> None:
        """Keep a document that was put aside, in place of an older version of it.

        The same version put aside for the same reason again stays as it was: who asked for its
        release need not ask again.
        """
        data = work.data
        kept = data is not None and len(data) <= self._most_bytes
        row = {
            "tenant": work.labels.tenant,
            "document": work.document,
            "collection": work.labels.collection,
            "source_key": work.key,
            "generation": work.generation,
            "sha256": work.sha256,
            "reason": reason,
            "labels": canonical_labels(work.labels),
            "subjects": json.dumps(sorted(work.subjects)),
            "size": _size(work),
            "kept": int(kept),
            "run": run,
            "put_by": put_by,
            "since": _now(),
            "state": ItemState.WAITING.value,
            **_UNDECIDED,
        }
        found = self.item(work.labels.tenant, work.document)
        if found and found.sha256 == work.sha256:
            # Whoever tries the same bytes again did not bring them: who did approves them never.
            row["put_by"] = found.put_by
        if found and found.state is ItemState.ASKED and _same(found, work, reason):
            return
        self._seal(work, detail, data if kept and data is not None else None)
        new = insert(self._engine.dialect, ITEMS).values(row)
        statement = new.on_conflict_do_update(
            index_elements=[ITEMS.c.tenant, ITEMS.c.document],
            set_={name: new.excluded[name] for name in row if name not in ("tenant", "document")},
        )
        with self._transaction() as connection:
            connection.execute(statement)

    def item(self, tenant: str, document: str) -> Item | None:
        """Return the item of a document, or None."""
        query = sa.select(ITEMS).where(_at(tenant, document))
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _item_of(row)

    def items(
        self,
        tenant: str,
        *,
        collection: str | None = None,
        reason: str | None = None,
        state: ItemState | None = None,
    ) -> list[Item]:
        """Return the tenant's items that match all that is given, the oldest first."""
        query = sa.select(ITEMS).where(ITEMS.c.tenant == tenant)
        if collection is not None:
            query = query.where(ITEMS.c.collection == collection)
        if reason is not None:
            query = query.where(ITEMS.c.reason == reason)
        if state is not None:
            query = query.where(ITEMS.c.state == state.value)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(ITEMS.c.since, ITEMS.c.document)).all()
        return [_item_of(row) for row in rows]

    def about(self, tenant: str, subject: str) -> list[Item]:
        """Return the items that are about the subject of this reference."""
        return [one for one in self.items(tenant) if subject in one.subjects]

    def decisions(self, tenant: str, collection: str) -> Decisions:
        """Return what was decided of the collection's documents."""
        items = self.items(tenant, collection=collection)
        return Decisions(
            {one.document: one.sha256 for one in items if one.state is ItemState.REJECTED},
            {
                (one.document, one.generation): one.waives
                for one in items
                if one.state is ItemState.APPROVED
            },
            frozenset(one.document for one in items),
        )

    def contents(self, item: Item) -> Contents:
        """Return what is sealed of an item.

        Raises ``NotFoundError`` when nothing is, ``ForgottenError`` when it was erased,
        ``TamperedError`` when it is not what was put aside.
        """
        about = json.loads(self._files.get(_place(item.tenant, item.document, _ABOUT)))
        data = self._files.get(_place(item.tenant, item.document, _BYTES)) if item.kept else None
        if about["sha256"] != item.sha256 or (data is not None and _digest(data) != item.sha256):
            raise TamperedError(
                "what is kept of this document is of another version: run ingest over its source "
                "again"
            )
        origin = (about["source"], about["container"])
        given = _given_of(about["labels"])
        return Contents(about["name"], about["file"], origin, given, about["detail"], data)

    def asked_why(self, item: Item) -> str:
        """Return why somebody asked for the item's release; "" when nobody did."""
        try:
            return self._files.get(_place(item.tenant, item.document, _WHY)).decode()
        except (NotFoundError, ForgottenError):
            return ""

    def ask(
        self, item: Item, *, by: str, why: str, waives: frozenset[str], until: datetime
    ) -> bool:
        """Note that somebody asks for the item's release; return False if it changed meanwhile."""
        place = _place(item.tenant, item.document, _WHY)
        self._files.put(place, why.encode(), subjects=item.subjects)
        return self._move(
            item,
            ItemState.ASKED,
            asked_by=by,
            waives=json.dumps(sorted(waives)),
            asked_until=until.isoformat(),
        )

    def approve(self, item: Item, *, by: str) -> bool:
        """Note that a second person agrees; return False if the item changed meanwhile."""
        return self._move(item, ItemState.APPROVED, decided_by=by)

    def reject(self, item: Item, *, by: str) -> bool:
        """Destroy what is kept of the item; return False if it changed meanwhile.

        Its digest stays, by which the same bytes are known when they come again.
        """
        moved = self._move(item, ItemState.REJECTED, decided_by=by, kept=0, subjects="[]")
        if moved:
            self._remove_files(item.tenant, item.document)
        return moved

    def wait(self, item: Item) -> bool:
        """Let the item wait again, as when a release came to nothing."""
        return self._move(item, ItemState.WAITING, **_UNDECIDED)

    def done(self, tenant: str, document: str) -> bool:
        """Drop what was put aside of a document, since it is taken in now or gone.

        Return whether there was anything.
        """
        with self._transaction() as connection:
            there = connection.execute(sa.delete(ITEMS).where(_at(tenant, document))).rowcount > 0
        if there:
            self._remove_files(tenant, document)
        return there

    def forget(self, tenant: str, document: str) -> bool:
        """Erase what was put aside of a document; return whether there was anything.

        The document's key in the vault is the caller's to destroy.
        """
        self._remove_files(tenant, document)
        with self._transaction() as connection:
            gone = connection.execute(sa.delete(ITEMS).where(_at(tenant, document)))
            return gone.rowcount > 0

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._engine.dispose()

    def _seal(self, work: Work, detail: str, data: bytes | None) -> None:
        """Seal what the row does not hold; what is left of a version before is replaced."""
        tenant = work.labels.tenant
        about = {
            "sha256": work.sha256,
            "name": work.source.name,
            "file": work.source.path.name,
            "source": work.source.source,
            "container": work.source.container,
            "labels": _given_to(work.source.labels),
            "detail": detail,
        }
        if data is not None:
            place = _place(tenant, work.document, _BYTES)
            self._files.put(place, data, subjects=work.subjects)
        else:
            self._files.delete(_place(tenant, work.document, _BYTES))
        self._files.delete(_place(tenant, work.document, _WHY))
        place = _place(tenant, work.document, _ABOUT)
        self._files.put(place, json.dumps(about).encode(), subjects=work.subjects)

    def _remove_files(self, tenant: str, document: str) -> None:
        for place in self._files.places(tenant, document=document, kind=_KIND):
            self._files.delete(place)

    def _move(self, item: Item, state: ItemState, **values: object) -> bool:
        """Change the row if it still is what the caller saw."""
        same = sa.and_(
            _at(item.tenant, item.document),
            ITEMS.c.generation == item.generation,
            ITEMS.c.reason == item.reason,
            ITEMS.c.state == item.state.value,
            ITEMS.c.asked_by == item.asked_by,
        )
        change = ITEMS.update().where(same).values(state=state.value, **values)
        with self._transaction() as connection:
            return connection.execute(change).rowcount > 0

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, "the quarantine")


def _place(tenant: str, document: str, name: str) -> Place:
    return Place(tenant, document, _KIND, name)


def _at(tenant: str, document: str) -> sa.ColumnElement[bool]:
    return sa.and_(ITEMS.c.tenant == tenant, ITEMS.c.document == document)


def _same(item: Item, work: Work, reason: str) -> bool:
    return (item.generation, item.reason) == (work.generation, reason)


def _size(work: Work) -> int:
    if work.data is not None:
        return len(work.data)
    try:
        return work.source.path.stat().st_size
    except OSError:
        return 0


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _given_to(given: GivenLabels) -> dict[str, object]:
    return {
        "sensitivity": given.sensitivity.name,
        "department": given.department,
        "restrictions": sorted(given.restrictions),
        "subjects": sorted(given.subjects),
        "retain_until": given.retain_until,
        "claims": given.claims,
        "id_systems": given.id_systems,
    }


def _given_of(table: Mapping[str, Any]) -> GivenLabels:
    return GivenLabels(
        sensitivity=Sensitivity[table["sensitivity"]],
        department=table["department"],
        restrictions=frozenset(table["restrictions"]),
        subjects=frozenset(table["subjects"]),
        retain_until=table["retain_until"],
        claims=table["claims"],
        id_systems=tuple((system, prefix) for system, prefix in table["id_systems"]),
    )


def _item_of(row: sa.Row[Any]) -> Item:
    values = dict(row._mapping)  # SQLAlchemy's public name for it
    until = row.asked_until
    return Item(
        **values
        | {
            "labels": labels_of(row.labels),
            "subjects": frozenset(json.loads(row.subjects)),
            "kept": bool(row.kept),
            "since": datetime.fromisoformat(row.since),
            "state": ItemState(row.state),
            "waives": frozenset(json.loads(row.waives)),
            "asked_until": datetime.fromisoformat(until) if until else None,
        }
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
