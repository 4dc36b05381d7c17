"""How a cluster's nodes are filled: policies as people write them, and what they come to."""

from typing import Any

import msgspec
import pytest

from pathfinder.control.commands import Delete, Put
from pathfinder.control.policies import USES_KEPT
from pathfinder.control.views import node_view
from pathfinder.model.errors import DefinitionWrong
from pathfinder.wire.messages import ContainerUsage, Measurements
from tests.support.control_room import CLUSTER, FACTS, ControlRoom, RoomNode, container


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


def policy(room: ControlRoom, **fields: Any) -> dict[str, Any]:
    """The cluster's policy from now on; its view."""
    return room.ask(Put({"kind": "Cluster", "name": CLUSTER, **fields}))


def wanted(name: str, *, cpu: float = 0, memory: str = "0", **more: Any) -> dict[str, Any]:
    """A container that asks for so much."""
    resources = {"cpu_millis": int(cpu * 1000), "memory": memory}
    return container(name, resources=resources, **more)


def places(room: ControlRoom) -> dict[str, str]:
    """The node of each container that has one."""
    return {
        each.name: each.node
        for each in room.state.containers(room.state.things["container"])
        if each.node
    }


def why(room: ControlRoom, name: str) -> str:
    """Why a container has no node."""
    return str(room.container(name).explanation["text"])


def view_of(node: RoomNode) -> dict[str, Any]:
    """The node as the API shows it."""
    room = node.room
    shown = node_view(room.state, room.controller.life, room.node(node.name), room.now_ms)
    view: dict[str, Any] = msgspec.to_builtins(shown)
    return view


def measured(node: RoomNode, cpu_millis: int, memory_mib: int, *, times: int = 1) -> None:
    """What all containers of a node use, as it says again and again."""
    use = ContainerUsage(slot="a", cpu_millis=cpu_millis, memory_mib=memory_mib)
    for _ in range(times):
        node.exchange(measurements=Measurements(containers=(use,)))


def test_what_is_not_named_stays_as_it_is(room: ControlRoom) -> None:
    policy(room, placement="pack", overcommit={"cpu": 4})
    view = policy(room, quota={"cpu": 20, "containers": 7}, reserved={"memory": "1GiB"})

    assert view["policy"] == {
        "placement": "pack",
        "overcommit": {"cpu_permille": 4000, "memory_permille": 1000},
        "quota": {
            "cpu_millis": 20_000,
            "memory_mib": 0,
            "disk_mib": 0,
            "processes": 0,
            "containers": 7,
        },
        "preemption": "stateless",
        "moves_per_hour": 0,
        "reserved": {
            "cpu_millis": 0,
            "memory_mib": 1024,
            "disk_mib": 0,
            "processes": 0,
            "extra": [],
        },
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"placement": "random"}, "document.placement: 'random' is not one of spread, pack"),
        ({"preemption": "some"}, "document.preemption: 'some' is not one of none, stateless, all"),
        ({"overcommit": {"cpu": 0.5}}, "document.overcommit.cpu: 0.5 is not a factor from 1 to"),
        ({"overcommit": {"disk": 2}}, "document.overcommit.disk: only cpu and memory can be"),
        ({"reserved": {"extra": {"gpu": 1}}}, "document.reserved: is of cpu, memory and disk"),
        ({"quota": {"containers": -1}}, "document.quota.containers: -1 is not a whole number"),
        ({"quota": {"extra": {"gpu": 1}}}, "document.quota.extra: has no quota"),
        ({"quota": 3}, "document.quota: must be a mapping"),
    ],
)
def test_wrong_policy_names_its_place(
    room: ControlRoom, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionWrong) as refused:
        policy(room, **fields)

    assert refused.value.message.startswith(message)


def test_a_cluster_that_packs_fills_one_node_before_the_next(room: ControlRoom) -> None:
    for name in ("n1", "n2"):
        RoomNode(room, name).join()
    policy(room, placement="pack")
    for number in range(1, 6):
        room.put(wanted(f"c{number}", cpu=2))

    assert places(room) == {"c1": "n1", "c2": "n1", "c3": "n1", "c4": "n1", "c5": "n2"}


def test_what_is_reserved_for_the_node_itself_is_given_to_nobody(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    policy(room, reserved={"cpu": 2, "memory": "200MiB"})
    room.put(wanted("fits", cpu=6, memory="800MiB"))
    room.put(wanted("not", cpu=0.1))

    assert places(room) == {"fits": "n1"}
    assert why(room, "not") == "no node fits: 1 of 1 lacks CPU (need 0.1, nothing free)"
    assert view_of(node)["capacity"]["memory_mib"] == FACTS.memory_mib - 200


def test_a_quota_bounds_the_whole_cluster_and_says_what_would_help(room: ControlRoom) -> None:
    for name in ("n1", "n2"):
        RoomNode(room, name).join()
    policy(room, quota={"cpu": 3, "containers": 5})
    for name in ("a", "b", "x"):
        room.put(wanted(name, cpu=1.5))

    assert set(places(room)) == {"a", "b"}
    assert why(room, "x") == (
        "no node fits: 2 of 2 are in a cluster whose quota of CPU is used up "
        "(3 of 3, 1.5 more asked for)"
    )
    assert room.container("x").explanation["remedies"] == [
        "raise the cluster's quota to 4.5 CPU, or delete what it need not have"
    ]

    policy(room, quota={"cpu": 4.5, "containers": 5})
    assert set(places(room)) == {"a", "b", "x"}


def test_extra_resources_are_counted_and_missed_by_name(room: ControlRoom) -> None:
    RoomNode(room, "n1").join(capacity={"extra": {"gpu": 2}})
    RoomNode(room, "n2").join()
    for name in ("a", "b"):
        room.put(container(name, resources={"extra": {"gpu": 1}}))
    room.put(container("x", resources={"extra": {"gpu": 1}}))

    assert places(room) == {"a": "n1", "b": "n1"}
    assert why(room, "x") == "no node fits: 2 of 2 lack gpu (need 1, nothing free)"
    assert "free 1 gpu on n1" in room.container("x").explanation["remedies"]


def test_unused_reservations_are_lent_once_they_have_been_measured_long_enough(
    room: ControlRoom,
) -> None:
    node = RoomNode(room, "n1").join()
    policy(room, overcommit={"cpu": 1.5})
    room.put(wanted("a", cpu=8))
    node.live()
    measured(node, 1_000, 50, times=USES_KEPT - 1)
    room.put(wanted("b", cpu=3))
    assert why(room, "b") == "no node fits: 1 of 1 lacks CPU (need 3, nothing free)"

    measured(node, 1_000, 50)
    room.tick(1)

    assert places(room) == {"a": "n1", "b": "n1"}
    assert view_of(node)["lent"]["cpu_millis"] == 4_000  # of 7,000 unused: half of what it has


def test_a_crowd_of_new_ones_opens_no_room_for_more(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    policy(room, overcommit={"cpu": 4})
    room.put(wanted("a", cpu=8))
    node.live()
    measured(node, 0, 0, times=USES_KEPT)
    for number in range(10):
        room.put(wanted(f"new-{number}", cpu=2))
        node.live()
        measured(node, 0, 0)
        room.tick(1)

    # 8 cores unused by `a` are lent once; what the new ones do not use yet is not.
    assert [name for name in sorted(places(room)) if name != "a"] == [
        "new-0",
        "new-1",
        "new-2",
        "new-3",
    ]


def test_what_goes_takes_along_what_was_lent_for_it(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    policy(room, overcommit={"cpu": 2})
    room.put(wanted("a", cpu=8))
    node.live()
    measured(node, 0, 0, times=USES_KEPT)
    room.ask(Delete("container", CLUSTER, "a"))
    node.live()
    room.put(wanted("b", cpu=8))
    room.put(wanted("x", cpu=8))

    assert places(room) == {"b": "n1"}
