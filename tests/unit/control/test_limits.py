"""Up to where nodes take containers, per cluster: exact, measured, and said."""

from typing import Any

import pytest

from pathfinder.control.commands import Put
from pathfinder.model.errors import DefinitionWrong
from pathfinder.wire.messages import Measurements
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode, container


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


def limit(room: ControlRoom, **limits: int) -> Any:
    """The cluster's limits from now on."""
    return room.ask(Put({"kind": "Cluster", "name": CLUSTER, "limits": limits}))


def measured(node: RoomNode, used: int, total: int) -> None:
    """The node measures its memory, and says so."""
    node.exchange(measurements=Measurements(memory_total_mib=total, memory_used_mib=used))


def placed(room: ControlRoom) -> list[str]:
    """The containers that have a node."""
    return sorted(each.name for each in room.state.on_node("c/n1"))


def why(room: ControlRoom, name: str) -> str:
    """Why a container has no node."""
    return str(room.container(name).explanation["text"])


@pytest.mark.usefixtures("node")
def test_a_limit_of_two_containers_admits_two(room: ControlRoom) -> None:
    limit(room, containers=2)
    for name in ("a", "b", "x"):
        room.put(container(name))

    assert placed(room) == ["a", "b"]
    assert why(room, "x") == "no node fits: 1 of 1 holds as many containers as allowed (2 on n1)"


@pytest.mark.usefixtures("node")
def test_a_limit_of_stateful_containers_counts_only_those(room: ControlRoom) -> None:
    limit(room, stateful=1)
    room.put(container("a", type="STATEFUL"))
    room.put(container("b", type="STATELESS"))
    room.put(container("x", type="STATEFUL"))

    assert placed(room) == ["a", "b"]
    assert "as many STATEFUL containers as allowed (1 on n1)" in why(room, "x")
    assert "remove 1 STATEFUL container from n1" in room.container("x").explanation["remedies"]


def test_memory_at_its_limit_admits_and_above_it_does_not(
    room: ControlRoom, node: RoomNode
) -> None:
    limit(room, memory_percent=80)
    measured(node, 800, 1000)
    room.put(container("a"))
    measured(node, 801, 1000)
    room.put(container("x"))

    assert placed(room) == ["a"]
    assert "uses 80 % of its memory; the limit is 80 %" in why(room, "x")


def test_what_waits_for_memory_is_placed_when_it_is_measured_below_the_limit(
    room: ControlRoom, node: RoomNode
) -> None:
    limit(room, memory_percent=80)
    measured(node, 900, 1000)
    room.put(container("a"))
    waiting = placed(room)
    measured(node, 300, 1000)
    room.tick()

    assert (waiting, placed(room)) == ([], ["a"])


def test_node_that_reports_no_memory_is_no_candidate_and_says_so(
    room: ControlRoom, node: RoomNode
) -> None:
    limit(room, memory_percent=80)
    room.put(container("a"))
    unmeasured = why(room, "a")
    measured(node, 0, 0)
    room.put(container("b"))

    assert "has not measured its memory yet" in unmeasured
    assert "reports a total memory of 0" in why(room, "b")


@pytest.mark.usefixtures("node")
def test_a_raised_limit_places_what_waits_and_a_dry_run_does_not(room: ControlRoom) -> None:
    limit(room, containers=1)
    room.put(container("a"))
    room.put(container("b"))
    document = {"kind": "Cluster", "name": CLUSTER, "limits": {"containers": 2}}
    room.ask(Put(document), dry_run=True)
    before = placed(room)
    view = limit(room, containers=2)

    assert (before, placed(room)) == (["a"], ["a", "b"])
    assert view["limits"] == {"containers": 2}


def test_applying_a_cluster_without_limits_leaves_them(room: ControlRoom) -> None:
    limit(room, containers=3)
    view = room.ask(Put({"kind": "Cluster", "name": CLUSTER}))

    assert view["limits"] == {"containers": 3}


@pytest.mark.parametrize("limits", [{"cpus": 1}, {"memory_percent": 101}, {"containers": -1}])
def test_wrong_limits_are_refused_by_name(room: ControlRoom, limits: dict[str, int]) -> None:
    with pytest.raises(DefinitionWrong, match=f"document.limits.{next(iter(limits))}"):
        limit(room, **limits)
