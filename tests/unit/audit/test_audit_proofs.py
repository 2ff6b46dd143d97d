"""Proofs from the tiles lead, by the published algorithms, to the root that was signed."""

import random
from pathlib import Path

import pytest

from ragplatform.audit.merkle import Tree, node_hash
from ragplatform.audit.proofs import consistency_proof, inclusion_proof, root_at
from ragplatform.errors import NotFoundError, TamperedError
from tests.fakes_audit import event, open_log

SIZE = 700


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("proofs") / "log"
    with open_log(directory, segment_bytes=100_000) as log:
        for number in range(SIZE):
            log.append(event(number))
    return directory


@pytest.fixture(scope="module")
def leaves(log: Path) -> list[bytes]:
    from ragplatform.audit.query import read

    return [record.leaf for record in read(log)]


@pytest.fixture(scope="module")
def roots(leaves: list[bytes]) -> list[bytes]:
    tree = Tree()
    found = [tree.root()]
    for leaf in leaves:
        tree.append(leaf)
        found.append(tree.root())
    return found


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Source: RFC 9162, section 2.1.3.2, step by step."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistent(old: int, new: int, path: list[bytes], first: bytes, second: bytes) -> bool:
    """Source: RFC 9162, section 2.1.4.2, step by step."""
    if old == new:
        return not path and first == second
    path = [first, *path] if old & (old - 1) == 0 else path
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (fr, sr) == (first, second)


def test_every_record_is_proven_to_be_in_the_log(
    log: Path, leaves: list[bytes], roots: list[bytes]
) -> None:
    for index in range(SIZE):
        path = inclusion_proof(log, index, SIZE)

        assert included(leaves[index], index, SIZE, path, roots[SIZE])
        assert not included(leaves[index - 1], index, SIZE, path, roots[SIZE])


def test_a_record_is_proven_under_checkpoints_of_any_size(
    log: Path, leaves: list[bytes], roots: list[bytes]
) -> None:
    chance = random.Random(3)
    for size in [1, 2, 255, 256, 257, 511, 512, 513, *chance.sample(range(1, SIZE), 40)]:
        index = chance.randrange(size)

        path = inclusion_proof(log, index, size)

        assert included(leaves[index], index, size, path, roots[size])


def test_any_two_states_are_proven_to_be_of_one_log(log: Path, roots: list[bytes]) -> None:
    chance = random.Random(4)
    pairs = [sorted(chance.choices(range(1, SIZE + 1), k=2)) for _ in range(150)]
    for old, new in [*pairs, [256, 512], [255, 256], [512, 700], [1, 700], [700, 700]]:
        path = consistency_proof(log, old, new)

        assert consistent(old, new, path, roots[old], roots[new])
        assert old == new or not consistent(old, new, path, roots[old - 1], roots[new])


def test_the_root_of_each_size_is_known(log: Path, roots: list[bytes]) -> None:
    assert [root_at(log, size) for size in range(0, SIZE, 13)] == roots[:SIZE:13]


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_record_outside_the_checkpoint_is_not_found(log: Path, index: int, size: int) -> None:
    with pytest.raises(NotFoundError):
        inclusion_proof(log, index, size)
    with pytest.raises(NotFoundError):
        consistency_proof(log, size + 1, size)


def test_a_proof_beyond_the_end_says_what_is_lacking(log: Path) -> None:
    with pytest.raises(TamperedError, match="701"):
        inclusion_proof(log, 0, 702)
