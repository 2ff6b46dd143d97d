"""The ledger's tables as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is missing."""
    op.create_table(
        "ingest_sources",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("collection", sa.String(63), primary_key=True),
        sa.Column("source_key", sa.String(128), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("pipeline", sa.String(128), nullable=False),
        sa.Column("labels_digest", sa.String(128), nullable=False),
        sa.Column("document", sa.String(128), nullable=False),
        sa.Column("generation", sa.String(128), nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(128), nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("live_generation", sa.String(128), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(256), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "ingest_sources_by_state", "ingest_sources", ["tenant", "state"], if_not_exists=True
    )
    op.create_index(
        "ingest_sources_by_document", "ingest_sources", ["document"], if_not_exists=True
    )
    op.create_table(
        "ingest_runs",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("collection", sa.String(63), nullable=False),
        sa.Column("holder", sa.String(256), nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32), nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        if_not_exists=True,
    )
