"""What a node's report changes: phases, readiness, addresses, errors, and what absence means."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import Delete
from pathfinder.control.life import OUTWAIT_MS, SUSPECT_MS
from pathfinder.model.phases import Phase
from pathfinder.wire.messages import HoldingPhase, Measurements
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    held,
)

ROUNDS = 10


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    made = RoomNode(room, "n1").join()
    room.put(container("one"))
    made.exchange()
    return made


def says(node: RoomNode, **fields: Any) -> None:
    """The node says of its one container what `fields` are."""
    node.holding = {"one": held(node.wanted["one"], **fields)}
    node.exchange()


WORKING: list[HoldingPhase] = ["waiting", "creating", "starting", "stopped", "unknown"]


@pytest.mark.parametrize("phase", WORKING)
def test_what_does_not_run_yet_stays_scheduled(
    room: ControlRoom, node: RoomNode, phase: HoldingPhase
) -> None:
    says(node, phase=phase, addresses=())

    assert room.container("one").phase == Phase.SCHEDULED
    assert not room.container("one").ready


def test_running_without_an_address_is_not_ready_yet(room: ControlRoom, node: RoomNode) -> None:
    says(node, addresses=())
    before = room.container("one")
    says(node, addresses=("10.0.0.9",))
    after = room.container("one")

    assert (before.phase, before.ready) == (Phase.BOOTSTRAPPED, False)
    assert before.why == "runs; has no address yet"
    assert (after.ready, after.addresses, after.why) == (True, ("10.0.0.9",), "")


def test_container_without_a_network_is_ready_when_it_runs(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.put(container("one", network="none"))
    node.exchange()
    says(node, addresses=())

    assert room.container("one").ready


def test_failure_is_told_with_its_hint_and_once(room: ControlRoom, node: RoomNode) -> None:
    failure: dict[str, Any] = {
        "phase": "failed", "addresses": (), "error": "no such image", "error_code": "image_missing",
        "hint": "pfi get images",
    }  # fmt: skip
    says(node, **failure)
    says(node, **failure, restarts=1)
    failed = room.container("one")

    assert failed.phase == Phase.PROVISION_ERROR
    assert (failed.why, failed.hint, failed.error_code) == (
        "no such image", "pfi get images", "image_missing"
    )  # fmt: skip
    assert failed.restarts == 1
    assert room.actions("one").count("failed") == 1


def test_failure_that_passes_leaves_no_trace_on_the_container(
    room: ControlRoom, node: RoomNode
) -> None:
    says(node, phase="failed", addresses=(), error="busy", error_code="runtime", hint="wait")
    says(node)
    after = room.container("one")

    assert (after.phase, after.ready) == (Phase.BOOTSTRAPPED, True)
    assert (after.why, after.hint, after.error_code) == ("", "", "")


def test_crash_loop_is_a_condition_told_once_and_is_not_ready_until_it_ends(
    room: ControlRoom, node: RoomNode
) -> None:
    loop = {"error": "it ends soon", "error_code": "crash_loop", "hint": "pfi logs"}
    says(node)
    for phase in ("failed", "running", "starting", "failed", "running"):
        says(node, phase=phase, **loop)
    during = room.container("one")
    says(node)
    after = room.container("one")

    assert (during.ready, during.phase) == (False, Phase.BOOTSTRAPPED)
    assert (during.why, during.hint, during.error_code) == (
        "it ends soon",
        "pfi logs",
        "crash_loop",
    )
    assert room.actions("one").count("crash_loop") == 1
    assert room.actions("one").count("unready") == 1
    assert (after.ready, after.why, after.hint, after.error_code) == (True, "", "", "")


def test_rollout_waits_for_a_replica_that_crash_loops(room: ControlRoom) -> None:
    """Promise 6."""
    node = RoomNode(room, "n1").join()
    room.put(deployment("web", 2, min_available=1))
    node.live()
    room.put(deployment("web", 2, min_available=1, environment={"BROKEN": "1"}))
    good = {name: each.digest for name, each in node.holding.items()}
    for _ in range(ROUNDS):
        node.exchange()
        node.obey()
        for name, each in node.holding.items():
            if each.digest != good[name]:
                node.holding[name] = replace(each, error_code="crash_loop", error="ends soon")
    ready = [each.digest for each in room.state.replicas("c/web") if each.ready]

    assert ready == [good["web-01"]]


def test_text_of_a_node_is_kept_within_its_bound(room: ControlRoom, node: RoomNode) -> None:
    says(node, phase="failed", addresses=(), error="x" * 10_000, hint="y" * 10_000)

    assert len(room.container("one").why) == 500
    assert len(room.container("one").hint) == 500


LOST: list[tuple[dict[str, Any], str]] = [
    ({"phase": "stopped"}, "is stopped on its node"),
    ({"phase": "starting", "error": "it died"}, "it died"),
    ({"phase": "failed", "error": "no disk"}, "no disk"),
]


@pytest.mark.parametrize(("fields", "why"), LOST)
def test_container_that_stops_running_is_not_ready_any_more_and_says_why(
    room: ControlRoom, node: RoomNode, fields: dict[str, Any], why: str
) -> None:
    says(node)
    says(node, addresses=(), **fields)
    after = room.container("one")

    assert not after.ready
    assert after.why == why
    assert after.phase == Phase.BOOTSTRAPPED
    assert "unready" in room.actions("one")


def test_unknown_says_nothing_about_readiness(room: ControlRoom, node: RoomNode) -> None:
    says(node)
    says(node, phase="unknown")

    assert room.container("one").ready


def test_absence_is_believed_from_a_complete_report_only(room: ControlRoom, node: RoomNode) -> None:
    says(node)
    node.exchange(holding=(), complete=False)
    incomplete = room.container("one").ready
    node.exchange(holding=())

    assert incomplete
    assert not room.container("one").ready
    assert room.container("one").why == "its node no longer has it"


@pytest.mark.parametrize(
    ("fields", "is_gone"),
    [
        ({"complete": False, "holding": ()}, False),  # the daemon has not said all it has
        ({"seen": 0, "holding": ()}, False),  # it does not know yet that it shall let go
        ({}, False),  # it still has it
        ({"holding": ()}, True),
    ],
)
def test_copy_on_its_way_out_is_counted_until_a_knowing_complete_report_lacks_it(
    room: ControlRoom, node: RoomNode, fields: dict[str, Any], *, is_gone: bool
) -> None:
    says(node)
    room.ask(Delete("container", CLUSTER, "one"))
    node.exchange()
    node.exchange(**fields)

    assert ("deleted" in room.actions("one")) == is_gone
    assert room.state.fleet.count(node.key) == (0 if is_gone else 1)


def test_what_happened_after_all_is_counted_and_told_to_go(
    room: ControlRoom, node: RoomNode
) -> None:
    says(node)
    now = node.holding["one"]
    late = replace(now, generation=now.generation - 1, phase="stopped")
    node.exchange(holding=(now, late))
    counted = room.state.fleet.count(node.key)
    node.exchange(holding=(now,))

    assert counted == 2
    assert room.state.fleet.count(node.key) == 1
    assert room.container("one").ready


def test_restart_and_address_changes_are_followed(room: ControlRoom, node: RoomNode) -> None:
    says(node, started_ms=1)
    says(node, started_ms=2, restarts=1, addresses=("10.0.0.8",))
    after = room.container("one")

    assert (after.started_ms, after.restarts, after.addresses) == (2, 1, ("10.0.0.8",))


def test_daemon_that_does_not_answer_is_said_and_keeps_its_containers(
    room: ControlRoom, node: RoomNode
) -> None:
    says(node)
    node.exchange(runtime_error="LXD does not answer", complete=False)
    down = room.node("n1").runtime_error
    room.put(container("two"))
    waiting = room.container("two")
    node.exchange()

    assert down == "LXD does not answer"
    assert room.container("one").ready
    assert "LXD does not answer" in str(waiting.explanation)
    assert room.container("two").node == "n1"
    assert room.actions("n1")[-2:] == ["runtime_down", "runtime_up"]


def test_facts_are_stored_when_they_change_and_measurements_never(
    room: ControlRoom, node: RoomNode
) -> None:
    revision = room.state.revision
    node.exchange(facts=FACTS, measurements=Measurements(memory_used_mib=5))
    unchanged = room.state.revision
    node.exchange(facts=replace(FACTS, memory_mib=2_000))
    measured = room.controller.life.node(node.key).measurements

    assert unchanged == revision
    assert room.node("n1").facts.memory_mib == 2_000
    assert measured is not None
    assert measured.memory_used_mib == 5


def test_heartbeat_without_news_makes_no_revision_and_is_parked(
    room: ControlRoom, node: RoomNode
) -> None:
    node.live()
    revision = room.state.revision

    assert node.exchange() is None
    assert room.state.revision == revision


def test_late_or_repeated_exchange_changes_nothing(room: ControlRoom, node: RoomNode) -> None:
    node.live()
    newest = node.session
    revision = room.state.revision
    node.session = replace(newest, sequence=newest.sequence - 2)
    reply = node.exchange(holding=())

    assert reply is not None
    assert (reply.kind, reply.session) == ("hello", newest)
    assert room.state.revision == revision
    assert room.container("one").ready


def test_exchange_of_another_session_is_answered_with_this_one(
    room: ControlRoom, node: RoomNode
) -> None:
    node.live()
    revision = room.state.revision
    node.session = replace(node.session, incarnation="", epoch=0)
    reply = node.exchange(holding=())

    assert reply is not None
    assert (reply.kind, reply.session.incarnation) == ("hello", "first")
    assert room.state.revision == revision


def test_silent_node_is_suspect_then_lost_then_ready_when_heard(
    room: ControlRoom, node: RoomNode
) -> None:
    node.live()
    statuses = []
    for pause_ms in (SUSPECT_MS, 1, OUTWAIT_MS - SUSPECT_MS - 1, 1):
        room.tick(pause_ms)
        statuses.append(room.controller.life.status(node.key))
    node.exchange()

    assert statuses == ["ready", "suspect", "suspect", "lost"]
    assert room.controller.life.status(node.key) == "ready"
    assert room.actions("n1") == ["joined", "ready", "lost", "ready"]
    assert room.container("one").node == "n1"


MIXED = replace(FACTS, runtime="lxd,docker", kinds=("system", "application"))
LXD_IS_SILENT = {"system": "LXD does not answer"}


@pytest.fixture
def mixed(room: ControlRoom) -> RoomNode:
    """A node with two daemons that runs one container of each."""
    made = RoomNode(room, "n1").join(MIXED)
    room.put(container("sys"))
    room.put(container("app", kind="application"))
    made.live()
    return made


def test_silent_daemon_makes_only_its_kind_unavailable(room: ControlRoom, mixed: RoomNode) -> None:
    mixed.exchange(runtime_error="lxd: no", silent_kinds=LXD_IS_SILENT, complete=False)
    room.put(container("sys-2"))
    room.put(container("app-2", kind="application"))

    assert room.node("n1").told_error() == "system containers: LXD does not answer"
    assert room.container("app-2").node == "n1"
    assert "unavailable (n1: LXD does not answer)" in room.container("sys-2").why
    assert "bring n1 back (LXD does not answer)" in str(room.container("sys-2").explanation)
    mixed.live()
    assert room.container("sys-2").node == "n1"
    assert room.actions("n1")[-2:] == ["runtime_down", "runtime_up"]


def test_node_whose_daemons_are_all_silent_is_unavailable(
    room: ControlRoom, mixed: RoomNode
) -> None:
    silent = {"system": "no LXD", "application": "no Docker"}

    mixed.exchange(runtime_error="lxd: no LXD", silent_kinds=silent, complete=False)

    assert room.node("n1").runtime_error == "lxd: no LXD"
    assert room.node("n1").silent_kinds == {}


def test_absence_is_believed_of_the_kinds_whose_daemon_has_answered(
    room: ControlRoom, mixed: RoomNode
) -> None:
    mixed.exchange(holding=(), silent_kinds=LXD_IS_SILENT, complete=False)

    assert not room.container("app").ready
    assert room.container("sys").ready


def test_what_leaves_a_silent_daemon_is_counted_until_that_has_answered(
    room: ControlRoom, mixed: RoomNode
) -> None:
    for name in ("sys", "app"):
        room.ask(Delete("container", CLUSTER, name))
    mixed.exchange()
    seen = room.state.revision
    mixed.exchange(seen=seen, holding=(), silent_kinds=LXD_IS_SILENT, complete=False)
    left = [one.name for one in room.state.on_node(mixed.key)]
    mixed.exchange(seen=seen, holding=())

    assert left == ["sys"]
    assert list(room.state.on_node(mixed.key)) == []


CHECKED = {"http": {"port": 80}}


@pytest.fixture
def checked(room: ControlRoom) -> RoomNode:
    """A node that was given a container with a health check."""
    made = RoomNode(room, "n1").join()
    room.put(container("one", health=CHECKED))
    made.exchange()
    return made


def test_container_with_a_check_is_ready_when_that_succeeds(
    room: ControlRoom, checked: RoomNode
) -> None:
    says(checked)
    before = room.container("one")
    says(checked, health="healthy")
    after = room.container("one")

    assert (before.ready, before.why) == (False, "runs; its health check has not succeeded yet")
    assert (after.ready, after.why) == (True, "")


def test_unhealthy_container_is_not_ready_and_says_why(
    room: ControlRoom, checked: RoomNode
) -> None:
    says(checked, health="healthy")
    says(checked, health="unhealthy", health_error="GET / on port 80 gives status 503")
    sick = room.container("one")
    says(checked, health="healthy")

    assert not sick.ready
    assert sick.why == "is unhealthy: GET / on port 80 gives status 503"
    assert room.container("one").ready
    assert room.actions("one")[-3:] == ["ready", "unready", "ready"]


def test_agent_that_does_not_know_yet_leaves_ready_what_was(
    room: ControlRoom, checked: RoomNode
) -> None:
    says(checked, health="healthy", started_ms=5, restarts=2)
    says(checked, health="", started_ms=0)
    says(checked, health="", started_ms=5)
    same = room.container("one").ready
    says(checked, health="", started_ms=9)

    assert same
    assert not room.container("one").ready


def test_container_that_ran_anew_has_to_show_its_health_again(
    room: ControlRoom, checked: RoomNode
) -> None:
    says(checked, health="healthy", started_ms=5)
    says(checked, health="", started_ms=0, restarts=1, ended="ended with exit code 3")
    after = room.container("one")

    assert (after.ready, after.ended) == (False, "ended with exit code 3")
    assert [event.why for event in room.events("one") if event.action == "restarted"] == [
        "ended with exit code 3"
    ]


def test_a_report_of_one_container_leaves_what_is_known_of_the_others(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 3))
    node.live()
    node.exchange()
    before = {each.name: each for each in room.state.replicas("c/web")}
    node.holding["web-02"] = replace(node.holding["web-02"], restarts=1)
    node.exchange()
    after = {each.name: each for each in room.state.replicas("c/web")}

    assert {name for name, each in after.items() if each is not before[name]} == {"web-02"}
    assert set(room.controller.life.node(node.key).followed) == {"one", "web-01", "web-03"}


def test_what_was_known_is_looked_at_again_when_the_container_has_changed_meanwhile(
    room: ControlRoom, node: RoomNode
) -> None:
    node.live()
    node.exchange()
    old = node.holding["one"]
    room.put(container("one", environment={"A": "1"}))
    node.exchange()
    node.holding = {"one": old}
    node.exchange()

    assert not room.container("one").ready
    assert [copy.generation for copy in room.container("one").leaving] == [old.generation]
