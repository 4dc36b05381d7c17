"""Spread, affinity and anti-affinity from the definition to the node, and what is said of them."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import PatchNode
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
)

RACKS = {"n1": "a", "n2": "a", "n3": "b", "n4": "c"}


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def nodes(room: ControlRoom) -> list[RoomNode]:
    joined = [RoomNode(room, name).join(replace(FACTS, memory_mib=1_000)) for name in RACKS]
    for name, rack in RACKS.items():
        room.ask(PatchNode(CLUSTER, name, labels={"rack": rack}))
    return joined


def racks(room: ControlRoom, *names: str) -> list[str]:
    """Where containers are; "" for nowhere."""
    return [RACKS.get(room.container(name).node, "") for name in names]


def web(replicas: int, **spec: Any) -> dict[str, Any]:
    return deployment("web", replicas, type="STATELESS", **spec)


def names(replicas: int) -> list[str]:
    return [f"web-{number:02}" for number in range(1, replicas + 1)]


def test_replicas_are_spread_over_racks_and_say_so(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(web(6, spread=[{"over": "rack", "max_skew": 1}]))
    settle(*nodes)

    assert sorted(racks(room, *names(6))) == ["a", "a", "b", "b", "c", "c"]
    events = {event.name: event.why for event in room.state.events if event.action == "scheduled"}
    assert "rack a has 0 of web" in events["web-01"]


def test_spread_that_cannot_be_waits_with_the_reason_and_a_remedy_that_helps(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("big", resources={"memory_mib": 950}, constraints=["rack = c"]))
    settle(*nodes)
    room.put(web(4, spread=[{"over": "rack", "max_skew": 1}]))
    settle(*nodes)
    waiting = [name for name in names(4) if not room.container(name).node]
    explanation = room.container(waiting[0]).explanation

    assert len(waiting) == 2
    assert "3 of 4 do not meet spread over rack (max_skew 1)" in explanation["text"]
    assert any("free 50MiB" in remedy for remedy in explanation["remedies"])
    room.put(container("big", resources={"memory_mib": 100}, constraints=["rack = c"]))
    settle(*nodes)
    assert (
        sorted(racks(room, *names(4))) == ["a", "a", "b", "c"]
        or sorted(racks(room, *names(4))) == ["a", "b", "b", "c"]
        or sorted(racks(room, *names(4))) == ["a", "b", "c", "c"]
    )


def test_anti_affinity_keeps_two_of_a_kind_off_one_node(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(web(5, anti_affinity=[{"deployment": "web"}]))
    settle(*nodes)
    where = [room.container(name).node for name in names(5)]

    assert sorted(filter(None, where)) == ["n1", "n2", "n3", "n4"]
    last = room.container(names(5)[where.index("")])
    assert last.why.startswith("no node fits: 4 of 4 do not meet anti-affinity to web over node")
    assert any("add a node" in remedy for remedy in last.explanation["remedies"])


def test_affinity_waits_for_the_other_and_follows_it(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(web(2, affinity=[{"deployment": "cache", "over": "rack"}]))
    settle(*nodes)
    before = racks(room, *names(2))
    why = room.container("web-01").why
    room.put(deployment("cache", 1, constraints=["rack = b"]))
    settle(*nodes)

    assert before == ["", ""]
    assert "do not meet affinity to cache over rack" in why
    assert racks(room, *names(2)) == ["b", "b"]


def test_replicas_that_want_to_be_together_begin_anywhere(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(web(3, affinity=[{"deployment": "web", "over": "rack"}]))
    settle(*nodes)

    assert len(set(racks(room, *names(3)))) == 1


def test_preference_is_followed_while_it_can_be(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(
        web(2, preferences=[{"label": "rack = c", "weight": 5}], resources={"memory_mib": 900})
    )
    settle(*nodes)
    first, second = (room.container(name) for name in names(2))
    whys = [event.why for event in room.state.events if event.action == "scheduled"]

    assert (RACKS[first.node], second.node != "n4") == ("c", True)
    assert "as it prefers" in whys[0]
    assert "without rack = c, which it would rather have" in whys[1]
