"""Prompts share the model server's prefix cache only where rights and epoch are the same."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragplatform.answer.salts import cache_salt, rights_digest
from ragplatform.model import AllOf, Clause, Principal, Purpose, Scope, Standing
from tests.fakes_index import scope

KEY = b"k" * 32
DAY = date(2026, 3, 1)
# Names that would run into each other, were they only written one after the other.
NAMES = st.sampled_from([frozenset(), *map(frozenset, (["a"], ["b"], ["a", "b"], ["a\nb"]))])
SETS = ("related", "opened", "consenting", "refusing")


def standing(**more: frozenset[str]) -> Standing:
    nobody = Standing(
        principal=Principal("dr-lee", "mercy", frozenset({"physician"})),
        purpose=Purpose.TREAT,
        related=frozenset(),
        opened=frozenset(),
        consenting=frozenset(),
        refusing=frozenset(),
        glass=(),
        dark=(),
    )
    return replace(nobody, **more)


def of_key(key: str) -> Scope:
    return replace(scope(AllOf((Clause("access_class", frozenset({"a"})),))), key=key)


class PrefixCache:
    """What vLLM keeps: whether a prompt begins like an earlier one of the same salt."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()

    def hits(self, salt: str, prompt: str) -> bool:
        found = (salt, prompt) in self._held
        self._held.add((salt, prompt))
        return found


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(["scope-1", "scope-2", "scope-1\n2026-03-01"]),
            st.fixed_dictionaries(dict.fromkeys(SETS, NAMES)),
            NAMES,
            st.integers(0, 3),
        ),
        max_size=8,
    )
)
def test_a_prompt_is_found_only_by_the_same_rights_in_the_same_epoch(asked) -> None:
    cache, seen = PrefixCache(), []

    for key, people, classes, later in asked:
        rights = rights_digest(standing(**people), classes)
        salt = cache_salt(KEY, of_key(key), rights, DAY + timedelta(later))
        same = (key, people, classes, later)

        assert cache.hits(salt, "the same passages") == (same in seen)
        seen.append(same)


@pytest.mark.parametrize("group", SETS)
def test_each_change_of_how_the_caller_stands_begins_an_epoch(group: str) -> None:
    changed = standing(**{group: frozenset({"subject-1"})})

    assert rights_digest(changed, ["a"]) != rights_digest(standing(), ["a"])


def test_a_new_label_begins_an_epoch() -> None:
    assert rights_digest(standing(), ["a", "b"]) != rights_digest(standing(), ["a"])


def test_the_order_of_classes_makes_no_difference() -> None:
    assert rights_digest(standing(), ["a", "b"]) == rights_digest(standing(), ["b", "a"])


def test_another_key_gives_other_salts() -> None:
    one = cache_salt(KEY, of_key("scope"), "r", DAY)

    assert one != cache_salt(b"x" * 32, of_key("scope"), "r", DAY)
