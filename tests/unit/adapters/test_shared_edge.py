"""Several processes on one embedded index: nothing lost, nothing corrupted, no lock's traceback."""

import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from ragplatform.adapters import edge_wire
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.edge_wire import (
    MAX_FRAME,
    OwnerGoneError,
    receive_frame,
    send_frame,
    short_path,
)
from ragplatform.adapters.filters import encode_filter, within
from ragplatform.adapters.shared_edge import LOCK_NAME, Role, SharedEdgeIndex
from ragplatform.errors import (
    ConfigurationError,
    IndexLockedError,
    IndexUnavailableError,
    TooLargeError,
)
from ragplatform.model import (
    AllOf,
    AnyOf,
    Chunk,
    Clause,
    Json,
    Labels,
    Passage,
    Purpose,
    Scope,
    TermWeights,
)
from ragplatform.ports import Entry

ROOT = Path(__file__).parents[3]
EAST = (1.0, 0.0, 0.0, 0.0)
TERMS = TermWeights((5,), (1.0,))
TREE = AnyOf((AllOf((Clause("access_class", frozenset({"open"})),)),))
OPEN = Scope("mercy", "dr-ada", Purpose.TREAT, TREE, frozenset(), "digest", "key")


def entry(number: int, document: str = "letter") -> Entry:
    return Entry(
        Passage(
            chunk=Chunk(f"00000000-0000-0000-0000-{number:012}", number, "text", 0, 4),
            document=document,
            title="",
            labels=Labels("mercy", "clinical"),
            access_class="open",
            subjects=frozenset(),
            generation="g1",
        ),
        EAST,
        TERMS,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


def shared(folder: Path, patience_s: float = 15.0) -> "closing[SharedEdgeIndex]":
    return closing(SharedEdgeIndex(folder=folder, dim=4, patience_s=patience_s))


# Takes part in the index and does as it is told on its standard input, a line at a time.
MEMBER = """
import sys
from pathlib import Path
from ragplatform.adapters.shared_edge import SharedEdgeIndex
from tests.unit.adapters.test_shared_edge import entry
index = SharedEdgeIndex(folder=Path(sys.argv[1]), dim=4)
print(index.role, index.owner_pid(), flush=True)
for line in sys.stdin:
    first, count = map(int, line.split())
    for number in range(first, first + count):
        index.upsert([entry(number)])
        print(number, flush=True)
index.close()
"""


class Member:
    """Another process that uses the index."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MEMBER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        role, owner = self.line().split()
        self.role, self.owner = Role(role), int(owner)

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def store(self, first: int, count: int = 1) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{first} {count}\n")
        self.process.stdin.flush()

    def rest(self) -> list[int]:
        """Return the numbers acknowledged until the process ended."""
        assert self.process.stdout is not None
        return [int(line) for line in self.process.stdout if line.endswith("\n")]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)


@contextmanager
def member(folder: Path) -> Iterator[Member]:
    found = Member(folder)
    with found.process:
        try:
            yield found
        finally:
            found.process.kill()


def test_a_guest_of_another_user_is_turned_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared(folder) as owner:
        owner.upsert([entry(1)])
        with short_path(folder) as path, socket.socket(socket.AF_UNIX) as stranger:
            monkeypatch.setattr(edge_wire.os, "geteuid", lambda: 12345)
            stranger.connect(path)
            stranger.settimeout(5)
            assert stranger.recv(1) == b""


def test_an_owner_of_another_user_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = socket.socketpair()
    with left, right:
        assert edge_wire.peer_of(left) == os.getpid()
        monkeypatch.setattr(edge_wire.os, "geteuid", lambda: 12345)
        with pytest.raises(ConfigurationError, match="one user"):
            edge_wire.peer_of(left)


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(ConfigurationError, match="belongs to user"):
        SharedEdgeIndex(folder=folder, dim=4)


def test_nobody_else_can_reach_the_socket(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    with shared(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "owner.sock").stat().st_mode) == 0o600


def test_an_owner_that_is_stopped_is_named_after_a_bounded_wait(folder: Path) -> None:
    with member(folder) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(IndexLockedError, match=f"process {holder.pid} holds"):
                SharedEdgeIndex(folder=folder, dim=4, patience_s=0.5)
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        assert time.monotonic() - started < 15


def test_an_engine_held_outside_the_protocol_is_a_lock_not_a_crash(folder: Path) -> None:
    with (
        closing(EdgeIndex(folder=folder, dim=4)),
        pytest.raises(IndexLockedError, match="nothing was changed"),
    ):
        SharedEdgeIndex(folder=folder, dim=4, patience_s=0.3)

    with shared(folder) as index:
        assert index.role is Role.OWNER


def test_a_guest_with_another_encoder_is_refused(folder: Path) -> None:
    with shared(folder), pytest.raises(ConfigurationError, match="of length 4"):
        SharedEdgeIndex(folder=folder, dim=5)


def test_a_process_forked_from_one_with_an_open_index_must_open_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared(folder) as index:
        real = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        with pytest.raises(IndexUnavailableError, match="forked"):
            index.count()
        monkeypatch.undo()
        assert index.count() == 0


STRANGE: list[bytes] = [
    b"",
    b"\0",
    b"\0\0\0\2{",
    b"\0\0\0\2{}",
    b"\0\0\0\4null",
    b"\xff\xff\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\0\0\0\3\xff\xff\xff",
    b"\0\1\0\0" + b"[" * 65536,
]


@pytest.mark.parametrize("sent", STRANGE)
def test_the_owner_survives_what_is_no_request(folder: Path, sent: bytes) -> None:
    with shared(folder) as owner, shared(folder) as guest:
        with short_path(folder) as path, socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(10)
            # Closing a socket with unread bytes resets it: either end will do.
            with suppress(ConnectionResetError):
                while peer.recv(4096):
                    pass

        guest.upsert([entry(1)])
        assert owner.count() == guest.count() == 1


REQUESTS: list[Json] = [
    ["count"],
    ["count", "x"],
    ["close", []],
    ["__class__", []],
    ["remove", []],
    ["remove", ["a"]],
    ["remove", ["a", "b", "c"]],
    ["retire", ["a", "b"]],
    ["upsert", [[["id"]]]],
    ["upsert", [[["id", {}, "", [[], []]]]]],
    ["search", ["", [[], []], [], 10]],
    ["search", ["AAAA", [[], []], [[["tenant_class", []]]], 10]],
    ["search", ["?", [[], []], encode_filter(within(OPEN)), 10]],
    ["search", [None, None, None, None]],
    ["fetch", ["x", None]],
    ["fetch", [None, encode_filter(within(OPEN))]],
    ["relabel", ["a", {}]],
    ["hello", 99, 4],
    ["hello", 2, 5],
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_malformed_request_is_answered_with_an_error(folder: Path, request_: Json) -> None:
    with shared(folder) as owner, short_path(folder) as path:
        owner.upsert([entry(1)])
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.settimeout(10)
            send_frame(peer, request_)
            answer = receive_frame(peer)
            assert isinstance(answer, dict)
            assert set(answer) == {"error", "message"}

            send_frame(peer, ["count", []])
            assert receive_frame(peer) == {"ok": 1}


def test_a_message_past_the_bound_is_not_sent() -> None:
    left, right = socket.socketpair()
    with left, right:
        with pytest.raises(TooLargeError):
            send_frame(left, "x" * MAX_FRAME)
        right.setblocking(False)
        with pytest.raises(BlockingIOError):
            right.recv(1)


def test_a_length_past_the_bound_is_not_believed() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall((MAX_FRAME + 1).to_bytes(4, "big"))
        with pytest.raises(OwnerGoneError):
            receive_frame(right)


def test_the_first_process_owns_and_the_second_is_told_which(folder: Path) -> None:
    with member(folder) as first, member(folder) as second, shared(folder) as third:
        assert (first.role, first.owner) == (Role.OWNER, first.pid)
        assert (second.role, second.owner) == (Role.GUEST, first.pid)
        assert (third.role, third.owner_pid()) == (Role.GUEST, first.pid)


def test_what_one_process_stores_another_finds_at_once(folder: Path) -> None:
    with member(folder) as writer, shared(folder) as reader:
        writer.store(7)
        assert writer.line() == "7"

        assert [hit.passage for hit in reader.search(EAST, TERMS, OPEN, 5)] == [entry(7).passage]


def test_many_entries_go_through_the_socket_in_batches(folder: Path) -> None:
    with shared(folder) as owner, shared(folder) as guest:
        guest.upsert([entry(number) for number in range(300)])

        assert owner.count() == 300
        assert len(guest.search(EAST, TERMS, OPEN, 500)) == 300


def test_a_folder_too_deep_for_a_socket_address_serves_too(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["deeper-than-the-kernel-allows"] * 6)
    assert len(str(deep)) > 107

    with shared(deep) as owner, shared(deep) as guest:
        guest.upsert([entry(1)])
        assert owner.count() == 1


def test_when_the_owner_closes_the_guest_takes_its_place(folder: Path) -> None:
    with shared(folder) as guest_later, ExitStack() as stack:
        owner = guest_later
        guest = stack.enter_context(shared(folder))
        owner.upsert([entry(1)])
        owner.close()

        assert guest.count() == 1
        assert (guest.role, guest.owner_pid()) == (Role.OWNER, os.getpid())
        guest.upsert([entry(2)])
        with shared(folder) as newcomer:
            assert newcomer.role is Role.GUEST
            assert newcomer.count() == 2


def test_when_the_owner_is_killed_the_guest_takes_its_place(folder: Path) -> None:
    with member(folder) as holder, shared(folder) as guest:
        holder.store(1)
        assert holder.line() == "1"
        holder.kill()

        guest.upsert([entry(2)])

        assert guest.role is Role.OWNER
        assert {hit.passage for hit in guest.search(EAST, TERMS, OPEN, 5)} == {
            entry(1).passage,
            entry(2).passage,
        }


def test_a_socket_left_by_a_killed_owner_is_replaced(folder: Path) -> None:
    with member(folder) as holder:
        holder.kill()
    assert (folder / "owner.sock").exists()

    with shared(folder) as owner, shared(folder) as guest:
        assert (owner.role, guest.role) == (Role.OWNER, Role.GUEST)


def test_an_owner_killed_while_guests_write_loses_nothing_acknowledged(folder: Path) -> None:
    with member(folder) as holder, member(folder) as first, member(folder) as second:
        writers = [holder, first, second]
        for number, writer in enumerate(writers):
            writer.store(1000 * number, 60)
        for writer in writers:
            writer.line()
        time.sleep(0.05)
        holder.kill()

        assert [first.finish(), second.finish()] == [0, 0]
        acknowledged = {number for writer in writers for number in writer.rest()}
        assert {*range(1001, 1060), *range(2001, 2060)} <= acknowledged

    with shared(folder) as index:
        for number in acknowledged:
            assert index.fetch(entry(number).passage.chunk.id, OPEN) is not None


@pytest.mark.slow
def test_owners_killed_one_after_another_lose_nothing_acknowledged(folder: Path) -> None:
    chance = random.Random(7)
    acknowledged: set[int] = set()
    with ExitStack() as stack:
        members = [stack.enter_context(member(folder)) for _ in range(4)]
        for number, each in enumerate(members):
            each.store(1000 * number, 150)
        for each in members:
            each.line()
        alive = {each.pid: each for each in members}
        while len(alive) > 1:
            time.sleep(chance.uniform(0.05, 0.3))
            holder = (folder / LOCK_NAME).read_text()
            if holder.isdigit() and int(holder) in alive:
                alive.pop(int(holder)).kill()
        [survivor] = alive.values()
        assert survivor.finish() == 0
        for each in members:
            acknowledged |= set(each.rest())

    first = 1000 * members.index(survivor)
    assert set(range(first + 1, first + 150)) <= acknowledged
    with shared(folder) as index:
        for number in acknowledged:
            assert index.fetch(entry(number).passage.chunk.id, OPEN) is not None


def test_guests_in_many_threads_share_one_owner(folder: Path) -> None:
    with shared(folder) as owner, shared(folder) as guest:
        threads = [
            threading.Thread(target=guest.upsert, args=([entry(number)],)) for number in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert owner.count() == 12


def test_closing_leaves_no_socket_and_no_descriptor(folder: Path) -> None:
    with shared(folder):
        pass
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(3):
        with shared(folder), shared(folder) as guest:
            guest.upsert([entry(1)])

    assert not (folder / "owner.sock").exists()
    # The owner's threads close their ends of the connections a moment later.
    deadline = time.monotonic() + 10
    while len(list(Path("/proc/self/fd").iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
