"""Since when nothing is kept under a key."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table where it is missing."""
    op.create_table(
        "vault_orphans",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("since", sa.String(32), nullable=False),
        if_not_exists=True,
    )
