"""Who makes room for whom: the lowest priority, as few as possible, and never below a floor."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import Delete, PatchNode, Put
from pathfinder.control.preempting import REFUSED_ON_NODE_MAX
from pathfinder.control.queries import one_container
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    picture,
    settle,
)
from tests.support.movers import MOVER, Mover, mover


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


def test_nobody_makes_room_whose_address_is_needed_by_who_would_come(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(replicated(3, "base", 1, 0, 0))
    for name, other, priority in (("data", "base", 0), ("web", "data", 9)):
        definition = replicated(3, name, 1, priority, 0)
        call = f"$pf-meta:deployment_ip_addresses?deployment_name={other}"
        definition["spec"]["environment"] = {"OTHERS": call}
        room.put(definition)
        settle(node)

    assert running(room) == ["base-01", "data-01"]
    assert room.container("web-01").why.startswith("no node fits")
    room.put(asks(3, "stranger", 9))
    assert room.container("stranger").nominated == "n1"


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


@pytest.fixture
def full(room: ControlRoom) -> list[Mover]:
    """db, STATEFUL, is on n1; n2 has room for it, and for nothing of seven cores."""
    first = mover(room, "n1")
    room.put(asks(6, "db", type="STATEFUL"))
    first.live()
    second = mover(room, "n2")
    room.put(asks(2, "small", 20))
    settle(first, second)
    return [first, second]


def data_of(room: ControlRoom, name: str) -> tuple[int, ...]:
    """The generations whose data it has: it has lost some when its first one is not in there."""
    found = room.container(name)
    return (*found.earlier, found.generation)


@pytest.mark.parametrize(("preemption", "place"), [("stateless", "n1"), ("all", "n2")])
def test_what_is_stateful_makes_room_only_where_that_is_allowed_and_with_its_data(
    room: ControlRoom, full: list[Mover], preemption: str, place: str
) -> None:
    policy(room, preemption)
    before = data_of(room, "db")
    room.put(asks(7, "high", 9))
    settle(*full)

    assert room.container("db").node == place
    assert data_of(room, "db")[0] == before[0]
    assert room.container("high").node == ("n1" if preemption == "all" else "")
    assert ("relocated" in room.actions("db")) == (preemption == "all")


def test_what_is_stateful_runs_on_while_it_makes_room_and_nobody_takes_the_place(
    room: ControlRoom, full: list[Mover]
) -> None:
    policy(room, "all")
    room.put(asks(7, "high", 9))
    room.put(asks(1, "between"))

    assert room.container("db").ready
    assert room.container("high").why == "waits for db (moves to n2 with its data) to leave n1"
    settle(*full)
    assert (room.container("high").node, room.container("db").node) == ("n1", "n2")


def test_a_plan_announces_what_would_move_with_its_data(
    room: ControlRoom, full: list[Mover]
) -> None:
    policy(room, "all")
    planned = room.plan(asks(7, "high", 9))

    assert (planned["db"]["action"], planned["db"]["node"]) == ("relocate", "n2")
    assert planned["db"]["why"] == (
        "moves from n1 with its data: makes room for high, of priority 9 (its own: 0)"
    )
    assert full[0].holding.keys() == {"db"}
    assert "preempted" not in room.actions("db")


def test_data_is_never_deleted_to_make_room_and_what_waits_says_what_would_help(
    room: ControlRoom, node: RoomNode
) -> None:
    policy(room, "all")
    room.put(asks(8, "db", type="STATEFUL"))
    node.live()
    room.put(asks(8, "high", 9))
    node.live()

    assert running(room) == ["db"]
    (remedy,) = [text for text in room.container("high").explanation["remedies"] if "db" in text]
    assert remedy.startswith("a place elsewhere for db, which is STATEFUL on n1")
    assert "fits on no other node" in remedy
    before = picture(room.state)
    assert one_container(room.controller, CLUSTER, "high").explanation == (
        room.container("high").explanation
    )
    assert picture(room.state) == before, "asking changes nothing"


def test_two_that_would_both_take_the_same_last_place_do_not_go(room: ControlRoom) -> None:
    policy(room, "all")
    first = mover(room, "n1")
    for name in ("db-1", "db-2"):
        room.put(asks(4, name, type="STATEFUL"))
    first.live()
    second = mover(room, "n2")
    room.put(asks(4, "other", 10, type="STATEFUL"))
    settle(first, second)
    room.put(asks(8, "high", 9))
    settle(first, second)

    assert running(room) == ["db-1", "db-2", "other"]
    assert "relocating" not in room.actions("db-1") + room.actions("db-2")


def test_one_that_could_not_move_is_not_asked_again(room: ControlRoom, full: list[Mover]) -> None:
    policy(room, "all")
    full[1].fails["take"] = {
        "copy": "failed",
        "copy_error": "no space",
        "copy_code": "refused",
    }
    room.put(asks(7, "high", 9))
    settle(*full)

    assert (room.container("db").node, room.container("db").ready) == ("n1", True)
    assert room.container("high").node == ""
    assert room.actions("db").count("relocating") == 1
    remedies = room.container("high").explanation["remedies"]
    assert any("it could not move to n2: no space" in text for text in remedies)


def test_volumes_stay_where_they_are_when_their_container_makes_room(room: ControlRoom) -> None:
    policy(room, "all")
    node = RoomNode(room, "n1").join(replace(FACTS, kinds=("application",)))
    kept: dict[str, Any] = {"mounts": [{"volume": "data", "path": "/data"}], "kind": "application"}
    room.put(asks(8, "db", type="STATEFUL", **kept))
    node.live()
    room.put(asks(8, "high", 9, kind="application"))
    node.live()

    assert running(room) == ["high"]
    assert room.container("db").home == "n1"
    room.ask(Delete("container", CLUSTER, "high"))
    node.live()
    assert running(room) == ["db"]


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


def test_one_that_can_move_is_found_behind_many_that_cannot(room: ControlRoom) -> None:
    policy(room, "all")
    both = replace(MOVER, kinds=("system", "application"))
    first = mover(room, "n1", both)
    for number in range(REFUSED_ON_NODE_MAX + 1):  # without volumes: nothing keeps their data
        room.put(asks(2, f"app-{number}", type="STATEFUL", kind="application"))
    first.live()
    second = mover(room, "n2", both)
    room.put(asks(4, "db", 1, type="STATEFUL"))
    room.put(asks(4, "other", 20))
    settle(first, second)
    third = mover(room, "n3", replace(MOVER, cpu_millis=4_000))
    room.put(asks(5, "high", 9, constraints=["node notin (n3)"]))
    settle(first, second, third)
    assert room.container("high").node == ""
    assert len([t for t in room.container("high").explanation["remedies"] if "elsewhere" in t]) == 2

    room.put(asks(4, "modest", 9, constraints=["node notin (n3)"]))
    settle(first, second, third)
    assert (room.container("modest").node, room.container("db").node) == ("n2", "n3")


def test_replicas_that_find_nobody_to_make_room_all_say_so(
    room: ControlRoom, node: RoomNode
) -> None:
    policy(room, "all")
    room.put(asks(4, "db", type="STATEFUL"))
    room.put(asks(2, "low"))
    node.live()
    room.put(replicated(4, "high", 3, 9, floor=0))
    node.live()

    assert running(room) == ["db", "high-01"]
    assert [
        any("elsewhere for db" in text for text in room.container(name).explanation["remedies"])
        for name in ("high-02", "high-03")
    ] == [True, True]
