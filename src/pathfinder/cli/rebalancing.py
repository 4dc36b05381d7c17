"""A plan to balance nodes, as people read it."""

from collections.abc import Mapping
from typing import Any

from pathfinder.cli.text import aligned

WAYS = {"relocate": "with its data", "remake": "made anew"}
AMOUNTS = (("CPU", "cpu"), ("memory", "memory"))


def rebalance_lines(plan: Mapping[str, Any]) -> list[str]:
    """Each move, and how full nodes are before and after."""
    moves = plan["moves"]
    notes = [plan["note"]] if plan.get("note") else []
    if not moves:
        few = "no move is worth it" if plan["done"] else "no move alone is worth it; more moves are"
        return [f"{few}: {_range(plan['before'])}", *notes]
    rows = [
        (move["name"], move["source"], move["target"], WAYS[move["way"]], move["why"])
        for move in moves
    ]
    lines = aligned([("CONTAINER", "FROM", "TO", "HOW", "WHY"), *rows])
    lines += ["", f"before: {_range(plan['before'])}", f"after:  {_range(plan['after'])}"]
    if not plan["done"]:
        lines.append("more would be worth it: --moves N")
    return lines + notes


def _range(balance: Mapping[str, int]) -> str:
    parts = [
        f"{balance[f'{field}_least']} to {balance[f'{field}_most']} % of {word}"
        for word, field in AMOUNTS
    ]
    return f"{', '.join(parts)} in use, at most {balance['disk_most']} % of a disk"
