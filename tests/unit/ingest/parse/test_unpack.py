"""What lies in archives and mails comes out with safe names, or with a reason."""

import gzip
import io
import tarfile
import zipfile
from email.message import EmailMessage

import pytest

from ingest.parse import wire
from ingest.parse.sandbox import Limits, Sandbox
from ingest.parse.unpack import Allowance, Member, Opened, unpack
from ragplatform.errors import ParseError

ENOUGH = Allowance(100, 10_000_000)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return target.getvalue()


def taped(*entries: tarfile.TarInfo, body: bytes = b"text") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for entry in entries:
            entry.size = len(body) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(body) if entry.isreg() else None)
    return target.getvalue()


def tar_entry(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return entry


def forwarded() -> bytes:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], outer["Subject"] = "Inner", "Outer"
    inner.set_content("inner text")
    outer.set_content("outer text")
    outer.add_attachment(inner)
    outer.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="../../t.csv")
    return outer.as_bytes()


def test_a_zip_gives_each_file_under_its_path() -> None:
    opened = unpack(zipped(("a/one.txt", b"1"), ("two.txt", b"2")), "a.zip", ENOUGH)

    assert opened == Opened((Member("a/one.txt", b"1"), Member("two.txt", b"2")), False)


def test_two_files_of_one_name_stay_two() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(("a.txt", b"1"), ("a.txt", b"2"))

    paths = [member.path for member in unpack(data, "a.zip", ENOUGH).members]

    assert paths == ["a.txt", "a~2.txt"]


@pytest.mark.parametrize("path", ["../up.txt", "/etc/passwd", "a/../../b.txt", "..\\w.txt", "C:/x"])
def test_a_path_out_of_the_archive_is_refused(path: str) -> None:
    [member] = unpack(zipped((path, b"x")), "a.zip", ENOUGH).members

    assert (member.data, member.refused) == (b"", "unsafe_path")
    assert ".." not in member.path.split("/")
    assert not member.path.startswith("/")


def test_links_and_devices_in_a_tar_are_refused_and_files_are_not() -> None:
    kinds = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
    data = taped(*(tar_entry(f"{n}.txt", kind) for n, kind in enumerate(kinds)))

    members = unpack(data, "a.tar", ENOUGH).members

    assert [member.refused for member in members] == ["", *["not_a_file"] * 4]


def test_a_compressed_tar_and_a_compressed_file_are_opened_alike() -> None:
    tar = unpack(gzip.compress(taped(tar_entry("x.txt"))), "a.tgz", ENOUGH)
    file = unpack(gzip.compress(b"a,b\n1,2\n"), "t.csv.gz", ENOUGH)

    assert tar.members == (Member("x.txt", b"text"),)
    assert file.members == (Member("t.csv", b"a,b\n1,2\n"),)


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (zipped(("a.txt", bytes(300 * 1024 * 1024))), "a.zip", "archive_bomb"),
        (gzip.compress(bytes(300 * 1024 * 1024)), "a.gz", "archive_bomb"),
        (zipped(*((f"{n}.txt", b"x") for n in range(101))), "a.zip", "archive_bomb"),
        (zipped(), "a.zip", "empty"),
        (zipped(("d/", b"")), "a.zip", "empty"),
        (zipped(("a.txt", b"x" * 500))[:60], "a.zip", "malformed"),
        (gzip.compress(b"x" * 500)[:-12], "a.gz", "malformed"),
        (b"no mail", "a.mbox", "malformed"),
        (b"MZ" + bytes(60), "a.zip", "type_mismatch"),
    ],
    # The bytes hold the time at which they were made: no two workers would name them alike.
    ids=lambda value: "data" if isinstance(value, bytes) else value,
)
def test_an_archive_that_does_harm_or_is_damaged_has_its_reason(
    data: bytes, name: str, reason: str
) -> None:
    with pytest.raises(ParseError) as caught:
        unpack(data, name, Allowance(100, 512 * 1024 * 1024))

    assert caught.value.reason == reason


def test_an_encrypted_file_does_not_keep_the_others_in() -> None:
    data = bytearray(zipped(("a.txt", b"one"), ("b.txt", b"two")))
    # Sets the flag of encryption in the second file's entry of the directory.
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[place + 8] |= 1

    members = unpack(bytes(data), "a.zip", ENOUGH).members

    assert [(member.data, member.refused) for member in members] == [
        (b"one", ""), (b"", "encrypted"),
    ]  # fmt: skip


def test_a_mail_is_a_document_and_holds_its_attachments() -> None:
    opened = unpack(forwarded(), "a.eml", ENOUGH)

    assert opened.is_document
    assert [member.path for member in opened.members] == ["message-2.eml", ".._.._t.csv"]
    assert b"inner text" in opened.members[0].data


def test_a_mailbox_gives_each_of_its_mails() -> None:
    one = b"From a@x.test Mon Jan  1 10:00:00 2024\nSubject: One\n\n>From here\n\n"

    members = unpack(one + one.replace(b"One", b"Two"), "a.mbox", ENOUGH).members

    assert [member.path for member in members] == ["message-000001.eml", "message-000002.eml"]
    assert members[0].data == b"Subject: One\n\nFrom here\n\n"


def test_members_cross_from_the_sandbox_whole() -> None:
    with Sandbox(limits=Limits()) as sandbox:
        opened = sandbox.unpack(zipped(("a.bin", bytes(range(256)) * 9)), "a.zip", ENOUGH)

    assert opened.members == (Member("a.bin", bytes(range(256)) * 9),)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}\n",
        b'{"members": [["../a", 1, ""]], "is_document": false}\nx',
        b'{"members": [["/a", 1, ""]], "is_document": false}\nx',
        b'{"members": [["a", 2, ""]], "is_document": false}\nx',
        b'{"members": [["a", -1, ""]], "is_document": false}\nx',
        b'{"members": [["a", 0, "made_up"]], "is_document": false}\n',
        b'{"members": [["a", 0, ""]], "is_document": false}\nleft over',
        b'{"members": [["a", 0, ""], ["a", 0, ""]], "is_document": false}\n',
    ],
)
def test_an_unpacked_answer_of_another_form_counts_as_a_crash(answer: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        wire.decode_opened(answer)

    assert caught.value.reason == "crashed"
