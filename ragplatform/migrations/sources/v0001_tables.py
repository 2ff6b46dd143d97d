"""The tables of configured sources as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "source_marks",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("source_key", sa.String(128), primary_key=True),
        sa.Column("mark", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "source_cursors",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("settings", sa.String(64), nullable=False),
        sa.Column("listed_at", sa.String(32), nullable=False),
        if_not_exists=True,
    )
