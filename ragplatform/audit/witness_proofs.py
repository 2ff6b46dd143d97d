"""Whether one state of a log extends another: the check that a witness makes before it signs.

Shares no code with what makes the proofs: a mistake there must not be able to hide here.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

# A tree of 2^63 leaves has a proof of 63 hashes. Source: C2SP tlog-witness, "add-checkpoint".
LONGEST_PROOF: Final = 63

_NOTHING: Final = hashlib.sha256(b"").digest()


def extends(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the proof shows that the first ``old_size`` leaves are as they were.

    ``proof`` is empty where nothing needs one: from no leaves at all, and between equal sizes.

    Source: RFC 9162, section 2.1.4.2; the steps bear its numbers.
    """
    if not 0 <= old_size <= new_size or len(proof) > LONGEST_PROOF:
        return False
    if old_size == 0:
        return not proof and old_root == _NOTHING and (new_size > 0 or new_root == _NOTHING)
    if old_size == new_size:
        return not proof and old_root == new_root
    if not proof:  # 1
        return False
    # 2. A perfect tree is a node of the larger one, so its root is not sent again.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    at, last = old_size - 1, new_size - 1  # 3
    while at & 1:  # 4
        at, last = at >> 1, last >> 1
    old = new = path[0]  # 5
    for node in path[1:]:  # 6
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = _node(node, old), _node(node, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = _node(new, node)
        at, last = at >> 1, last >> 1
    return old == old_root and new == new_root and last == 0  # 7


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
