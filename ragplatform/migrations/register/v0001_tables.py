"""The register's tables as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "access_relations",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("principal", sa.String(128), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("feed", sa.String(63), primary_key=True),
        sa.Column("starts", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "access_feeds",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("feed", sa.String(63), primary_key=True),
        sa.Column("refreshed", sa.BigInteger, nullable=False),
        sa.Column("max_age_s", sa.BigInteger, nullable=True),
        if_not_exists=True,
    )
    op.create_table(
        "access_consents",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("consent", sa.String(16), nullable=False),
        sa.Column("starts", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    _glass()
    for name, table, second in (
        ("access_relations_by_feed", "access_relations", "feed"),
        ("access_consents_by_purpose", "access_consents", "purpose"),
        ("access_consents_by_subject", "access_consents", "subject"),
        ("access_openings_by_principal", "access_openings", "principal"),
        ("access_openings_by_verdict", "access_openings", "verdict"),
    ):
        op.create_index(name, table, ["tenant", second], if_not_exists=True)


def _glass() -> None:
    op.create_table(
        "access_openings",
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
        if_not_exists=True,
    )
    op.create_table(
        "access_opening_uses",
        sa.Column("opening", sa.String(32), primary_key=True),
        sa.Column("request", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "access_unmasked",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("principal", sa.String(128), primary_key=True),
        sa.Column("chunk", sa.String(64), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("ends", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
