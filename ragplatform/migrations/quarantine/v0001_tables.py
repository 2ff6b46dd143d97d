"""The quarantine's table as it first was."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "quarantine_items",
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
        if_not_exists=True,
    )
