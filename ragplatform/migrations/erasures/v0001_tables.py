"""The tables of orders to erase as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "erasure_orders",
        sa.Column("erasure", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("asked_by", sa.String(256), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("asked_at", sa.String(32), nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "erasure_orders_by_digest", "erasure_orders", ["tenant", "digest"], if_not_exists=True
    )
    op.create_table(
        "erasure_named",
        sa.Column("erasure", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("fate", sa.String(16), nullable=False),
        sa.Column("certificate", sa.String(64), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "erasure_named_by_fate",
        "erasure_named",
        ["erasure", "fate", "number"],
        if_not_exists=True,
    )
