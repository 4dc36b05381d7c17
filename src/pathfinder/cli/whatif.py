"""The answer to a what-if question, for people. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from pathfinder.cli.tables import NOTHING
from pathfinder.cli.text import aligned, safe
from pathfinder.model.resources import cpu_text, size_text

COLOURS: Final = {"unplaced": "red", "deleted": "red", "created": "green", "placed": "green"}
ROOM: Final = (("CPU", "cpu_millis", cpu_text), ("memory", "memory_mib", size_text))
FAILS_SHOWN_MAX: Final = 5


def what_if_lines(answer: Mapping[str, Any]) -> list[str]:
    """What moves, what fits nowhere, what is left, and whether one more node may be lost."""
    moves: Sequence[Mapping[str, Any]] = answer["moves"]
    lines = aligned([_row(move) for move in moves]) if moves else ["No container would move."]
    for move in moves:
        if move["remedies"]:
            lines.append(f"what would help {move['name']}:")
            lines += [f"  - {safe(remedy)}" for remedy in move["remedies"]]
    waiting = [move["name"] for move in moves if move["confirmation"]]
    if waiting:
        lines.append(
            f"STATEFUL, so they move only when a person confirms that the machine is dead: "
            f"{', '.join(waiting)}"
        )
    lines += [click.style(f"blocked: {safe(text)}", fg="red") for text in answer["blocked"]]
    if not answer["settled"]:
        lines.append("A rollout was still moving when this answer was cut off.")
    lines += ["", *_room_lines(answer), _spare_line("before", answer["spare_before"])]
    return [*lines, _spare_line("after", answer["spare_after"]), _summary(moves)]


def _row(move: Mapping[str, Any]) -> list[str]:
    source, target = move["source"] or NOTHING, move["target"] or NOTHING
    where = target if source == target else f"{source} -> {target}"
    return [
        click.style(move["action"], fg=COLOURS.get(move["action"], "yellow")),
        f"container/{move['name']}",
        where,
        safe(move["why"]),
    ]


def _room_lines(answer: Mapping[str, Any]) -> list[str]:
    rows = [["ROOM", "RESERVED BEFORE", "RESERVED AFTER", "FREE AFTER", "MOST FREE ON ONE NODE"]]
    for title, key, show in ROOM:
        before, after = answer["room_before"][key], answer["room_after"][key]
        on = f" on {after['most_free_on']}" if after["most_free_on"] else ""
        rows.append(
            [
                title,
                f"{show(before['reserved'])} of {show(before['capacity'])}",
                f"{show(after['reserved'])} of {show(after['capacity'])}",
                show(after["free"]),
                show(after["most_free"]) + on,
            ]
        )
    return aligned(rows)


def _spare_line(when: str, spare: Mapping[str, Any]) -> str:
    tried = spare["checked"]
    of = "" if tried == spare["nodes"] else f" (tried: the {tried} with most of {spare['nodes']})"
    if spare["holds"]:
        return f"N+1 {when}: yes, any one node may be lost{of}"
    worst = sorted(spare["fails"].items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name} ({number} would fit nowhere)" for name, number in worst[:FAILS_SHOWN_MAX]]
    more = f" and {len(worst) - len(shown)} more" if len(worst) > len(shown) else ""
    return click.style(f"N+1 {when}: no, not {', '.join(shown)}{more}{of}", fg="red")


def _summary(moves: Sequence[Mapping[str, Any]]) -> str:
    numbers: dict[str, int] = {}
    for move in moves:
        numbers[move["action"]] = numbers.get(move["action"], 0) + 1
    said = ", ".join(f"{number} {action}" for action, number in numbers.items())
    return f"What if: {said or 'nothing changes'}."
