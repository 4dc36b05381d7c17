"""Nodes that poll: no lease, marks, and recovery without waiting for them."""

import pytest

from pathfinder.control import access, marks, queries
from pathfinder.control.access import SYSTEM, Principal, digest
from pathfinder.control.commands import (
    Delete,
    Mark,
    MarkAddress,
    MarkKind,
    Poll,
    RegisterPolling,
    Relocate,
    Reschedule,
)
from pathfinder.control.life import OUTWAIT_MS, POLL_SUSPECT_MS
from pathfinder.control.objects import Container, Node
from pathfinder.control.reasons import NO_LEASE
from pathfinder.model.errors import Conflict, Forbidden, NotFound, Unauthorized
from pathfinder.model.phases import Phase
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode, container, deployment

BOOTSTRAPPED: tuple[MarkKind, ...] = ("provisioned", "bootstrap_started", "bootstrapped")
TOKEN = "t" * 64


def register(room: ControlRoom, name: str = "old", *, token: str = TOKEN, proof: str = "") -> None:
    room.ask(RegisterPolling(CLUSTER, name, digest(token), "10.0.0.1", proof))
    poll(room, name)


def principal(name: str = "old") -> Principal:
    return Principal(
        name=f"node {name}", role="node", clusters=(CLUSTER,), node=f"{CLUSTER}/{name}"
    )


def poll(room: ControlRoom, name: str = "old") -> None:
    room.ask(Poll(f"{CLUSTER}/{name}"), principal=principal(name))


def mark(room: ControlRoom, what: MarkKind, container_name: str, node: str = "old") -> None:
    command = Mark(f"{CLUSTER}/{node}", container_name, what)
    room.ask(command, principal=principal(node))


def test_silent_node_is_suspected_and_never_lost() -> None:
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    room.tick(OUTWAIT_MS + 1)
    assert room.controller.life.status(f"{CLUSTER}/old") == "ready"

    room.tick(POLL_SUSPECT_MS)
    assert room.controller.life.status(f"{CLUSTER}/old") == "suspect"
    room.tick(100 * POLL_SUSPECT_MS)
    assert room.controller.life.status(f"{CLUSTER}/old") == "suspect"
    assert room.container("web").node == "old"


def test_suspected_node_gets_nothing_new_and_the_explanation_says_why() -> None:
    room = ControlRoom()
    register(room)
    room.tick(POLL_SUSPECT_MS + 1)
    view = room.put(container("web"))

    assert view["phase"] == "PENDING"
    assert "no lease" in view["why"]
    poll(room)
    assert room.container("web").phase == Phase.SCHEDULED


def test_ready_replica_stays_ready_while_its_node_is_suspected() -> None:
    room = ControlRoom()
    register(room)
    room.plan(deployment("web", 1), dry_run=False)
    room.ask(MarkAddress(f"{CLUSTER}/old", "web-01", "10.0.0.9"), principal=principal())
    mark(room, "provisioned", "web-01")
    assert room.container("web-01").ready
    room.tick(2 * POLL_SUSPECT_MS)

    assert room.container("web-01").ready
    view = queries.one_container(room.controller, CLUSTER, "web-01")
    assert view.ready
    assert "its node old is silent; it polls by API v1/v2: no lease" in view.why
    assert "pfi delete node old --force" in view.hint
    node = queries.one_node(room.controller, CLUSTER, "old", room.now_ms)
    assert (node.status, node.note) == ("suspect", NO_LEASE)


def test_server_that_starts_does_not_wait_for_polling_nodes() -> None:
    room = ControlRoom()
    register(room)
    room.restart()

    assert not room.controller.life.recovering
    assert room.controller.life.status(f"{CLUSTER}/old") == "new"
    poll(room)
    assert room.put(container("web"))["phase"] == "SCHEDULED"


def test_restored_state_does_not_wait_for_what_polling_nodes_cannot_say() -> None:
    room = ControlRoom()
    register(room)
    room.controller.doubt_all(room.moment)

    assert not room.node("old").unverified


def test_name_is_kept_while_the_node_may_be_alive() -> None:
    room = ControlRoom()
    register(room)
    other = RegisterPolling(CLUSTER, "old", digest("x" * 64), "10.0.0.2")
    room.now_ms += POLL_SUSPECT_MS

    with pytest.raises(Conflict, match="may be alive"):
        room.ask(other)
    with pytest.raises(Conflict):
        room.ask(RegisterPolling(CLUSTER, "old", digest("x" * 64), "", proof="y" * 64))
    room.now_ms += 1
    room.ask(other)
    assert access.is_secret(room.node("old").secret_digest, "x" * 64)


def test_server_that_has_just_started_does_not_know_who_is_alive() -> None:
    room = ControlRoom()
    register(room)
    room.restart()
    other = RegisterPolling(CLUSTER, "old", digest("x" * 64), "10.0.0.2")

    with pytest.raises(Conflict):
        room.ask(other)
    room.ask(RegisterPolling(CLUSTER, "old", digest("x" * 64), "", proof=TOKEN))


def test_nobody_else_marks_for_a_node() -> None:
    """Promise 10."""
    room = ControlRoom()
    register(room)
    register(room, "other", token="o" * 64)
    room.put(container("web"))
    owner = room.container("web").node

    for who in (SYSTEM, principal("other" if owner == "old" else "old")):
        with pytest.raises(Forbidden):
            room.ask(Mark(f"{CLUSTER}/{owner}", "web", "provisioned"), principal=who)


def test_tokens_are_found_by_digest_also_by_an_imported_one() -> None:
    room = ControlRoom()
    register(room)
    imported = access.digests("i" * 64)[1]
    room.ask(RegisterPolling(CLUSTER, "imported", imported, "10.0.0.1"))

    assert access.polling_node(room.state, CLUSTER, TOKEN).node == f"{CLUSTER}/old"
    assert access.polling_node(room.state, CLUSTER, "i" * 64).node == f"{CLUSTER}/imported"
    for cluster, token in ((CLUSTER, "z" * 64), ("other", TOKEN), (CLUSTER, "")):
        with pytest.raises(Unauthorized):
            access.polling_node(room.state, cluster, token)
    with pytest.raises(Unauthorized):
        access.authenticate(room.state, f"pfn.{CLUSTER}.old.{TOKEN}", 0)


def test_copy_of_a_polling_node_counts_until_it_is_marked_deleted() -> None:
    """Promise 5."""
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    room.ask(Delete("container", CLUSTER, "web"))
    room.tick(100 * POLL_SUSPECT_MS)
    assert room.container("web").leaving[0].node == "old"

    mark(room, "deleted", "web")
    assert room.state.get(Container, f"{CLUSTER}/web") is None
    mark(room, "deleted", "web")
    with pytest.raises(NotFound):
        mark(room, "deleted", "never")


def test_deletion_of_an_older_generation_does_not_touch_the_newer_one() -> None:
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    mark(room, "provisioned", "web")
    room.ask(Reschedule(CLUSTER, "web"))
    mark(room, "deleted", "web")
    assert room.container("web").phase == Phase.SCHEDULED

    mark(room, "deleted", "web")
    assert room.container("web").phase == Phase.SCHEDULED
    mark(room, "provisioned", "web")
    with pytest.raises(Conflict):
        mark(room, "deleted", "web")
    assert room.container("web").phase == Phase.PROVISIONED


def test_node_that_is_declared_dead_lets_go_of_what_it_had() -> None:
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    room.ask(Delete("node", CLUSTER, "old", force=True))

    assert room.state.get(Node, f"{CLUSTER}/old") is None
    assert room.container("web").phase == Phase.PENDING
    assert not room.container("web").leaving
    with pytest.raises(Unauthorized):
        access.polling_node(room.state, CLUSTER, TOKEN)


def two_nodes_and_one_to_move() -> ControlRoom:
    """`web` is BOOTSTRAPPED on `old`, and asked to move to `other`."""
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    room.ask(MarkAddress(f"{CLUSTER}/old", "web", "10.0.0.9"), principal=principal())
    for what in BOOTSTRAPPED:
        mark(room, what, "web")
    register(room, "other", token="o" * 64)
    room.ask(Relocate(CLUSTER, "web", "other"))
    return room


def polled(room: ControlRoom, node: str, *, relocations: bool = True) -> list[tuple[str, str]]:
    found = marks.scheduled(room.state, f"{CLUSTER}/{node}", relocations=relocations)
    return [(each.name, phase.name) for each, phase in found]


def test_target_moves_a_container_and_says_so() -> None:
    room = two_nodes_and_one_to_move()
    before = room.container("web")
    assert before.ready
    assert polled(room, "other") == [("web", "SCHEDULE_RELOCATION")]
    assert polled(room, "other", relocations=False) == polled(room, "old") == []

    mark(room, "relocate_started", "web", "other")
    assert not room.container("web").ready
    assert polled(room, "other") == []
    room.ask(MarkAddress(f"{CLUSTER}/other", "web", "10.0.0.77"), principal=principal("other"))
    mark(room, "provisioned", "web", "other")
    mark(room, "provisioned", "web", "other")
    after = room.container("web")

    assert (after.node, after.phase, after.addresses) == (
        "other",
        Phase.PROVISIONED,
        ("10.0.0.77",),
    )
    assert after.generation > before.generation
    assert after.leaving == ()
    assert polled(room, "old") == []
    with pytest.raises(NotFound):
        mark(room, "bootstrap_started", "web")


def test_container_that_could_not_be_moved_runs_on_where_it_was() -> None:
    room = two_nodes_and_one_to_move()
    mark(room, "relocate_started", "web", "other")
    for _ in range(2):
        mark(room, "relocate_error", "web", "other")
    after = room.container("web")

    assert (after.node, after.phase, after.ready) == ("old", Phase.RELOCATE_ERROR, True)
    assert "could not be moved" in after.why
    assert after.leaving == ()
    assert "relocate_failed" in room.actions("web")


def test_container_counts_on_its_target_while_it_moves() -> None:
    """Promise 5."""
    room = two_nodes_and_one_to_move()
    assert room.state.fleet.count(f"{CLUSTER}/other") == 1

    room.restart(room.rebuilt())
    assert room.state.fleet.count(f"{CLUSTER}/other") == 1
    mark(room, "relocate_started", "web", "other")
    mark(room, "relocate_error", "web", "other")
    assert room.state.fleet.count(f"{CLUSTER}/other") == 0


def test_only_a_bootstrapped_container_moves_and_to_another_polling_node() -> None:
    room = two_nodes_and_one_to_move()
    RoomNode(room, "ours").join()
    room.put(container("new", constraints=["node=old"]))
    for name, node, said in (
        ("web", "other", "SCHEDULE_RELOCATION"),
        ("new", "other", "SCHEDULED"),
    ):
        with pytest.raises(Conflict, match=said):
            room.ask(Relocate(CLUSTER, name, node))
    for what in BOOTSTRAPPED:
        mark(room, what, "new")
    for node, said in (
        ("old", "already"),
        ("ours", "polls by API v1/v2"),
        ("other", "does not fit"),
    ):
        with pytest.raises(Conflict, match=said):
            room.ask(Relocate(CLUSTER, "new", node))


def test_container_that_is_deleted_while_it_moves_is_removed_by_both() -> None:
    room = two_nodes_and_one_to_move()
    mark(room, "relocate_started", "web", "other")
    room.ask(Delete("container", CLUSTER, "web"))

    assert polled(room, "old") == polled(room, "other") == [("web", "SCHEDULE_DELETION")]
    mark(room, "deleted", "web")
    mark(room, "deleted", "web", "other")
    assert room.state.get(Container, f"{CLUSTER}/web") is None


def test_relocation_ends_when_its_target_is_deleted() -> None:
    room = two_nodes_and_one_to_move()
    room.ask(Delete("node", CLUSTER, "other", force=True))

    assert room.container("web").phase == Phase.RELOCATE_ERROR
    assert room.container("web").node == "old"


def test_container_with_steps_is_ready_when_they_are_done() -> None:
    room = ControlRoom()
    register(room)
    room.put(container("web", bootstrap=[{"type": "shell", "script": "true"}]))
    room.ask(MarkAddress(f"{CLUSTER}/old", "web", "10.0.0.9"), principal=principal())
    seen = []
    for what in BOOTSTRAPPED:
        mark(room, what, "web")
        seen.append(room.container("web").ready)

    assert seen == [False, False, True]


def test_journal_tells_of_polling_nodes_too() -> None:
    """Promise 1."""
    room = ControlRoom()
    register(room)
    room.put(container("web"))
    mark(room, "provisioned", "web")
    rebuilt = room.rebuilt()

    assert rebuilt.polling_nodes == room.state.polling_nodes
    assert rebuilt.get(Node, f"{CLUSTER}/old") == room.node("old")
    assert rebuilt.get(Container, f"{CLUSTER}/web") == room.container("web")
