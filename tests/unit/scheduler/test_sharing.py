"""Indexes whose copies share what neither side has changed since."""

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.scheduler.sharing import Index

CHANGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=20
)


@given(changes=CHANGES)
def test_a_copy_and_what_it_was_made_from_never_see_each_others_changes(
    changes: list[tuple[int, str, str]],
) -> None:
    first: Index[set[str]] = Index(set)
    first.to_change("a").add("x")
    indexes = [first, first.copy()]
    indexes.append(indexes[1].copy())
    plain = [{"a": {"x"}} for _ in indexes]
    for which, key, item in changes:
        indexes[which].to_change(key).symmetric_difference_update({item})
        plain[which].setdefault(key, set()).symmetric_difference_update({item})

    assert [dict(index) for index in indexes] == plain


def test_a_dropped_key_is_still_there_in_a_copy() -> None:
    index: Index[set[str]] = Index(set)
    index.to_change("a").add("x")
    twin = index.copy()
    index.drop("a")

    assert (dict(index), dict(twin)) == ({}, {"a": {"x"}})
