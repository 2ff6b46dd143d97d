"""Short proofs about a log, from its tiles: that it holds a record, that it grew from a state.

A proof is worth what the checkpoint is worth that it leads to. Nothing is verified here.

Source: RFC 9162, sections 2.1.3 and 2.1.4.
"""

from collections.abc import Callable
from pathlib import Path

from ragplatform.audit.merkle import Tree
from ragplatform.audit.tiles import TreeReader
from ragplatform.errors import NotFoundError


def inclusion_proof(directory: Path, index: int, size: int) -> list[bytes]:
    """Return the hashes that lead from a record's leaf hash to the root over ``size`` records.

    From the leaf's sibling upwards; none for the only record.

    Raises ``NotFoundError`` when the record is not among them, ``TamperedError`` when the log's
    folder lacks hashes. Source: RFC 9162, section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise NotFoundError(
            f"record {index} is not among the first {size}: take a later checkpoint"
        )
    return _path(TreeReader(directory).root, index, 0, size)


def inclusion_proofs(directory: Path, size: int) -> Callable[[int], list[bytes]]:
    """Return what gives the inclusion proofs of many records of one state of the log.

    As ``inclusion_proof``, but each tile is read once and kept: 32 bytes for each record.
    """
    root = TreeReader(directory).root

    def proof(index: int) -> list[bytes]:
        if not 0 <= index < size:
            raise NotFoundError(f"record {index} is not among the first {size}")
        return _path(root, index, 0, size)

    return proof


def consistency_proof(directory: Path, old: int, new: int) -> list[bytes]:
    """Return the hashes that show that the first ``old`` of ``new`` records are unchanged.

    None when there is nothing to show: ``old`` is 0 or equals ``new``.

    Raises ``NotFoundError`` when ``old`` exceeds ``new``, ``TamperedError`` when the log's folder
    lacks hashes. Source: RFC 9162, section 2.1.4.1.
    """
    if not 0 <= old <= new:
        raise NotFoundError(f"a log of {new} records cannot have grown from one of {old}")
    if old in {0, new}:
        return []
    return _subproof(TreeReader(directory).root, old, 0, new, whole=True)


def root_at(directory: Path, size: int) -> bytes:
    """Return the root over the first ``size`` records. Raises ``TamperedError`` as above."""
    return TreeReader(directory).root(0, size) if size else Tree().root()


def _path(root: Callable[[int, int], bytes], index: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(root, index, start, middle), root(middle, end)]
    return [*_path(root, index, middle, end), root(start, middle)]


def _subproof(
    root: Callable[[int, int], bytes], old: int, start: int, end: int, *, whole: bool
) -> list[bytes]:
    """Return SUBPROOF of the standard; ``whole`` says that the verifier knows this root."""
    if old == end:
        return [] if whole else [root(start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(root, old, start, middle, whole=whole), root(middle, end)]
    return [*_subproof(root, old, middle, end, whole=False), root(start, middle)]


def _split(count: int) -> int:
    """Return the largest power of two below a count of two or more."""
    return 1 << (count - 1).bit_length() - 1
