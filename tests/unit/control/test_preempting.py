"""Who makes room for whom: the lowest priority, as few as possible, and never below a floor."""

from typing import Any

import pytest

from pathfinder.control.commands import PatchNode, Put
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
)


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


def asks(cores: int, name: str, priority: int = 0, **spec: Any) -> dict[str, Any]:
    """A STATELESS container of so many cores; a node of this file has eight."""
    fields = {"type": "STATELESS", "resources": {"cpu": cores}, **spec}
    return {**container(name, **fields), "priority": priority}


def replicated(cores: int, name: str, replicas: int, priority: int, floor: int) -> dict[str, Any]:
    """A deployment of such containers."""
    spec = {"type": "STATELESS", "resources": {"cpu": cores}, "min_available": floor}
    return {**deployment(name, replicas, **spec), "priority": priority}


def running(room: ControlRoom) -> list[str]:
    """The containers that have a node."""
    return sorted(
        each.name for each in room.state.containers(room.state.things["container"]) if each.node
    )


def policy(room: ControlRoom, preemption: str) -> None:
    """Whose place may be taken."""
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "preemption": preemption}))


def test_higher_priority_takes_the_place_of_the_lowest_and_of_as_few_as_do(
    room: ControlRoom, node: RoomNode
) -> None:
    for name, cores, priority in (("low", 2, 1), ("lowest", 2, 0), ("mid", 4, 5)):
        room.put(asks(cores, name, priority))
    node.live()
    room.put(asks(3, "high", 9))

    assert running(room) == ["mid"]
    assert room.container("high").why == "waits for low, lowest to leave n1"
    assert "makes room for high, of priority 9 (its own: 1)" in room.container("low").why
    node.live()
    assert running(room) == ["high", "mid"]
    assert "preempted" in room.actions("low")


def test_one_large_of_equal_priority_goes_rather_than_two_small(
    room: ControlRoom, node: RoomNode
) -> None:
    for name, cores in (("small-1", 2), ("small-2", 2), ("large", 4)):
        room.put(asks(cores, name))
    node.live()
    room.put(asks(4, "high", 1))
    node.live()

    assert running(room) == ["high", "small-1", "small-2"]


def test_equal_priority_takes_no_place(room: ControlRoom, node: RoomNode) -> None:
    room.put(asks(8, "first", 5))
    node.live()
    room.put(asks(8, "second", 5))

    assert running(room) == ["first"]
    assert room.container("second").explanation["reasons"][0]["code"] == "cpu"


def test_a_deployment_never_gives_up_more_than_it_can_do_without(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(replicated(2, "web", 4, 0, floor=3))
    node.live()
    room.put(asks(4, "high", 9))
    node.live()
    assert running(room) == ["web-01", "web-02", "web-03", "web-04"]

    room.put(asks(2, "modest", 9))
    node.live()
    assert running(room) == ["modest", "web-01", "web-02", "web-03"]


@pytest.mark.parametrize(("preemption", "left"), [("stateless", "db"), ("all", "high")])
def test_what_is_stateful_goes_only_where_that_is_allowed(
    room: ControlRoom, node: RoomNode, preemption: str, left: str
) -> None:
    policy(room, preemption)
    room.put(asks(8, "db", type="STATEFUL"))
    node.live()
    room.put(asks(8, "high", 9))
    node.live()

    assert running(room) == [left]


def test_nobody_goes_where_that_is_off(room: ControlRoom, node: RoomNode) -> None:
    policy(room, "none")
    room.put(asks(8, "low"))
    node.live()
    room.put(asks(8, "high", 9))
    node.live()

    assert running(room) == ["low"]


@pytest.mark.usefixtures("node")
def test_nobody_goes_for_one_that_would_not_fit_even_then(room: ControlRoom) -> None:
    room.put(asks(8, "low"))
    room.put(asks(9, "giant", 9))
    room.put(asks(1, "elsewhere", 9, constraints=["rack = r1"]))

    assert running(room) == ["low"]


def test_room_that_is_made_is_taken_by_nobody_else(room: ControlRoom, node: RoomNode) -> None:
    for name in ("low-1", "low-2"):
        room.put(asks(4, name))
    node.live()
    room.put(asks(8, "high", 9))
    # One of the two is gone, the other still there: what came in between finds no room.
    node.exchange()
    gone = next(iter(node.holding))
    del node.holding[gone]
    node.exchange()
    room.put(asks(1, "between"))

    assert running(room) == []
    node.live()
    assert running(room) == ["high"]


def test_what_made_room_goes_elsewhere_when_it_can(room: ControlRoom, node: RoomNode) -> None:
    room.put(asks(8, "low"))
    node.live()
    other = RoomNode(room, "n2").join()
    room.put(asks(8, "fits-elsewhere", 9))
    settle(node, other)
    assert room.container("fits-elsewhere").node == "n2"  # nobody goes without need

    room.put(asks(8, "high", 10))
    settle(node, other)
    assert running(room) == ["fits-elsewhere", "high"]
    third = RoomNode(room, "n3").join()
    settle(node, other, third)
    assert room.container("low").node == "n3"


def test_a_plan_says_who_would_make_room(room: ControlRoom, node: RoomNode) -> None:
    room.put(asks(8, "low"))
    node.live()
    planned = room.plan(asks(8, "high", 9))

    assert planned["low"]["action"] == "replace"
    assert "makes room for high, of priority 9" in planned["low"]["why"]
    assert planned["high"]["why"] == "waits for low to leave n1"
    assert running(room) == ["low"]


def test_what_waits_for_room_tries_anew_when_its_node_cannot_take_it_any_more(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(asks(8, "low"))
    node.live()
    room.put(asks(8, "high", 9))
    room.ask(PatchNode(CLUSTER, "n1", cordoned=True))
    node.live()

    assert running(room) == []
    assert "is cordoned" in room.container("high").explanation["text"]
    room.ask(PatchNode(CLUSTER, "n1", cordoned=False))
    assert running(room) == ["high"]


def test_priority_of_a_deployment_holds_at_once_and_replaces_nothing(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(asks(8, "low"))
    room.put(replicated(8, "web", 1, 0, floor=0))
    node.live()
    generation = room.container("web-01").generation
    room.put(replicated(8, "web", 1, 3, floor=0))
    node.live()

    assert running(room) == ["web-01"]
    assert room.container("web-01").generation == generation


def test_the_journal_tells_the_same_state(room: ControlRoom, node: RoomNode) -> None:
    room.put(asks(8, "low"))
    node.live()
    room.put(asks(8, "high", 9))
    rebuilt = room.rebuilt()

    assert rebuilt.fleet.used("c/n1") == room.state.fleet.used("c/n1")
    assert rebuilt.fleet.count("c/n1") == 2
