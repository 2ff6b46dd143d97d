"""Where each source comes from and lies, and how far each run is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ADDED = {
    "ingest_sources": (
        ("source", sa.String(128), "''"),
        ("container", sa.String(128), "''"),
        ("contents", sa.String(128), "''"),
    ),
    "ingest_runs": (
        ("source", sa.String(128), "''"),
        ("ended", sa.String(16), "''"),
        ("heard_at", sa.String(32), "''"),
        ("progress", sa.Text, "'{}'"),
        ("cancelled_at", sa.String(32), "''"),
        ("arguments", sa.Text, "''"),
    ),
}


def upgrade() -> None:
    """Add the columns; in what a source of before lies is not known until it is met again."""
    for table, added in _ADDED.items():
        found = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        for name, kind, default in added:
            if name in found:
                continue
            op.add_column(
                table, sa.Column(name, kind, nullable=False, server_default=sa.text(default))
            )
            if name == "container":
                # No key looks like this, so that no listing says of such a source that it is gone.
                op.execute("UPDATE ingest_sources SET container = '?'")
    op.create_index(
        "ingest_sources_by_container",
        "ingest_sources",
        ["tenant", "collection", "container"],
        if_not_exists=True,
    )
