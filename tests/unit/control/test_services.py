"""Host ports and volumes in the state: what is on its way out still has them, data stays put."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import Delete, PatchNode, Reschedule
from tests.support.control_room import CLUSTER, FACTS, ControlRoom, RoomNode, container, deployment

DOCKER = replace(FACTS, runtime="docker", kinds=("application",))
DATA = [{"volume": "data", "path": "/srv/data"}]


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def nodes(room: ControlRoom) -> list[RoomNode]:
    return [RoomNode(room, name).join(DOCKER) for name in ("n1", "n2")]


def live(nodes: list[RoomNode]) -> None:
    """Until no node has news, whatever the others do."""
    for _ in range(4):
        for node in nodes:
            node.live()


def app(name: str, **spec: Any) -> dict[str, Any]:
    return container(name, kind="application", **spec)


def where(room: ControlRoom, *names: str) -> list[str]:
    return [room.container(name).node for name in names]


def test_containers_that_take_the_same_host_port_go_to_different_nodes(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(deployment("web", 3, kind="application", ports=["8080:80"]))
    live(nodes)

    assert sorted(where(room, "web-01", "web-02", "web-03")) == ["", "n1", "n2"]
    assert "2 of 2 have given host port 8080/tcp away already" in room.container("web-03").why


def test_host_port_is_taken_until_its_node_has_let_go(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    for name in ("one", "two"):
        room.put(app(name, ports=["8080:80"]))
    live(nodes)
    room.ask(Delete("container", CLUSTER, "one"))
    room.put(app("three", ports=["8080:80"]))
    before = where(room, "three")
    live(nodes)

    assert before == [""]
    assert where(room, "three") == ["n1"]


def test_stateful_container_stays_where_its_volumes_are(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(app("db", mounts=DATA))
    live(nodes)
    (home,) = where(room, "db")
    for number in range(3):  # now the other node is the better one
        room.put(app(f"other-{number}", constraints=[f"node = {home}"]))
    room.put(app("db", mounts=DATA, environment={"A": "b"}))
    live(nodes)

    assert where(room, "db") == [home]
    assert room.container("db").home == home


def test_stateful_container_waits_for_its_volumes_rather_than_begin_empty(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(app("db", mounts=DATA))
    live(nodes)
    (home,) = where(room, "db")
    room.ask(PatchNode(CLUSTER, home, cordoned=True))
    room.ask(Reschedule(CLUSTER, "db"))
    live(nodes)

    assert where(room, "db") == [""]
    assert f"node = {home}" in room.container("db").why


def test_stateless_container_may_leave_its_volumes_and_that_is_said(
    room: ControlRoom, nodes: list[RoomNode]
) -> None:
    room.put(app("cache", type="STATELESS", mounts=DATA))
    live(nodes)
    (home,) = where(room, "cache")
    (other,) = {"n1", "n2"} - {home}
    changed = app("cache", type="STATELESS", mounts=DATA, constraints=[f"node = {other}"])
    plan = room.plan(changed)
    room.put(changed)
    live(nodes)

    assert plan["cache"]["warnings"] == [
        f"volumes stay on {home} (data): on another node they begin empty"
    ]
    assert where(room, "cache") == [other]
    assert f"its volumes stay on {home}, here they are empty" in str(room.events("cache"))
