"""Keyed marks of what was erased, which a restored ledger is told again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table, and a mark for every document that was erased before there was one."""
    op.create_table(
        "ingest_graves",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("mark", sa.String(128), primary_key=True),
        sa.Column("document", sa.String(128), primary_key=True),
        if_not_exists=True,
    )
    op.create_index(
        "ingest_graves_by_document", "ingest_graves", ["tenant", "document"], if_not_exists=True
    )
    op.execute(
        "INSERT INTO ingest_graves (tenant, mark, document) "
        "SELECT DISTINCT tenant, document, document FROM ingest_sources "
        "WHERE state = 'forgotten' AND NOT EXISTS ("
        "SELECT 1 FROM ingest_graves g WHERE g.tenant = ingest_sources.tenant "
        "AND g.mark = ingest_sources.document AND g.document = ingest_sources.document)"
    )
