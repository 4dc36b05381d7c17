"""`pfi explain`: of what has a node, of what has none, and of what is gone."""

from dataclasses import replace

import pytest

from pathfinder.control.commands import Delete
from pathfinder.control.explaining import explanation
from pathfinder.model.errors import NotFound
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


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def nodes(room: ControlRoom) -> list[RoomNode]:
    sizes = {"n1": 1_000, "n2": 2_000, "n3": 50}
    return [
        RoomNode(room, name).join(replace(FACTS, memory_mib=size)) for name, size in sizes.items()
    ]


def test_placed_container_says_what_placed_it_and_what_would_be_best_now(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("web", preferences=[{"label": "node = n1", "weight": 5}]))
    settle(*nodes)
    before = picture(room.state)
    told = explanation(room.controller, CLUSTER, "web")

    assert (told.node, told.placed.startswith("as it prefers")) == ("n1", True)
    assert [(each.node, each.is_here) for each in told.choices] == [("n1", True), ("n2", False)]
    assert told.choices[0].why == "as it prefers, 90 % of memory free"
    assert "without node = n1, which it would rather have" in told.choices[1].why
    assert picture(room.state) == before, "asking changes nothing"


def test_replica_tells_of_its_spread(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 2, spread=[{"over": "node", "max_skew": 1}]))
    settle(*nodes)
    told = explanation(room.controller, CLUSTER, "web-01")
    other = room.container("web-02").node

    assert [each.node for each in told.choices] == [told.node]
    assert f"node {told.node} has 0 of web" in told.choices[0].why
    assert other != told.node


def test_pending_container_has_its_explanation_and_no_choices(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("big", resources={"memory_mib": 9_000}))
    settle(*nodes)
    told = explanation(room.controller, CLUSTER, "big")

    assert (told.node, told.choices, told.placed) == ("", (), "")
    assert told.explanation is not None
    assert "lack memory" in told.explanation["text"]


def test_container_that_is_gone_says_who_ended_it_and_where_it_was(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("web"))
    settle(*nodes)
    node = room.container("web").node
    room.ask(Delete("container", CLUSTER, "web"))
    settle(*nodes)
    told = explanation(room.controller, CLUSTER, "web")

    assert told.phase == "DELETED"
    assert told.why == f"deleted by pathfinder; it was on {node}"


def test_container_that_never_was_is_not_found(room: ControlRoom) -> None:
    with pytest.raises(NotFound):
        explanation(room.controller, CLUSTER, "web")
