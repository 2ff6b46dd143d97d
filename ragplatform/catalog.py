"""The catalog: which access classes exist, and which documents are indexed.

It holds what search must know beside the index and what can be rebuilt from the ledger. Every
write is committed, durably, before the call returns, and every read sees other processes' writes.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final

import sqlalchemy as sa

from ragplatform.errors import InvalidRequestError, TamperedError
from ragplatform.labels import canonical_labels, labels_of
from ragplatform.migrations import bring_up
from ragplatform.model import Json, Labels, Mode
from ragplatform.tables import Joined, cut_log, insert, open_engine, transaction

_METADATA: Final = sa.MetaData()
# About 1 kB each.
_MOST_VERIFIED: Final = 16_384

_CLASSES: Final = sa.Table(
    "access_classes",
    _METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False, index=True),
    sa.Column("labels", sa.Text, nullable=False),
)

_DOCUMENTS: Final = sa.Table(
    "documents",
    _METADATA,
    sa.Column("document", sa.String(128), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("collection", sa.String(63), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("media_type", sa.String(255), nullable=False),
    sa.Column("access_class", sa.ForeignKey("access_classes.id"), nullable=False),
    sa.Column("subjects", sa.Text, nullable=False),
    sa.Column("generation", sa.String(128), nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    # Empty for what was ingested before these counts were kept.
    sa.Column("treated", sa.Text),
    sa.Column("indexed_at", sa.String(32), nullable=False),
    # Both are empty for what was ingested before they were kept.
    sa.Column("taken_in_at", sa.String(32)),
    sa.Column("dated", sa.String(10)),
    sa.Column("kind", sa.String(64)),
    sa.Index("documents_by_collection", "tenant", "collection"),
)

# Labels that people gave a document by hand: they outlive what its source says.
_BY_HAND: Final = sa.Table(
    "document_labels",
    _METADATA,
    sa.Column("document", sa.String(128), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
)


# Made once, for every question asks it: making it costs as much as asking it.
_CLASSES_OF: Final = sa.select(_CLASSES).where(_CLASSES.c.tenant == sa.bindparam("tenant"))


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One indexed document. ``title`` is transformed text; ``indexed_at`` has a time zone.

    ``treated`` says how many values of each type in its text were treated by which method. None
    means that nobody counted: it was ingested before these counts were kept. ``dated`` is the day
    that the document gives of itself, or ``""``, and ``kind`` what it says that it is, in lower
    case: a FHIR type, ``x12 837``. ``taken_in_at`` says when the document first came in: the
    catalog keeps the first such moment, whatever later entries of the document say.
    """

    document: str
    tenant: str
    collection: str
    title: str = field(repr=False)
    media_type: str
    access_class: str
    subjects: frozenset[str]
    generation: str
    chunks: int
    treated: Mapping[tuple[str, Mode], int] | None
    indexed_at: datetime
    dated: str = ""
    taken_in_at: datetime | None = None
    kind: str = ""


class SqlCatalog:
    """The catalog in a SQL database; fulfils ``ports.Catalog``.

    Safe to use from several threads and processes. All methods raise ``UnavailableError`` when
    the database does not answer.
    """

    def __init__(self, url: str, *, access_class: Callable[[Labels], str]) -> None:
        """Open the database, creating the tables that are missing.

        ``access_class`` names labels by their hash: ``policy.classes.access_class``.
        """
        self._access_class = access_class
        # A pure function of a row's text, so remembering it hides no change of a row.
        self._verified = lru_cache(_MOST_VERIFIED)(partial(_verified, access_class))
        # Every question reads here: a read must not queue behind a writer for the lock.
        self._engine = open_engine(url, begin_immediate=False)
        self._joined = Joined()
        with self._transaction() as connection:
            bring_up(connection, "catalog")

    def register(self, labels: Labels, access_class: str) -> None:
        """Make the class known before any chunk carries it. Registering again does nothing.

        Raises ``InvalidRequestError`` when the class is not the hash of the labels.
        """
        if access_class != self._access_class(labels):
            raise InvalidRequestError(f"access class {access_class} is not that of its labels")
        row = {"id": access_class, "tenant": labels.tenant, "labels": canonical_labels(labels)}
        with self._transaction() as connection:
            connection.execute(
                insert(self._engine.dialect, _CLASSES).values(row).on_conflict_do_nothing()
            )

    def classes(self, tenant: str) -> Mapping[str, Labels]:
        """Return the tenant's access classes by their id.

        Raises ``TamperedError`` when a row's labels do not hash to its id: somebody changed them
        past this catalog, and whom they would admit is unknown.
        """
        with self._transaction() as connection:
            rows = connection.execute(_CLASSES_OF, {"tenant": tenant}).all()
        # Unpacked, for a column asked for by name costs more than all the rest of this.
        return {name: self._verified(name, owner, text) for name, owner, text in rows}

    def put_document(self, entry: DocumentEntry) -> None:
        """Store the entry in place of any earlier one of the same document.

        Raises ``InvalidRequestError`` when its class was not registered for its tenant and
        collection, when ``indexed_at`` has no time zone, or when the document's id is taken by
        another tenant.
        """
        if entry.indexed_at.tzinfo is None:
            raise InvalidRequestError("indexed_at needs a time zone")
        row = _entry_to_row(entry)
        new = insert(self._engine.dialect, _DOCUMENTS).values(row)
        statement = new.on_conflict_do_update(
            index_elements=[_DOCUMENTS.c.document],
            set_={
                **{name: new.excluded[name] for name in row if name != "document"},
                # Before the column was there, the version in force is the first that is known.
                "taken_in_at": sa.func.coalesce(_DOCUMENTS.c.taken_in_at, _DOCUMENTS.c.indexed_at),
            },
            where=_DOCUMENTS.c.tenant == entry.tenant,
        ).returning(_DOCUMENTS.c.document)
        with self._transaction() as connection:
            self._require_class(connection, entry)
            # Not the count of rows: PostgreSQL's driver gives none for an insert.
            if connection.execute(statement).one_or_none() is None:
                raise InvalidRequestError(f"document {entry.document} is another tenant's")

    def document(self, document: str) -> DocumentEntry | None:
        """Return the document's entry, or None. Whether the caller may know it is policy's call."""
        query = sa.select(_DOCUMENTS).where(_DOCUMENTS.c.document == document)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _entry_of(row)

    def documents(self, tenant: str, collection: str | None = None) -> list[DocumentEntry]:
        """Return the tenant's entries, of one collection or of all, in order of document id."""
        query = sa.select(_DOCUMENTS).where(_DOCUMENTS.c.tenant == tenant)
        if collection is not None:
            query = query.where(_DOCUMENTS.c.collection == collection)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_DOCUMENTS.c.document)).all()
        return [_entry_of(row) for row in rows]

    def delete_document(self, document: str) -> bool:
        """Delete the document's entry; return whether there was one."""
        statement = sa.delete(_DOCUMENTS).where(_DOCUMENTS.c.document == document)
        with self._transaction() as connection:
            return connection.execute(statement).rowcount > 0

    def put_labels(
        self, tenant: str, document: str, changes: Mapping[str, Json], *, settled: bool
    ) -> None:
        """Keep labels given by hand in place of earlier ones.

        ``settled`` says that they are in force everywhere.
        """
        row = {
            "document": document,
            "tenant": tenant,
            "changes": json.dumps(dict(changes), sort_keys=True),
            "settled": settled,
        }
        new = insert(self._engine.dialect, _BY_HAND).values(row)
        statement = new.on_conflict_do_update(
            index_elements=[_BY_HAND.c.document],
            set_={name: new.excluded[name] for name in row if name != "document"},
            where=_BY_HAND.c.tenant == tenant,
        )
        with self._transaction() as connection:
            connection.execute(statement)

    def labels_by_hand(self, document: str) -> Mapping[str, Json]:
        """Return the labels given by hand, by name; none for a document labelled by its source."""
        query = sa.select(_BY_HAND.c.changes).where(_BY_HAND.c.document == document)
        with self._transaction() as connection:
            text = connection.execute(query).scalar_one_or_none()
        return {} if text is None else _changes_of(document, text)

    def unsettled_labels(self, tenant: str) -> list[str]:
        """Return the documents whose labels given by hand may not be in force everywhere yet."""
        mine = (_BY_HAND.c.tenant == tenant) & _BY_HAND.c.settled.is_(False)
        query = sa.select(_BY_HAND.c.document).where(mine).order_by(_BY_HAND.c.document)
        with self._transaction() as connection:
            return list(connection.execute(query).scalars())

    def drop_labels(self, document: str) -> None:
        """Drop the labels given by hand, as when the document is erased."""
        with self._transaction() as connection:
            connection.execute(sa.delete(_BY_HAND).where(_BY_HAND.c.document == document))

    def scrub(self) -> None:
        """Cut the write-ahead log to nothing: what was deleted is then in no file of the database.

        Raises ``UnavailableError`` while readers keep the log from being cut: call again.
        """
        cut_log(self._engine, "the catalog")

    def close(self) -> None:
        """Close all connections. Calling it again does nothing."""
        self._engine.dispose()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that this thread does here meanwhile one transaction, done whole or not at all.

        On SQLite it keeps every other writer waiting: nothing slow belongs in it.
        """
        with self._joined.over(self._transaction()):
            yield

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        joined = self._joined.connection
        return transaction(self._engine, "the catalog") if joined is None else nullcontext(joined)

    def _require_class(self, connection: sa.Connection, entry: DocumentEntry) -> None:
        query = sa.select(_CLASSES).where(_CLASSES.c.id == entry.access_class)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise InvalidRequestError(f"access class {entry.access_class} is not registered")
        labels = self._verified(row.id, row.tenant, row.labels)
        if (labels.tenant, labels.collection) != (entry.tenant, entry.collection):
            raise InvalidRequestError(
                f"access class {entry.access_class} is of {labels.tenant}/{labels.collection}, "
                f"the document of {entry.tenant}/{entry.collection}"
            )


def _verified(access_class: Callable[[Labels], str], name: str, tenant: str, text: str) -> Labels:
    try:
        labels = labels_of(text)
    except (KeyError, ValueError, TypeError) as error:
        raise TamperedError(f"access class {name}: its labels cannot be read") from error
    if labels.tenant != tenant or access_class(labels) != name:
        raise TamperedError(f"access class {name} is not the hash of its labels")
    return labels


def _changes_of(document: str, text: str) -> Mapping[str, Json]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise TamperedError(f"document {document}: its labels cannot be read") from error
    if not isinstance(found, dict):
        raise TamperedError(f"document {document}: its labels are no table")
    return found


def _treated_to_json(treated: Mapping[tuple[str, Mode], int]) -> str:
    by_type: dict[str, dict[str, int]] = {}
    for (entity, mode), count in treated.items():
        by_type.setdefault(entity, {})[mode] = count
    return json.dumps(by_type, sort_keys=True, separators=(",", ":"))


def _treated_from_json(document: str, text: str) -> dict[tuple[str, Mode], int]:
    try:
        return {
            (entity, Mode(mode)): int(count)
            for entity, modes in json.loads(text).items()
            for mode, count in modes.items()
        }
    except (AttributeError, ValueError, TypeError) as error:
        raise TamperedError(f"document {document}: its counts cannot be read") from error


def _entry_to_row(entry: DocumentEntry) -> dict[str, str | int | None]:
    return {
        "document": entry.document,
        "tenant": entry.tenant,
        "collection": entry.collection,
        "title": entry.title,
        "media_type": entry.media_type,
        "access_class": entry.access_class,
        "subjects": json.dumps(sorted(entry.subjects)),
        "generation": entry.generation,
        "chunks": entry.chunks,
        "treated": None if entry.treated is None else _treated_to_json(entry.treated),
        "indexed_at": entry.indexed_at.isoformat(),
        "taken_in_at": (entry.taken_in_at or entry.indexed_at).isoformat(),
        "dated": entry.dated,
        "kind": entry.kind,
    }


def _entry_of(row: sa.Row[Any]) -> DocumentEntry:
    return DocumentEntry(
        document=row.document,
        tenant=row.tenant,
        collection=row.collection,
        title=row.title,
        media_type=row.media_type,
        access_class=row.access_class,
        subjects=frozenset(json.loads(row.subjects)),
        generation=row.generation,
        chunks=row.chunks,
        treated=None if row.treated is None else _treated_from_json(row.document, row.treated),
        indexed_at=datetime.fromisoformat(row.indexed_at),
        dated=row.dated or "",
        taken_in_at=None if row.taken_in_at is None else datetime.fromisoformat(row.taken_in_at),
        kind=row.kind or "",
    )
