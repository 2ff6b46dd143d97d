"""The vault's tables."""

from typing import Any, Final

import sqlalchemy as sa

from ragplatform.privacy.key_encryption import MASTER_VERSION

METADATA: Final = sa.MetaData()
CHECK: Final = sa.Table(
    "vault_check",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
SUBJECTS: Final = sa.Table(
    "vault_subjects",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    # Vaults made before keys had versions wrapped them under the master secret.
    sa.Column("kek", sa.String(32), nullable=False, server_default=MASTER_VERSION),
)
VALUES: Final = sa.Table(
    "vault_values",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("vault_values_by_subject", "tenant", "subject"),
)
CLUES: Final = sa.Table(
    "vault_clues",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("clue", sa.String(24), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("vault_clues_by_subject", "tenant", "subject"),
)
ORPHANS: Final = sa.Table(
    "vault_orphans",
    METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("since", sa.String(32), nullable=False),
)


def of_subject(table: sa.Table, tenant: str, subject: str) -> sa.ColumnElement[bool]:
    """Return the condition that picks a subject's rows."""
    return (table.c.tenant == tenant) & (table.c.subject == subject)


def with_keys(table: sa.Table, tenant: str) -> sa.Select[Any]:
    """Return a query for the tenant's rows of a table, each with its subject's wrapped key."""
    same = (table.c.tenant == SUBJECTS.c.tenant) & (table.c.subject == SUBJECTS.c.subject)
    columns = [column for column in table.c if column.name != "tenant"]
    return (
        sa.select(*columns, SUBJECTS.c.wrapped_key, SUBJECTS.c.kek)
        .join(SUBJECTS, same)
        .where(table.c.tenant == tenant)
    )
