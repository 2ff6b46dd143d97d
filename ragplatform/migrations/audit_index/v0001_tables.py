"""The audit index's tables as they first were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "audit_logs",
        sa.Column("origin", sa.String(256), primary_key=True),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("next_place", sa.BigInteger, nullable=False),
        sa.Column("last_place", sa.BigInteger, nullable=False),
        sa.Column("last_leaf", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    words = ("action", "outcome", "tenant", "actor", "via", "purpose", "request", "trace", "policy")
    op.create_table(
        "audit_records",
        sa.Column("origin", sa.String(256), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(word, sa.String(256), nullable=False) for word in words),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    order = ["at", "origin", "position"]
    _index("audit_records_by_time", "audit_records", ["tenant", *order])
    _index("audit_records_of_all_by_time", "audit_records", order)
    for word in ("actor", "action", "outcome", "purpose", "request", "policy"):
        _index(f"audit_records_by_{word}", "audit_records", ["tenant", word, *order])
    for table, thing in (
        ("audit_passages", "passage"),
        ("audit_documents", "document"),
        ("audit_subjects", "subject"),
        ("audit_openings", "opening"),
    ):
        more = [sa.Column("document", sa.String(256), nullable=False)]
        op.create_table(
            table,
            sa.Column("origin", sa.String(256), primary_key=True),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column(thing, sa.String(256), primary_key=True),
            sa.Column("how", sa.String(16), nullable=False),
            sa.Column("tenant", sa.String(256), nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            *(more if thing == "passage" else []),
            sqlite_with_rowid=False,
            if_not_exists=True,
        )
        _index(f"{table}_by_{thing}", table, ["tenant", thing, *order])


def _index(name: str, table: str, columns: list[str]) -> None:
    op.create_index(name, table, columns, if_not_exists=True)
