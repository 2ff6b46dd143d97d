"""The table of legal holds as it first was."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "legal_holds",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("case_ref", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("target", sa.String(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("placed_by", sa.String(128), nullable=False),
        sa.Column("placed_at", sa.String(32), nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "legal_holds_by_target", "legal_holds", ["tenant", "kind", "target"], if_not_exists=True
    )
