"""The vault's tables, and how an older vault becomes one of today."""

from typing import Any, Final

import sqlalchemy as sa

from ragplatform.privacy.key_encryption import MASTER_VERSION
from ragplatform.tables import create_missing

_METADATA: Final = sa.MetaData()
CHECK: Final = sa.Table(
    "vault_check",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
SUBJECTS: Final = sa.Table(
    "vault_subjects",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    # Vaults made before keys had versions wrapped them under the master secret.
    sa.Column("kek", sa.String(32), nullable=False, server_default=MASTER_VERSION),
)
VALUES: Final = sa.Table(
    "vault_values",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("vault_values_by_subject", "tenant", "subject"),
)
CLUES: Final = sa.Table(
    "vault_clues",
    _METADATA,
    sa.Column("tenant", sa.String(63), primary_key=True),
    sa.Column("clue", sa.String(24), primary_key=True),
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(128), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("vault_clues_by_subject", "tenant", "subject"),
)


def create(connection: sa.Connection) -> None:
    """Make what is missing of the tables."""
    create_missing(connection, _METADATA)
    columns = {column["name"] for column in sa.inspect(connection).get_columns(SUBJECTS.name)}
    if "kek" not in columns:
        connection.exec_driver_sql(
            f"ALTER TABLE vault_subjects ADD COLUMN kek VARCHAR(32) NOT NULL DEFAULT "
            f"'{MASTER_VERSION}'"
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
