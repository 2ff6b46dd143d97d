"""The vault's tables as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "vault_check",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "vault_subjects",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "vault_values",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "vault_values_by_subject", "vault_values", ["tenant", "subject"], if_not_exists=True
    )
