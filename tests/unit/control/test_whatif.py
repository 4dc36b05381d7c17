"""What-if questions: the answer is what then happens, and asking changes nothing."""

from typing import Any

import pytest

from pathfinder.control import whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Apply, Delete, PatchNode, Scale
from pathfinder.control.queries import twin
from pathfinder.control.whatif import Added, Question, WhatIf
from pathfinder.model.errors import DefinitionWrong, NotFound
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
    return [RoomNode(room, name).join() for name in ("n1", "n2", "n3")]


def ask(room: ControlRoom, **question: Any) -> WhatIf:
    """The answer on a copy of the room's state."""
    copy = twin(room.controller)
    asker = (SYSTEM, room.moment.wall_ms)
    return whatif.answer(copy.state, copy.statuses, CLUSTER, Question(**question), asker)


def moved(answer: WhatIf) -> dict[str, tuple[str, str, str]]:
    """What happens to each container, from where and to where."""
    return {move.name: (move.action, move.source, move.target) for move in answer.moves}


def test_a_question_changes_nothing(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 6))
    settle(*nodes)
    before = picture(room.state)
    ask(
        room,
        lose=("n1",),
        drain=("n2",),
        scale={"web": 9},
        add=(Added(count=2, like="n3"),),
        documents=(container("one"),),
    )

    assert picture(room.state) == before


def test_what_a_lost_node_had_goes_where_it_then_really_goes(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 6, type="STATELESS"))
    settle(*nodes)
    answer = ask(room, lose=("n1",))
    room.ask(Delete("node", CLUSTER, "n1", force=True))
    settle(*nodes[1:])

    targets = {name: target for name, (_, _, target) in moved(answer).items()}
    assert len(targets) == 2
    assert all(action == "moved" for action, _, _ in moved(answer).values())
    assert targets == {name: room.container(name).node for name in targets}


def test_stateful_containers_of_a_lost_node_need_a_person(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("db", 3, type="STATEFUL"))
    settle(*nodes)
    answer = ask(room, lose=("n1",))

    assert [(move.source, move.confirmation) for move in answer.moves] == [("n1", True)]


def test_labels_select_the_nodes_that_are_lost(room: ControlRoom, nodes: list[RoomNode]) -> None:
    for name in ("n1", "n2"):
        room.ask(PatchNode(CLUSTER, name, labels={"rack": "r1"}))
    room.put(deployment("web", 3))
    settle(*nodes)
    answer = ask(room, lose=("rack=r1",))

    assert answer.lost == ("n1", "n2")
    assert {target for _, _, target in moved(answer).values()} == {"n3"}


def test_what_fits_nowhere_says_why_and_what_would_help(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 3, resources={"memory_mib": 600}))
    settle(*nodes)
    answer = ask(room, lose=("n3",))
    (move,) = answer.moves

    assert (move.action, move.source, move.target) == ("unplaced", "n3", "")
    assert move.why.startswith("no node fits: 2 of 2 lack memory")
    assert move.remedies


def test_n_plus_1_names_the_node_that_may_not_be_lost(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 2, resources={"memory_mib": 600}))
    settle(*nodes)
    before, after = ask(room).spare_before, ask(room, lose=("n3",)).spare_after

    assert (before.holds, before.checked, before.fails) == (True, 3, {})
    assert (after.holds, after.fails) == (False, {"n1": 1, "n2": 1})


def test_added_nodes_take_what_waits(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.put(deployment("web", 3, resources={"memory_mib": 600}))
    settle(node)
    answer = ask(room, add=(Added(count=2, like="n1"),))

    assert answer.pending_before == ("web-02", "web-03")
    assert {target for _, _, target in moved(answer).values()} == {"n1-like-1", "n1-like-2"}
    assert answer.room_after["memory_mib"].capacity == 3 * FACTS.memory_mib


def test_a_drained_node_is_empty_and_stays(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 3, type="STATELESS"))
    settle(*nodes)
    answer = ask(room, drain=("n1",))

    assert {source for _, source, _ in moved(answer).values()} == {"n1"}
    assert all(target in ("n2", "n3") for _, _, target in moved(answer).values())


def test_a_cordoned_node_that_has_containers_may_be_lost_too(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 3, resources={"memory_mib": 600}))
    settle(*nodes)
    for node in nodes:
        room.ask(PatchNode(CLUSTER, node.name, cordoned=True))
    spare = ask(room).spare_before

    assert (spare.holds, spare.checked) == (False, 3)
    assert spare.fails == {"n1": 1, "n2": 1, "n3": 1}


def test_a_rollout_is_followed_to_its_end(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 5, min_available=4))
    settle(*nodes)
    other = deployment("web", 5, min_available=4, environment={"A": "1"})
    answer = ask(room, documents=(other,))
    room.ask(Apply((other,)))
    settle(*nodes)

    assert answer.settled
    assert len(answer.moves) == 5
    assert {m.name: m.target for m in answer.moves} == {
        each.name: each.node for each in room.state.replicas("c/web")
    }


def test_a_rollout_that_cannot_go_on_is_said(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 2, min_available=2))
    settle(*nodes)
    answer = ask(room, documents=(deployment("web", 2, min_available=2, environment={"A": "1"}),))

    assert answer.moves == ()
    assert "must stay ready" in answer.blocked[0]


def test_scaling_is_answered_as_it_then_is(room: ControlRoom, nodes: list[RoomNode]) -> None:
    room.put(deployment("web", 2))
    settle(*nodes)
    answer = ask(room, scale={"web": 5})
    room.ask(Scale(CLUSTER, "web", 5))

    assert {name: target for name, (_, _, target) in moved(answer).items()} == {
        name: room.container(name).node for name in ("web-03", "web-04", "web-05")
    }


@pytest.mark.usefixtures("nodes")
def test_what_is_not_there_is_said(room: ControlRoom) -> None:
    with pytest.raises(DefinitionWrong, match="neither a node nor selects one"):
        ask(room, lose=("n9",))
    with pytest.raises(NotFound, match="no node 'n9'"):
        ask(room, drain=("n9",))
    with pytest.raises(NotFound, match="no deployment 'db'"):
        ask(room, scale={"db": 2})
