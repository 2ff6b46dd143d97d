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


def _with_keys(table: sa.Table) -> sa.Select[Any]:
    """Return a query for a tenant's rows of a table, each with its subject's wrapped key."""
    same = (table.c.tenant == SUBJECTS.c.tenant) & (table.c.subject == SUBJECTS.c.subject)
    columns = [column for column in table.c if column.name != "tenant"]
    return (
        sa.select(*columns, SUBJECTS.c.wrapped_key, SUBJECTS.c.kek)
        .join(SUBJECTS, same)
        .where(table.c.tenant == sa.bindparam("tenant"))
    )


# Made once, for every question asks them: making one costs as much as asking it.
VALUES_OF_TOKENS: Final = (
    _with_keys(VALUES)
    .where(VALUES.c.token.in_(sa.bindparam("tokens", expanding=True)))
    .order_by(VALUES.c.token, VALUES.c.subject)
)
"""By ``tenant`` and ``tokens``."""
VALUES_OF_SUBJECT: Final = (
    _with_keys(VALUES).where(VALUES.c.subject == sa.bindparam("subject")).order_by(VALUES.c.token)
)
"""By ``tenant`` and ``subject``."""
CLUES_BY_NAME: Final = (
    _with_keys(CLUES)
    .where(CLUES.c.clue.in_(sa.bindparam("clues", expanding=True)))
    .order_by(
        sa.case((CLUES.c.subject.in_(sa.bindparam("first", expanding=True)), 0), else_=1),
        CLUES.c.token,
    )
    .limit(sa.bindparam("most", type_=sa.Integer))
)
"""By ``tenant`` and ``clues``, at most ``most``, those of the subjects in ``first`` before all."""
