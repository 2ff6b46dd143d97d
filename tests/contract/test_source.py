"""What every kind of source promises, against a real server of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.sources.port import Found, Gone, Listing, Source
from ragplatform.errors import MovedOnError, QuarantinedError, SourceError
from tests.source_worlds import WORLDS, World

LIMIT = 1_000_000


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def source(world: World) -> Iterator[Source]:
    opened = world.source()
    yield opened
    opened.close()


def all_of(listing: Listing) -> dict[str, Found]:
    """Return what a complete listing names."""
    assert listing.complete
    found = [one for one in listing if isinstance(one, Found)]
    assert listing.through
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def after(known: dict[str, Found], listing: Listing) -> dict[str, Found]:
    """Return what is there by a listing, complete or of changes, over what was known before."""
    if listing.complete:
        return all_of(listing)
    now = dict(known)
    for one in listing:
        if isinstance(one, Gone):
            now.pop(one.name, None)
        else:
            now[one.name] = one
    assert listing.through
    return now


def test_what_was_put_there_is_listed_and_read(world: World, source: Source) -> None:
    world.put("a.txt", b"alpha")
    world.put("b.txt", b"beta")

    found = all_of(source.list(""))

    assert set(found) == {world.name("a.txt"), world.name("b.txt")}
    for key, data in (("a.txt", b"alpha"), ("b.txt", b"beta")):
        assert source.read(found[world.name(key)], LIMIT) == world.content(data)


def test_an_empty_place_is_listed_as_empty(source: Source) -> None:
    assert all_of(source.list("")) == {}


def test_what_did_not_change_keeps_its_version(world: World, source: Source) -> None:
    world.put("a.txt", b"alpha")

    before, later = all_of(source.list("")), all_of(source.list(""))

    assert {n: f.version for n, f in before.items()} == {n: f.version for n, f in later.items()}


def test_with_its_cursor_a_listing_says_what_changed(world: World, source: Source) -> None:
    for key in ("kept.txt", "changed.txt", "removed.txt"):
        world.put(key, b"first")
    listing = source.list("")
    before = all_of(listing)
    kept, removed = world.name("kept.txt"), world.name("removed.txt")

    world.put("changed.txt", b"second, longer")
    world.put("new.txt", b"new")
    world.remove("removed.txt")
    now = after(before, source.list(listing.cursor))

    assert set(now) == {kept, world.name("changed.txt"), world.name("new.txt")}
    assert removed not in now
    assert now[kept].version == before[kept].version
    changed = now[world.name("changed.txt")]
    assert before.get(changed.name) is None or before[changed.name].version != changed.version
    assert source.read(changed, LIMIT) == world.content(b"second, longer")


def test_content_of_the_same_size_put_in_place_at_once_is_another_version(
    world: World, source: Source
) -> None:
    world.put("a.txt", b"alpha")
    before = all_of(source.list(""))
    world.put("a.txt", b"gamma")

    now = all_of(source.list(""))

    assert now != before
    assert source.read(now[world.name("a.txt")], LIMIT) == world.content(b"gamma")


def test_more_bytes_than_the_limit_are_refused_and_others_are_still_read(
    world: World, source: Source
) -> None:
    world.put("large.txt", b"x" * 20_000)
    world.put("small.txt", b"s")
    found = all_of(source.list(""))

    with pytest.raises(QuarantinedError) as caught:
        source.read(found[world.name("large.txt")], 10_000)

    assert caught.value.reason == "too_large"
    assert source.read(found[world.name("small.txt")], 10_000) == world.content(b"s")


def test_what_is_replaced_between_listing_and_reading_is_not_taken_for_it(
    world: World, source: Source
) -> None:
    world.put("a.txt", b"alpha")
    found = all_of(source.list(""))[world.name("a.txt")]
    world.put("a.txt", b"other")

    try:
        data = source.read(found, LIMIT)
    except MovedOnError:
        return
    assert data == world.content(b"alpha")


def test_what_is_removed_between_listing_and_reading_has_moved_on_or_is_read_as_it_was(
    world: World, source: Source
) -> None:
    world.put("a.txt", b"alpha")
    found = all_of(source.list(""))[world.name("a.txt")]
    world.remove("a.txt")

    if world.is_snapshot:
        assert source.read(found, LIMIT) == world.content(b"alpha")
        return
    with pytest.raises(MovedOnError):
        source.read(found, LIMIT)


def test_a_place_that_is_away_is_not_taken_for_an_empty_one(world: World, source: Source) -> None:
    world.put("a.txt", b"alpha")
    world.go_away()

    with pytest.raises(SourceError):
        list(source.list(""))


def test_a_listing_that_is_left_halfway_is_not_through(world: World, source: Source) -> None:
    world.put("a.txt", b"alpha")
    world.put("b.txt", b"beta")

    listing = source.list("")
    next(iter(listing))

    assert not listing.through
    assert listing.cursor == ""
