"""An IMAP source reads and changes nothing, follows what it lists, and believes no answer."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ingest.sources import imap_wire
from ingest.sources.imap import Mailboxes
from ingest.sources.imap_wire import Imap, ImapLogin
from ingest.sources.port import Found, Gone, safe_name
from ragplatform.egress import Allowed, tls_context
from ragplatform.errors import MovedOnError, SourceError
from tests.fakes_tls import Authority
from tests.imap_process import USER, ImapProcess, dovecot_runs
from tests.source_worlds_remote import imap_source, mail_of, require

LIMIT = 1_000_000


@pytest.fixture(params=["pymap", "dovecot"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImapProcess]:
    if request.param == "dovecot" and (why := dovecot_runs()):
        pytest.skip(why)
    if request.param == "pymap":
        require("pymap", "pymap")
    process = ImapProcess(tmp_path / "imap", request.param)
    yield process
    process.stop()


@pytest.fixture
def source(server: ImapProcess) -> Iterator[Mailboxes]:
    opened = imap_source(server, ("*",))
    yield opened
    opened.close()


def test_reading_marks_no_message_as_seen(server, source):
    server.put(mail_of(b"words"))
    before = server.flags()

    for one in source.list(""):
        source.read(one, LIMIT)

    assert b"Seen" not in server.flags()
    assert before.replace(b"\\\\Recent", b"") == server.flags().replace(b"\\\\Recent", b"")


def test_mailboxes_are_folders_and_who_wrote_to_whom_are_facts(server, source):
    server.client.create('"Records &AOQ-rzte"')
    server.put(mail_of(b"words"), '"Records &AOQ-rzte"')

    (found,) = source.list("")

    assert found.name.startswith("Records ärzte/")
    assert ("folder", "Records ärzte") in found.facts
    assert ("from", "ward7@hospital.example") in found.facts
    assert ("to", "archive@hospital.example") in found.facts
    assert source.read(found, LIMIT) == mail_of(b"words")


def test_only_mailboxes_that_are_named_are_listed(server):
    server.client.create("Other")
    server.put(mail_of(b"words"), "Other")
    source = imap_source(server, ("INBOX", "Rec*"))

    assert list(source.list("")) == []
    source.close()


def test_a_mailbox_that_was_made_anew_is_listed_whole_and_its_old_messages_moved_on(server, source):
    server.client.create("Work")
    server.put(mail_of(b"old"), "Work")
    listing = source.list("")
    (old,) = listing
    server.client.unselect() if "UNSELECT" in server.client.capabilities else None
    server.client.delete("Work")
    if server.client.create("Work")[0] != "OK":
        pytest.fail("the mailbox could not be made anew")
    server.put(mail_of(b"new"), "Work")

    again = source.list(listing.cursor)
    (new,) = again

    if new.name.split("/")[1].split("-")[0] != old.name.split("/")[1].split("-")[0]:
        assert again.complete
    assert new.name != old.name
    with pytest.raises(MovedOnError):
        source.read(old, LIMIT)


def test_a_message_is_read_after_the_session_ended_in_between(server, source):
    server.put(mail_of(b"words"))
    (found,) = source.list("")
    assert source._session is not None
    source._session._imap.sock.shutdown(socket.SHUT_RDWR)

    assert source.read(found, LIMIT) == mail_of(b"words")


def test_changes_alone_are_listed_where_the_server_tells_what_is_no_more(server, source):
    kept, removed = server.put(mail_of(b"kept")), server.put(mail_of(b"removed"))
    listing = source.list("")
    assert len(list(listing)) == 2
    server.remove(removed)
    added = server.put(mail_of(b"added"))

    again = source.list(listing.cursor)
    changes = list(again)

    if again.complete:
        assert {one.name for one in changes} == {f"INBOX/{n}.eml" for n in (kept, added)}
        return
    gone = {one.name for one in changes if isinstance(one, Gone)}
    assert gone == {f"INBOX/{removed}.eml"}
    assert {one.name for one in changes if isinstance(one, Found)} == {f"INBOX/{added}.eml"}


def test_the_cursor_names_no_mailbox(server, source):
    server.client.create("Patients/Testfall")
    listing = source.list("")
    list(listing)

    assert "Testfall" not in listing.cursor
    assert json.loads(listing.cursor)


# A server that says what it likes.

LISTED = b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n'
STATUS = b'* STATUS "INBOX" (UIDVALIDITY 7 UIDNEXT 3)\r\n'
GOOD: dict[str, bytes] = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    "LIST": LISTED,
    "STATUS": STATUS,
    "EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] is it\r\n",
    "NOOP": b"",
    "LOGOUT": b"* BYE\r\n",
}


@contextmanager
def hostile(
    folder: Path, told: list[bytes] | None = None, login: ImapLogin | None = None, **answers: bytes
) -> Iterator[Mailboxes]:
    """Give a source over a server with these answers; one that ends in a blank goes on for ever.

    What proves who we are is added to ``told``.
    """
    told = [] if told is None else told
    authority = Authority(folder / "authority")
    certificate, key = authority.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def talk(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as wire:
            said = {**GOOD, **answers}
            wire.sendall(said.get("GREETING", b"* OK hello\r\n"))
            lines = wire.makefile("rb")
            while line := lines.readline():
                tag, name, *_ = line.decode().split()
                name = "FETCH" if name == "UID" else name
                if name == "AUTHENTICATE":
                    wire.sendall(b"+ \r\n")
                    told.append(base64.b64decode(lines.readline()))
                body = said.get(name, b"")
                wire.sendall(body)
                while body.endswith(b" ") and not ended.is_set():
                    wire.sendall(b"x" * 65536)
                wire.sendall(f"{tag} OK done\r\n".encode())

    def serve() -> None:
        with suppress(OSError):
            while True:
                talk(listener.accept()[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    who = login or ImapLogin(USER, password=lambda: "pw", token=None)
    tls = tls_context(authority.root_file)

    def connect() -> Imap:
        return Imap(allowed=Allowed.of([]), host="localhost", port=port, tls=tls, login=who)

    source = Mailboxes(connect=connect, folders=("*",))
    try:
        yield source
    finally:
        ended.set()
        source.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)


def mail_line(uid: int, more: bytes = b"") -> bytes:
    headers = b"From: a@b.example\r\n\r\n"
    return (
        b"* 1 FETCH (UID %d RFC822.SIZE 10%s BODY[HEADER.FIELDS (FROM TO CC)]<0> {%d}\r\n%s)\r\n"
        % (uid, more, len(headers), headers)
    )


def test_the_scripted_server_is_otherwise_a_sound_one(tmp_path):
    with hostile(tmp_path, FETCH=mail_line(1)) as source:
        assert [one.name for one in source.list("")] == ["INBOX/7-1.eml"]


def test_a_token_is_shown_as_the_mechanism_says_and_read_anew_for_each_session(tmp_path):
    tokens = iter(["first", "second"])
    login = ImapLogin("archive", password=None, token=lambda: next(tokens))
    told: list[bytes] = []

    with hostile(tmp_path, told, login, FETCH=mail_line(1)) as source:
        for _ in range(2):
            list(source.list(""))

    assert told == [
        b"user=archive\x01auth=Bearer %s\x01\x01" % one for one in (b"first", b"second")
    ]


@pytest.mark.parametrize(
    "answers",
    [
        {"GREETING": b"* BYE go away\r\n"},
        {"GREETING": b"nonsense \r\n"},
        {"LIST": b"* LIST "},
        {"STATUS": b'* STATUS "INBOX" (MESSAGES 3)\r\n'},
        {"STATUS": b""},
        {"EXAMINE": b"* 1 EXISTS\r\n"},
        {"EXAMINE": b"* OK [UIDVALIDITY 8] another\r\n"},
        {"FETCH": b"* 1 FETCH (UID 1 BODY[HEADER] {99999999999}\r\n"},
        {"FETCH": b"* 1 FETCH (UID 1 BODY[HEADER] {" + b"9" * 5000 + b"}\r\n"},
        {"FETCH": b"* 1 FETCH (UID 1 RFC822.SIZE "},
        {"FETCH": b"no answer at all\r\n"},
    ],
)
def test_answers_that_cannot_be_are_errors_of_the_server(tmp_path, answers):
    with hostile(tmp_path, **answers) as source, pytest.raises(SourceError) as caught:
        list(source.list(""))

    assert "nonsense" not in str(caught.value)


def test_an_answer_without_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.sources.imap._LISTING_ROOM", 300_000)

    with hostile(tmp_path, FETCH=mail_line(1) * 10_000) as source, pytest.raises(SourceError):
        list(source.list(""))


def test_a_server_that_falls_silent_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(imap_wire, "_ANSWER_S", 0.3)

    with (
        hostile(tmp_path, STATUS=b"* STATUS {10}\r\n") as source,
        pytest.raises(SourceError),
    ):
        list(source.list(""))


def test_messages_that_were_not_asked_for_are_not_listed(tmp_path):
    unasked = mail_line(2_000_000_000) + b"* 5 FETCH (FLAGS (\\Seen))\r\n"

    with hostile(tmp_path, FETCH=unasked + mail_line(1)) as source:
        assert [one.name for one in source.list("")] == ["INBOX/7-1.eml"]


def test_a_message_whose_sender_is_not_told_is_put_aside(tmp_path):
    with hostile(tmp_path, FETCH=b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n") as source:
        (found,) = source.list("")

    assert found.unread


@pytest.mark.parametrize(
    "raw", [b'"a\\"b"', b'"../../etc"', b'"/etc"', b'"a//b"', b"{5}\r\nab\r\nc", b'""']
)
def test_names_of_mailboxes_lead_nowhere_else(tmp_path, raw):
    answers = {"LIST": b'* LIST () "." ' + raw + b"\r\n", "FETCH": mail_line(1)}

    with hostile(tmp_path, **answers) as source:
        for one in source.list(""):
            assert ".." not in one.name.split("/")
            assert safe_name(one.name) or one.name.startswith("/")


def test_a_server_with_another_certificate_gets_no_password(tmp_path, server):
    other = Authority(tmp_path / "other")
    login = ImapLogin(USER, password=lambda: pytest.fail("was asked for"), token=None)

    with pytest.raises(SourceError, match="TLS"):
        Imap(
            allowed=Allowed.of([]),
            host="localhost",
            port=server.port,
            tls=tls_context(other.root_file),
            login=login,
        )
