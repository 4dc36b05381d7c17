"""Balancing a cluster's nodes: previewed, carried out step by step, within what is allowed."""

from typing import Any

import pytest

from pathfinder.control import measuring, queries, rebalancing
from pathfinder.control.access import Principal
from pathfinder.control.commands import PatchNode, Put, Rebalance
from pathfinder.control.life import HOUR_MS
from pathfinder.control.policies import USES_KEPT
from pathfinder.control.rebalancing import PAUSE_MS, RebalancePlan
from pathfinder.model.errors import DefinitionWrong, Forbidden
from pathfinder.wire.messages import HEARTBEAT_MS, ContainerUsage, Measurements
from tests.support.control_room import (
    CLUSTER,
    WALL_MS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
)
from tests.support.movers import mover

TICK_MS = 1_000
TICKS_MAX = 100


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def crowded(room: ControlRoom) -> list[RoomNode]:
    """Six STATELESS containers of one core on n1, and an n2 that came later, empty."""
    first = RoomNode(room, "n1").join()
    for number in range(6):
        spec = {"type": "STATELESS", "resources": {"cpu": 1, "memory": "100MiB"}}
        room.put(container(f"c{number}", **spec))
    first.live()
    return [first, RoomNode(room, "n2").join()]


def plan(room: ControlRoom, moves: int = 20) -> RebalancePlan:
    """The preview."""
    measured = measuring.used(room.state, room.controller.life, CLUSTER)
    twin = queries.twin(room.controller)
    return rebalancing.preview(twin.state, twin.statuses, CLUSTER, (moves, measured, WALL_MS))


def measure(nodes: list[RoomNode], cpu_millis: dict[str, int]) -> None:
    """Each node measures once; a container uses so much, wherever it is."""
    for each in nodes:
        uses = (
            ContainerUsage(slot=slot, cpu_millis=cpu_millis.get(slot, 0), memory_mib=10)
            for slot in each.holding
        )
        each.exchange(measurements=Measurements(containers=tuple(uses)))


def live(
    room: ControlRoom,
    nodes: list[RoomNode],
    ticks: int = TICKS_MAX,
    cpu_millis: dict[str, int] | None = None,
) -> None:
    """Let time pass, and nodes do as they are told; they measure when it is said what is used."""
    for _ in range(ticks):
        revision = room.state.revision
        room.tick(TICK_MS)
        settle(*nodes)
        if cpu_millis is not None:
            measure(nodes, cpu_millis)
        if room.state.revision == revision and not _cluster(room)["moves_left"]:
            return


def pass_time(room: ControlRoom, nodes: list[RoomNode], for_ms: int) -> None:
    """All of it, also while nothing happens."""
    for _ in range(0, for_ms, TICK_MS):
        room.tick(TICK_MS)
        settle(*nodes)


def _cluster(room: ControlRoom) -> dict[str, Any]:
    return room.ask(Put({"kind": "Cluster", "name": CLUSTER}))


def places(room: ControlRoom) -> dict[str, str]:
    """The node of each container."""
    return {each.name: each.node for each in room.state.containers(room.state.things["container"])}


def test_a_plan_is_what_then_happens(room: ControlRoom, crowded: list[RoomNode]) -> None:
    planned = plan(room)
    before = places(room)
    assert set(before.values()) == {"n1"}

    room.ask(Rebalance(CLUSTER, 20))
    live(room, crowded)

    moved = {name: node for name, node in places(room).items() if node != before[name]}
    assert moved == {move.name: move.target for move in planned.moves}
    assert len(moved) == 3
    assert (planned.before.cpu_most, planned.before.cpu_least) == (75, 0)
    assert (planned.after.cpu_most, planned.after.cpu_least) == (37, 37)
    assert planned.done
    assert [event.action for event in room.events(CLUSTER)][-1] == "balanced"


def test_a_plan_changes_nothing(room: ControlRoom, crowded: list[RoomNode]) -> None:
    revision, before = room.state.revision, places(room)
    assert plan(room, moves=1).moves
    assert not plan(room, moves=1).done

    settle(*crowded)
    assert (room.state.revision, places(room)) == (revision, before)


def test_one_step_after_another_and_no_further_than_asked(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    room.ask(Rebalance(CLUSTER, 2))
    room.tick(TICK_MS)
    assert list(places(room).values()).count("") == 1
    room.tick(TICK_MS)  # its node has not let go yet: nothing else is begun
    assert list(places(room).values()).count("") == 1

    live(room, crowded)
    assert sorted(places(room).values()) == ["n1"] * 4 + ["n2"] * 2


def test_a_cluster_says_what_is_on_its_way_and_what_moved_within_the_hour(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    room.ask(Rebalance(CLUSTER, 2))
    room.tick(TICK_MS)
    began = _cluster(room)
    live(room, crowded)
    room.tick(TICK_MS)
    ended = _cluster(room)

    assert len(began["moving"]) == 1
    assert began["moved_in_hour"] == 1
    assert began["moves_left"] == 1
    assert ended["quota_used"]["containers"] == len(places(room))
    assert ended["quota_used"]["cpu_millis"] == 1_000 * len(places(room))
    assert (ended["moving"], ended["moved_in_hour"], ended["moves_left"]) == ([], 2, 0)


def test_it_stops_when_it_is_told(room: ControlRoom, crowded: list[RoomNode]) -> None:
    room.ask(Rebalance(CLUSTER, 20))
    room.tick(TICK_MS)
    room.ask(Rebalance(CLUSTER, 0))
    live(room, crowded)

    assert sorted(places(room).values()) == ["n1"] * 5 + ["n2"]


def test_a_policy_moves_so_many_in_an_hour(room: ControlRoom, crowded: list[RoomNode]) -> None:
    uses = {f"c{number}": 1_000 for number in range(6)}
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": 1}))
    for _ in range(USES_KEPT):
        measure(crowded, uses)
    live(room, crowded, ticks=20)
    assert sorted(places(room).values()) == ["n1"] * 5 + ["n2"]

    for _ in range(HOUR_MS // HEARTBEAT_MS):
        room.tick(HEARTBEAT_MS)
        settle(*crowded)
    assert sorted(places(room).values()) == ["n1"] * 4 + ["n2"] * 2


def test_never_below_what_has_to_stay_ready(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    spec = {"type": "STATELESS", "resources": {"cpu": 2}, "min_available": 3}
    room.put(deployment("web", 3, **spec))
    first.live()
    nodes = [first, RoomNode(room, "n2").join()]

    assert plan(room).moves == ()
    room.ask(Rebalance(CLUSTER, 5))
    live(room, nodes)
    assert set(places(room).values()) == {"n1"}


def test_what_is_measured_counts_and_not_what_is_reserved(room: ControlRoom) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": 1}))
    nodes = [RoomNode(room, "n1").join()]
    for name in ("busy", "idle"):
        spec = {"type": "STATELESS", "resources": {"cpu": 2, "memory": "100MiB"}}
        room.put(container(name, **spec))
    nodes[0].live()
    nodes.append(RoomNode(room, "n2").join())
    uses = (
        ContainerUsage(slot="busy", cpu_millis=7_000, memory_mib=90),
        ContainerUsage(slot="idle", cpu_millis=100, memory_mib=10),
    )
    for _ in range(USES_KEPT):
        nodes[0].exchange(measurements=Measurements(containers=uses))
        nodes[1].exchange(measurements=Measurements())

    planned = plan(room)
    (move,) = planned.moves
    assert move.why.startswith("n1 has 88 % of CPU")
    assert (move.source, move.target) == ("n1", "n2")
    assert (planned.basis, planned.note) == ("measured", "")


@pytest.fixture
def unlike(room: ControlRoom) -> list[RoomNode]:
    """n1 with 5 + 3 of its 8 cores, n2 with 4 + 2: only 3 against 2 makes it even."""
    nodes = [RoomNode(room, "n1").join()]
    for name, cores in (("five", 5), ("three", 3)):
        room.put(container(name, type="STATELESS", resources={"cpu": cores}))
    nodes[0].live()
    nodes.append(RoomNode(room, "n2").join())
    for name, cores in (("four", 4), ("two", 2)):
        room.put(container(name, type="STATELESS", resources={"cpu": cores}))
    settle(*nodes)
    assert places(room) == {"five": "n1", "three": "n1", "four": "n2", "two": "n2"}
    return nodes


def test_two_that_change_places_are_two_moves_and_never_one_more_than_is_left(
    room: ControlRoom, unlike: list[RoomNode]
) -> None:
    before = places(room)
    assert (plan(room, moves=1).moves, plan(room, moves=1).done) == ((), False)
    assert len(plan(room, moves=2).moves) == 2

    room.ask(Rebalance(CLUSTER, 1))
    live(room, unlike)
    assert places(room) == before
    assert room.events(CLUSTER)[-1].why == "no single move is worth it"

    room.ask(Rebalance(CLUSTER, 2))
    live(room, unlike)
    assert places(room) == {**before, "three": "n2", "two": "n1"}


@pytest.mark.parametrize(("per_hour", "swapped"), [(1, False), (2, True)])
def test_the_budget_of_an_hour_is_not_exceeded_by_a_swap(
    room: ControlRoom, unlike: list[RoomNode], per_hour: int, *, swapped: bool
) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": per_hour}))
    uses = {"five": 5_000, "three": 3_000, "four": 4_000, "two": 2_000}
    for _ in range(USES_KEPT):
        measure(unlike, uses)
    live(room, unlike, ticks=20)

    assert (places(room)["three"] == "n2") == swapped


def test_a_node_that_has_not_measured_yet_lets_what_is_reserved_count_for_all(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": 1}))
    for _ in range(USES_KEPT):
        measure(crowded[:1], {})  # n1 uses nothing; n2 is not known
    planned = plan(room)

    assert planned.basis == "reserved"
    assert planned.before.cpu_most == 75
    assert planned.note == ("by what is reserved: n2 has not measured for long enough what is used")


def test_the_policy_waits_for_measurements_and_not_for_ever(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": 1}))
    pass_time(room, crowded, PAUSE_MS + TICK_MS)
    assert set(places(room).values()) == {"n1"}

    for _ in range(measuring.YOUNG_MS // HEARTBEAT_MS + 2):
        room.tick(HEARTBEAT_MS)
        settle(*crowded)
    assert sorted(places(room).values()) == ["n1"] * 5 + ["n2"]


def test_what_has_moved_counts_where_it_is_before_the_means_have_followed(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    uses = {f"c{number}": 1_000 for number in range(6)}
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "overcommit": {"cpu": 2}}))
    for _ in range(USES_KEPT):
        measure(crowded, uses)
    planned, before = plan(room), places(room)
    room.ask(Rebalance(CLUSTER, 20))
    live(room, crowded, cpu_millis=uses)

    moved = {name: node for name, node in places(room).items() if node != before[name]}
    assert planned.basis == "measured"
    assert moved == {move.name: move.target for move in planned.moves}
    assert len(moved) == 3


def test_anti_affinity_that_does_not_hold_any_more_is_put_right(room: ControlRoom) -> None:
    first = RoomNode(room, "n1").join()
    room.put(deployment("web", 2, type="STATELESS", min_available=1))
    first.live()
    apart = [{"deployment": "web", "over": "node"}]
    second = RoomNode(room, "n2").join()
    room.ask(PatchNode(CLUSTER, "n2", cordoned=True))
    room.put(deployment("web", 2, type="STATELESS", min_available=1, anti_affinity=apart))
    settle(first, second)
    room.ask(PatchNode(CLUSTER, "n2", cordoned=False))
    settle(first, second)

    # The rollout itself may have left one waiting; what runs beside another is moved.
    assert len(set(places(room).values())) == 2


@pytest.mark.parametrize("moves", [-1, 1_001])
def test_mistakes_are_said(room: ControlRoom, moves: int) -> None:
    with pytest.raises(DefinitionWrong, match="is not a number from 0 to 1000"):
        room.ask(Rebalance(CLUSTER, moves))
    with pytest.raises(DefinitionWrong, match="is not a number from 1 to 1000"):
        plan(room, moves)


def test_only_who_manages_the_cluster_may(room: ControlRoom) -> None:
    reader = Principal(name="reader", role="app", clusters=(CLUSTER,))
    with pytest.raises(Forbidden):
        room.ask(Rebalance(CLUSTER, 1), principal=reader)


def test_the_policy_waits_for_a_node_that_has_just_joined(
    room: ControlRoom, crowded: list[RoomNode]
) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "moves_per_hour": 1}))
    room.ask(PatchNode(CLUSTER, "n2", cordoned=True))
    uses = {f"c{number}": 1_000 for number in range(6)}
    for _ in range(measuring.YOUNG_MS // HEARTBEAT_MS + 2):
        room.tick(HEARTBEAT_MS)
        settle(*crowded)
        measure(crowded[:1], uses)
    third = RoomNode(room, "n3").join()
    nodes = [*crowded, third]
    pass_time(room, nodes, PAUSE_MS + TICK_MS)
    assert set(places(room).values()) == {"n1"}

    for _ in range(measuring.USES_MIN):
        measure(nodes, uses)
    pass_time(room, nodes, PAUSE_MS + TICK_MS)
    assert sorted(places(room).values()) == ["n1"] * 5 + ["n3"]


def test_one_that_could_not_move_is_measured_where_it_still_is(room: ControlRoom) -> None:
    first = mover(room, "n1")
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "overcommit": {"cpu": 2}}))
    for name in ("db-1", "db-2"):
        room.put(container(name, type="STATEFUL", resources={"cpu": 3, "memory": "100MiB"}))
    first.live()
    nodes: list[RoomNode] = [first, second := mover(room, "n2")]
    second.fails["take"] = {"copy": "failed", "copy_error": "no space", "copy_code": "refused"}
    uses = {"db-1": 3_000, "db-2": 3_000}
    for _ in range(USES_KEPT):
        measure(nodes, uses)
    before = plan(room).before
    room.ask(Rebalance(CLUSTER, 1))
    live(room, nodes, ticks=20)

    assert places(room) == {"db-1": "n1", "db-2": "n1"}
    assert plan(room).before == before
