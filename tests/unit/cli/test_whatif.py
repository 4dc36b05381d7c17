"""The answer to a what-if question as people read it."""

from typing import Any

import click
import pytest

from pathfinder.cli.commands.plan import moment_ms
from pathfinder.cli.errors import Misused
from pathfinder.cli.whatif import what_if_lines

ROOM = {
    "cpu_millis": {
        "capacity": 8000, "reserved": 6000, "free": 2000, "most_free": 1500, "most_free_on": "n2",
    },
    "memory_mib": {
        "capacity": 4096, "reserved": 1024, "free": 3072, "most_free": 2048, "most_free_on": "n2",
    },
}  # fmt: skip
HOLDS = {"holds": True, "checked": 3, "nodes": 3, "fails": {}}


def move(name: str, action: str, source: str, target: str, **fields: Any) -> dict[str, Any]:
    """One container that is not where it was."""
    said = {"name": name, "action": action, "source": source, "target": target}
    return {**said, "why": "", "remedies": [], "confirmation": False, **fields}


def lines(*moves: dict[str, Any], **fields: Any) -> list[str]:
    """The lines without colours."""
    answer = {
        "moves": moves,
        "blocked": [],
        "settled": True,
        "room_before": ROOM,
        "room_after": ROOM,
        "spare_before": HOLDS,
        "spare_after": HOLDS,
        **fields,
    }
    return [click.unstyle(line) for line in what_if_lines(answer)]


def test_each_move_says_from_where_to_where_and_why() -> None:
    said = lines(
        move("web-01", "moved", "n1", "n2", why="95 % of CPU free"),
        move("web-02", "remade", "n2", "n2"),
    )

    assert said[0].split() == [
        "moved",
        "container/web-01",
        "n1",
        "->",
        "n2",
        "95",
        "%",
        "of",
        "CPU",
        "free",
    ]
    assert said[1].split() == ["remade", "container/web-02", "n2"]
    assert said[-1] == "What if: 1 moved, 1 remade."


def test_what_fits_nowhere_is_followed_by_what_would_help() -> None:
    said = lines(
        move("db", "unplaced", "n1", "", remedies=["add a node"], confirmation=True),
    )

    assert "what would help db:" in said
    assert "  - add a node" in said
    assert any(line.endswith("the machine is dead: db") for line in said)


def test_room_is_shown_before_and_after() -> None:
    said = lines()

    assert said[0] == "No container would move."
    assert any("6 of 8" in line and "1.5 on n2" in line for line in said)
    assert any("1GiB of 4GiB" in line and "2GiB on n2" in line for line in said)


def test_n_plus_1_names_the_worst_nodes_and_how_many_were_tried() -> None:
    spare = {"holds": False, "checked": 100, "nodes": 900, "fails": {"n1": 1, "n2": 7}}
    said = lines(spare_after=spare)

    assert "N+1 before: yes, any one node may be lost" in said
    assert (
        "N+1 after: no, not n2 (7 would fit nowhere), n1 (1 would fit nowhere)"
        " (tried: the 100 with most of 900)"
    ) in said


def test_what_could_not_go_on_is_said() -> None:
    said = lines(blocked=["web: all 2 replicas must stay ready"], settled=False)

    assert "blocked: web: all 2 replicas must stay ready" in said
    assert any("still moving" in line for line in said)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", 1_000_000_000_000 - 5_400_000),
        ("2d ago", 1_000_000_000_000 - 172_800_000),
        ("2001-09-09T01:46:40Z", 1_000_000_000_000),
        ("2001-09-09T03:46:40+02:00", 1_000_000_000_000),
    ],
)
def test_a_moment_is_a_time_or_so_long_ago(text: str, moment: int) -> None:
    assert moment_ms(text, 1_000_000_000) == moment


def test_what_is_no_moment_says_how_to_write_one() -> None:
    with pytest.raises(Misused) as refused:
        moment_ms("yesterday", 0)

    assert "2d ago" in refused.value.hint
