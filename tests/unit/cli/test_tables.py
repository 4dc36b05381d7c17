"""The tables of pfi get."""

from typing import Any

import click

from pathfinder.cli.tables import COLUMNS, table
from pathfinder.client.kinds import KINDS
from tests.support.stub_api import container

CREATED_MS = 1_700_000_000_000


def shown(kind: str, *items: dict[str, Any], is_wide: bool = False) -> list[str]:
    lines = table(kind, items, now_ms=CREATED_MS + 200_000, is_wide=is_wide)
    return [click.unstyle(line) for line in lines]


def test_every_kind_has_a_table_that_stands_an_item_without_fields() -> None:
    for kind in KINDS:
        assert len(shown(kind.name, {}, is_wide=True)) == 2
    assert set(COLUMNS) == {kind.name for kind in KINDS}


def test_containers_have_the_columns_that_scripts_and_people_know() -> None:
    assert shown("container", container("web")) == [
        "NAME   PHASE          READY   NODE   ADDRESS    IMAGE     AGE",
        "web    BOOTSTRAPPED   yes     n1     10.0.0.7   busybox   3m20s",
    ]


def test_the_wide_table_says_why_a_container_waits() -> None:
    waiting = {**container("web"), "explanation": {"text": "no node fits"}, "why": "placed"}

    title, row = shown("container", waiting, is_wide=True)

    assert title.endswith("WHY")
    assert row.endswith("no node fits")


def test_nodes_show_what_is_reserved_of_what_they_have() -> None:
    node = {
        "name": "n1", "status": "ready", "cordoned": True, "containers": 3,
        "capacity": {"cpu_millis": 2000, "memory_mib": 2048}, "reserved": {"cpu_millis": 500},
        "created_ms": CREATED_MS,
    }  # fmt: skip

    assert shown("node", node) == [
        "NAME   STATUS           CONTAINERS   CPU     MEMORY      DISK   AGE",
        "n1     ready,cordoned   3            0.5/2   0MiB/2GiB   0MiB   3m20s",
    ]


def test_nodes_show_how_far_their_drain_is() -> None:
    drain = {"left": 3, "containers": 5, "ended_ms": 0}
    node = {"name": "n1", "status": "ready", "cordoned": True, "drain": drain}

    assert "ready,draining 3/5" in shown("node", node)[1]
    assert "ready,drained" in shown("node", {**node, "drain": {**drain, "ended_ms": 1}})[1]


def test_deployments_show_what_holds_them_up() -> None:
    deployment = {"name": "web", "ready": 1, "replicas": 2, "blocked": "no room", "progress": "x"}

    assert shown("deployment", deployment)[1] == "web    1/2     -         -       -     no room"


def test_a_token_that_has_expired_says_so() -> None:
    tokens = [{"id": "a", "expires_ms": 0}, {"id": "b", "expires_ms": CREATED_MS}]
    tokens.append({"id": "c", "expires_ms": CREATED_MS + 260_000})

    rows = shown("token", *tokens)[1:]

    assert [row.split("all")[1].split("no")[0].strip() for row in rows] == [
        "never",
        "expired",
        "in 1m",
    ]
