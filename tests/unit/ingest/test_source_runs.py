"""Runs over configured sources: what changed is read, what is gone goes, closed stays closed."""

import io
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.__main__ import app
from ingest.sources.folder import Folder
from ingest.sources.port import Entries, Found, Gone, Listing, Source
from ragplatform.errors import MovedOnError, SourceError
from ragplatform.model import Sensitivity
from tests.source_runs import Deployment

NOTE = "A note about {0}. " * 5


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(NOTE.format(name))
    return folder


@pytest.fixture
def ward(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


class Fake:
    """A source of things in memory. Where it feeds it tells of changes to who has a cursor."""

    def __init__(self, things: dict[str, bytes], *, feeds: bool = False) -> None:
        self.things = things
        self.feeds = feeds
        self.changes: list[Found | Gone] = []
        self.cursors: list[str] = []
        self.away_after = 10**9
        self.moved_on: set[str] = set()
        self.facts: tuple[tuple[str, str], ...] = ()

    def list(self, cursor: str) -> Listing:
        self.cursors.append(cursor)
        return Listing(self._entries(cursor), complete=not cursor)

    def _entries(self, cursor: str) -> Entries:
        some = self.changes if cursor else [self.found(name) for name in self.things]
        for number, one in enumerate(some):
            if number == self.away_after:
                raise SourceError("away")
            yield one
        return f"cursor-{len(self.cursors)}" if self.feeds else ""

    def found(self, name: str) -> Found:
        return Found(name, str(hash(self.things[name])), len(self.things[name]), facts=self.facts)

    def read(self, found: Found, limit: int) -> bytes:
        if found.name in self.moved_on:
            raise MovedOnError("moved on")
        return self.things[found.name]

    def close(self) -> None:
        pass


def test_a_second_run_reads_nothing_and_finds_all_unchanged(ward: Deployment, place: Path) -> None:
    first = ward.run(Folder(place))
    assert (first.exit_code, len(ward.reads)) == (0, 3)

    second = ward.run(Folder(place))

    assert ward.reads == []
    assert set(ward.states().values()) == {"unchanged"}
    assert second.exit_code == 0
    assert len(ward.stored().catalog) == 3


def test_only_what_changed_is_read_and_what_is_gone_goes(ward: Deployment, place: Path) -> None:
    ward.run(Folder(place))
    (place / "b.txt").write_text(NOTE.format("b, anew"))
    (place / "c.txt").unlink()

    report = ward.run(Folder(place))

    assert ward.reads == ["b.txt"]
    assert report.states["removed"] == 1
    assert len(ward.stored().catalog) == 2


def test_a_file_that_was_only_touched_is_read_once_and_unchanged(
    ward: Deployment, place: Path
) -> None:
    ward.run(Folder(place))
    (place / "b.txt").touch()

    ward.run(Folder(place))
    assert (ward.reads, ward.states()["b.txt"]) == (["b.txt"], "unchanged")
    ward.run(Folder(place))
    assert ward.reads == []


def test_an_archive_that_did_not_change_is_not_read(ward: Deployment, place: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inner.txt", NOTE.format("inner"))
    (place / "z.zip").write_bytes(target.getvalue())
    ward.run(Folder(place))
    assert len(ward.stored().catalog) == 4

    report = ward.run(Folder(place))

    assert ward.reads == []
    assert report.states["removed"] == 0
    assert len(ward.stored().catalog) == 4


def test_new_labels_alone_are_noticed(ward: Deployment, place: Path) -> None:
    ward.run(Folder(place))
    ward.more = '[source.labels]\nsensitivity = "restricted"\n'

    ward.run(Folder(place))

    assert set(ward.states().values()) == {"indexed"}
    labels = {one.labels.sensitivity for one in ward.stored().passages.values()}
    assert labels == {Sensitivity.RESTRICTED}


def test_a_document_whose_labels_cannot_be_told_is_out_of_reach(
    ward: Deployment, place: Path
) -> None:
    ward.more = 'sidecar = "{name}.labels.toml"\nsidecar_optional = true\n'
    ward.run(Folder(place))
    (place / "a.txt.labels.toml").write_text("restrictions = [")

    report = ward.run(Folder(place))

    assert ward.states()["a.txt"] == "labels_unreadable"
    assert (report.exit_code, len(ward.stored().catalog)) == (1, 2)
    (place / "a.txt.labels.toml").write_text('restrictions = ["vip"]')
    ward.run(Folder(place))
    assert len(ward.stored().catalog) == 3


def test_a_document_without_its_sidecar_is_put_aside(ward: Deployment, place: Path) -> None:
    ward.more = 'sidecar = "{stem}.json"\n'
    (place / "a.json").write_text('{"department": "cardiology", "subjects": ["mrn:1"]}')

    ward.run(Folder(place))

    assert ward.states() == {
        "a.txt": "indexed",
        "b.txt": "sidecar_missing",
        "c.txt": "sidecar_missing",
    }
    assert {one.labels.department for one in ward.stored().passages.values()} == {"cardiology"}


def test_an_access_list_that_changes_to_one_unknown_closes_the_document(ward: Deployment) -> None:
    ward.more = (
        'acl = ["group"]\n[[source.rule]]\nwhere = { group = "staff" }\ndepartment = "staff"\n'
    )
    source = Fake({"a.txt": NOTE.encode()})
    source.facts = (("group", "staff"),)
    ward.run(source)
    assert len(ward.stored().catalog) == 1
    source.facts = (("group", "strangers"),)

    ward.run(source)

    assert ward.states() == {"a.txt": "acl_unmapped"}
    assert ward.stored().passages == {}


def test_names_that_lead_elsewhere_are_put_aside_and_never_read(ward: Deployment) -> None:
    names = ("../a", "/etc/passwd", "a\nb", f"a{chr(0xDCFF)}.txt")
    source = Fake(dict.fromkeys(names, b"x"))

    report = ward.run(source)

    assert (report.quarantined, ward.reads) == ({"unsafe_name": 4}, [])
    assert all(one.name.isprintable() for one in ward.results)


def test_what_is_larger_than_the_limit_is_not_read(ward: Deployment) -> None:
    ward.run(Fake({"a.txt": b"x" * 30_000}))

    assert (ward.states(), ward.reads) == ({"a.txt": "too_large"}, [])


def test_a_listing_that_breaks_off_removes_nothing_and_the_next_run_goes_on(
    ward: Deployment,
) -> None:
    source = Fake({f"{n}.txt": NOTE.format(n).encode() for n in range(4)})
    ward.run(source)
    source.away_after = 2

    with pytest.raises(SourceError):
        ward.run(source)

    assert len(ward.stored().catalog) == 4
    source.away_after = 10**9
    assert ward.run(source).exit_code == 0


def test_changes_alone_are_listed_from_the_cursor_and_the_gone_go(ward: Deployment) -> None:
    source = Fake({f"{n}.txt": NOTE.format(n).encode() for n in range(4)}, feeds=True)
    ward.run(source)
    source.things["1.txt"] = NOTE.format("one, anew").encode()
    source.changes = [source.found("1.txt"), Gone("2.txt")]

    report = ward.run(source)

    assert source.cursors == ["", "cursor-1"]
    assert ward.reads == ["1.txt"]
    assert report.states["removed"] == 1
    assert len(ward.stored().catalog) == 3


def test_the_cursor_stays_where_something_was_left_for_the_next_run(ward: Deployment) -> None:
    source = Fake({"a.txt": NOTE.encode(), "b.txt": NOTE.encode()}, feeds=True)
    source.moved_on = {"b.txt"}

    report = ward.run(source)
    source.moved_on = set()
    ward.run(source)

    assert (report.exit_code, source.cursors) == (1, ["", ""])
    assert len(ward.stored().catalog) == 2


def test_what_moved_on_keeps_what_was_taken_in_before(ward: Deployment) -> None:
    source = Fake({"a.txt": NOTE.format("a").encode()})
    ward.run(source)
    source.things["a.txt"] = NOTE.format("a, anew").encode()
    source.moved_on = {"a.txt"}

    ward.run(source)

    assert ward.states() == {"a.txt": "changed_meanwhile"}
    assert len(ward.stored().catalog) == 1


def test_other_settings_list_the_source_as_a_whole(ward: Deployment) -> None:
    source = Fake({"a.txt": NOTE.encode()}, feeds=True)
    ward.run(source)
    ward.more = '[source.labels]\nsensitivity = "restricted"\n'

    ward.run(source)

    assert source.cursors == ["", ""]


def test_no_name_and_no_version_is_kept_in_clear(ward: Deployment) -> None:
    class Named(Fake):
        def found(self, name: str) -> Found:
            return Found(name, "etag-d41d8cd98f00", len(self.things[name]))

    source: Source = Named({"lopez-maria-4471230.txt": NOTE.encode()})
    ward.run(source)

    kept = b"".join(one.read_bytes() for one in (ward.folder / "data").glob("catalog.db*"))
    assert b"lopez-maria-4471230" not in kept
    assert b"d41d8cd98f00" not in kept


@pytest.mark.parametrize("option", [("--watch",), ("--every", "5"), ("--whole",)])
def test_what_a_configured_source_alone_can_do_is_not_passed_over(option: tuple[str, ...]) -> None:
    given = ("run", "letters", "--tenant", "mercy", "--collection", "clinical", *option)

    done = CliRunner().invoke(app, given)

    assert done.exit_code == 2
    assert "--source" in done.stderr
