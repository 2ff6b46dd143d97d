"""A filter that is only nearly understood is refused: it could allow more than was meant."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.adapters import edge, qdrant
from ragplatform.adapters.filters import KEYWORDS, decode_filter, encode_filter, within
from ragplatform.errors import PolicyError
from ragplatform.model import AllOf, AnyOf, Clause, Json, Purpose, Scope

BAD = [
    None,
    True,
    "access_class",
    {},
    [],
    [[]],
    [[[]]],
    [[["access_class"]]],
    [[["access_class", []]]],
    [[["access_class", "open"]]],
    [[["access_class", [1]]]],
    [[["access_class", [True]]]],
    [[["access_class", [None]]]],
    [[["access_class", ["open"], "x"]]],
    [[["text", ["x"]]]],
    [[["labels.department", ["x"]]]],
    [[["access_class", ["open"]]], []],
]


@pytest.mark.parametrize("document", BAD)
def test_a_filter_in_another_shape_is_refused(document: Json) -> None:
    with pytest.raises(PolicyError):
        decode_filter(document)


@pytest.mark.parametrize("compiled", [edge._compiled, qdrant._compiled])
def test_a_filter_without_branches_never_reaches_an_engine(compiled) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PolicyError):
        compiled(AnyOf(()))


clauses = st.builds(Clause, st.sampled_from(KEYWORDS), st.frozensets(st.text(), min_size=1))
branches = st.builds(AllOf, st.lists(clauses, min_size=1, max_size=4).map(tuple))
trees = st.builds(AnyOf, st.lists(branches, min_size=1, max_size=4).map(tuple))


@given(trees)
def test_a_filter_comes_through_json_unchanged(tree: AnyOf) -> None:
    assert decode_filter(json.loads(json.dumps(encode_filter(tree)))) == tree


@given(trees)
def test_every_branch_requires_the_scopes_own_tenant(tree: AnyOf) -> None:
    scope = Scope("mercy", "dr-ada", Purpose.TREAT, tree, frozenset(), "digest", "key")

    found = within(scope)

    assert len(found.branches) == len(tree.branches)
    for before, after in zip(tree.branches, found.branches, strict=True):
        assert Clause("tenant", frozenset({"mercy"})) in after.clauses
        assert set(before.clauses) <= set(after.clauses)
