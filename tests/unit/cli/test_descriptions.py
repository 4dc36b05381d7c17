"""Everything about one thing, as people read it."""

import re

from pathfinder.cli.descriptions import description, drain_lines, explanation_lines

CLUSTER = {
    "kind": "Cluster",
    "name": "default",
    "policy": {
        "placement": "pack",
        "overcommit": {"cpu_permille": 1500, "memory_permille": 1000},
        "quota": {"cpu_millis": 0, "memory_mib": 3072, "containers": 6},
        "reserved": {"cpu_millis": 0, "extra": []},
        "moves_per_hour": 0,
    },
}


def test_a_policy_is_said_in_units_and_without_what_is_not_set() -> None:
    lines = description(CLUSTER, None, [], 0)

    (policy,) = (line for line in lines if line.startswith("policy:"))
    assert policy.split(maxsplit=1)[1] == (
        "placement pack, overcommit (cpu 1.5 times, memory 1 times), "
        "quota (memory 3GiB, containers 6)"
    )


def test_what_a_container_waits_for_is_said_with_about_until_when() -> None:
    awaited = {"name": "db", "node": "n1", "what": "moves to n2 with its data"}
    told = {
        "name": "web",
        "phase": "PENDING",
        "node": "",
        "explanation": {"text": "no node fits"},
        "awaited": [
            {**awaited, "since_ms": 1_700_000_000_000, "until_ms": 1_700_000_040_000},
            {**awaited, "since_ms": 0, "until_ms": 0},
        ],
    }
    *_, title, known, unknown = explanation_lines(told, told)

    assert title == "waits for what is on its way:"
    assert re.fullmatch(
        r"  db   moves to n2 with its data   on n1 since \S+ \S+, as before until about \S+ \S+",
        known,
    )
    assert unknown.rstrip().endswith("on n1")


def test_a_drain_says_how_far_it_is_and_what_stays() -> None:
    stays = {"name": "db", "why": "fits on no other node", "hint": "add a node"}
    drain = {
        "since_ms": 1_700_000_000_000,
        "reason": "new disks",
        "containers": 5,
        "left": 3,
        "moving": 1,
        "stays": [stays],
        "ends_in_ms": 90_000,
        "ended_ms": 0,
    }
    since, *rest = drain_lines(drain, 1_700_000_060_000)

    assert since.startswith("since ")
    assert since.endswith("(1m ago): new disks")
    assert rest == [
        "3 of 5 containers left, 1 on their way; done in about 1m30s, if it goes on like this",
        "db stays: fits on no other node",
        "  - add a node",
    ]
    assert drain_lines({**drain, "ended_ms": 1_700_000_050_000}, 0)[-1].startswith("empty since ")
