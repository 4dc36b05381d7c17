"""Everything about one thing, as people read it."""

from pathfinder.cli.descriptions import description

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
