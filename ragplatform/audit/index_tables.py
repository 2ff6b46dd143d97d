"""The tables of the audit index: one row for each record, and one for each thing that it names.

They are an index and prove nothing. Each row says where its record stands in the log and which leaf
hash it has, so that whoever doubts a row can look at the evidence itself.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

# What a record holds in clear has at most this many characters; see ``record.MAX_DETAIL_CHARS``.
_WORD: Final = sa.String(256)

LOGS: Final = sa.Table(
    "audit_logs",
    METADATA,
    sa.Column("origin", _WORD, primary_key=True),
    # How many of its records are in the index; the next group begins at this byte of this segment.
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("next_place", sa.BigInteger, nullable=False),
    # The last of those records: were it another one in the log, the index would be of another log.
    sa.Column("last_place", sa.BigInteger, nullable=False),
    sa.Column("last_leaf", sa.LargeBinary, nullable=False),
)

RECORDS: Final = sa.Table(
    "audit_records",
    METADATA,
    sa.Column("origin", _WORD, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    # Microseconds since 1970 in UTC.
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("action", _WORD, nullable=False),
    sa.Column("outcome", _WORD, nullable=False),
    sa.Column("tenant", _WORD, nullable=False),
    sa.Column("actor", _WORD, nullable=False),
    sa.Column("via", _WORD, nullable=False),
    sa.Column("purpose", _WORD, nullable=False),
    sa.Column("request", _WORD, nullable=False),
    sa.Column("trace", _WORD, nullable=False),
    sa.Column("policy", _WORD, nullable=False),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.Index("audit_records_by_time", "tenant", "at", "origin", "position"),
    # Over all tenants, for the operator at the command line.
    sa.Index("audit_records_of_all_by_time", "at", "origin", "position"),
    *(
        sa.Index(f"audit_records_by_{name}", "tenant", name, "at", "origin", "position")
        for name in ("actor", "action", "outcome", "purpose", "request", "policy")
    ),
    sqlite_with_rowid=False,
)


def _links(name: str, thing: str, *more: sa.Column[str]) -> sa.Table:
    """Return the table that says which records name a thing, and in which way."""
    return sa.Table(
        name,
        METADATA,
        sa.Column("origin", _WORD, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column(thing, _WORD, primary_key=True),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("tenant", _WORD, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *more,
        sa.Index(f"{name}_by_{thing}", "tenant", thing, "at", "origin", "position"),
        sqlite_with_rowid=False,
    )


PASSAGES: Final = _links("audit_passages", "passage", sa.Column("document", _WORD, nullable=False))
DOCUMENTS: Final = _links("audit_documents", "document")
SUBJECTS: Final = _links("audit_subjects", "subject")
OPENINGS: Final = _links("audit_openings", "opening")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_stored(moment: datetime) -> int:
    """Return the moment as it is stored. Raises ``TypeError`` for one without a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_stored(stored: int) -> datetime:
    """Return the stored moment in UTC."""
    return _EPOCH + timedelta(microseconds=stored)
