"""Witnesses and proofs for tests: a prover over plain leaves, and a witness behind a function."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ragplatform.audit.query import find_logs
from ragplatform.audit.storage import Storage
from ragplatform.audit.witness import HttpWitness, Reply, log_key
from ragplatform.audit.witness_book import CosigningWitness, RefusalError, found_witness
from ragplatform.errors import WitnessError
from tests.fakes_disk import QuickDisk


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash, straight from its definition (RFC 9162, 2.1.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def proof_of(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the consistency proof, straight from its definition (RFC 9162, 2.1.4.1)."""
    return _subproof(old, leaves, whole=True) if old < len(leaves) else []


def _subproof(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*_subproof(old, leaves[:split], whole=whole), root_of(leaves[split:])]
    return [*_subproof(old - split, leaves[split:], whole=False), root_of(leaves[:split])]


def leaves_of(log: Path) -> list[bytes]:
    """Return the leaf hashes of a log's records."""
    return [
        hashlib.sha256(b"\x00" + line).digest()
        for path in sorted(log.glob("segment-*"))
        for line in path.read_bytes().splitlines()
        if not line.startswith(b'{"checkpoint":')
    ]


def prove(log: Path, old: int, new: int) -> list[bytes]:
    """Return the consistency proof between two sizes of a log."""
    return proof_of(old, leaves_of(log)[:new])


class WitnessHost:
    """A cosigning witness on "another host": requests reach it as bytes, or not at all."""

    def __init__(self, folder: Path, logs: Path, *, storage: Storage | None = None) -> None:
        self.time = 1_700_000_000.0
        self.away = False
        self.seen: list[bytes] = []
        self.folder = folder
        disk = storage or QuickDisk()
        found_witness(folder, "witness.test/w1", storage=disk)
        self.know(logs)
        self.witness = CosigningWitness.open(folder, storage=disk, now=lambda: self.time)

    def know(self, logs: Path) -> None:
        """Give the witness the keys of all logs in a folder."""
        keys = "".join(f"{log_key(log)}\n" for log in find_logs(logs))
        (self.folder / "logs").write_text(keys, "utf-8")

    def post(self, url: str, body: bytes, media_type: str) -> Reply:
        """Answer as the server does."""
        assert (url, media_type) == ("https://witness.test/add-checkpoint", "text/plain")
        if self.away:
            raise WitnessError("the witness does not answer")
        self.seen.append(body)
        try:
            return Reply(200, self.witness.add_checkpoint(body).encode())
        except RefusalError as refused:
            size = refused.known_size
            return Reply(refused.status, b"" if size is None else f"{size}\n".encode())

    def client(self, *, every_s: float = 10.0) -> HttpWitness:
        """Return the platform's side of it."""
        return HttpWitness(
            "https://witness.test",
            key=self.witness.key,
            every_s=every_s,
            post=self.post,
            prove=prove,
        )
