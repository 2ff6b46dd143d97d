"""When a document first came in, the day that it gives of itself, and labels given by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, empty: nobody noted it. Create the table if it is missing."""
    columns = sa.inspect(op.get_bind()).get_columns("documents")
    present = {column["name"] for column in columns}
    if "taken_in_at" not in present:
        op.add_column("documents", sa.Column("taken_in_at", sa.String(32)))
    if "dated" not in present:
        op.add_column("documents", sa.Column("dated", sa.String(10)))
    op.create_table(
        "document_labels",
        sa.Column("document", sa.String(128), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        if_not_exists=True,
    )
