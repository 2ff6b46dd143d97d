"""Brings a database to the tables that this program works with, and refuses one that is newer.

Each part that keeps tables has a folder of Alembic revisions here, in one line, and a table of its
own that says at which of them its database is: parts may share a database, and each knows its own
alone. Revisions write no data that they cannot write a second time, and never go back: an older
program refuses a newer database rather than guess at it.

The first revisions of each part also adopt databases from before there were any: they create what
is missing and leave what is there.
"""

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ragplatform.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory

PARTS: Final = (
    *("catalog", "ledger", "queue", "register", "vault", "audit_index"),
    *("sources", "editions", "holds", "quarantine", "erasures", "batches"),
)

# Any number will do, as long as nobody else locks it: the first bytes of SHA-256("ragplatform").
_LOCK: Final = 0x31AC5C52
# Alembic keeps the connection that its operations work on in a variable of the process.
_ALONE: Final = threading.Lock()
_FOLDER: Final = Path(__file__).parent
_REVISION: Final = re.compile(r"v(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class Standing:
    """At which revision a part's database is; "" before the first, also for one to be adopted."""

    part: str
    at: str
    newest: str

    @property
    def current(self) -> bool:
        """Whether the database has exactly the tables that this program works with."""
        return self.at == self.newest


def version_table(part: str) -> str:
    """Return the name of the table that says at which revision the part's database is."""
    return f"{part}_version"


def standing(connection: sa.Connection, part: str) -> Standing:
    """Return at which revision the part's database is. Nothing is changed.

    Raises ``ConfigurationError`` for a database that a newer program has changed.
    """
    known = _revisions(part)
    at = ""
    if sa.inspect(connection).has_table(version_table(part)):
        version = sa.table(version_table(part), sa.column("version_num"))
        at = connection.execute(sa.select(version.c.version_num)).scalar() or ""
    if at and at not in known:
        raise ConfigurationError(
            f"the database of the {part} is at revision {at}, which this program does not know "
            f"(newest: {known[-1]}): run the newer program that changed it, or restore a copy "
            "from before"
        )
    return Standing(part, at, known[-1])


def bring_up(connection: sa.Connection, part: str) -> Standing:
    """Run the revisions that the part's database lacks, all or none; return where it was before.

    The caller commits. One process at a time: others wait, and then find nothing left to do.

    Raises ``ConfigurationError`` for a database that a newer program has changed.
    """
    found = standing(connection, part)
    if found.current:
        return found
    _lock(connection)
    # Looked at again: another process may have done it meanwhile.
    found = standing(connection, part)
    if not found.current:
        _run(connection, part)
    return found


def newest(part: str) -> str:
    """Return the revision of the tables that this program works with."""
    return _revisions(part)[-1]


def _run(connection: sa.Connection, part: str) -> None:
    # Alembic takes a third of a second to import, and most processes find nothing to do.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    # Percent signs would be taken for references to other options.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(_FOLDER / part).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    scripts = ScriptDirectory.from_config(config)

    def missing(at: Any, _: "MigrationContext") -> "Iterable[MigrationStep]":
        return _steps(scripts, at)

    with _ALONE, EnvironmentContext(config, scripts, fn=missing) as environment:
        environment.configure(connection=connection, version_table=version_table(part))
        environment.run_migrations()


def _steps(scripts: "ScriptDirectory", at: Any) -> "Iterator[MigrationStep]":
    # As Alembic's own command of the same name does.
    yield from scripts._upgrade_revs("head", at)


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        return
    driver: Any = connection.connection.dbapi_connection  # a sqlite3.Connection
    if not driver.in_transaction:
        # The driver begins before it writes a row, but not before it changes a table.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _revisions(part: str) -> list[str]:
    """Return the revisions of a part, oldest first: their files are named after them."""
    names = (_REVISION.fullmatch(path.name) for path in (_FOLDER / part).iterdir())
    return sorted(match[1] for match in names if match)
