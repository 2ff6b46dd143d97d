"""A filter that is only nearly understood is refused: it could allow more than was meant."""

import json
from functools import partial

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
    "tenant_class",
    {},
    [],
    [[]],
    [[[]]],
    [[["tenant_class"]]],
    [[["tenant_class", []]]],
    [[["tenant_class", "open"]]],
    [[["tenant_class", [1]]]],
    [[["tenant_class", [True]]]],
    [[["tenant_class", [None]]]],
    [[["tenant_class", ["open"], "x"]]],
    [[["text", ["x"]]]],
    [[["labels.department", ["x"]]]],
    [[["tenant_class", ["open"]]], []],
    # The shape of a branch is a pair; one that lost its exclusions must not be read as one.
    [[[["tenant_class", ["open"]]]]],
    [[[["tenant_class", ["open"]]], [], []]],
    [[[["tenant_class", ["open"]]], None]],
    [[[["tenant_class", ["open"]]], [["subjects"]]]],
    [[[["tenant_class", ["open"]]], [["subjects", []]]]],
    [[[["tenant_class", ["open"]]], [["tenant", ["mercy"]]]]],
    [[[], [["subjects", ["s1"]]]]],
]


@pytest.mark.parametrize("document", BAD)
def test_a_filter_in_another_shape_is_refused(document: Json) -> None:
    with pytest.raises(PolicyError):
        decode_filter(document)


@pytest.mark.parametrize("compiled", [partial(edge._compiled, numbers={}), qdrant._compiled])
def test_a_filter_without_branches_never_reaches_an_engine(compiled) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PolicyError):
        compiled(AnyOf(()))


clauses = st.builds(Clause, st.sampled_from(KEYWORDS), st.frozensets(st.text(), min_size=1))
excluded = st.builds(Clause, st.just("subjects"), st.frozensets(st.text(), min_size=1))
branches = st.builds(
    AllOf,
    st.lists(clauses, min_size=1, max_size=4).map(tuple),
    st.lists(excluded, max_size=2).map(tuple),
)
trees = st.builds(AnyOf, st.lists(branches, min_size=1, max_size=4).map(tuple))


@given(trees)
def test_a_filter_comes_through_json_unchanged(tree: AnyOf) -> None:
    assert decode_filter(json.loads(json.dumps(encode_filter(tree)))) == tree


scoped = st.sampled_from(["access_class", "collection", "subjects", "document", "generation"])
asked = st.builds(Clause, scoped, st.frozensets(st.text(), min_size=1))
asked_branches = st.builds(
    AllOf,
    st.lists(asked, min_size=1, max_size=4).map(tuple),
    st.lists(excluded, max_size=2).map(tuple),
)


def scope(*branches: AllOf) -> Scope:
    return Scope("mercy", "x", Purpose.TREAT, AnyOf(branches), frozenset(), "digest", "key")


@given(st.lists(asked_branches, max_size=4))
def test_every_branch_requires_the_scopes_own_tenant_and_all_that_it_required(
    branches: list[AllOf],
) -> None:
    found = within(scope(*branches))

    assert len(found.branches) == len(branches)
    for before, after in zip(branches, found.branches, strict=True):
        owned = [c for c in after.clauses if c.field in {"tenant", "tenant_class"}]
        assert owned
        assert all(v.split("/")[0] == "mercy" for clause in owned for v in clause.any_of)
        assert after.none_of == before.none_of
        kept = [c for c in after.clauses if c.field != "tenant"]
        for was, now in zip(before.clauses, kept, strict=True):
            bare = {v.removeprefix("mercy/") for v in now.any_of} if now in owned else now.any_of
            assert bare == was.any_of


@pytest.mark.parametrize("field", ["tenant", "tenant_class", "text", "labels.department", ""])
def test_a_scope_cannot_speak_of_its_tenant_or_of_what_is_not_kept(field: str) -> None:
    with pytest.raises(PolicyError):
        within(scope(AllOf((Clause(field, frozenset({"harbor"})),))))


@pytest.mark.parametrize("field", ["access_class", "collection", "document", "tenant", ""])
def test_a_scope_excludes_by_subjects_alone(field: str) -> None:
    fine, out = Clause("collection", frozenset({"a"})), Clause(field, frozenset({"b"}))

    with pytest.raises(PolicyError):
        within(scope(AllOf((fine,), (out,))))
