"""Web servers and buckets that are odd or hostile: bounded, not followed, not taken for empty."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.sources.http import Http, Login, Site
from ingest.sources.http_lists import Format
from ingest.sources.kind import Reach
from ingest.sources.kinds import KINDS
from ingest.sources.options import Options
from ingest.sources.port import Found, Source, safe_name
from ragplatform import egress
from ragplatform.errors import (
    ConfigurationError,
    EgressBlockedError,
    QuarantinedError,
    SourceError,
    UnreadableError,
)
from tests.source_worlds_web import (
    OPEN,
    BucketWorld,
    bucket_world,
    object_store,
    open_web,
    web_room,
)

LIMIT = 1_000_000


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def listed(source: Source) -> dict[str, Found]:
    return {one.name: one for one in source.list("") if isinstance(one, Found)}


@contextmanager
def raw_server(answer: bytes | Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the place of a server that answers every connection with these bytes."""
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                one, _ = door.accept()
            except OSError:
                return
            with one:
                one.recv(65536)
                try:
                    if callable(answer):
                        answer(one)
                    else:
                        one.sendall(answer)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}/"
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def http(place: str, form: Format = Format.LINES, **web: float) -> Http:
    url = "" if form is Format.INDEX else "list"
    return Http(web=open_web(**web), site=Site(place, form, url), login=Login())


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (Format.SITEMAP, b"<html></html>"),
        (Format.SITEMAP, b'<!DOCTYPE a [<!ENTITY b "c">]><urlset>&b;</urlset>'),
        (Format.MANIFEST, b"[" * 100_000),
        (Format.MANIFEST, b'{"documents": []}'),
        (Format.MANIFEST, b'[{"size": 1}]'),
        (Format.LINES, b"\xff\xfe"),
        (Format.INDEX, b"<p>Please log in</p>"),
    ],
)
def test_a_page_that_is_no_list_is_not_taken_for_an_empty_one(form: Format, body: bytes) -> None:
    with raw_server(answer(body)) as place, pytest.raises(SourceError):
        listed(http(place, form))


@pytest.mark.parametrize("status", ["301 Moved", "401 No", "403 No", "404 No", "500 Oh"])
def test_a_list_that_is_refused_is_not_taken_for_an_empty_one(status: str) -> None:
    redirect = "Location: http://127.0.0.1:9/"
    with raw_server(answer(b"", status, redirect)) as place, pytest.raises(SourceError):
        listed(http(place))


def test_an_answer_that_breaks_off_is_no_list() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na.txt\n"
    with raw_server(body) as place, pytest.raises(SourceError, match="does not answer"):
        listed(http(place))


def test_an_answer_that_drips_is_given_up() -> None:
    def drip(one: socket.socket) -> None:
        one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(200):
            one.sendall(b"a")
            time.sleep(0.05)

    began = time.monotonic()
    with raw_server(drip) as place, pytest.raises(SourceError, match="whole answer in"):
        listed(http(place, deadline_s=0.5))
    assert time.monotonic() - began < 5


def test_a_server_that_says_nothing_is_given_up() -> None:
    with (
        raw_server(lambda one: time.sleep(1)) as place,
        pytest.raises(SourceError, match="does not answer"),
    ):
        listed(http(place, timeout_s=0.1))


def test_packed_answers_are_unpacked_no_further_than_the_limit() -> None:
    with web_room(Format.LINES) as world:
        world.put("small.packed", gzip.compress(b"alpha"))
        world.put("bomb.packed", gzip.compress(b"\0" * 200_000_000))
        source = world.source()
        found = listed(source)

        assert source.read(found["small.packed"], LIMIT) == b"alpha"
        with pytest.raises(QuarantinedError) as caught:
            source.read(found["bomb.packed"], LIMIT)
    assert caught.value.reason == "too_large"


def test_nothing_beside_the_place_is_asked_for(tmp_path: Path) -> None:
    body = b"http://192.0.2.1/x\n//192.0.2.1/y\n/../z\nother?q=1\nftp://h/f\nhttp://[::1\n"
    with raw_server(answer(body)) as place:
        assert listed(http(f"{place}docs/")) == {}


def test_escaped_climbing_is_seen_for_what_it_is() -> None:
    head = b"%2e%2e%2fetc%2fpasswd"
    with raw_server(answer(head)) as place:
        assert [safe_name(name) for name in listed(http(place))] == [False]


def test_index_pages_that_lead_round_in_circles_end() -> None:
    page = b'<ul><a href="/a/">a</a><a href="./b/../">b</a><a href="x.txt">x</a></ul>'
    with raw_server(answer(page)) as place:
        assert set(listed(http(place, Format.INDEX))) == {"x.txt", "a/x.txt"}


def test_index_pages_without_an_end_are_given_up() -> None:
    page = b'<ul><a href="deeper/">more</a></ul>'
    with raw_server(answer(page)) as place, pytest.raises(SourceError, match="without an end"):
        listed(http(place, Format.INDEX))


def test_folders_of_an_index_are_gone_through_and_headers_become_facts() -> None:
    with web_room(Format.INDEX) as world:
        world.put("ward/5/Brief 1 & ü.txt", b"alpha")
        source = world.source(facts=("X-Department",))
        found = listed(source)["ward/5/Brief 1 & ü.txt"]

        assert ("header.x-department", "5") in found.facts
        assert source.read(found, LIMIT) == b"alpha"


def test_a_document_that_redirects_is_not_followed_and_does_not_end_the_run() -> None:
    with web_room(Format.INDEX) as world:
        world.put("a.redirect", b"http://127.0.0.1:9/secret")
        world.put("b.txt", b"beta")
        source = world.source()
        found = listed(source)

        with pytest.raises(UnreadableError):
            source.read(found["a.redirect"], LIMIT)
        assert source.read(found["b.txt"], LIMIT) == b"beta"


@pytest.mark.parametrize("login", [Login("reader", "opensesame"), Login(token="t0ken-t0ken")])
def test_a_password_or_a_token_opens_what_nobody_else_may_see(login: Login) -> None:
    with web_room(Format.INDEX, "private") as world:
        world.put("a.txt", b"alpha")

        source = world.source(login)
        assert source.read(listed(source)["a.txt"], LIMIT) == b"alpha"
        with pytest.raises(SourceError, match="who we are"):
            listed(world.source())


def test_a_host_that_is_not_allowed_is_not_asked() -> None:
    reach = Reach(egress.Allowed.of(()))
    kind = KINDS["http"]
    options = Options("test", {"listing": "index"})
    source = kind.open("https://records.invalid/", options, reach)

    with pytest.raises(EgressBlockedError):
        listed(source)
    source.close()


@pytest.mark.parametrize("place", ["http://10.0.0.1/", "ftp://h/", "https://u:p@h/", "https://"])
def test_a_place_without_encryption_or_with_a_password_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        KINDS["http"].check(place, Options("test", {}))


@pytest.fixture
def bucket() -> Iterator[BucketWorld]:
    with bucket_world() as world:
        yield world


def test_a_bucket_of_many_pages_is_listed_whole_and_only_below_its_prefix(
    bucket: BucketWorld,
) -> None:
    bucket.request("PUT", "/other.txt", data=b"x")
    for number in range(7):
        bucket.put(f"{number}.txt", b"x")

    assert len(listed(bucket.source(page=3))) == 7


@pytest.mark.parametrize(
    "key", ["a b+c%d~e.txt", "Ärzte/Brief 1 (alt).txt", "q?x=1&y=2#z", "a=b/c,d;e:f@g!'$*.txt"]
)
def test_keys_of_every_kind_are_listed_and_read(bucket: BucketWorld, key: str) -> None:
    bucket.put(key, b"alpha")
    source = bucket.source()

    assert source.read(listed(source)[key], LIMIT) == b"alpha"


def test_tags_and_metadata_are_facts_where_they_are_asked_for(bucket: BucketWorld) -> None:
    bucket.put("a.txt", b"alpha", x_amz_tagging="department=cardiology", x_amz_meta_owner="Eve")

    plain = listed(bucket.source())["a.txt"]
    told = listed(bucket.source(tags=True, metadata=True))["a.txt"]

    assert not any(key.startswith(("tag.", "meta.")) for key, _ in plain.facts)
    assert {("tag.department", "cardiology"), ("meta.owner", "Eve")} <= set(told.facts)


def test_in_a_bucket_with_versions_the_current_one_counts_and_a_deleted_object_is_gone(
    bucket: BucketWorld,
) -> None:
    on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    bucket.request("PUT", "?versioning", data=on)
    for text in (b"first", b"second"):
        bucket.put("a.txt", text)
    bucket.put("b.txt", b"beta")
    bucket.remove("b.txt")
    source = bucket.source()

    found = listed(source)

    assert set(found) == {"a.txt"}
    assert source.read(found["a.txt"], LIMIT) == b"second"


def test_what_shows_an_empty_folder_is_no_document(bucket: BucketWorld) -> None:
    bucket.put("folder/", b"")
    bucket.put("folder/a.txt", b"a")

    assert set(listed(bucket.source())) == {"folder/a.txt"}


def test_an_object_of_several_parts_is_read(bucket: BucketWorld) -> None:
    begun = bucket.request("POST", "?uploads", key="a.bin").text
    upload = begun.partition("<UploadId>")[2].partition("</UploadId>")[0]
    parts = [b"a" * 5 * 1024 * 1024, b"b"]
    tags = [
        bucket.request("PUT", f"?partNumber={n}&uploadId={upload}", key="a.bin", data=part)
        for n, part in enumerate(parts, 1)
    ]
    listing = "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{one.headers['etag']}</ETag></Part>"
        for n, one in enumerate(tags, 1)
    )
    body = f"<CompleteMultipartUpload>{listing}</CompleteMultipartUpload>".encode()
    bucket.request("POST", f"?uploadId={upload}", key="a.bin", data=body)
    source = bucket.source()

    assert source.read(listed(source)["a.bin"], 2**24) == b"".join(parts)


def test_a_bucket_that_is_not_there_is_not_taken_for_an_empty_one(bucket: BucketWorld) -> None:
    bucket.request("DELETE", "")

    with pytest.raises(SourceError, match="NoSuchBucket"):
        listed(bucket.source())


def s3_at(place: str) -> Source:
    if not object_store():
        pytest.skip("no object store")
    from ingest.sources.s3 import S3, Bucket, Keys

    return S3(
        web=open_web(),
        bucket=Bucket(place.rstrip("/"), "b", "p/"),
        keys=Keys("a", "b"),
        with_tags=False,
        with_metadata=False,
    )


def page(*keys: str, more: str = "") -> bytes:
    entries = "".join(
        f"<Contents><Key>{key}</Key><ETag>e</ETag><Size>1</Size></Contents>" for key in keys
    )
    end = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return f"<ListBucketResult>{end}{token}{entries}</ListBucketResult>".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"<html/>",
        b"",
        page("p/a", more="again"),
        page("other/a"),
        page("p/b", "p/a"),
        page("p/a", "p/a"),
        page("p/a").replace(b"<ETag>e</ETag>", b"<ETag>a b\nc</ETag>"),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + page("p/a"),
        page("p/a").replace(b"<IsTruncated>false", b"<IsTruncated>true"),
    ],
)
def test_a_listing_that_lies_is_given_up(body: bytes) -> None:
    with raw_server(answer(body)) as place, pytest.raises(SourceError):
        listed(s3_at(place))


def test_an_object_of_another_size_than_listed_is_not_taken() -> None:
    with raw_server(answer(b"more than one", "200 OK", 'ETag: "e"')) as place:
        source = s3_at(place)
        with pytest.raises(Exception, match="another size"):
            source.read(Found("a", "e 1 ", 1), LIMIT)
