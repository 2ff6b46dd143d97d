"""What finds a person's pseudonym by a part of the name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table where it is missing."""
    op.create_table(
        "vault_clues",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("clue", sa.String(24), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "vault_clues_by_subject", "vault_clues", ["tenant", "subject"], if_not_exists=True
    )
