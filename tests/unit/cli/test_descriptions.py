"""Everything about one thing, as people read it."""

import re

from pathfinder.cli.descriptions import description, explanation_lines

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
