"""What people call the kinds of things."""

import pytest

from pathfinder.cli.errors import Misused
from pathfinder.cli.kinds import kind_called, thing_called
from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, KINDS, NODE, TOKEN


@pytest.mark.parametrize("word", ["container", "containers", "co", "Containers", "CT"])
def test_a_kind_is_known_by_all_its_names(word: str) -> None:
    assert kind_called(word) is CONTAINER


def test_no_name_means_two_kinds() -> None:
    words = [word for kind in KINDS for word in (kind.name, kind.plural, *kind.short)]

    assert len(words) == len(set(words))


def test_a_misspelt_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(Misused, match="'contaners' is not a kind") as caught:
        kind_called("contaners")

    assert caught.value.hint == "did you mean containers?"


def test_a_word_that_is_near_to_nothing_is_answered_with_all_kinds() -> None:
    with pytest.raises(Misused) as caught:
        kind_called("xyzzy", (NODE, CONTAINER))

    assert caught.value.hint == "kinds here are nodes, containers"


@pytest.mark.parametrize("words", [("deployment/web",), ("dep", "web")])
def test_a_thing_is_named_with_a_slash_or_in_two_words(words: tuple[str, ...]) -> None:
    assert thing_called(words, KINDS) == (DEPLOYMENT, "web")


@pytest.mark.parametrize("words", [("web",), ("dep", ""), ("dep/",), ("a", "b", "c")])
def test_anything_else_names_no_thing(words: tuple[str, ...]) -> None:
    with pytest.raises(Misused, match="names no thing"):
        thing_called(words, KINDS)


def test_paths_quote_what_people_have_named() -> None:
    assert CONTAINER.path("a/b", "c d", "exec") == "/api/v3/clusters/a%2Fb/containers/c%20d/exec"
    assert TOKEN.path("ignored") == "/api/v3/tokens"
