"""Forwarding: every record arrives, in order, whatever is killed, and says which one it is."""

import contextlib
import json
import math
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ragplatform import egress
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.forward import Cursor, Forwarder, as_json
from ragplatform.audit.forward_file import FileTarget
from ragplatform.audit.forward_syslog import SyslogFormat, SyslogTarget, framed
from ragplatform.audit.query import read
from ragplatform.audit.record import Record
from ragplatform.errors import AuditLockedError, ForwardError, TamperedError
from tests.fakes_audit import event, open_log, open_logs, write_groups
from tests.fakes_disk import QuickDisk
from tests.fakes_tls import Authority, SyslogReceiver

ROOT = Path(__file__).resolve().parents[3]


class Kept:
    """A target that keeps what it takes, and refuses on demand."""

    name = "kept"

    def __init__(self, *, refuse_at: Sequence[int] = ()) -> None:
        self.records: list[tuple[str, int]] = []
        self.calls = 0
        self._refuse_at = refuse_at

    def take(self, batch: Sequence[Record]) -> None:
        self.calls += 1
        if self.calls in self._refuse_at:
            raise ForwardError("away")
        self.records += [(record.origin, record.index) for record in batch]

    def close(self) -> None:
        pass


def forwarder(tmp_path: Path, target: object, *, batch: int = 4) -> Forwarder:
    return Forwarder(
        tmp_path / "audit",
        target=target,  # type: ignore[arg-type]
        cursor=tmp_path / "forward" / "kept.json",
        storage=QuickDisk(),
        batch=batch,
    )


def write(log: Path, records: int) -> None:
    with open_log(log) as writer:
        for number in range(records):
            writer.append(event(number, sealed={"question": f"secret {number}"}))


def test_every_record_of_every_log_is_sent_once_and_in_order(tmp_path: Path) -> None:
    with open_logs(tmp_path / "audit") as logs:
        for number in range(20):
            logs.append(event(number, tenant=("", "mercy", "harbor")[number % 3]))
    kept = Kept()

    assert forwarder(tmp_path, kept).run_once() == 20
    assert forwarder(tmp_path, kept).run_once() == 0

    assert len(set(kept.records)) == 20
    for origin in ("api", "api.mercy", "api.harbor"):
        indexes = [index for name, index in kept.records if name == origin]
        assert indexes == list(range(len(indexes)))


@pytest.mark.parametrize("refused", range(1, 6))
def test_what_the_target_refused_is_sent_again_from_there(tmp_path: Path, refused: int) -> None:
    write(tmp_path / "audit" / "log", 20)
    kept = Kept(refuse_at=[refused])
    sending = forwarder(tmp_path, kept)

    with pytest.raises(ForwardError):
        sending.run_once()
    sending.run_once()

    assert [index for _, index in kept.records] == list(range(20))


def test_a_log_that_grows_and_rotates_is_followed(tmp_path: Path) -> None:
    kept = Kept()
    sending = forwarder(tmp_path, kept)

    with open_log(tmp_path / "audit" / "log", segment_bytes=2_000) as writer:
        for number in range(60):
            writer.append(event(number))
            if number % 7 == 0:
                sending.run_once()
    forwarder(tmp_path, kept).run_once()

    assert len(list((tmp_path / "audit" / "log").glob("segment-*"))) > 5
    assert [index for _, index in kept.records] == list(range(60))


def test_records_of_larger_groups_are_all_sent(tmp_path: Path) -> None:
    write_groups(tmp_path / "audit" / "log", [1, 5, 1, 3])
    kept = Kept()

    forwarder(tmp_path, kept, batch=3).run_once()

    assert [index for _, index in kept.records] == list(range(10))


def test_only_one_process_sends_to_a_target(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 2)
    inner = forwarder(tmp_path, Kept())

    class Nested(Kept):
        def take(self, batch: Sequence[Record]) -> None:
            with pytest.raises(AuditLockedError):
                inner.run_once()
            super().take(batch)

    nested = Nested()
    forwarder(tmp_path, nested).run_once()

    assert len(nested.records) == 2


def test_a_log_that_is_shorter_than_what_was_sent_is_an_alarm(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 6)
    forwarder(tmp_path, Kept()).run_once()
    for path in (tmp_path / "audit" / "log").iterdir():
        path.unlink()
    write(tmp_path / "audit" / "log", 3)

    with pytest.raises(TamperedError, match="6 were sent"):
        forwarder(tmp_path, Kept()).run_once()


@pytest.mark.parametrize("damaged", [b"{", b"[]", b'{"api": -1}', b'{"api": "1"}'])
def test_a_damaged_cursor_guesses_nothing(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "cursor").write_bytes(damaged)

    with pytest.raises(TamperedError):
        Cursor.read(tmp_path / "cursor")


def test_the_status_counts_what_waits(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 6)
    sending = forwarder(tmp_path, Kept(refuse_at=[2]))
    with pytest.raises(ForwardError):
        sending.run_once()

    [lag] = sending.status()

    assert (lag.next, lag.records, lag.behind) == (4, 6, 2)


def test_what_is_sent_names_the_record_and_holds_nothing_sealed(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 1)
    [record] = read(tmp_path / "audit" / "log")

    sent = json.loads(as_json(record))

    assert (sent["origin"], sent["index"], sent["sealed"]) == (record.origin, 0, ["question"])
    assert sent["leaf"] == record.leaf.hex()
    assert record.sealed is not None
    assert "parts" not in as_json(record)


# The file.


def file_target(path: Path, *, largest: int = 1 << 20, kept: int = 3) -> FileTarget:
    return FileTarget(path, line=as_json, largest=largest, kept=kept)


def lines(path: Path, kept: int = 99) -> list[int]:
    files = [path.with_name(f"{path.name}.{n}") for n in range(kept, 0, -1)] + [path]
    found = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return [json.loads(line)["index"] for line in found]


def test_the_file_holds_each_line_once_at_every_point_of_a_torn_write(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 3)
    records = read(tmp_path / "audit" / "log")
    whole = "".join(as_json(record) + "\n" for record in records).encode()

    for cut in range(len(whole) + 1):
        path = tmp_path / "tail"
        path.write_bytes(whole[:cut])
        target = file_target(path)
        target.take(records)
        target.close()
        assert path.read_bytes() == whole, cut


def test_a_torn_line_that_is_none_of_the_batch_is_closed(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 1)
    path = tmp_path / "tail"
    path.write_bytes(b"CEF:0|torn")

    file_target(path).take(read(tmp_path / "audit" / "log"))

    assert path.read_text().splitlines()[0] == "CEF:0|torn"
    assert path.read_bytes().endswith(b"}\n")


def test_rotation_keeps_every_line_and_no_more_files_than_asked(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 40)
    path = tmp_path / "tail"

    sending = forwarder(tmp_path, file_target(path, largest=1_000, kept=20), batch=2)
    sending.run_once()

    assert lines(path) == list(range(40))
    few = file_target(tmp_path / "few", largest=1, kept=2)
    for record in read(tmp_path / "audit" / "log")[:9]:
        few.take([record])
    assert sorted(p.name for p in tmp_path.glob("few*")) == ["few", "few.1", "few.2"]
    assert lines(tmp_path / "few") == [6, 7, 8]


# Imports once, then forks a sender for each line that it is sent.
SENDERS = """
import os, sys
from pathlib import Path
from ragplatform.audit.forward import Forwarder, as_json
from ragplatform.audit.forward_file import FileTarget
from tests.fakes_disk import QuickDisk
folder = Path(sys.argv[1])
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        target = FileTarget(folder / "tail", line=as_json, largest=90_000, kept=99)
        cursor = folder / "forward" / "c.json"
        Forwarder(folder / "audit", target=target, cursor=cursor, storage=QuickDisk(),
                  batch=3).run_once()
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("over", flush=True)
"""


@pytest.mark.slow
def test_no_line_is_missing_or_double_after_fifty_kills(tmp_path: Path) -> None:
    write(tmp_path / "audit" / "log", 6_000)
    path = tmp_path / "tail"
    reached: list[int] = []

    with senders(tmp_path) as send:
        for killed in range(50):
            send(count(path) + 1 + killed % 37)
            reached.append(count(path))
        assert reached == sorted(reached)
        assert 0 < reached[-1] < 6_000, "the process had ended before it was killed"
        send(math.inf)

    assert lines(path) == list(range(6_000))


@contextlib.contextmanager
def senders(tmp_path: Path) -> Iterator[Callable[[float], None]]:
    """Give what runs a forwarder until the file has so many lines, and then kills -9 it."""
    command = [sys.executable, "-c", SENDERS, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:

        def send(wanted: float) -> None:
            process.stdin.write("go\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            while count(tmp_path / "tail") < wanted < math.inf:
                time.sleep(0.0005)
            if wanted < math.inf:
                os.kill(child, signal.SIGKILL)
            assert process.stdout.readline() == "over\n"

        yield send
        process.stdin.close()


def count(path: Path) -> int:
    """Return how many lines there are, roughly: a rotation may happen meanwhile."""
    try:
        return sum(file.read_bytes().count(b"\n") for file in path.parent.glob("tail*"))
    except FileNotFoundError:
        return 0


# Syslog.


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SyslogReceiver]:
    made = SyslogReceiver(Authority(tmp_path / "ca"))
    yield made
    made.close()


def syslog(
    receiver: SyslogReceiver, *, ca: Path | None = None, bare_close: bool = False
) -> SyslogTarget:
    tls = egress.tls_context(ca or receiver.authority.root_file)

    def connect() -> ssl.SSLSocket:
        return egress.tls_connection(
            egress.Allowed.of([]), "localhost", receiver.port, tls=tls, timeout_s=5
        )

    form = SyslogFormat(as_json, host="host.test", enterprise=32473)
    return SyslogTarget("syslog://localhost", form=form, connect=connect, bare_close=bare_close)


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "origin": "api.mercy",
        "index": 7,
        "time": datetime(2026, 11, 26, 18, 0, 0, 5, UTC),
        "action": Action.ASKED,
        "outcome": Outcome.SUCCESS,
        "tenant": "mercy",
        "actor": "u:anna",
        "request_id": "r-1",
        "purpose": None,
        "details": {},
        "sealed": None,
        "leaf": bytes(32),
    }
    return Record(**{**fields, **changes})  # type: ignore[arg-type]


MESSAGE = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) "
    rb"(?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) "
    rb"(?P<sd>\[[!-~]+(?: [a-z]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*\]) "
    rb"\xef\xbb\xbf(?P<text>.*)",
    re.S,
)


def test_a_message_has_the_fields_of_the_standard() -> None:
    form = SyslogFormat(as_json, host="host.test", enterprise=32473)

    match = MESSAGE.fullmatch(form.message(record()))

    assert match is not None
    assert match["pri"] == b"110"
    assert match["time"] == b"2026-11-26T18:00:00.000005Z"
    assert (match["proc"], match["msgid"]) == (b"api.mercy", b"asked")
    assert match["sd"].startswith(b'[ragplatform@32473 origin="api.mercy" index="7" leaf="00')
    assert json.loads(match["text"])["index"] == 7


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("actor", ['a"]\\b', "Zoë ✓", "two\nlines\x00", "]", '"', "\\", "x" * 256])
def test_no_value_breaks_out_of_its_field(outcome: Outcome, actor: str) -> None:
    form = SyslogFormat(as_json, host="a host\n", enterprise=1)

    match = MESSAGE.fullmatch(form.message(record(outcome=outcome, actor=actor)))

    assert match is not None
    assert match["sd"].endswith(b'request="r-1"]')
    assert json.loads(match["text"].decode())["actor"] == actor


def test_the_frame_counts_bytes_and_not_characters() -> None:
    assert framed("é".encode()) == b"2 \xc3\xa9"


def test_a_receiver_gets_every_record_and_counts_them_right(
    tmp_path: Path, receiver: SyslogReceiver
) -> None:
    write(tmp_path / "audit" / "log", 50)

    forwarder(tmp_path, syslog(receiver), batch=8).run_once()

    assert [indexed(message) for message in receiver.messages] == list(range(50))


def test_what_a_killed_receiver_had_not_read_is_sent_again(
    tmp_path: Path, receiver: SyslogReceiver
) -> None:
    write(tmp_path / "audit" / "log", 40)
    sending = forwarder(tmp_path, syslog(receiver), batch=8)

    failures = 0
    for cut in range(0, 4_000, 80):
        receiver.cut_after = cut
        with pytest.raises(ForwardError):
            sending.run_once()
        failures += 1
    receiver.cut_after = None
    sending.run_once()

    got = [indexed(message) for message in receiver.messages]
    assert failures == 50
    assert sorted(set(got)) == list(range(40))
    assert [index for place, index in enumerate(got) if index not in got[:place]] == list(range(40))


def test_a_receiver_that_does_not_say_that_it_read_is_believed_only_when_set(
    tmp_path: Path, receiver: SyslogReceiver
) -> None:
    write(tmp_path / "audit" / "log", 3)
    receiver.answers_close = False

    with pytest.raises(ForwardError, match="forward_bare_close"):
        forwarder(tmp_path, syslog(receiver)).run_once()
    assert forwarder(tmp_path, syslog(receiver, bare_close=True)).run_once() == 3

    receiver.cut_after = 100
    write(tmp_path / "audit" / "log", 1)
    with pytest.raises(ForwardError):
        forwarder(tmp_path, syslog(receiver, bare_close=True)).run_once()


def test_a_receiver_that_proves_nothing_gets_nothing(
    tmp_path: Path, receiver: SyslogReceiver
) -> None:
    write(tmp_path / "audit" / "log", 1)
    other = Authority(tmp_path / "other")

    with pytest.raises(ForwardError, match="certificate verify failed"):
        forwarder(tmp_path, syslog(receiver, ca=other.root_file)).run_once()

    assert receiver.messages == []


def test_a_receiver_outside_the_allowed_networks_is_not_connected_to() -> None:
    tls = egress.tls_context(None)

    with pytest.raises(egress.EgressBlockedError):
        egress.tls_connection(egress.Allowed.of([]), "192.0.2.1", 6514, tls=tls, timeout_s=1)


def test_forwarding_goes_on_by_itself_after_the_receiver_was_away(
    tmp_path: Path, receiver: SyslogReceiver
) -> None:
    write(tmp_path / "audit" / "log", 5)
    receiver.cut_after = 0
    sending = forwarder(tmp_path, syslog(receiver))
    sending.start()
    receiver.cut.wait(10)
    receiver.cut_after = None

    assert receiver.wait_for(5)
    sending.close()


def indexed(message: bytes) -> int:
    match = MESSAGE.fullmatch(message)
    assert match is not None
    return int(json.loads(match["text"])["index"])
