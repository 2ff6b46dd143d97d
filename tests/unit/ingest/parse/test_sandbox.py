"""A document that misbehaves takes itself and nothing else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.parse.sandbox import Limits, Sandbox
from ragplatform.errors import ParseError, UnavailableError

ROOT = Path(__file__).resolve().parents[4]
HOSTILE = "tests.fakes_parsers:by_order"
TIGHT = Limits(timeout_s=2.0, memory_bytes=384 * 1024 * 1024, max_chars=100_000, max_bytes=1000)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=TIGHT, parser=HOSTILE) as running:
        yield running


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (b"spin", "timeout"),
        (b"sleep", "timeout"),
        (b"hang", "timeout"),
        (b"allocate", "resource_limit"),
        (b"recurse", "resource_limit"),
        (b"flood", "resource_limit"),
        (b"segfault", "crashed"),
        (b"exit", "crashed"),
        (b"lie", "crashed"),
        (b"kill", "crashed"),
        (b"raise", "malformed"),
        (b"", "empty"),
        (b"x" * 1001, "too_large"),
    ],
)
def test_a_parser_that_misbehaves_costs_one_document(
    sandbox: Sandbox, order: bytes, reason: str
) -> None:
    begun = time.monotonic()

    with pytest.raises(ParseError) as caught:
        sandbox.parse(order, "a.txt")

    assert caught.value.reason == reason
    assert time.monotonic() - begun < 10
    assert sandbox.parse(b"next", "b.txt").text == "well"


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (b"socket", "refused"),
        (b"download", "refused"),
        (b"read", "refused"),
        (b"write", "refused"),
        (b"fork", "refused"),
        (b"execute", "refused"),
    ],
)
def test_a_parser_reaches_no_network_file_or_program(
    sandbox: Sandbox, order: bytes, word: str
) -> None:
    isolation = sandbox.isolation
    if order == b"read" and isolation.files == "none":
        pytest.skip("this kernel has no Landlock")
    if order in {b"fork", b"execute"} and isolation.syscalls == "none":
        pytest.skip("this kernel has no seccomp")

    told = sandbox.parse(order, "a.txt").text

    assert all(
        part in {word, "PermissionError", "URLError", "FileNotFoundError"} or word in told
        for part in told.split()
    )
    assert "reached" not in told
    assert "written" not in told
    assert "root:" not in told


def test_the_walls_say_which_of_them_stand(sandbox: Sandbox) -> None:
    isolation = sandbox.isolation

    assert isolation.network in {"namespace", "seccomp", "audit_hook"}
    assert isolation.files in {"landlock", "none"}
    assert isolation.syscalls in {"seccomp", "none"}
    assert isolation.network in str(isolation)


def test_a_parser_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGPLATFORM_MASTER_SECRET", "hunter2")

    with Sandbox(limits=TIGHT, parser=HOSTILE) as fresh:
        told = fresh.parse(b"environment", "a.txt").text

    assert "hunter2" not in told
    assert {line.split("=")[0] for line in told.splitlines()} <= {"LANG", "PATH", "LC_CTYPE"}


def test_each_document_has_a_process_of_its_own_and_the_stem_stays(sandbox: Sandbox) -> None:
    first = sandbox.parse(b"pid", "a.txt").text.split()
    second = sandbox.parse(b"pid", "a.txt").text.split()

    assert first[0] == second[0]
    assert first[1] != second[1]


def test_a_lost_stem_is_replaced_before_the_next_document(sandbox: Sandbox) -> None:
    stem = int(sandbox.parse(b"pid", "a.txt").text.split()[0])
    os.kill(stem, signal.SIGKILL)
    _wait_until_gone(stem)

    assert sandbox.parse(b"fine", "a.txt").text == "well"


def test_a_closed_sandbox_leaves_no_process_and_starts_again() -> None:
    with Sandbox(limits=TIGHT, parser=HOSTILE) as fresh:
        stem = int(fresh.parse(b"pid", "a.txt").text.split()[0])

        fresh.close()

        _wait_until_gone(stem)
        assert fresh.parse(b"fine", "a.txt").text == "well"


def test_a_sandbox_that_cannot_start_says_so() -> None:
    with (
        Sandbox(limits=TIGHT, parser="no.such.module:parse") as broken,
        pytest.raises(UnavailableError),
    ):
        broken.parse(b"x", "a.txt")


def test_a_missing_interpreter_is_a_part_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    with Sandbox(limits=TIGHT) as broken, pytest.raises(UnavailableError):
        broken.parse(b"x", "a.txt")


def test_no_process_survives_a_killed_parent() -> None:
    program = (
        "from ingest.parse.sandbox import Limits, Sandbox\n"
        f"s = Sandbox(limits=Limits(timeout_s=60), parser={HOSTILE!r})\n"
        "print(s.parse(b'pid', 'a.txt').text.split()[0], flush=True)\n"
        "s.parse(b'spin', 'a.txt')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    stem = int(parent.stdout.readline())
    children = _children_of(stem, at_least=1)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    for process in (stem, *children):
        _wait_until_gone(process)


def test_an_answer_may_be_long_and_a_document_may_be_large() -> None:
    with Sandbox(limits=Limits()) as real:
        document = real.parse(b"word " * 1_000_000, "a.txt")

    assert len(document.text) == 5_000_000


def _children_of(process: int, *, at_least: int) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
        if len(text.split()) >= at_least:
            return [int(word) for word in text.split()]
        time.sleep(0.02)
    raise AssertionError("no child appeared")


def _wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} lives on")


def test_a_file_about_two_people_is_cut_behind_the_same_walls() -> None:
    message = "MSH|^~\\&|A|B|C|D|20240506||ADT^A01|1|P|2.5\rPID|1||{}^^^N^MR\r"
    data = "".join(message.format(one) for one in ("M-1", "M-2")).encode()

    with Sandbox(limits=Limits()) as fresh:
        parts = fresh.split(data, "a.hl7")
        first = fresh.parse(parts[0].cut(data), "a.hl7")
        whole = fresh.split(b"MSH no message", "a.txt")

    assert len(parts) == 2
    assert first.claims.subjects[0][0].value == "M-1"
    assert whole == ()
