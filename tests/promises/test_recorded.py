"""Promise 4: what was acknowledged is recorded, and no change to the record goes unseen.

Here the log stands alone, on the real disk and in real processes. That no answer leaves without its
record is tested where answers are made.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragplatform.audit.log import AuditLog
from ragplatform.audit.query import read
from ragplatform.audit.storage import Disk
from ragplatform.audit.verify import verify
from tests.fakes_audit import event, open_log
from tests.fakes_disk import copy_log

ROOT = Path(__file__).resolve().parents[2]

# Four threads append without end; each acknowledgement goes into the pipe in one atomic write.
WRITER = """
import os, sys, threading
from pathlib import Path
from ragplatform.audit.storage import Disk
from tests.fakes_audit import event, open_log

log = open_log(Path(sys.argv[1]), storage=Disk(), segment_bytes=20_000)
def work():
    while True:
        receipt = log.append(event(sealed={"question": "Does anyone see this text?"}))
        os.write(1, f"{receipt.index} {receipt.leaf.hex()}\\n".encode())
for _ in range(4):
    threading.Thread(target=work).start()
"""


def kill_after(directory: Path, seconds: float) -> list[str]:
    """Let a process append, kill -9 it, and return the acknowledgements that got out."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        lines = [pipe.readline()]
        os.set_blocking(pipe.fileno(), False)
        deadline = time.monotonic() + seconds
        rest = b""
        while time.monotonic() < deadline:
            rest += pipe.read() or b""
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        rest += pipe.read() or b""
    return (lines[0] + rest).decode().splitlines()


def test_every_acknowledged_record_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(7)
    directory = tmp_path / "log"
    acknowledged: dict[int, str] = {}
    for _ in range(5):
        for line in kill_after(directory, chance.uniform(0.0, 0.3)):
            index, leaf = line.split()
            assert acknowledged.setdefault(int(index), leaf) == leaf

    with open_log(directory, storage=Disk()) as log:
        log.append(event())
        held = log.checkpoint()
    leaves = {record.index: record.leaf.hex() for record in read(directory)}
    assert len(acknowledged) > 20
    assert acknowledged.items() <= leaves.items()
    assert sorted(leaves) == list(range(len(leaves)))
    assert verify(directory, public_key=log.public_key, held_checkpoint=held).ok


def test_no_clear_text_of_a_sealed_part_is_in_any_file(tmp_path: Path) -> None:
    secret = "Does Ms Adams take metformin?"
    with open_log(tmp_path / "log", storage=Disk()) as log:
        log.append(event(sealed={"question": secret, "answer": secret * 3}))

    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file()
    )
    assert b"metformin" not in everything
    assert b"sealed" in everything


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AuditLog, str]:
    directory = tmp_path_factory.mktemp("evidence") / "log"
    with open_log(directory, storage=Disk(), segment_bytes=4_000) as log:
        for number in range(40):
            log.append(event(number))
        held = log.checkpoint()
    return directory, log, held


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_byte_in_any_file_of_the_evidence_is_found(
    tmp_path: Path, evidence: tuple[Path, AuditLog, str], seed: int
) -> None:
    directory, log, _ = evidence
    copy = copy_log(directory, tmp_path / "log")
    chance = random.Random(seed)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "lock")
    assert len(files) > 5
    for _ in range(50):
        path = chance.choice(files)
        good = path.read_bytes()
        offset = chance.randrange(len(good))
        flipped = good[offset] ^ chance.randrange(1, 256)
        path.write_bytes(good[:offset] + bytes([flipped]) + good[offset + 1 :])

        assert not verify(copy, public_key=log.public_key).ok, (path.name, offset)
        path.write_bytes(good)

    assert verify(copy, public_key=log.public_key).ok


def test_records_cut_off_together_with_their_checkpoints_are_missed_by_the_held_one(
    tmp_path: Path, evidence: tuple[Path, AuditLog, str]
) -> None:
    directory, log, held = evidence
    copy = copy_log(directory, tmp_path / "log")
    with open_log(tmp_path / "young") as young:
        for number in range(3):
            young.append(event(number))
    for path in copy.glob("segment-*"):
        path.unlink()
    shutil.rmtree(copy / "tile")
    for path in [*(tmp_path / "young").glob("segment-*"), tmp_path / "young" / "checkpoint"]:
        (copy / path.name).write_bytes(path.read_bytes())

    assert verify(copy, public_key=log.public_key).ok
    report = verify(copy, public_key=log.public_key, held_checkpoint=held)
    assert (report.ok, report.first_bad) == (False, 3)
