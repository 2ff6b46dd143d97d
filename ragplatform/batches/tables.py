"""The tables of batches. No text of a request or an answer stands in them: those lie sealed."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

INPUTS: Final = sa.Table(
    "batch_inputs",
    METADATA,
    sa.Column("file", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("owner", sa.String(256), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)

BATCHES: Final = sa.Table(
    "batches",
    METADATA,
    sa.Column("batch", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("owner", sa.String(256), nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("input_file", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
    sa.Column("ended", sa.Float, nullable=False),
    sa.Column("cancelled", sa.Float, nullable=False),
    sa.Column("last_turn", sa.Float, nullable=False),
    sa.Index("batches_by_owner", "tenant", "owner", "created"),
    sa.Index("batches_by_state", "state", "last_turn"),
)

LINES: Final = sa.Table(
    "batch_lines",
    METADATA,
    sa.Column("batch", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("holder", sa.String(256), nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Index("batch_lines_by_state", "batch", "state", "number"),
)
