"""What people may call the kinds of things, and what they meant when they misspelt one."""

from pathfinder.cli.errors import Misused
from pathfinder.client.kinds import KINDS, Kind


def kind_called(text: str, among: tuple[Kind, ...] = KINDS) -> Kind:
    """The kind that is meant: singular, plural or short, in any case; Misused otherwise."""
    wanted = text.lower()
    for kind in among:
        if wanted in (kind.name, kind.plural, *kind.short):
            return kind
    known = ", ".join(kind.plural for kind in among)
    near = nearest(wanted, tuple(word for kind in among for word in (kind.plural, kind.name)))
    if near:
        raise Misused(f"{text!r} is not a kind", hint=f"did you mean {near}?")
    raise Misused(f"{text!r} is not a kind", hint=f"kinds here are {known}")


def thing_called(words: tuple[str, ...], among: tuple[Kind, ...]) -> tuple[Kind, str]:
    """`KIND/NAME` or `KIND NAME` -> the kind and the name; Misused otherwise."""
    parts = words[0].split("/", 1) if len(words) == 1 else list(words)
    if len(parts) != 2 or not all(parts):
        raise Misused(
            f"{' '.join(words)!r} names no thing", hint="write KIND/NAME, as in container/web"
        )
    return kind_called(parts[0], among), parts[1]


def nearest(word: str, choices: tuple[str, ...]) -> str:
    """The choice that a misspelt word most likely stands for, or ""."""
    from difflib import get_close_matches

    found = get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else ""
