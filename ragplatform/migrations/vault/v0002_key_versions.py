"""Under which key-encryption key a subject's key is wrapped."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column. Vaults made before keys had versions wrapped them under the master secret."""
    columns = sa.inspect(op.get_bind()).get_columns("vault_subjects")
    if "kek" not in {column["name"] for column in columns}:
        kek = sa.Column("kek", sa.String(32), nullable=False, server_default="master")
        op.add_column("vault_subjects", kek)
