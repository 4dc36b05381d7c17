"""Plans for people."""

from typing import Any

import click

from pathfinder.cli.plans import difference_lines, plan_lines


def change(name: str, action: str, **more: Any) -> dict[str, Any]:
    return {"kind": "container", "cluster": "default", "name": name, "action": action, **more}


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_a_plan_says_what_would_happen_where_and_why() -> None:
    changes = [
        change("web-01", "create", node="n1", why="most free memory"),
        change("web-02", "wait", why="its turn has not come", warnings=["no node has 'busybox'"]),
    ]

    lines = plan_lines({"dry_run": True, "changes": changes}, {})

    assert plain(lines) == [
        "+   container/web-01   create   on n1   most free memory",
        "…   container/web-02   wait             its turn has not come",
        "      warning: no node has 'busybox'",
        "Plan: 1 to create.",
    ]


def test_what_was_done_is_told_in_the_past() -> None:
    changes = [change("a", "create"), change("b", "create"), change("c", "delete")]

    lines = plan_lines({"dry_run": False, "changes": changes}, {})

    assert plain(lines)[-1] == "Done: 2 created, 1 deleted."


def test_nothing_to_change_is_said() -> None:
    changes = [change("a", "unchanged")]

    assert plain(plan_lines({"dry_run": True, "changes": changes}, {}))[-1] == "Nothing to change."
    assert plain(plan_lines({"changes": changes}, {}))[-1] == "Nothing was changed."


def test_an_action_of_a_newer_server_is_shown_as_it_is() -> None:
    lines = plan_lines({"dry_run": True, "changes": [change("a", "hibernate")]}, {})

    assert plain(lines) == ["?   container/a   hibernate", "Nothing to change."]


def test_differences_are_shown_field_by_field_below_the_change() -> None:
    before = {"replicas": 2, "spec": {"image": {"alias": "a"}, "command": ["x"]}}
    after = {"replicas": 2, "spec": {"image": {"alias": "b"}, "command": ["x", "y"]}}
    differences = {("container", "default", "web"): difference_lines(before, after)}

    lines = plan_lines({"dry_run": True, "changes": [change("web", "change")]}, differences)

    assert plain(lines)[1:-1] == [
        "      + spec.command[1]: y",
        "      - spec.image.alias: a",
        "      + spec.image.alias: b",
    ]


def test_what_is_new_has_no_differences() -> None:
    assert difference_lines(None, {"replicas": 1}) == []
