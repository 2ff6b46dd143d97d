"""The catalog's tables as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "access_classes",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_access_classes_tenant", "access_classes", ["tenant"], if_not_exists=True)
    op.create_table(
        "documents",
        sa.Column("document", sa.String(128), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("collection", sa.String(63), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.String(255), nullable=False),
        sa.Column(
            "access_class", sa.String(64), sa.ForeignKey("access_classes.id"), nullable=False
        ),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("generation", sa.String(128), nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("indexed_at", sa.String(32), nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "documents_by_collection", "documents", ["tenant", "collection"], if_not_exists=True
    )
