"""Lost nodes: what is replaced when, what waits, and what happens when they come back."""

import pytest

from pathfinder.control.commands import Delete
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.losing import GIVEN_UP_MIN, GIVEN_UP_MS
from pathfinder.control.views import container_view
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    picture,
    settle,
)

STEP_MS = 1_000


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def nodes(room: ControlRoom) -> list[RoomNode]:
    return [RoomNode(room, name).join() for name in ("n1", "n2", "n3")]


def lose(room: ControlRoom, alive: list[RoomNode]) -> None:
    """Time passes until all nodes but these are lost."""
    for _ in range(OUTWAIT_MS // STEP_MS + 2):
        room.tick(STEP_MS)
        for node in alive:
            node.exchange()
            node.obey()


def node_of(room: ControlRoom, name: str) -> str:
    """Where a container is now."""
    return room.container(name).node


def test_stateless_containers_of_a_lost_node_are_made_elsewhere(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    """Promise 3."""
    room.put(deployment("web", 3, type="STATELESS"))
    room.put(container("one", type="STATELESS"))
    settle(*nodes)
    here = [each.name for each in room.state.on_node("c/n1")]
    lose(room, nodes[1:])
    settle(*nodes[1:])

    assert here
    assert all(node_of(room, name) in ("n2", "n3") for name in here)
    assert all(room.container(name).ready for name in here)
    assert "given_up" in room.actions("n1")


def test_stateful_containers_wait_for_their_node_or_a_person_and_say_so(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    """Promise 2."""
    room.put(deployment("db", 3, type="STATEFUL"))
    settle(*nodes)
    (name,) = [each.name for each in room.state.on_node("c/n1")]
    lose(room, nodes[1:])
    waiting = container_view(room.state, room.controller.life, room.container(name))
    room.ask(Delete("node", CLUSTER, "n1", force=True))
    settle(*nodes[1:])

    assert (waiting.node, waiting.ready) == ("n1", False)
    assert waiting.why == "its node n1 is lost: it may still run there, and is not made twice"
    assert "pfi delete node n1 --force" in waiting.hint
    assert room.container(name).ready
    assert node_of(room, name) in ("n2", "n3")


def test_surplus_copy_goes_when_its_node_returns(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 3, type="STATELESS"))
    settle(*nodes)
    (name,) = nodes[0].holding
    lose(room, nodes[1:])
    counted = room.state.fleet.count("c/n1")
    nodes[0].exchange()
    nodes[0].obey()
    nodes[0].exchange()

    assert counted == 1
    assert nodes[0].holding == {}
    assert room.container(name).leaving == ()
    assert room.state.fleet.count("c/n1") == 0


def test_node_that_returns_early_keeps_its_copy_until_the_new_one_is_ready(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 3, type="STATELESS"))
    settle(*nodes)
    (name,) = nodes[0].holding
    for _ in range(OUTWAIT_MS // STEP_MS + 2):
        room.tick(STEP_MS)
        for node in nodes[1:]:
            node.exchange()  # heard, and slow to make what they are told
    nodes[0].exchange()
    nodes[0].obey()
    kept = dict(nodes[0].holding)
    settle(*nodes[1:])
    nodes[0].exchange()
    nodes[0].obey()

    assert list(kept) == [name]
    assert room.container(name).ready
    assert nodes[0].holding == {}


def test_what_fits_nowhere_else_comes_back_with_its_node(room: ControlRoom) -> None:
    nodes = [RoomNode(room, name).join() for name in ("n1", "n2")]
    room.put(deployment("web", 2, type="STATELESS", resources={"memory_mib": 600}))
    settle(*nodes)
    (name,) = nodes[0].holding
    lose(room, nodes[1:])
    pending = room.container(name)
    settle(*nodes)
    room.tick(STEP_MS)
    settle(*nodes)

    assert (pending.node, pending.phase.name) == ("", "PENDING")
    assert pending.explanation["remedies"]
    assert room.container(name).ready
    assert node_of(room, name) == "n1"


def test_many_nodes_lost_at_once_are_given_up_a_few_in_a_minute(room: ControlRoom) -> None:
    nodes = [RoomNode(room, f"n{number}").join() for number in range(1, 7)]
    room.put(deployment("web", 6, type="STATELESS"))
    settle(*nodes)
    lose(room, nodes[5:])
    given_up = [event.name for event in room.state.events if event.action == "given_up"]
    waiting = [each for each in room.state.replicas("c/web") if "at once" in each.why]
    for _ in range(GIVEN_UP_MS // STEP_MS + 1):
        room.tick(STEP_MS)
        nodes[5].exchange()
        nodes[5].obey()
    later = [event.name for event in room.state.events if event.action == "given_up"]

    assert len(given_up) == GIVEN_UP_MIN
    assert len(waiting) == 5 - GIVEN_UP_MIN
    assert "at most 2 nodes are given up in a minute" in waiting[0].why
    assert "pfi delete node" in waiting[0].hint
    assert len(later) == 2 * GIVEN_UP_MIN


def test_server_that_has_just_started_replaces_nothing_of_what_it_has_not_heard_yet(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    """Promise 1."""
    room.put(deployment("web", 3, type="STATELESS"))
    settle(*nodes)
    before = picture(room.state)
    room.now_ms += 3_600_000
    room.restart()
    room.tick()
    room.tick(OUTWAIT_MS // 2)
    settle(*nodes)
    room.tick(OUTWAIT_MS)

    assert picture(room.state)["things"]["container"] == before["things"]["container"]


def test_definition_that_becomes_stateful_waits_for_the_abandoned_copy(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    """Promise 2."""
    room.put(container("one", type="STATELESS", constraints=["node = n1"]))
    settle(*nodes)
    lose(room, nodes[1:])
    room.put(container("one", type="STATEFUL"))
    settle(*nodes[1:])
    waiting = room.container("one")
    settle(*nodes)

    assert (waiting.node, [copy.node for copy in waiting.leaving]) == ("", ["n1"])
    assert room.container("one").ready


def test_a_rollout_does_not_count_on_lost_nodes(room: ControlRoom, nodes: list[RoomNode]) -> None:
    """Promise 6."""
    room.put(deployment("db", 3, type="STATEFUL", min_available=2))
    settle(*nodes)
    lose(room, nodes[1:])
    room.put(deployment("db", 3, type="STATEFUL", min_available=2, environment={"A": "1"}))
    settle(*nodes[1:])
    ready = [each.name for each in room.state.replicas("c/db") if each.ready and each.node != "n1"]

    assert len(ready) == 2
