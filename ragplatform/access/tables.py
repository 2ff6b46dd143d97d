"""The tables of the register. Times are microseconds since 1970 in UTC; people are keyed refs."""

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

RELATIONS: Final = sa.Table(
    "access_relations",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("principal", sa.String(128), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("feed", sa.String(63), primary_key=True),
    sa.Column("starts", sa.BigInteger, nullable=False),
    sa.Column("ends", sa.BigInteger, nullable=False),
    sa.Index("access_relations_by_feed", "tenant", "feed"),
)
FEEDS: Final = sa.Table(
    "access_feeds",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("feed", sa.String(63), primary_key=True),
    sa.Column("refreshed", sa.BigInteger, nullable=False),
    sa.Column("max_age_s", sa.BigInteger, nullable=True),
)
CONSENTS: Final = sa.Table(
    "access_consents",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("consent", sa.String(16), nullable=False),
    sa.Column("starts", sa.BigInteger, nullable=False),
    sa.Column("ends", sa.BigInteger, nullable=False),
    sa.Index("access_consents_by_purpose", "tenant", "purpose"),
    sa.Index("access_consents_by_subject", "tenant", "subject"),
)
OPENINGS: Final = sa.Table(
    "access_openings",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("principal", sa.String(128), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("starts", sa.BigInteger, nullable=False),
    sa.Column("ends", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=True),
    sa.Column("reviewer", sa.String(128), nullable=True),
    sa.Column("reviewed", sa.BigInteger, nullable=True),
    sa.Column("note", sa.LargeBinary, nullable=True),
    sa.Index("access_openings_by_principal", "tenant", "principal"),
    sa.Index("access_openings_by_verdict", "tenant", "verdict"),
)
USES: Final = sa.Table(
    "access_opening_uses",
    METADATA,
    sa.Column("opening", sa.String(32), primary_key=True),
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
)
UNMASKED: Final = sa.Table(
    "access_unmasked",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("principal", sa.String(128), primary_key=True),
    sa.Column("chunk", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("ends", sa.BigInteger, nullable=False),
)

# What has no end. SQLite's integers and PostgreSQL's bigint both hold it.
FOREVER: Final = 2**62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stamp(moment: datetime) -> int:
    """Return the moment as it is stored. Raises ``TypeError`` for one without a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(stamp: int) -> datetime | None:
    """Return the stored moment in UTC, or None for what has no end."""
    return None if stamp >= FOREVER else _EPOCH + timedelta(microseconds=stamp)
