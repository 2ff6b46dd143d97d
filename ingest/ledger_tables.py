"""The ledger's tables: a row for each source of a collection, each run, and what was erased."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

SOURCES: Final = sa.Table(
    "ingest_sources",
    METADATA,
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
    # The configured source that it comes from, or "" for a path given by hand.
    sa.Column("source", sa.String(128), nullable=False, server_default=sa.text("''")),
    # The source key of what it lies in, or "" for what lies in nothing else.
    sa.Column("container", sa.String(128), nullable=False, server_default=sa.text("''")),
    # Of a container: the generation for which all that lies in it is settled, or "open".
    sa.Column("contents", sa.String(128), nullable=False, server_default=sa.text("''")),
    sa.Index("ingest_sources_by_state", "tenant", "state"),
    sa.Index("ingest_sources_by_document", "document"),
    sa.Index("ingest_sources_by_container", "tenant", "collection", "container"),
)

# What was erased: its document, or its content, by a keyed mark.
GRAVES: Final = sa.Table(
    "ingest_graves",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("mark", sa.String(128), primary_key=True),
    sa.Column("document", sa.String(128), primary_key=True),
    sa.Index("ingest_graves_by_document", "tenant", "document"),
)

RUNS: Final = sa.Table(
    "ingest_runs",
    METADATA,
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("collection", sa.String(63), nullable=False),
    sa.Column("holder", sa.String(256), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32), nullable=False),
    sa.Column("counts", sa.Text, nullable=False),
    sa.Column("source", sa.String(128), nullable=False, server_default=sa.text("''")),
    # How it ended: a word of ``ingest.runs.Ended``, or "" while it works or was cut off.
    sa.Column("ended", sa.String(16), nullable=False, server_default=sa.text("''")),
    # When it last said that it lives, and what it had done by then.
    sa.Column("heard_at", sa.String(32), nullable=False, server_default=sa.text("''")),
    sa.Column("progress", sa.Text, nullable=False, server_default="{}"),
    # When somebody asked it to end, or "".
    sa.Column("cancelled_at", sa.String(32), nullable=False, server_default=sa.text("''")),
    # What it was called with, sealed: paths may hold personal data.
    sa.Column("arguments", sa.Text, nullable=False, server_default=sa.text("''")),
)
