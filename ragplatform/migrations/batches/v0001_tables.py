"""The tables of batches as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "batch_inputs",
        sa.Column("file", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "batches",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("owner", sa.String(256), nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("cancelled", sa.Float, nullable=False),
        sa.Column("last_turn", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "batches_by_owner", "batches", ["tenant", "owner", "created"], if_not_exists=True
    )
    op.create_index("batches_by_state", "batches", ["state", "last_turn"], if_not_exists=True)
    op.create_table(
        "batch_lines",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(256), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "batch_lines_by_state", "batch_lines", ["batch", "state", "number"], if_not_exists=True
    )
