"""How many values of each type in a document were treated by which method."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, empty: nobody counted. Databases from before revisions may have it."""
    columns = sa.inspect(op.get_bind()).get_columns("documents")
    if "treated" not in {column["name"] for column in columns}:
        op.add_column("documents", sa.Column("treated", sa.Text))
