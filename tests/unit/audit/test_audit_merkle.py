"""The writer's tree and the verifier's agree with RFC 9162 and with each other."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ragplatform.audit import verify_tree
from ragplatform.audit.merkle import Tree, leaf_hash, node_hash, perfect_root
from ragplatform.audit.verify_files import Tiles

# The eight leaves and the roots of the first 0 to 8 of them that Certificate Transparency
# implementations test with (RFC 6962 reference vectors; RFC 9162 hashes the same way).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(by_definition(leaves[:split]), by_definition(leaves[split:]))


def test_the_tree_has_the_published_roots() -> None:
    tree = Tree()
    roots = [tree.root().hex()]

    for leaf in LEAVES:
        tree.append(leaf_hash(leaf))
        roots.append(tree.root().hex())

    assert roots == ROOTS


def test_the_verifier_has_the_published_roots() -> None:
    tree = verify_tree.Tree(Tiles(None))
    roots = [tree.root().hex()]

    for leaf in LEAVES:
        hashed = hashlib.sha256(b"\x00" + leaf).digest()
        roots.append(tree.root_with(hashed).hex())
        tree.grow(hashed)

    assert roots == ROOTS
    assert tree.root().hex() == ROOTS[-1]


@given(st.integers(0, 1500))
def test_both_trees_have_one_root_past_the_borders_of_tiles(count: int) -> None:
    one, other = Tree(), verify_tree.Tree(Tiles(None))
    hashes = b"".join(leaf_hash(b"%d" % (number % 97)) for number in range(count))
    one.extend(hashes[at : at + 32] for at in range(0, len(hashes), 32))
    while hashes:
        room = other.room() * 32
        other.grow(hashes[:room])
        hashes = hashes[room:]

    assert other.root() == one.root()
    assert perfect_root(b"x" * 32) == b"x" * 32


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_growing_the_tree_gives_the_root_by_definition(leaves: list[bytes]) -> None:
    tree = Tree()
    tree.extend(leaf_hash(leaf) for leaf in leaves)

    assert tree.root() == by_definition(leaves)
    assert tree.size == len(leaves)


def test_a_copy_grows_by_itself() -> None:
    tree = Tree()
    tree.extend(leaf_hash(leaf) for leaf in LEAVES[:5])

    tree.copy().append(leaf_hash(b"more"))

    assert tree.root().hex() == ROOTS[5]
