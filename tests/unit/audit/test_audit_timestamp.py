"""Time-stamps by a real RFC 3161 authority: asked for, verified, kept, and verified again."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from ragplatform.audit.storage import Disk
from ragplatform.audit.witness import Reply, durable_note
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_timestamp import (
    TimestampWitness,
    kept_tokens,
    read_chain,
    stamped_at,
)
from ragplatform.errors import (
    ConfigurationError,
    TamperedError,
    WitnessConflictError,
    WitnessError,
)
from tests.fakes_audit import ORIGIN, event, open_log
from tests.fakes_tls import Authority
from tests.fakes_tsa import StampingAuthority


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[StampingAuthority]:
    made = StampingAuthority(tmp_path / "tsa")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    with open_log(tmp_path / "log") as writer:
        for number in range(3):
            writer.append(event(number))
    return tmp_path / "log"


def post(url: str, body: bytes, media_type: str) -> Reply:
    answer = httpx2.post(url, content=body, headers={"Content-Type": media_type}, trust_env=False)
    return Reply(answer.status_code, answer.content)


def witness(tsa: StampingAuthority, copies: Path, *, root: Path | None = None) -> TimestampWitness:
    return TimestampWitness(
        tsa.url,
        chain=read_chain(root or tsa.authority.root_file),
        every_s=60,
        post=post,
        storage=Disk(),
        copies=[HeldCheckpoints(copies, storage=Disk())],
    )


def test_a_checkpoint_is_stamped_and_the_token_verifies_later(
    tsa: StampingAuthority, log: Path, tmp_path: Path
) -> None:
    witness(tsa, tmp_path / "copies").hand_over(log, durable_note(log), 0)

    chain = read_chain(tsa.authority.root_file)
    for held in (
        kept_tokens(log, Disk()),
        HeldCheckpoints(tmp_path / "copies", storage=Disk()),
    ):
        [(note, token)] = held.tokens(ORIGIN)
        assert abs(stamped_at(note, token, chain) - datetime.now(UTC)) < timedelta(minutes=1)
        assert note.size == 3


def test_openssl_verifies_what_is_kept(tsa: StampingAuthority, log: Path, tmp_path: Path) -> None:
    witness(tsa, tmp_path / "copies").hand_over(log, durable_note(log), 0)
    [token] = (log / "witness").rglob("*.tsr")
    assert token.read_bytes() == (log / "checkpoint.tsr").read_bytes()

    command = ["openssl", "ts", "-verify", "-data", log / "checkpoint.stamped", "-in", token]
    done = subprocess.run(
        [*command, "-CAfile", tsa.authority.root_file], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_token_holds_for_its_note_alone(
    tsa: StampingAuthority, log: Path, tmp_path: Path
) -> None:
    witness(tsa, tmp_path / "copies").hand_over(log, durable_note(log), 0)
    [(note, token)] = kept_tokens(log, Disk()).tokens(ORIGIN)
    with open_log(log) as writer:
        writer.append(event(9))
    chain = read_chain(tsa.authority.root_file)

    with pytest.raises(TamperedError):
        stamped_at(durable_note(log), token, chain)
    with pytest.raises(TamperedError):
        stamped_at(note, token, [Authority(tmp_path / "other").root])


@pytest.mark.parametrize("answer", [b"", b"no", b"\x30\x03\x02\x01\x02"])
def test_an_answer_that_is_no_token_is_not_kept(
    tsa: StampingAuthority, log: Path, tmp_path: Path, answer: bytes
) -> None:
    tsa.answer = answer

    with pytest.raises(WitnessError, match="not good"):
        witness(tsa, tmp_path / "copies").hand_over(log, durable_note(log), 0)

    assert not list(log.rglob("*.tsr"))


def test_an_answer_to_another_question_is_not_kept(
    tsa: StampingAuthority, log: Path, tmp_path: Path
) -> None:
    one = witness(tsa, tmp_path / "copies")
    one.hand_over(log, durable_note(log), 0)
    [(_, tsa.answer)] = kept_tokens(log, Disk()).tokens(ORIGIN)

    # The same note, so only the nonce tells that the answer is an old one.
    with pytest.raises(WitnessError, match="Nonce"):
        one.hand_over(log, durable_note(log), 3)


def test_a_token_of_an_authority_that_is_not_trusted_is_not_kept(
    tsa: StampingAuthority, log: Path, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other").root_file

    with pytest.raises(WitnessError):
        witness(tsa, tmp_path / "copies", root=other).hand_over(log, durable_note(log), 0)


def test_a_log_that_is_shorter_than_what_was_stamped_is_a_conflict(
    tsa: StampingAuthority, log: Path, tmp_path: Path
) -> None:
    with pytest.raises(WitnessConflictError):
        witness(tsa, tmp_path / "copies").hand_over(log, durable_note(log), 4)


def test_a_file_without_a_root_is_refused(tsa: StampingAuthority, tmp_path: Path) -> None:
    for bad in (tsa.authority.folder / "tsa.pem", tmp_path / "none", tsa.config):
        with pytest.raises(ConfigurationError):
            read_chain(bad)
