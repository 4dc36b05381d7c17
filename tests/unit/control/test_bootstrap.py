"""Bootstrap: a container goes through its steps, again when they change, and never backwards."""

from typing import Any

import pytest

from pathfinder.control.commands import Delete, Rebootstrap
from pathfinder.model.errors import Conflict, DefinitionWrong
from pathfinder.model.phases import Phase
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    held,
    settle,
)

SETUP = [{"type": "shell", "script": "echo one"}]
OTHER_SETUP = [{"type": "shell", "script": "echo two"}]


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


def says(node: RoomNode, **fields: Any) -> None:
    """The node says of its one container what `fields` are."""
    node.holding = {"one": held(node.wanted["one"], **fields)}
    node.exchange()


def test_each_step_of_a_bootstrap_is_a_phase_and_only_its_end_is_ready(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.exchange()
    seen = []
    for state in ("waiting", "running", "done"):
        says(node, bootstrap=state)
        seen.append((room.container("one").phase.name, room.container("one").ready))

    assert seen == [("PROVISIONED", False), ("BOOTSTRAP_STARTED", False), ("BOOTSTRAPPED", True)]
    assert room.actions("one")[2:] == ["running", "bootstrap_started", "bootstrapped", "ready"]


def test_failed_bootstrap_says_why_and_what_to_do(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.exchange()
    says(
        node,
        bootstrap="failed",
        bootstrap_tries=3,
        bootstrap_exit_code=7,
        error_code="bootstrap_failed",
        error="step 1 (shell) ended with 7",
        hint="pfi logs --bootstrap one",
    )
    view = room.put(container("one", bootstrap=SETUP))

    assert (view["phase"], view["ready"]) == ("BOOTSTRAP_ERROR", False)
    assert (view["why"], view["error_code"]) == ("step 1 (shell) ended with 7", "bootstrap_failed")
    assert view["bootstrap"] == {"round": view["bootstrap"]["round"], "tries": 3, "exit_code": 7}


def test_what_an_older_round_did_says_nothing_of_the_present_one(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.live()
    first = room.container("one")
    room.put(container("one", bootstrap=OTHER_SETUP))
    node.exchange()
    says(node, round=first.round, bootstrap="done")
    waiting = room.container("one")
    says(node, bootstrap="done")

    assert (waiting.phase, waiting.ready) == (Phase.PROVISIONED, False)
    assert (room.container("one").phase, room.container("one").ready) == (Phase.BOOTSTRAPPED, True)


def test_other_steps_bootstrap_again_in_place_and_keep_the_generation(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.live()
    before = room.container("one")
    plan = room.plan(container("one", bootstrap=OTHER_SETUP), dry_run=False)
    node.exchange()

    assert plan["one"]["action"] == "rebootstrap"
    after = room.container("one")
    assert (after.generation, after.node) == (before.generation, "n1")
    assert after.round > before.round
    assert node.wanted["one"].round == after.round
    assert node.wanted["one"].spec["bootstrap"] == OTHER_SETUP


def test_rebootstrap_runs_the_same_steps_once_more(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.live()
    view = room.ask(Rebootstrap(CLUSTER, "one"))
    node.live()

    assert (view["phase"], view["ready"]) == ("PROVISIONED", False)
    assert room.container("one").phase == Phase.BOOTSTRAPPED


def test_container_that_does_not_run_yet_takes_other_steps_without_a_step_back(
    room: ControlRoom,
) -> None:
    room.put(container("one", bootstrap=SETUP))
    before = room.container("one")
    room.put(container("one", bootstrap=OTHER_SETUP))

    assert before.phase == room.container("one").phase == Phase.PENDING


def test_replica_of_a_deployment_takes_its_steps_from_there(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 1, bootstrap=SETUP))
    node.live()

    with pytest.raises(Conflict, match="is a replica of deployment 'web'"):
        room.ask(Rebootstrap(CLUSTER, "web-01", bootstrap=OTHER_SETUP))


def test_user_data_of_cloud_init_is_not_changed_in_place(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.live()
    steps = [{"type": "cloud-init", "user_data": "#cloud-config\n"}]

    with pytest.raises(Conflict, match="read once"):
        room.ask(Rebootstrap(CLUSTER, "one", bootstrap=steps))
    room.put(container("one", bootstrap=steps))
    assert room.container("one").phase == Phase.PENDING


def test_deleted_container_is_not_bootstrapped(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one", bootstrap=SETUP))
    node.live()
    room.ask(Delete("container", CLUSTER, "one"))

    with pytest.raises(Conflict, match="is being deleted"):
        room.ask(Rebootstrap(CLUSTER, "one"))


def test_changed_bootstrap_of_a_deployment_keeps_min_available(room: ControlRoom) -> None:
    """Promise 6."""
    nodes = [RoomNode(room, name).join() for name in ("n1", "n2")]
    room.put(deployment("web", 3, min_available=2, bootstrap=SETUP))
    settle(*nodes)
    generations = {each.name: each.generation for each in room.state.replicas("c/web")}
    room.put(deployment("web", 3, min_available=2, bootstrap=OTHER_SETUP))
    for _ in range(20):
        assert sum(each.ready for each in room.state.replicas("c/web")) >= 2
        for node in nodes:
            node.exchange()
            node.obey()

    replicas = room.state.replicas("c/web")
    assert all(each.ready and each.spec.document()["bootstrap"] == OTHER_SETUP for each in replicas)
    assert generations == {each.name: each.generation for each in replicas}


WRONG = [
    ([{"type": "puppet"}], r"spec.bootstrap\[0\].type"),
    ([{"type": "shell"}], r"spec.bootstrap\[0\].script: is missing"),
    ([{"type": "shell", "script": "x", "attributes": {}}], r"spec.bootstrap\[0\].attributes"),
    ([{"type": "shell", "script": "x", "tries": 0}], r"spec.bootstrap\[0\].tries"),
    ([{"type": "shell", "script": "x" * 140_000}], "at most 131072"),
    ("chef", "must be a list"),
]


@pytest.mark.parametrize(("steps", "message"), WRONG)
def test_wrong_steps_are_refused_with_their_place(
    room: ControlRoom, steps: Any, message: str
) -> None:
    with pytest.raises(DefinitionWrong, match=message):
        room.put(container("one", bootstrap=steps))


def test_application_containers_are_set_up_by_their_image(room: ControlRoom) -> None:
    with pytest.raises(DefinitionWrong, match="for system containers"):
        room.put(container("one", kind="application", bootstrap=SETUP))
