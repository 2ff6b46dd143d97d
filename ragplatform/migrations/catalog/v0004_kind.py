"""What a document says that it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, empty: it is known when a document is taken in again."""
    columns = sa.inspect(op.get_bind()).get_columns("documents")
    if "kind" not in {column["name"] for column in columns}:
        op.add_column("documents", sa.Column("kind", sa.String(64)))
