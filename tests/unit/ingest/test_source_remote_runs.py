"""Nightly runs over FHIR, SFTP and IMAP servers: read once, followed when changed, then gone."""

from pathlib import Path

import pytest

from ingest.sources.port import Source
from ragplatform.model import Sensitivity
from tests.source_runs import Deployment
from tests.source_worlds import WORLDS, World
from tests.source_worlds_remote import REMOTE_WORLDS

NOTE = b"A note about one thing. " * 5


def run(ward: Deployment, world: World) -> None:
    """Run once over the place as it is."""
    source: Source = world.source()
    try:
        assert ward.run(source).exit_code == 0
    finally:
        source.close()


@pytest.mark.parametrize("kind", sorted(REMOTE_WORLDS))
def test_what_is_there_goes_in_once_changes_follow_and_what_is_gone_goes(
    tmp_path: Path, kind: str
) -> None:
    ward = Deployment(tmp_path / "deployment")
    with WORLDS[kind](tmp_path) as world:
        for key in ("kept.txt", "changed.txt", "removed.txt"):
            world.put(key, NOTE + key.encode())
        run(ward, world)
        assert len(ward.reads) == 3
        run(ward, world)
        assert ward.reads == []

        world.put("changed.txt", NOTE + b"other words")
        world.remove("removed.txt")
        run(ward, world)

        assert ward.reads == [world.name("changed.txt")]
        assert len(ward.stored().catalog) == 2


def test_a_mark_of_the_fhir_server_closes_the_document_by_a_rule(tmp_path: Path) -> None:
    rule = '[[source.rule]]\nmatch = "*"\nwhere = {type = "DocumentReference"}\n'
    ward = Deployment(tmp_path / "deployment", rule + 'sensitivity = "restricted"\n')
    with WORLDS["fhir-export"](tmp_path) as world:
        world.put("a.txt", NOTE)
        run(ward, world)

        found = {one.labels.sensitivity for one in ward.stored().passages.values()}
        assert found == {Sensitivity.RESTRICTED}
