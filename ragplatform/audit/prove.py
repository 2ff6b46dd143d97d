"""Proof files: one record, or the growth of a log, shown to somebody who has none of its files.

Source: C2SP tlog-proof (https://c2sp.org/tlog-proof), and the request body of C2SP tlog-witness
(https://c2sp.org/tlog-witness) for growth.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ragplatform.audit.layout import KEY
from ragplatform.audit.merkle import leaf_hash, node_hash
from ragplatform.audit.note import parse_checkpoint
from ragplatform.audit.proofs import consistency_proof, inclusion_proof, root_at
from ragplatform.audit.query import line_of, newest_checkpoint
from ragplatform.audit.record import canonical
from ragplatform.errors import TamperedError

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"


def record_proof(
    directory: Path,
    index: int,
    *,
    checkpoint: str | None = None,
    archive: Path | None = None,
    line: bytes | None = None,
) -> str:
    """Return the proof that a record is in the log, with the record and the log's public key.

    It leads to ``checkpoint``, or to the newest one of the log. ``line`` is the record's, where it
    was read before: one that is another's leads to no signed root. The tlog-proof's extra data is
    the JSON object ``{"key": ..., "record": ...}``: the verifier key, and the record's line.

    Raises ``NotFoundError`` when there is no such record, ``TamperedError`` when the proof does not
    lead to the signed root.
    """
    line = line_of(directory, index, archive) if line is None else line
    note = checkpoint or newest_checkpoint(directory)
    signed = parse_checkpoint(note)
    path = inclusion_proof(directory, index, signed.size)
    if root_from(path, leaf_hash(line), index, signed.size) != signed.root:
        raise TamperedError(
            f"record {index} of {directory} does not lead to the signed root: run the verifier"
        )
    key = (directory / KEY).read_text("utf-8").strip()
    extra = canonical({"key": key, "record": line.decode()})
    lines = [PROOF_HEADER, f"extra {base64.b64encode(extra).decode()}", f"index {index}"]
    return "\n".join([*lines, *_hashes(path), "", note])


def growth_proof(directory: Path, held: str) -> str:
    """Return the proof that the log as it is now grew from the state that a checkpoint shows.

    Raises ``NotFoundError`` when the log is shorter, ``TamperedError`` when it is another.
    """
    old = parse_checkpoint(held)
    note = newest_checkpoint(directory)
    new = parse_checkpoint(note)
    path = consistency_proof(directory, old.size, new.size)
    roots = (root_at(directory, old.size), root_at(directory, new.size))
    if roots != (old.root, new.root):
        raise TamperedError(
            f"{directory} did not grow from the {old.size} records of the held checkpoint: run the "
            "verifier with it"
        )
    return "\n".join([f"old {old.size}", *_hashes(path), "", note])


def root_from(path: Sequence[bytes], leaf: bytes, index: int, size: int) -> bytes | None:
    """Return the root that a proof leads to; None when it has too many hashes or too few.

    Source: RFC 9162, section 2.1.3.2.
    """
    last = size - 1
    root = leaf
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    return root if last == 0 else None


def _hashes(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in path]
