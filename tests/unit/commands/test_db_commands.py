"""An operator sees at which revision the databases are, and brings them up before a start."""

import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from ragplatform import config
from ragplatform.__main__ import app
from ragplatform.migrations import PARTS


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("RAGPLATFORM_DATA_DIR", str(tmp_path / "data"))
    return config.load()


def run(*arguments, code):
    result = CliRunner().invoke(app, ["db", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_looking_changes_nothing_and_an_upgrade_brings_every_part_up(settings):
    run("current", code=1)
    assert not settings.data_dir.exists()

    run("upgrade", code=0)

    rows = [json.loads(line) for line in run("current", "--json", code=0).stdout.splitlines()]
    assert [row["part"] for row in rows] == list(PARTS)
    assert all(row["current"] for row in rows)


def test_a_database_of_a_newer_program_is_named_and_left_alone(settings):
    run("upgrade", code=0)
    engine = sa.create_engine(settings.effective_vault_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vault_version SET version_num = '9999'")
    engine.dispose()

    for command in ("current", "upgrade"):
        assert "revision 9999" in run(command, code=2).stderr
