"""Deployments and containers through their lives: made, scaled, replaced, rescheduled, let go."""

from typing import Any

import pytest

from pathfinder.control.commands import Apply, Delete, Reschedule, Scale
from pathfinder.control.objects import Container, Deployment
from pathfinder.model.errors import Conflict, DefinitionWrong, NameTaken, NotFound
from pathfinder.model.phases import Phase
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    held,
    picture,
    settle,
)


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


def phases(room: ControlRoom) -> dict[str, str]:
    """Containers and their phases."""
    return {each.name: each.phase.name for each in room.state.all(Container)}


def test_container_goes_from_wanted_to_ready_and_says_each_step(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    node.live()

    assert room.container("one").ready
    assert room.container("one").addresses == ("10.0.0.7",)
    assert room.actions("one") == ["created", "scheduled", "running", "ready"]
    assert [event.node for event in room.events("one")] == ["", "n1", "n1", "n1"]


def test_definition_that_says_the_same_changes_nothing(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one"))
    node.live()
    revision = room.state.revision
    room.put(container("one"))
    room.put(container("one", resources={"memory": "100MiB", "cpu": 0.1}))

    assert room.state.revision == revision


@pytest.mark.usefixtures("node")
def test_labels_change_without_a_new_generation(room: ControlRoom) -> None:
    before = room.put(container("one"))
    after = room.put({**container("one"), "labels": {"team": "a"}})

    assert after["labels"] == {"team": "a"}
    assert after["generation"] == before["generation"]


def test_changed_definition_replaces_in_two_steps_first_out_then_in(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    node.live()
    old = room.container("one")
    room.put(container("one", resources={"memory_mib": 200}))
    between = room.container("one")
    node.live()
    after = room.container("one")

    assert (between.phase, between.node) == (Phase.PENDING, "")
    assert [(copy.node, copy.generation) for copy in between.leaving] == [("n1", old.generation)]
    assert between.why == "its definition changed; waits for n1 to let go of what runs there"
    assert (after.phase, after.node, after.leaving) == (Phase.BOOTSTRAPPED, "n1", ())
    assert after.generation == between.generation > old.generation
    assert room.actions("one")[4:] == ["replacing", "released", "scheduled", "running", "ready"]


def test_what_is_on_its_way_out_counts_until_its_node_has_let_go(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one", resources={"memory_mib": 800}))
    node.live()
    room.ask(Delete("container", CLUSTER, "one"))
    room.put(container("two", resources={"memory_mib": 800}))
    waiting = room.container("two")
    node.live()

    assert waiting.phase == Phase.PENDING
    assert waiting.explanation["text"]
    assert phases(room) == {"two": "BOOTSTRAPPED"}


def test_container_that_no_node_has_goes_at_once(room: ControlRoom) -> None:
    room.put(container("one"))
    gone = room.ask(Delete("container", CLUSTER, "one"))

    assert gone["name"] == "one"
    assert phases(room) == {}
    assert room.actions("one")[-2:] == ["deleting", "deleted"]


def test_deleting_twice_is_the_same_as_once(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one"))
    node.live()
    room.ask(Delete("container", CLUSTER, "one"))
    revision = room.state.revision
    room.ask(Delete("container", CLUSTER, "one"))

    assert room.state.revision == revision
    with pytest.raises(NotFound):
        room.ask(Delete("container", CLUSTER, "other"))


def test_what_is_being_deleted_takes_no_changes(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one"))
    room.put(deployment("web", 1))
    node.live()
    for kind, name in (("container", "one"), ("deployment", "web")):
        room.ask(Delete(kind, CLUSTER, name))
    commands: list[Any] = [Reschedule(CLUSTER, "one"), Scale(CLUSTER, "web", 2)]

    for command in commands:
        with pytest.raises(Conflict, match="is being deleted"):
            room.ask(command)
    for document in (container("one"), deployment("web", 1)):
        with pytest.raises(Conflict, match="is being deleted") as refused:
            room.put(document)
        assert "pfi wait" in refused.value.hint


def test_reschedule_begins_a_new_generation_and_says_who_asked(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    node.live()
    old = room.container("one").generation
    room.ask(Reschedule(CLUSTER, "one", reason="it is slow"))
    settle(node)

    assert room.container("one").generation > old
    assert room.container("one").ready
    told = [event for event in room.events("one") if event.action == "replacing"]
    assert [(event.why, event.who) for event in told] == [("it is slow", "pathfinder")]


def test_deployment_makes_numbered_replicas_and_scales_from_the_end(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 3))
    node.live()
    three = phases(room)
    room.ask(Scale(CLUSTER, "web", 1))
    settle(node)

    assert set(three) == {"web-01", "web-02", "web-03"}
    assert phases(room) == {"web-01": "BOOTSTRAPPED"}


def test_scaling_down_lowers_what_must_stay_ready_only_where_it_has_to(room: ControlRoom) -> None:
    room.put(deployment("web", 5, min_available=3))
    floors = [room.ask(Scale(CLUSTER, "web", count))["min_available"] for count in (6, 4, 3, 1, 0)]

    assert floors == [3, 3, 2, 0, 0]


def test_scale_refuses_what_cannot_be(room: ControlRoom) -> None:
    room.put(deployment("web", 2))
    for replicas, floor in ((100, None), (-1, None), (2, 3)):
        with pytest.raises(DefinitionWrong):
            room.ask(Scale(CLUSTER, "web", replicas, floor))
    with pytest.raises(NotFound):
        room.ask(Scale(CLUSTER, "none", 1))

    assert room.deployment("web").replicas == 2


def test_rollout_replaces_one_after_another_and_keeps_the_rest_ready(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 3, min_available=2))
    node.live()
    room.put(deployment("web", 3, min_available=2, environment={"A": "1"}))
    ready: list[int] = []
    while not all(each.ready for each in room.state.all(Container)) or not ready:
        ready.append(sum(each.ready for each in room.state.all(Container)))
        node.exchange()
        node.obey()

    assert min(ready) == 2
    digests = {each.digest for each in room.state.all(Container)}
    assert digests == {room.deployment("web").digest}


def test_rollout_that_nothing_allows_says_what_would_let_it(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 2, min_available=2))
    node.live()
    room.put(deployment("web", 2, min_available=2, environment={"A": "1"}))

    assert "lower min_available to 1 or raise replicas to 3" in room.deployment("web").blocked
    assert room.actions("web") == ["created", "changed", "blocked"]
    room.ask(Scale(CLUSTER, "web", 2, 1))
    settle(node)
    assert room.deployment("web").blocked == ""


def test_deployment_goes_when_its_last_replica_has(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 2))
    node.live()
    room.ask(Delete("deployment", CLUSTER, "web"))
    between = room.deployment("web")
    settle(node)

    assert not between.wanted
    assert room.state.count(Deployment) == 0
    assert room.state.count(Container) == 0
    assert room.actions("web") == ["created", "deleting", "deleted"]


def test_deleted_replica_is_made_again_once_it_has_gone(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 1))
    node.live()
    old = room.container("web-01").generation
    room.ask(Delete("container", CLUSTER, "web-01"))
    settle(node)

    assert room.container("web-01").generation > old
    assert room.container("web-01").ready


def test_nothing_takes_over_a_container_of_another_owner(room: ControlRoom) -> None:
    room.put(container("web-02"))
    with pytest.raises(NameTaken, match="'web-02' exists and is not a replica of 'web'"):
        room.put(deployment("web", 2))
    room.put(deployment("web", 1))
    with pytest.raises(NameTaken, match="is a replica of deployment 'web'"):
        room.put(container("web-01"))

    assert set(phases(room)) == {"web-01", "web-02"}


def test_replica_that_fails_is_made_anew_by_a_corrected_definition(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 1, image="busybx"))
    node.exchange()
    (told,) = node.wanted.values()
    node.holding = {
        "web-01": held(told, phase="failed", error_code="image_missing", error="no such image")
    }
    node.exchange()
    broken = room.container("web-01")
    room.put(deployment("web", 1))
    settle(node)

    assert (broken.phase, broken.why) == (Phase.PROVISION_ERROR, "no such image")
    after = room.container("web-01")
    assert (after.phase, after.why, after.error_code) == (Phase.BOOTSTRAPPED, "", "")


def test_container_and_deployment_of_one_batch_cannot_mean_the_same_name(
    room: ControlRoom,
) -> None:
    before = picture(room.state)
    with pytest.raises(NameTaken, match="'web-01' is a replica of deployment 'web'"):
        room.ask(Apply((deployment("web", 1), container("web-01"))))

    assert picture(room.state) == before
    room.ask(Apply((deployment("web", 1), container("web-02"), container("web-1"))))
    assert room.container("web-02").deployment == ""
