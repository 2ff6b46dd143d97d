"""An SFTP source knows its server first, stays in its folder, and believes no answer."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.sources.port import Found
from ingest.sources.sftp import SftpFolder
from ingest.sources.sftp_wire import Sftp
from ingest.sources.ssh import SshServer
from ragplatform.errors import ConfigurationError, MovedOnError, SourceError
from tests.source_worlds_remote import require, sftp_source
from tests.ssh_process import PASSWORD, KeyPair, SftpProcess

LIMIT = 1_000_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpProcess]:
    require("twisted", "twisted")
    process = SftpProcess(tmp_path / "server", "conch")
    yield process
    process.stop()


def names(source: SftpFolder) -> list[str]:
    try:
        return [one.name for one in source.list("")]
    finally:
        source.close()


def test_a_server_whose_key_is_not_known_is_not_spoken_to(server):
    server.known_hosts.write_text("")

    with pytest.raises(SourceError, match="known_hosts"):
        names(sftp_source(server))

    assert server.known_hosts.read_text() == ""


def test_a_server_with_another_key_than_the_known_one_is_not_spoken_to(server, tmp_path):
    other = KeyPair(tmp_path / "other")
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other.public}\n")

    with pytest.raises(SourceError, match="known_hosts"):
        names(sftp_source(server))


def test_with_another_key_of_ours_we_are_not_let_in(server, tmp_path):
    server.client_key = KeyPair(tmp_path / "other")

    with pytest.raises(SourceError, match="does not accept our key"):
        names(sftp_source(server))


def test_a_password_is_given_and_a_wrong_one_is_refused(server):
    (server.home / "a.txt").write_text("a")

    assert names(sftp_source(server, password=PASSWORD)) == ["a.txt"]
    with pytest.raises(SourceError, match="does not accept our key or password"):
        names(sftp_source(server, password="wrong"))


def test_links_hidden_files_and_what_is_no_file_are_passed_over(server, tmp_path):
    (tmp_path / "secret.txt").write_text("outside")
    (server.home / "sub").mkdir()
    (server.home / "sub" / "a.txt").write_text("a")
    (server.home / "link.txt").symlink_to(tmp_path / "secret.txt")
    (server.home / "loop").symlink_to(server.home)
    (server.home / ".hidden").write_text("h")
    os.mkfifo(server.home / "pipe")

    assert names(sftp_source(server)) == ["sub/a.txt"]


def test_a_folder_that_became_a_link_out_is_not_followed(server, tmp_path):
    (tmp_path / "out").mkdir()
    for folder in (server.home / "sub", tmp_path / "out"):
        folder.mkdir(exist_ok=True)
        (folder / "a.txt").write_text("same")
    source = sftp_source(server)
    (found,) = source.list("")
    (server.home / "sub" / "a.txt").unlink()
    (server.home / "sub").rmdir()
    (server.home / "sub").symlink_to(tmp_path / "out")

    with pytest.raises(MovedOnError):
        source.read(found, LIMIT)
    source.close()


def test_owner_group_and_mode_are_facts_and_a_change_of_them_is_another_version(server):
    path = server.home / "a.txt"
    path.write_text("a")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    path.chmod(0o640)
    source = sftp_source(server)
    (before,) = source.list("")
    path.chmod(0o644)
    (later,) = source.list("")
    source.close()

    assert ("mode", "0640") in before.facts
    assert ("uid", str(os.geteuid())) in before.facts
    assert before.version != later.version


def test_a_file_is_known_by_its_content_while_its_second_may_not_be_over(server):
    (server.home / "a.txt").write_text("a")
    os.utime(server.home / "a.txt", (1_000_000_000, 1_000_000_000))
    young, old = sftp_source(server), sftp_source(server)
    young._now, old._now = lambda: 1_000_000_060.0, lambda: 1_000_000_500.0

    ((first,), (later,)) = young.list(""), old.list("")

    assert later.version == first.version.partition("-")[0] != first.version
    assert young.read(first, LIMIT) == old.read(later, LIMIT) == b"a"
    young.close()
    old.close()


def test_a_place_that_is_no_folder_is_said_to_be_wrong(server):
    server.home = server.home / "absent"

    with pytest.raises(SourceError, match="place"):
        names(sftp_source(server))


def test_a_file_of_many_pieces_comes_whole(server):
    data = os.urandom(1_234_567)
    (server.home / "large.bin").write_bytes(data)
    source = sftp_source(server)
    (found,) = source.list("")

    assert source.read(found, 2_000_000) == data
    source.close()


@pytest.mark.parametrize(
    ("host", "user"),
    [("-oProxyCommand=x", "a"), ("h", "-l"), ("h;x", "a"), ("h", "a b"), ("", "a")],
)
def test_no_name_is_taken_for_an_option_of_ssh(host, user, tmp_path):
    with pytest.raises(ConfigurationError):
        SshServer(host=host, port=22, user=user, known_hosts=tmp_path, key_file=tmp_path)


class Scripted:
    """A server whose answers were written before it was asked."""

    def __init__(self, *packets: bytes) -> None:
        self.answers = b"".join(struct.pack(">I", len(one)) + one for one in packets)

    def send(self, data: bytes, until: float) -> None:
        """Take it."""

    def receive(self, size: int, until: float) -> bytes:
        if size > len(self.answers):
            raise SourceError("ended")
        taken, self.answers = self.answers[:size], self.answers[size:]
        return taken


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def answer(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack(">BI", kind, number) + body


HELLO = b"\x02" + struct.pack(">I", 3)
FOLDER = struct.pack(">II", 4, 0o040755)
ROOT = (
    answer(104, 1, struct.pack(">I", 1) + text(b"/r") + text(b"") + struct.pack(">I", 0)),
    answer(105, 2, FOLDER),
    answer(102, 3, text(b"handle")),
)


def entry(name: bytes) -> bytes:
    return (
        text(name) + text(b"") + struct.pack(">IQII", 5 | 8, 1, 0o100644, 0) + struct.pack(">I", 9)
    )


@pytest.mark.parametrize(
    "packets",
    [
        (b"\x02" + struct.pack(">I", 2),),
        (b"\x65" + struct.pack(">I", 3),),
        (HELLO, answer(104, 99, b"")),
        (HELLO, answer(104, 1, struct.pack(">I", 4_000_000_000))),
        (HELLO, answer(104, 1, struct.pack(">I", 1) + struct.pack(">I", 4_000_000_000))),
        (HELLO, b""),
        (HELLO, *ROOT, answer(104, 4, struct.pack(">I", 1) + entry(b"../../etc/passwd"))),
        (HELLO, *ROOT, answer(104, 4, struct.pack(">I", 2) + entry(b"a") + entry(b"a"))),
        (HELLO, *ROOT, answer(104, 4, struct.pack(">I", 1_000_000))),
        (HELLO, *ROOT, answer(103, 4, text(b"data"))),
    ],
)
def test_answers_that_cannot_be_are_errors_of_the_server(packets):
    pipe = Scripted(*packets)
    source = SftpFolder(connect=lambda: (Sftp(pipe), lambda: None), root="/r")

    with pytest.raises(SourceError):
        list(source.list(""))


def test_a_packet_longer_than_any_server_sends_is_not_waited_for():
    pipe = Scripted()
    pipe.answers = struct.pack(">I", 2**31) + b"x" * 100

    with pytest.raises(SourceError):
        Sftp(pipe)


def test_a_name_that_is_no_text_is_listed_for_whoever_puts_it_aside():
    status = answer(101, 5, struct.pack(">I", 1) + text(b"") + text(b""))
    closed = answer(101, 6, struct.pack(">I", 0) + text(b"") + text(b""))
    pipe = Scripted(
        HELLO, *ROOT, answer(104, 4, struct.pack(">I", 1) + entry(b"\xff\xfe.txt")), status, closed
    )
    source = SftpFolder(connect=lambda: (Sftp(pipe), lambda: None), root="/r")

    (found,) = source.list("")

    assert isinstance(found, Found)
    assert found.name.encode("utf-8", "surrogateescape") == b"\xff\xfe.txt"
    assert found.unread


def test_pieces_that_come_short_or_out_of_order_make_the_same_content():
    data = os.urandom(70_000)
    first, second, third = data[:32768], data[32768:65536], data[65536:]
    packets = (
        answer(103, 2, text(second[:1000])),
        answer(103, 3, text(third)),
        answer(103, 1, text(first)),
        answer(103, 4, text(second[1000:])),
    )
    sftp = Sftp(Scripted(HELLO, *packets))

    assert b"".join(sftp.pieces(b"h", len(data))) == data
