"""Words for numbers, moments and states, and lines that align. Pure."""

import re
from collections.abc import Sequence
from typing import Final

import click

# (unit, next smaller unit, seconds of each, up to how many seconds)
UNITS: Final = (
    ("m", "s", 60, 1, 3600),
    ("h", "m", 3600, 60, 86_400),
    ("d", "h", 86_400, 3600, 1 << 62),
)
GAP: Final = "   "
STYLED: Final = re.compile(r"\x1b\[[0-9;]*m")
# A name or a reason comes from other people: it shall not move somebody's cursor.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

GOOD: Final = frozenset({"BOOTSTRAPPED", "PROVISIONED", "ready", "yes"})
BAD: Final = frozenset({"PROVISION_ERROR", "BOOTSTRAP_ERROR", "RELOCATE_ERROR", "lost", "NotReady"})
ON_THE_WAY: Final = frozenset(
    {
        "PENDING",
        "SCHEDULED",
        "BOOTSTRAP_STARTED",
        "SCHEDULE_RELOCATION",
        "RELOCATE_STARTED",
        "SCHEDULE_DELETION",
        "suspect",
        "new",
    }
)


def age(duration_ms: int) -> str:
    """A duration as its two largest units at most: "12s", "3m20s", "5h", "3d4h"."""
    seconds = max(duration_ms, 0) // 1000
    for unit, smaller, unit_s, smaller_s, end_s in UNITS:
        if unit_s <= seconds < end_s:
            whole, rest = seconds // unit_s, seconds % unit_s // smaller_s
            return f"{whole}{unit}{rest}{smaller}" if whole < 10 and rest else f"{whole}{unit}"
    return f"{seconds}s"


def moment(time_ms: int) -> str:
    """A wall clock time in the local zone: "2026-11-22 22:49:05"."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ms / 1000))


def safe(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return CONTROL.sub(" ", text)


def toned(text: str) -> str:
    """A state in its colour: green is good, yellow on its way, red bad."""
    word = text.partition(",")[0]
    if word in GOOD:
        return click.style(text, fg="green")
    if word in BAD:
        return click.style(text, fg="red")
    return click.style(text, fg="yellow") if word in ON_THE_WAY else text


def aligned(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """The rows as lines, each column as wide as its widest cell; styles count for nothing."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        (
            indent
            + GAP.join(
                cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    ]


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 container", "3 containers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _width(cell: str) -> int:
    return len(STYLED.sub("", cell))
