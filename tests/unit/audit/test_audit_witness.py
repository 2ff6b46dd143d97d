"""Witnesses: what they accept, what they refuse, and what they find that the log alone cannot."""

import base64
import hashlib
import random
import shutil
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.query import newest_checkpoint
from ragplatform.audit.witness import FolderWitness, durable_note, log_key
from ragplatform.audit.witness_book import CosigningWitness, RefusalError
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import Cosigner, parse_key, parse_note
from ragplatform.audit.witness_proofs import extends
from ragplatform.errors import (
    AuditLockedError,
    ConfigurationError,
    TamperedError,
    WitnessConflictError,
    WitnessError,
)
from tests.fakes_audit import ORIGIN, SIGNING_KEY, event, open_log
from tests.fakes_disk import JournalDisk, QuickDisk
from tests.fakes_witness import WitnessHost, leaves_of, proof_of, prove, root_of

LEAVES = [hashlib.sha256(b"\x00" + bytes([n])).digest() for n in range(70)]


def write(log: Path, records: int, *, first: int = 0) -> None:
    with open_log(log) as writer:
        for number in range(records):
            writer.append(event(first + number))


def forge(log: Path, records: int) -> None:
    """Write the log anew with its own signing key, other records in it."""
    shutil.rmtree(log)
    write(log, records, first=1000)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "log"
    write(path, 3)
    return path


@pytest.fixture
def host(tmp_path: Path, log: Path) -> WitnessHost:
    return WitnessHost(tmp_path / "witness", log.parent)


def folder_witness(tmp_path: Path) -> FolderWitness:
    (tmp_path / "held").mkdir(exist_ok=True)
    held = HeldCheckpoints(tmp_path / "held", storage=QuickDisk())
    return FolderWitness(held, every_s=10, prove=prove)


# The proof of consistency.


def test_every_proof_between_two_sizes_verifies() -> None:
    for new in range(len(LEAVES) + 1):
        for old in range(new + 1):
            proof = proof_of(old, LEAVES[:new]) if old else []
            roots = root_of(LEAVES[:old]), root_of(LEAVES[:new])
            assert extends(old, roots[0], new, roots[1], proof), (old, new)


def test_no_proof_verifies_with_a_hash_altered_left_out_or_added() -> None:
    for new in range(2, 40):
        for old in range(1, new):
            proof = proof_of(old, LEAVES[:new])
            roots = root_of(LEAVES[:old]), root_of(LEAVES[:new])
            for place in range(len(proof)):
                wrong = [*proof[:place], bytes(32), *proof[place + 1 :]]
                assert not extends(old, roots[0], new, roots[1], wrong)
                assert not extends(old, roots[0], new, roots[1], proof[:place] + proof[place + 1 :])
            assert not extends(old, roots[0], new, roots[1], [*proof, bytes(32)])
            assert not extends(old, bytes(32), new, roots[1], proof)
            assert not extends(old, roots[0], new, bytes(32), proof)


def test_a_tree_is_no_extension_of_another_tree_whatever_the_proof() -> None:
    other = [*LEAVES[:5], bytes(32), *LEAVES[6:]]

    for new in range(6, 40):
        for old in range(6, new):
            for leaves in (LEAVES, other):
                proof = proof_of(old, leaves[:new])
                assert not extends(old, root_of(LEAVES[:old]), new, root_of(other[:new]), proof)


def test_a_smaller_tree_extends_nothing_and_equal_ones_need_no_proof() -> None:
    assert not extends(3, root_of(LEAVES[:3]), 2, root_of(LEAVES[:2]), [])
    assert extends(3, root_of(LEAVES[:3]), 3, root_of(LEAVES[:3]), [])
    assert not extends(3, root_of(LEAVES[:3]), 3, root_of(LEAVES[1:4]), [])
    assert not extends(0, bytes(32), 3, root_of(LEAVES[:3]), [])


# Notes and keys.


def test_a_checkpoint_reads_back_to_the_letter(log: Path) -> None:
    text = newest_checkpoint(log)

    assert str(parse_note(text)) == text
    assert log_key(log).signed(parse_note(text))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text[:-1],
        lambda text: text.replace("— ", "- "),
        lambda text: text.replace(f"{ORIGIN}\n3", f"{ORIGIN}\n03"),
        lambda text: "\n" + text,
        lambda text: text + "\n",
    ],
)
def test_what_is_nearly_a_checkpoint_is_none(log: Path, spoil: Callable[[str], str]) -> None:
    with pytest.raises(TamperedError):
        parse_note(spoil(newest_checkpoint(log)))


def test_a_verifier_key_that_was_copied_wrongly_is_refused(log: Path) -> None:
    name, key_id, body = str(log_key(log)).split("+", 2)

    for wrong in (f"{name}x+{key_id}+{body}", f"{name}+{'0' * 8}+{body}", f"{name}+{body}"):
        with pytest.raises(ConfigurationError):
            parse_key(wrong)


def test_a_cosignature_holds_for_its_note_its_key_and_its_time_alone(log: Path) -> None:
    note = parse_note(newest_checkpoint(log))
    cosigner = Cosigner("witness.test/w1", bytes(range(32)))
    signed = note.with_signatures((cosigner.cosign(note, 1_700_000_000),))

    assert cosigner.key.cosigned_at(signed) == 1_700_000_000
    assert Cosigner("witness.test/w1", bytes(range(1, 33))).key.cosigned_at(signed) is None
    assert Cosigner("witness.test/w2", bytes(range(32))).key.cosigned_at(signed) is None
    assert cosigner.key.cosigned_at(note) is None
    assert log_key(log).signed(signed)


def test_a_cosignature_is_over_what_the_specification_says(log: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    note = parse_note(newest_checkpoint(log))
    cosignature = Cosigner("w", bytes(range(32))).cosign(note, 1679315147)

    # tlog-cosignature, "Ed25519 signed message": header, time, and the note's body.
    message = f"cosignature/v1\ntime 1679315147\n{note.text}".encode()
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert cosignature.blob == (1679315147).to_bytes(8, "big") + key.sign(message)
    body = b"\x04" + key.public_key().public_bytes_raw()
    assert cosignature.key_id == hashlib.sha256(b"w\n" + body).digest()[:4]


# The cosigning witness.


def request(
    log: Path, old: int, *, note: str | None = None, proof: list[bytes] | None = None
) -> bytes:
    note = note or newest_checkpoint(log)
    size = parse_note(note).size
    nodes = prove(log, old, size) if proof is None and 0 < old < size else proof or []
    lines = "".join(base64.b64encode(node).decode() + "\n" for node in nodes)
    return f"old {old}\n{lines}\n{note}".encode()


def refusal(host: WitnessHost, body: bytes) -> tuple[HTTPStatus, int | None]:
    with pytest.raises(RefusalError) as caught:
        host.witness.add_checkpoint(body)
    return caught.value.status, caught.value.known_size


def test_a_log_that_grows_is_cosigned_each_time(host: WitnessHost, log: Path) -> None:
    client = host.client()
    known = 0

    for _ in range(20):
        note = durable_note(log)
        [signature] = client.hand_over(log, note, known)
        assert host.witness.key.cosigned_at(note.with_signatures((signature,))) == host.time
        known = note.size
        write(log, 1)

    newest = host.witness.held.newest(ORIGIN)
    assert newest is not None
    assert newest.size == known


def test_a_client_that_forgot_what_was_cosigned_is_told(host: WitnessHost, log: Path) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    write(log, 4)

    assert host.client().hand_over(log, durable_note(log), 0)
    assert host.client().hand_over(log, durable_note(log), 2)


def test_a_witness_that_runs_anew_remembers(host: WitnessHost, log: Path) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    host.witness.close()

    again = CosigningWitness.open(host.folder, storage=QuickDisk(), now=lambda: 1.0)

    newest = again.held.newest(ORIGIN)
    assert newest is not None
    assert newest.size == 3
    again.close()


def test_one_process_runs_a_witness(host: WitnessHost) -> None:
    with pytest.raises(AuditLockedError):
        CosigningWitness.open(host.folder, storage=QuickDisk(), now=lambda: 1.0)


def test_an_unknown_log_and_a_wrong_signature_are_refused(host: WitnessHost, log: Path) -> None:
    foreign = Signer("stranger", SIGNING_KEY).sign(Checkpoint(3, root_of(leaves_of(log))))
    forged = Signer(ORIGIN, bytes(31) + b"\x01").sign(Checkpoint(3, root_of(leaves_of(log))))

    assert refusal(host, request(log, 0, note=foreign)) == (HTTPStatus.NOT_FOUND, None)
    assert refusal(host, request(log, 0, note=forged)) == (HTTPStatus.FORBIDDEN, None)


def test_the_wrong_old_size_is_answered_with_the_right_one(host: WitnessHost, log: Path) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    write(log, 2)

    assert refusal(host, request(log, 2)) == (HTTPStatus.CONFLICT, 3)
    assert refusal(host, request(log, 9)) == (HTTPStatus.BAD_REQUEST, None)


def test_a_wrong_proof_is_refused_and_signs_nothing(host: WitnessHost, log: Path) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    write(log, 4)
    right = prove(log, 3, 7)

    for wrong in ([], right[:-1], [*right, bytes(32)], [bytes(32), *right[1:]]):
        assert refusal(host, request(log, 3, proof=wrong))[0] is HTTPStatus.UNPROCESSABLE_ENTITY

    newest = host.witness.held.newest(ORIGIN)
    assert newest is not None
    assert newest.size == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"old 0",
        b"old 00\n\n",
        b"old -1\n\n",
        b"old 0\nnot base64\n\n",
        b"old 0\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\n",
    ],
)
def test_a_malformed_request_is_refused(host: WitnessHost, log: Path, body: bytes) -> None:
    note = newest_checkpoint(log).encode()

    assert refusal(host, body)[0] is HTTPStatus.BAD_REQUEST
    if body.endswith(b"\n\n"):
        assert refusal(host, body + note)[0] is HTTPStatus.BAD_REQUEST


def test_a_second_root_of_one_size_is_refused_and_kept_as_proof(
    host: WitnessHost, log: Path
) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    forge(log, 3)

    assert refusal(host, request(log, 3)) == (HTTPStatus.UNPROCESSABLE_ENTITY, None)
    assert len(list((host.folder / "conflicts").rglob("checkpoint-*"))) == 1


def test_a_damaged_memory_signs_nothing(host: WitnessHost, log: Path) -> None:
    host.client().hand_over(log, durable_note(log), 0)
    [held] = (host.folder / "checkpoints").rglob("checkpoint-*")
    held.write_bytes(held.read_bytes()[:-9])

    with pytest.raises(TamperedError):
        host.witness.add_checkpoint(request(log, 3))


# What the platform's side makes of it.


def test_an_answer_under_another_key_does_not_count(host: WitnessHost, log: Path) -> None:
    client = host.client()
    client.key = Cosigner("witness.test/w1", bytes(range(32))).key  # type: ignore[misc]

    with pytest.raises(WitnessError, match="not signed by the key"):
        client.hand_over(log, durable_note(log), 0)


@pytest.mark.parametrize("kind", ["folder", "http"])
def test_roll_back_fork_and_rewriting_are_found_at_every_record(
    tmp_path: Path, log: Path, host: WitnessHost, kind: str
) -> None:
    witness = host.client() if kind == "http" else folder_witness(tmp_path)
    write(log, 7, first=3)
    witness.hand_over(log, durable_note(log), 0)

    # The attacker has the signing key: each of these logs verifies by itself.
    for records in range(1, 14):
        forge(log, records)
        found = "cut off" if records < 10 else "rewritten"
        with pytest.raises(WitnessConflictError, match=found):
            witness.hand_over(log, durable_note(log), 10)


def test_a_folder_that_is_not_mounted_takes_nothing(tmp_path: Path, log: Path) -> None:
    witness = folder_witness(tmp_path)
    (tmp_path / "held").rmdir()

    with pytest.raises(WitnessError, match="not there"):
        witness.hand_over(log, durable_note(log), 0)
    assert not (tmp_path / "held").exists()


def test_a_folder_keeps_all_that_it_was_given(tmp_path: Path, log: Path) -> None:
    witness = folder_witness(tmp_path)
    for _ in range(5):
        witness.hand_over(log, durable_note(log), 0)
        witness.hand_over(log, durable_note(log), 0)
        write(log, 1)

    assert [note.size for note in witness.held.held(ORIGIN)] == [7, 6, 5, 4, 3]
    assert witness.held.origins() == [ORIGIN]


def test_a_commit_line_that_another_key_signed_is_not_handed_over(log: Path) -> None:
    shutil.copy(log / "key.pub", log.parent / "kept")
    shutil.rmtree(log)
    with open_log(log, signing_key=bytes(31) + b"\x01") as writer:
        writer.append(event())
    shutil.copy(log.parent / "kept", log / "key.pub")

    with pytest.raises(TamperedError, match="not signed"):
        durable_note(log)


# Power cuts.


def test_a_power_cut_never_makes_a_witness_forget_what_it_signed(tmp_path: Path, log: Path) -> None:
    disk = JournalDisk(tmp_path / "disk")
    disk.root.mkdir()
    host = WitnessHost(disk.root / "witness", log.parent, storage=disk)
    for _ in range(12):
        note = durable_note(log)
        host.client().hand_over(log, note, 0)
        disk.note(note.size)
        write(log, 1)

    images = 0
    for at in range(len(disk.journal) + 1):
        for seed in range(3):
            into = tmp_path / "image"
            signed = disk.image(at, random.Random(at * 3 + seed), into)
            held = HeldCheckpoints(into / "witness" / "checkpoints", storage=QuickDisk())
            newest = held.newest(ORIGIN)
            assert (0 if newest is None else newest.size) >= max(signed, default=0), (at, seed)
            shutil.rmtree(into)
            images += 1
    assert images > 300


def test_without_any_one_of_its_syncs_a_witness_forgets(tmp_path: Path, log: Path) -> None:
    sites = sync_sites(tmp_path / "plain", log, frozenset())[0]
    # What init makes: without it the witness does not open, and signs nothing.
    wanted = sites - {"put syncs logs", "put syncs witness"}

    assert len(wanted) == 6
    for site in wanted:
        assert sync_sites(tmp_path / site.replace(" ", "_"), log, frozenset({site}))[1], site


def sync_sites(root: Path, log: Path, deaf: frozenset[str]) -> tuple[set[str], bool]:
    """Return where a witness syncs, and whether some power cut makes it forget, so deafened."""
    disk = JournalDisk(root / "disk", deaf=deaf)
    disk.root.mkdir(parents=True)
    host = WitnessHost(disk.root / "witness", log.parent, storage=disk)
    for _ in range(4):
        note = durable_note(log)
        host.client().hand_over(log, note, 0)
        disk.note(note.size)
        write(log, 1)
    host.witness.close()
    return disk.sites, any(
        forgets(disk, at, seed, root / f"{at}-{seed}")
        for at in range(len(disk.journal) + 1)
        for seed in range(4)
    )


def forgets(disk: JournalDisk, at: int, seed: int, into: Path) -> bool:
    signed = disk.image(at, random.Random(at * 4 + seed), into)
    held = HeldCheckpoints(into / "witness" / "checkpoints", storage=QuickDisk())
    try:
        newest = held.newest(ORIGIN)
    except TamperedError:
        return True
    finally:
        shutil.rmtree(into)
    return (0 if newest is None else newest.size) < max(signed, default=0)  # type: ignore[type-var,operator]


# Whatever is sent.


def test_no_request_makes_a_witness_do_anything_but_refuse(host: WitnessHost) -> None:
    @given(st.binary(max_size=400))
    @settings(max_examples=300, deadline=None, database=None)
    def send(body: bytes) -> None:
        for sent in (body, b"old 0\n\n" + body):
            with pytest.raises(RefusalError):
                host.witness.add_checkpoint(sent)

    send()
    assert host.witness.held.origins() == []


@given(st.text(alphabet="a1 \n—+/=é\x00", max_size=200))
def test_what_is_read_as_a_checkpoint_is_written_the_same(text: str) -> None:
    try:
        note = parse_note(text)
    except TamperedError:
        return
    assert str(note) == text
