"""What a shell may offer for the word under the cursor: kinds, and names that the server knows."""

import click

from pathfinder.cli.session import Session
from pathfinder.client.kinds import CONTAINER, KINDS, NODE, Kind
from pathfinder.model.errors import PathfinderError


def complete_kind(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Kinds; after `KIND/`, or after a kind as a word of its own, names of that kind."""
    words = context.params.get("words") or ()
    first, slash, start = incomplete.partition("/")
    if slash:
        return [f"{first}/{name}" for name in _names(context, first) if name.startswith(start)]
    if words:
        return _starting(_names(context, words[0]), incomplete)
    return _starting([kind.plural for kind in KINDS], incomplete)


def complete_name(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the kind that stands in front."""
    return _starting(_names(context, context.params.get("kind_text") or ""), incomplete)


def complete_container(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of containers."""
    return _starting(_names(context, CONTAINER.name), incomplete)


def complete_node(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of nodes."""
    return _starting(_names(context, NODE.name), incomplete)


def _starting(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _names(context: click.Context, word: str) -> list[str]:
    """Names of a kind; none when the server cannot say, because a shell has no place for errors."""
    from pathfinder.cli.kinds import kind_called

    session = context.find_object(Session)
    if session is None:
        return []
    try:
        kind: Kind = kind_called(word)
        return [str(item["name"]) for item in session.client.page(kind)["items"]]
    except (PathfinderError, KeyError):
        return []
