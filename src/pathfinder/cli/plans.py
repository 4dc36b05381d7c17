"""A plan for people: what is created, changed, placed, and why; with what differs. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from pathfinder.cli.text import aligned, safe

ADDED: Final = "green"
CHANGED: Final = "yellow"
REMOVED: Final = "red"


@dataclass(frozen=True, slots=True)
class Verb:
    """How an action is shown: its sign, its colour, and its word once it has been done."""

    sign: str
    colour: str
    done: str


VERBS: Final[Mapping[str, Verb]] = {
    "create": Verb("+", ADDED, "created"),
    "change": Verb("~", CHANGED, "changed"),
    "update": Verb("~", CHANGED, "changed"),
    "scale": Verb("~", CHANGED, "scaled"),
    "replace": Verb("±", CHANGED, "replaced"),
    "rebootstrap": Verb("±", CHANGED, "bootstrapped again"),
    "relocate": Verb("→", CHANGED, "moved"),
    "place": Verb("+", ADDED, "placed"),
    "release": Verb("-", REMOVED, "released"),
    "delete": Verb("-", REMOVED, "deleted"),
    "wait": Verb("…", CHANGED, "waiting"),
    "unchanged": Verb("=", "", "unchanged"),
}
UNKNOWN: Final = Verb("?", "", "")
# "changed" follows from "change" in the summary; "wait" and "unchanged" are no changes to count.
COUNTED: Final = (
    "create", "change", "update", "scale", "replace", "rebootstrap", "relocate", "place", "delete",
)  # fmt: skip


def plan_lines(
    plan: Mapping[str, Any], differences: Mapping[tuple[str, str, str], Sequence[str]]
) -> list[str]:
    """The plan. `differences`: (kind, cluster, name) -> lines that show what differs."""
    is_done = not plan.get("dry_run")
    changes = plan.get("changes", ())
    rows = [_row(change, is_done=is_done) for change in changes]
    lines: list[str] = []
    for change, line in zip(changes, aligned(rows) if rows else [], strict=True):
        lines.append(line)
        key = (change["kind"], change["cluster"], change["name"])
        lines += [f"      {each}" for each in differences.get(key, ())]
        lines += [_warning(text) for text in change.get("warnings", ())]
    lines += [_warning(text) for text in plan.get("warnings", ())]
    return [*lines, _summary(changes, is_done=is_done)]


def difference_lines(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Field by field what differs; nothing when `before` is None (all of it would be new)."""
    if before is None:
        return []
    old, new = dict(_leaves(before)), dict(_leaves(after))
    lines = []
    for place in sorted(old.keys() | new.keys()):
        if old.get(place) == new.get(place):
            continue
        if place in old:
            lines.append(click.style(f"- {place}: {old[place]}", fg=REMOVED))
        if place in new:
            lines.append(click.style(f"+ {place}: {new[place]}", fg=ADDED))
    return lines


def _row(change: Mapping[str, Any], *, is_done: bool) -> list[str]:
    verb = VERBS.get(change["action"], UNKNOWN)
    word = verb.done if is_done and verb.done else change["action"]
    colour = verb.colour or None
    where = f"on {change['node']}" if change.get("node") else ""
    return [
        click.style(verb.sign, fg=colour, bold=True),
        f"{change['kind']}/{change['name']}",
        click.style(word, fg=colour),
        where,
        safe(change.get("why") or ""),
    ]


def _summary(changes: Sequence[Mapping[str, Any]], *, is_done: bool) -> str:
    numbers: dict[str, int] = {}
    for change in changes:
        if change["action"] in COUNTED:
            numbers[change["action"]] = numbers.get(change["action"], 0) + 1
    if not numbers:
        return "Nothing to change." if not is_done else "Nothing was changed."
    if is_done:
        parts = [f"{number} {VERBS[action].done}" for action, number in numbers.items()]
        return f"Done: {', '.join(parts)}."
    parts = [f"{number} to {action}" for action, number in numbers.items()]
    return f"Plan: {', '.join(parts)}."


def _warning(text: str) -> str:
    return click.style(f"      warning: {safe(text)}", fg="yellow")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
    else:
        yield place, safe(str(value))
