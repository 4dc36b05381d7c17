"""A crowd for which room is looked for: in turns, so that no node waits for all of them."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import PatchNode, Put
from pathfinder.control.queries import one_container
from pathfinder.control.turns import IN_TURN, WORK_MAX, Turns
from tests.support.control_room import CLUSTER, FACTS, ControlRoom, RoomNode, container, settle

TICK_MS = 500
CROWD = 12


@pytest.fixture
def room() -> ControlRoom:
    """Of which one transaction looks for room for one container only, if it is not like others."""
    room = ControlRoom()
    room.controller.life.turns = Turns(work_max=1, left=1)
    return room


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    """A node that is full of what nobody may take the place of."""
    node = RoomNode(room, "n1").join()
    room.put(asks(8, "db", 0, type="STATEFUL"))
    node.live()
    return node


def asks(cores: int, name: str, priority: int, **spec: Any) -> dict[str, Any]:
    """A container of so many cores; a node of this file has eight."""
    fields = {"type": "STATELESS", "resources": {"cpu": cores}, **spec}
    return {**container(name, **fields), "priority": priority}


def crowd(priority: int = 9, first: int = 0) -> list[dict[str, Any]]:
    """Containers of which each asks for something else."""
    return [
        asks(1, f"c-{n:02}", priority, resources={"cpu": 1, "memory_mib": 10 + n})
        for n in range(first, first + CROWD)
    ]


def in_turn(room: ControlRoom) -> list[str]:
    """Those that say that they have not been looked at yet."""
    waiting = room.state.containers(room.state.pending)
    return [each.name for each in waiting if IN_TURN in each.why]


def ticks_until_quiet(room: ControlRoom) -> int:
    """How many ticks have something to do."""
    for count in range(1_000):
        room.tick(TICK_MS)
        if room.controller.quiet_until_ms > room.now_ms:
            return count
    raise AssertionError("the room does not come to rest")


@pytest.mark.usefixtures("node")
def test_of_a_crowd_one_transaction_looks_at_no_more_than_its_work(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)

    assert len(in_turn(room)) == CROWD - 1
    assert all("no node fits" in room.container(name).why for name in in_turn(room))


def test_those_that_are_left_over_are_looked_at_in_the_next_ticks_and_say_why_they_wait(
    room: ControlRoom, node: RoomNode
) -> None:
    room.plan(*crowd(), dry_run=False)
    left = []
    while in_turn(room):
        room.tick(TICK_MS)
        node.exchange()
        left.append(len(in_turn(room)))

    assert left == list(range(CROWD - 2, -1, -1))
    assert all(room.container(f"c-{n:02}").explanation["reasons"] for n in range(CROWD))


@pytest.mark.usefixtures("node")
def test_a_tick_is_due_until_all_have_been_looked_at_and_then_it_is_quiet(
    room: ControlRoom,
) -> None:
    room.plan(*crowd(), dry_run=False)

    assert ticks_until_quiet(room) >= CROWD - 1
    assert not in_turn(room)


@pytest.mark.usefixtures("node")
def test_transactions_between_two_ticks_share_their_work(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)
    before = in_turn(room)
    for number in range(5):
        room.put(asks(1, f"more-{number}", 9, resources={"cpu": 1, "memory_mib": 50 + number}))

    assert set(in_turn(room)) >= set(before)


@pytest.mark.usefixtures("node")
def test_those_that_ask_for_the_same_are_looked_at_together(room: ControlRoom) -> None:
    room.plan(*(asks(1, f"c-{n:02}", 9) for n in range(CROWD)), dry_run=False)

    assert len(room.state.pending) == CROWD
    assert not in_turn(room)


@pytest.mark.usefixtures("node")
def test_the_higher_priority_is_looked_at_first_also_when_it_comes_later(
    room: ControlRoom,
) -> None:
    room.plan(*crowd(), dry_run=False)
    room.put(asks(2, "urgent", 500))
    assert "urgent" in in_turn(room)
    room.tick(TICK_MS)

    assert "urgent" not in in_turn(room)
    assert len(in_turn(room)) == CROWD - 1


def test_nobody_is_passed_over_however_often_things_change(
    room: ControlRoom, node: RoomNode
) -> None:
    room.plan(*crowd(priority=9), *crowd(priority=1, first=CROWD), dry_run=False)
    for _ in range(2 * CROWD):
        room.now_ms += TICK_MS
        for is_cordoned in (True, False):  # all that waits is tried again
            room.ask(PatchNode(CLUSTER, node.name, cordoned=is_cordoned))
        room.tick()

    assert not in_turn(room)


@pytest.mark.usefixtures("node")
def test_what_was_found_is_said_until_it_is_looked_at_again(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)
    ticks_until_quiet(room)
    names = [f"c-{n:02}" for n in range(CROWD)]
    before = {name: room.container(name).explanation for name in names}
    RoomNode(room, "n2").join(replace(FACTS, cpu_millis=100))
    same = [name for name in names if room.container(name).explanation == before[name]]

    assert len(same) >= CROWD - 3  # n2 registers, and says twice that it is ready
    assert not in_turn(room)
    ticks_until_quiet(room)
    assert all("2 of 2 lack CPU" in room.container(name).why for name in names)


@pytest.mark.usefixtures("node")
def test_who_asks_hears_how_many_are_before_it(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)
    said = one_container(room.controller, CLUSTER, "c-11").explanation

    assert said is not None
    assert said["text"].endswith(f"{IN_TURN}, {CROWD - 2} before it")


def full_of_small(room: ControlRoom, nodes: int) -> list[RoomNode]:
    """Nodes full of what makes room."""
    there = [RoomNode(room, f"n{n}").join() for n in range(nodes)]
    for number in range(nodes * 2):
        room.put(asks(4, f"low-{number}", number % 3))
    settle(*there)
    return there


def test_a_plan_shows_also_those_whose_turn_comes_later_and_it_is_what_happens(
    room: ControlRoom,
) -> None:
    nodes = full_of_small(room, 3)
    asked = [asks(3, f"high-{n}", 9, resources={"cpu": 3, "memory_mib": 10 + n}) for n in range(8)]
    planned = room.plan(*asked)
    assert not in_turn(room)

    room.plan(*asked, dry_run=False)
    assert in_turn(room)
    ticks_until_quiet(room)
    for name in (document["name"] for document in asked):
        assert room.container(name).why == planned[name]["why"]
    settle(*nodes)
    replaced = {name for name, item in planned.items() if item["action"] == "replace"}
    assert replaced == {n for n in planned if n.startswith("low")}
    assert all("preempted" in room.actions(name) for name in replaced)


@pytest.mark.usefixtures("node")
def test_a_dry_run_leaves_the_turns_as_they_are(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)
    before = room.controller.life.turns
    room.plan(*crowd(first=CROWD))

    assert room.controller.life.turns == before


@pytest.mark.usefixtures("node")
def test_who_was_looked_at_in_what_did_not_become_durable_is_looked_at_again(
    room: ControlRoom,
) -> None:
    room.plan(*crowd(), dry_run=False)
    room.now_ms += TICK_MS
    change = room.controller.tick(room.moment)
    assert change is not None
    room.controller.revert(change)
    ticks_until_quiet(room)

    assert not in_turn(room)


@pytest.mark.usefixtures("node")
def test_who_waits_no_longer_has_no_turn(room: ControlRoom) -> None:
    room.plan(*crowd(), dry_run=False)
    RoomNode(room, "n2").join(replace(FACTS, cpu_millis=CROWD * 1_000))
    ticks_until_quiet(room)

    assert not room.state.pending
    assert not room.controller.life.turns.waiting()


@pytest.mark.usefixtures("node")
def test_who_may_take_no_place_waits_for_no_turn(room: ControlRoom) -> None:
    room.plan(*crowd(priority=0), dry_run=False)
    assert not room.controller.life.turns.waiting()

    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "preemption": "none"}))
    room.plan(*crowd(priority=9, first=CROWD), dry_run=False)
    assert not room.controller.life.turns.waiting()


def test_a_few_that_wait_are_all_looked_at_at_once() -> None:
    room = ControlRoom()
    node = RoomNode(room, "n1").join()
    room.put(asks(8, "db", 0, type="STATEFUL"))
    node.live()
    room.plan(*crowd(), dry_run=False)

    assert not in_turn(room)
    assert 0 < WORK_MAX - room.controller.life.turns.left < WORK_MAX
