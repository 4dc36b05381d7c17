"""Path, query and body as one bag."""

from typing import Any

import pytest

from pathfinder.api.original.parameters import merged, nested, number, part, text, whole
from pathfinder.model.errors import Malformed, TooMuch


def test_path_outweighs_query_and_query_body() -> None:
    body = b'{"a":"body","b":"body","c":"body"}'

    bag = merged({"a": "path"}, b"a=query&b=query", body, "application/json; charset=utf-8")
    assert bag == {"a": "path", "b": "query", "c": "body"}


def test_body_that_does_not_say_what_it_is_is_a_form() -> None:
    assert merged({}, b"", b"password=a%20b+c%26", "") == {"password": "a b c&"}


def test_empty_json_body_says_nothing() -> None:
    assert merged({}, b"a=1", b"", "application/json") == {"a": "1"}
    assert merged({}, b"", b" ", "application/json") == {}


@pytest.mark.parametrize(
    ("pairs", "bag"),
    [
        ([("a[b][c]", "1"), ("a[b][d]", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a[][b]", "1"), ("a[][c]", "2"), ("a[][b]", "3")],
         {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        ([("a", "1"), ("a[b]", "2")], {"a": "1"}),
        ([("a[b]", "1"), ("a[]", "2")], {"a": {"b": "1"}}),
        ([("[a]", "1"), ("a]", "2"), ("", "3"), ("a[b", "4")], {}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
    ],
)  # fmt: skip
def test_brackets_nest(pairs: list[tuple[str, str]], bag: dict[str, Any]) -> None:
    assert nested(pairs) == bag


def test_depth_and_number_of_parameters_have_bounds() -> None:
    """Promise 11."""
    with pytest.raises(Malformed, match="deep"):
        nested([("a" + "[b]" * 40, "1")])
    with pytest.raises(TooMuch):
        merged({}, b"a=1&" * 2_000, b"", "")


@pytest.mark.parametrize("body", [b"{", b'{"a":nan}', b"\xff", b'{"a":1}}'])
def test_broken_json_is_said(body: bytes) -> None:
    with pytest.raises(Malformed):
        merged({}, b"", body, "application/json")


@pytest.mark.parametrize(
    ("value", "as_whole"),
    [(3, 3), (23334.836, 23334), ("7.9", 7), (None, None), ("x", None), (True, None),
     ([1], None), ("nan", None), ("inf", None), (1e300, None), (-2.5, -2)],
)  # fmt: skip
def test_numbers_are_cut_or_none(value: object, as_whole: int | None) -> None:
    assert whole({"n": value}, "n") == as_whole


def test_missing_and_null_are_the_same() -> None:
    assert text({"a": None}, "a") == text({}, "a") == ""
    assert text({"a": {"b": 1}}, "a") == ""
    assert text({"a": 7}, "a") == "7"
    assert part({"a": "x"}, "a") == part({}, "a") == {}
    assert number({}, "a") is None
