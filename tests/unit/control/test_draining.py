"""Draining a node: it becomes empty, nothing is lost on the way, and what stays says why."""

from dataclasses import replace

import pytest

from pathfinder.control import draining, queries, whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import CancelRelocation, PatchNode, Relocate, Scale
from pathfinder.control.draining import AT_ONCE_MAX, LOOKS_MAX, DrainView
from pathfinder.control.objects import Container
from pathfinder.control.waiting import explanation_now
from pathfinder.model.errors import DefinitionWrong
from pathfinder.wire.messages import LEASE_MS
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    WALL_MS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
)
from tests.support.movers import mover

TICK_MS = 1_000
TICKS_MAX = 200


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


def drain(room: ControlRoom, name: str = "n1", *, draining: bool = True, reason: str = "") -> None:
    room.ask(PatchNode(CLUSTER, name, draining=draining, reason=reason))


def live(room: ControlRoom, *nodes: RoomNode) -> int:
    """Let time pass, and nodes do as they are told, until nothing happens; the fewest ready."""
    fewest = ready(room)
    for _ in range(TICKS_MAX):
        revision = room.state.revision
        room.tick(TICK_MS)
        fewest = min(fewest, ready(room))
        settle(*nodes)
        if room.state.revision == revision:
            return fewest
    raise AssertionError("the drain does not come to rest")


def ready(room: ControlRoom) -> int:
    return sum(room.controller.life.is_ready(each) for each in room.state.all(Container))


def seen(room: ControlRoom, name: str = "n1") -> DrainView:
    """How far a drain is."""
    found = draining.view(room.state, room.controller.life, room.node(name))
    assert found is not None
    return found


def places(room: ControlRoom) -> dict[str, str]:
    """The node of each container."""
    return {each.name: each.node for each in room.state.all(Container)}


def test_a_drained_node_becomes_empty_and_says_so(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(deployment("web", 3, type="STATELESS"))
    room.put(container("one", type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room, reason="new disks")

    assert room.node("n1").cordoned
    assert (seen(room).containers, seen(room).left, seen(room).ended_ms) == (4, 4, 0)
    live(room, first, second)

    assert set(places(room).values()) == {"n2"}
    assert ready(room) == 4
    assert not first.holding
    assert (seen(room).left, seen(room).ended_ms > 0, seen(room).stays) == (0, True, ())
    assert room.actions("n1")[-3:] == ["draining", "cordoned", "drained"]
    assert room.events("n1")[-3].why == "4 containers go elsewhere: new disks"


def test_plan_and_events_of_a_drain_say_what_is_so(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("one", type="STATELESS"))
    settle(first)
    tried = room.ask(PatchNode(CLUSTER, "n1", draining=True), dry_run=True)
    assert tried["changes"][0]["why"] == "cordoned no -> yes, draining no -> yes"
    drain(room)
    assert room.events("n1")[-2].why == "1 container goes elsewhere"
    drain(room, draining=False)
    assert room.events("n1")[-1].why == "1 container stays"
    drain(room)
    second = RoomNode(room, "n2").join()
    live(room, first, second)
    assert room.events("n1")[-1].why == "1 container has left it"
    drain(room, draining=False)
    drain(room)
    live(room, first, second)

    assert room.events("n1")[-1].why == "it was empty"


def test_a_drain_leaves_as_many_ready_as_must_be(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(deployment("web", 6, min_available=5, type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room)

    assert live(room, first, second) == 5
    assert set(places(room).values()) == {"n2"}


def test_few_leave_a_node_at_once(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    for number in range(2 * AT_ONCE_MAX):
        room.put(container(f"c{number}", type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room)

    assert live(room, first, second) == AT_ONCE_MAX
    assert seen(room).ended_ms


def test_what_is_stateful_takes_its_data_along(room: ControlRoom) -> None:
    nodes = [mover(room, "n1")]
    room.put(container("db", type="STATEFUL"))
    settle(*nodes)
    generation = room.container("db").generation
    nodes.append(mover(room, "n2"))
    drain(room)
    live(room, *nodes)

    moved = room.container("db")
    assert (moved.node, moved.ready, moved.earlier) == ("n2", True, (generation,))
    assert "relocated" in room.actions("db")
    assert seen(room).ended_ms


def test_what_never_ran_is_made_elsewhere(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("db", type="STATEFUL"))
    second = RoomNode(room, "n2").join()
    drain(room)
    live(room, first, second)

    assert (room.container("db").node, room.container("db").ready) == ("n2", True)


def test_what_has_no_other_place_runs_on_until_there_is_one(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(deployment("web", 2, type="STATELESS"))
    settle(first)
    drain(room)

    assert live(room, first) == 2
    assert [each.name for each in seen(room).stays] == ["web-01", "web-02"]
    assert seen(room).stays[1].why == "fits on no other node: no node fits: 1 of 1 is cordoned"
    assert seen(room).stays[1].hint.startswith("add a node")
    live(room, first, RoomNode(room, "n2").join())
    assert set(places(room).values()) == {"n2"}
    assert not seen(room).stays


def test_what_stays_is_not_said_to_lack_what_it_has_itself(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("big", type="STATELESS", resources={"memory_mib": 900}))
    settle(first)
    drain(room)
    live(room, first)
    (stays,) = seen(room).stays

    assert stays.why == "fits on no other node: no node fits: 1 of 1 is cordoned"
    assert "uncordon" not in stays.hint
    assert room.state.fleet.used("c/n1").memory_mib == 900


def test_following_the_advice_lets_replicas_go_that_must_stay(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(deployment("web", 2, min_available=2, type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room)
    live(room, first, second)

    (one, two) = seen(room).stays
    assert one.why == two.why == "web has no more ready than the 2 of its min_available"
    assert "pfi scale web --replicas 2 --min-available 1" in one.hint
    room.ask(Scale(CLUSTER, "web", 2, 1))
    live(room, first, second)
    assert seen(room).ended_ms


def test_volumes_that_stay_are_said(room: ControlRoom) -> None:
    docker = replace(FACTS, runtime="docker", kinds=("application",))
    first = RoomNode(room, "n1").join(docker)
    volume = {"volume": "data", "path": "/data"}
    room.put(container("db", type="STATEFUL", kind="application", mounts=[volume]))
    settle(first)
    second = RoomNode(room, "n2").join(docker)
    drain(room)
    live(room, first, second)

    assert [each.why for each in seen(room).stays] == ["its volumes are on n1, and stay there"]
    assert room.container("db").ready


def test_a_relocation_that_failed_is_a_persons_to_repeat(room: ControlRoom) -> None:
    first = mover(room, "n1")
    room.put(container("db", type="STATEFUL"))
    settle(first)
    second = mover(room, "n2")
    second.fails["take"] = {"copy": "failed", "copy_error": "no room", "copy_code": "refused"}
    drain(room)
    live(room, first, second)

    (stays,) = seen(room).stays
    assert stays.why == "could not move to n2: no room"
    assert stays.hint == "pfi relocate db"
    assert room.container("db").ready


def test_what_a_person_has_kept_from_moving_stays(room: ControlRoom) -> None:
    first = mover(room, "n1")
    room.put(container("db", type="STATEFUL"))
    settle(first)
    second = mover(room, "n2")
    drain(room)
    room.tick(TICK_MS)
    room.ask(CancelRelocation(CLUSTER, "db"))
    live(room, first, second)

    assert [each.why for each in seen(room).stays] == [
        "could not move to n2: cancelled by pathfinder"
    ]
    assert (room.container("db").node, room.container("db").ready) == ("n1", True)


def test_a_drain_ends_with_uncordon_or_alone(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("one", type="STATELESS"))
    settle(first)
    drain(room)
    drain(room, draining=False)
    assert (room.node("n1").drain, room.node("n1").cordoned) == (None, True)

    drain(room)
    room.ask(PatchNode(CLUSTER, "n1", cordoned=False))
    assert (room.node("n1").drain, room.node("n1").cordoned) == (None, False)
    live(room, first, RoomNode(room, "n2").join())
    assert places(room) == {"one": "n1"}


def test_to_drain_and_to_uncordon_exclude_each_other(room: ControlRoom) -> None:
    RoomNode(room, "n1").join()
    with pytest.raises(DefinitionWrong, match="takes no new containers"):
        room.ask(PatchNode(CLUSTER, "n1", cordoned=False, draining=True))

    assert room.node("n1").drain is None


def test_a_drain_goes_on_under_another_server(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("one", type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room)
    room.restart()
    settle(first, second)
    live(room, first, second)

    assert places(room) == {"one": "n2"}
    assert seen(room).ended_ms


def test_what_a_silent_node_has_says_that_it_is_silent(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(container("db", type="STATEFUL"))
    settle(first)
    second = RoomNode(room, "n2").join()
    room.now_ms += 2 * LEASE_MS
    second.live()
    room.tick()
    drain(room)
    live(room, second)

    assert [each.why for each in seen(room).stays] == ["its node n1 is lost"]


def test_a_container_on_its_way_to_a_drained_node_does_not_arrive(room: ControlRoom) -> None:
    first, second = mover(room, "n1"), mover(room, "n2")
    room.put(container("db", type="STATEFUL"))
    settle(first, second)
    here, there = ("n1", "n2") if room.container("db").node == "n1" else ("n2", "n1")
    room.ask(Relocate(CLUSTER, "db", there))
    drain(room, there)
    live(room, first, second)

    assert (room.container("db").node, room.container("db").arriving) == (here, None)
    assert room.container("db").relocation_error == f"could not move to {there}: {there} is drained"
    assert seen(room, there).ended_ms


def test_all_that_stay_say_why_however_many_they_are(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    count = LOOKS_MAX + 3
    for number in range(count):
        room.put(container(f"c{number}", type="STATELESS", resources={"memory_mib": number + 1}))
    settle(first)
    drain(room)
    room.tick(TICK_MS)
    assert len(seen(room).stays) == LOOKS_MAX
    assert room.controller.quiet_until_ms <= room.now_ms
    room.tick(TICK_MS)

    assert len(seen(room).stays) == count
    assert room.controller.quiet_until_ms > room.now_ms


def test_a_change_between_two_looks_is_seen_by_those_who_had_theirs(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    for number in range(LOOKS_MAX + 3):
        room.put(container(f"c{number}", type="STATELESS", resources={"memory_mib": number + 1}))
    settle(first)
    drain(room)
    room.tick(TICK_MS)
    second = RoomNode(room, "n2").join()
    live(room, first, second)

    assert set(places(room).values()) == {"n2"}
    assert seen(room).ended_ms


def test_what_if_a_node_is_drained_is_what_then_happens(room: ControlRoom) -> None:
    first = mover(room, "n1")
    room.put(deployment("web", 3, min_available=2, type="STATELESS"))
    room.put(deployment("must", 1, min_available=1, type="STATELESS"))
    room.put(container("db", type="STATEFUL"))
    settle(first)
    others = [mover(room, name) for name in ("n2", "n3")]
    twin = queries.twin(room.controller)
    question = whatif.Question(drain=("n1",))
    answer = whatif.answer(twin.state, twin.statuses, CLUSTER, question, (SYSTEM, WALL_MS))
    drain(room)
    live(room, first, *others)

    moved = {name: node for name, node in places(room).items() if node != "n1"}
    assert {move.name: move.target for move in answer.moves} == moved
    assert set(moved) == {"web-01", "web-02", "web-03", "db"}
    why = "must-01 stays on n1: must has no more ready than the 1 of its min_available"
    hint = (
        "it goes when another replica is ready, or: pfi scale must --replicas 1 --min-available 0"
    )
    assert answer.blocked == (f"{why}; {hint}",)


def test_who_waits_for_a_drained_node_is_told_how_long_it_takes(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    for number in range(2):
        room.put(container(f"c{number}", type="STATELESS"))
    settle(first)
    second = RoomNode(room, "n2").join()
    drain(room)
    room.tick(TICK_MS)
    room.put(container("big", resources={"memory_mib": 800}, constraints=["node = n1"]))
    told = explanation_now(room.state, room.controller.life, room.container("big"))

    assert told is not None
    (remedy,) = [each for each in told["remedies"] if "pfi uncordon n1" in each]
    assert "(it is being drained: 2 of 2 containers left)" in remedy
    live(room, first, second)
    told = explanation_now(room.state, room.controller.life, room.container("big"))
    assert told is not None
    assert any(each.endswith("(it has been drained, and is empty)") for each in told["remedies"])
