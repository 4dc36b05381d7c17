"""`pfi explain`: of what has a node, of what has none, and of what is gone."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.access import Principal
from pathfinder.control.commands import Delete, Relocate, Reschedule
from pathfinder.control.explaining import explanation
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.placing import TOLD_SECOND_MAX
from pathfinder.control.queries import one_container
from pathfinder.model.errors import NotFound
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    WALL_MS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    picture,
    settle,
)
from tests.support.movers import mover


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def nodes(room: ControlRoom) -> list[RoomNode]:
    sizes = {"n1": 1_000, "n2": 2_000, "n3": 50}
    return [
        RoomNode(room, name).join(replace(FACTS, memory_mib=size)) for name, size in sizes.items()
    ]


def asks(cores: int, name: str) -> dict[str, Any]:
    """A STATEFUL container of so many cores; a node has eight."""
    return container(name, type="STATEFUL", resources={"cpu": cores})


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


def test_what_came_second_and_what_each_wish_counted_is_kept_with_the_event(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    wishes = [{"label": "node = n1", "weight": 5}, {"label": "node != n3", "weight": 2}]
    room.put(container("web", preferences=wishes))
    settle(*nodes)
    (event,) = [each for each in room.events("web") if each.action == "scheduled"]
    told = explanation(room.controller, CLUSTER, "web")

    assert event.why == (
        "as it prefers, 90 % of memory free; second: n2 (without node = n1, which it would rather "
        "have, 95 % of memory free); wishes count 0 here, 5 (node = n1: 5) there"
    )
    assert told.placed == event.why
    assert [
        (each.node, [(one.wish, one.count) for one in each.counts]) for each in told.choices
    ] == [
        ("n1", [("node = n1", 0), ("node != n3", 0)]),
        ("n2", [("node = n1", 5), ("node != n3", 0)]),
    ]


def test_of_a_crowd_it_is_not_told_what_came_second(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", TOLD_SECOND_MAX + 1, resources={"memory_mib": 10}))
    settle(*nodes)

    assert all("second" not in event.why for event in room.events("web-01"))


def test_soft_spread_counts_members_in_the_domain(room: ControlRoom) -> None:
    places = [RoomNode(room, name).join(labels={"rack": name}) for name in ("n1", "n2")]
    room.put(deployment("web", 3, spread=[{"over": "rack", "weight": 4}]))
    settle(*places)
    alone = next(
        name
        for name in ("web-01", "web-02", "web-03")
        if len(room.state.on_node(room.container(name).node_key)) == 1
    )
    told = explanation(room.controller, CLUSTER, alone)

    assert [(each.is_here, each.counts[0].count) for each in told.choices] == [
        (True, 0),
        (False, 8),
    ]
    assert told.choices[0].counts[0].wish == "spread over rack"


def test_who_moved_it_and_why_is_told_of_what_runs_and_of_what_is_gone(
    room: ControlRoom,
) -> None:
    first = mover(room, "n1")
    room.put(container("web", type="STATEFUL"))
    first.live()
    second = mover(room, "n2")
    anna = Principal(name="anna", role="app", clusters=(CLUSTER,))
    room.ask(Relocate(CLUSTER, "web", "n2"), principal=anna)
    settle(first, second)
    told = explanation(room.controller, CLUSTER, "web")

    assert told.placed == "moved here from n1"
    assert told.moved == "is to move to n2, asked by anna"
    room.ask(Delete("container", CLUSTER, "web"), principal=anna)
    settle(first, second)
    gone = explanation(room.controller, CLUSTER, "web")
    assert (gone.why, gone.moved) == ("deleted by anna; it was on n2", told.moved)


def test_who_took_its_place_is_told_of_what_has_none(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("low", type="STATELESS", resources={"memory_mib": 1_900}))
    settle(*nodes)
    high = container("high", type="STATELESS", resources={"memory_mib": 1_800})
    room.put({**high, "priority": 5})
    settle(*nodes)
    told = explanation(room.controller, CLUSTER, "low")

    assert (told.node, "no node fits" in told.why) == ("", True)
    assert told.moved == "makes room for high, of priority 5 (its own: 0), by pathfinder"


def test_what_waits_for_a_move_is_told_about_when_it_ends(room: ControlRoom) -> None:
    first = mover(room, "n1")
    for name in ("db", "other"):
        room.put(asks(4, name))
    first.live()
    second = mover(room, "n2")
    room.put(asks(4, "there"))
    settle(first, second)
    room.put(asks(8, "stuck"))
    room.ask(Relocate(CLUSTER, "db", "n2"))
    room.tick(1_000)
    room.put(asks(4, "then"))
    (unknown,) = explanation(room.controller, CLUSTER, "then").awaited

    assert explanation(room.controller, CLUSTER, "stuck").awaited == ()
    assert (unknown.name, unknown.node, unknown.what) == ("db", "n1", "moves to n2 with its data")
    assert (unknown.since_ms, unknown.until_ms) == (WALL_MS, 0), "there has been no move yet"
    room.tick(4_000)
    settle(first, second)  # it took five seconds
    assert room.container("then").node == "n1"

    room.ask(Delete("container", CLUSTER, "then"))
    settle(first, second)
    room.ask(Relocate(CLUSTER, "db", "n1"))
    room.put(asks(4, "again"))
    (known,) = explanation(room.controller, CLUSTER, "again").awaited
    assert (known.since_ms, known.until_ms) == (WALL_MS + 5_000, WALL_MS + 10_000)


def test_what_waits_for_its_own_node_to_let_go_is_told_so(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("db", type="STATEFUL"))
    settle(*nodes)
    node = room.container("db").node
    room.ask(Reschedule(CLUSTER, "db"))
    (own,) = explanation(room.controller, CLUSTER, "db").awaited

    assert (own.name, own.node, own.what) == ("db", node, "is stopped and let go")
    assert own.since_ms == WALL_MS


def test_container_that_never_was_is_not_found(room: ControlRoom) -> None:
    with pytest.raises(NotFound):
        explanation(room.controller, CLUSTER, "web")


def test_what_is_asked_of_a_waiting_container_is_true_now(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(container("big", resources={"memory_mib": 9_000}))
    settle(*nodes)
    stored = room.container("big").explanation
    assert "most free" in stored["text"]
    assert "on n2" in stored["text"]
    for _ in range(OUTWAIT_MS // 1_000 + 2):
        room.tick(1_000)
        for each in (nodes[0], nodes[2]):
            each.exchange()
    before = picture(room.state)

    told = explanation(room.controller, CLUSTER, "big")
    assert told.explanation is not None
    assert "1 is unavailable (n2: is lost" in told.why
    assert told.why == told.explanation["text"]
    assert one_container(room.controller, CLUSTER, "big").explanation == told.explanation
    assert picture(room.state) == before, "asking changes nothing"
