"""A server that starts hears its nodes first; a state from an old backup believes them first."""

from dataclasses import replace

import pytest

from pathfinder.control.codec import encode_snapshot, load_snapshot
from pathfinder.control.commands import Delete
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.objects import Container, Node
from pathfinder.control.state import State
from pathfinder.model.phases import Phase
from tests.support.control_room import (
    CLUSTER,
    NO_SESSION,
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


def backup(room: ControlRoom) -> State:
    """A copy of the state as it is now."""
    return load_snapshot(list(encode_snapshot(room.state)))


def restore(room: ControlRoom, state: State, node: RoomNode) -> None:
    """The server comes back with an old state, and learns of it from a node.

    Its store hands out an epoch that nodes have seen: it leads again under a higher one.
    """
    room.restart(state, epoch=room.epoch)
    reply = node.exchange()
    room.restart(room.state, epoch=room.epoch + 1)

    assert reply is not None
    assert reply.kind == "hello"


def test_restart_places_and_answers_nothing_before_every_node_was_heard(
    room: ControlRoom, node: RoomNode
) -> None:
    other = RoomNode(room, "n2").join()
    room.put(container("one"))
    settle(node, other)
    room.restart()
    room.put(container("two"))
    first = room.container("two")
    node.exchange()
    waiting = node.exchange()
    recovering = room.controller.life.recovering
    other.live()

    assert "first hears n1, n2, for at most" in first.why
    assert recovering
    assert waiting is None
    assert not room.controller.life.recovering
    assert room.container("two").node != ""


def test_recovery_ends_when_the_lease_of_a_silent_node_has_certainly_ended(
    room: ControlRoom, node: RoomNode
) -> None:
    silent = RoomNode(room, "n2").join()
    room.restart()
    room.put(container("one"))
    node.live()
    room.tick(OUTWAIT_MS)
    node.live()
    before = room.container("one").node
    room.tick(1)

    assert before == ""
    assert room.container("one").node == "n1"
    assert room.controller.life.status(silent.key) == "lost"


def test_recovery_does_not_wait_for_a_node_that_was_deleted(
    room: ControlRoom, node: RoomNode
) -> None:
    RoomNode(room, "n2").join()
    room.restart()
    node.live()
    room.ask(Delete("node", CLUSTER, "n2"))
    room.tick(100)

    assert not room.controller.life.recovering


def test_restart_changes_no_container(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 3))
    settle(node)
    before = {each.key: each for each in room.state.all(Container)}
    room.restart()
    room.tick(1)
    node.live()
    room.tick(1)

    assert {each.key: each for each in room.state.all(Container)} == before


def test_node_that_holds_what_the_restart_forgot_to_wait_for_keeps_it(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 2, min_available=0))
    settle(node)
    room.restart()
    room.put(deployment("web", 2, min_available=0, environment={"A": "1"}))
    during = [each.generation >> 32 for each in room.state.all(Container)]
    settle(node)

    assert during == [1, 1]
    assert all(each.generation >> 32 == 2 and each.ready for each in room.state.all(Container))


def test_restored_state_is_doubted_once_a_node_knows_better(
    room: ControlRoom, node: RoomNode
) -> None:
    old = backup(room)
    room.put(container("one"))
    settle(node)
    restore(room, old, node)

    assert room.node("n1").unverified
    assert room.actions("pathfinder") == ["restored"]
    assert room.controller.life.recovering


def test_containers_that_a_restored_state_forgot_are_kept_for_a_person_to_decide(
    room: ControlRoom, node: RoomNode
) -> None:
    old = backup(room)
    room.put(container("one"))
    room.put(container("two"))
    settle(node)
    restore(room, old, node)
    settle(node)

    assert set(room.node("n1").orphans) == {"one", "two"}
    assert set(node.holding) == {"one", "two"}
    assert not room.node("n1").unverified
    assert "delete it, or apply its definition" in room.events("one")[-1].why


def orphan(room: ControlRoom, node: RoomNode) -> int:
    """A restored state does not know the container "one", which runs; its generation."""
    old = backup(room)
    room.put(container("one"))
    settle(node)
    restore(room, old, node)
    settle(node)
    return node.holding["one"].generation


def test_orphan_is_adopted_as_it_is_by_its_own_definition(
    room: ControlRoom, node: RoomNode
) -> None:
    generation = orphan(room, node)
    room.put(container("one"))
    settle(node)
    after = room.container("one")

    assert (after.node, after.generation, after.ready) == ("n1", generation, True)
    assert room.node("n1").orphans == {}
    assert "adopted" in room.actions("one")


def test_orphan_goes_first_when_another_definition_takes_its_name(
    room: ControlRoom, node: RoomNode
) -> None:
    generation = orphan(room, node)
    room.put(container("one", environment={"A": "1"}))
    between = room.container("one")
    settle(node)

    assert (between.phase, [copy.generation for copy in between.leaving]) == (
        Phase.PENDING, [generation]
    )  # fmt: skip
    assert room.container("one").generation > generation
    assert room.container("one").ready


def test_orphan_goes_when_a_person_deletes_it(room: ControlRoom, node: RoomNode) -> None:
    orphan(room, node)
    room.ask(Delete("container", CLUSTER, "one"))
    settle(node)

    assert node.holding == {}
    assert room.node("n1").orphans == {}


def test_an_orphan_that_is_deleted_counts_until_its_node_has_let_go(
    room: ControlRoom, node: RoomNode
) -> None:
    generation = orphan(room, node)
    room.ask(Delete("container", CLUSTER, "one"))
    room.ask(Delete("container", CLUSTER, "one"))
    room.put(container("one"))
    between = room.container("one")
    settle(node)

    assert (between.node, [copy.generation for copy in between.leaving]) == ("", [generation])
    assert room.actions("one").count("deleting") == 1
    assert room.container("one").ready
    assert node.holding["one"].generation > generation


def test_newer_generation_on_a_node_is_right_and_the_restored_state_follows(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    settle(node)
    old = backup(room)
    room.put(container("one", environment={"A": "1"}))
    settle(node)
    generation = node.holding["one"].generation
    restore(room, old, node)
    settle(node)

    assert room.container("one").generation == generation
    assert room.container("one").ready
    assert node.holding["one"].generation == generation
    assert "adopted" in room.actions("one")


def test_what_a_restored_state_wants_may_be_older_than_what_is_to_go(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    settle(node)
    whole = node.holding["one"]
    old = backup(room)
    room.put(container("two"))
    settle(node)
    # Half of a copy, of a relocation that came after the backup.
    half = replace(whole, generation=whole.generation + 1, digest="", phase="creating")
    node.holding["one"] = half
    restore(room, old, node)
    node.exchange()
    node.exchange()
    counted = [copy.generation for copy in room.container("one").leaving]
    settle(node)

    assert counted == [half.generation]
    assert room.container("one").leaving == ()
    assert node.holding["one"].generation == whole.generation


def test_two_restores_of_one_backup_are_told_apart_by_what_nodes_hold(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    old = backup(room)
    epoch = room.epoch + 1
    room.restart(backup(room), epoch=epoch)
    for number in range(9):
        room.put(container("one", environment={"A": str(number)}))
    settle(node)
    room.restart(old, epoch=epoch)
    node.session = NO_SESSION  # its machine has been started anew: it knows of no leader
    hello = node.exchange()
    heard = room.controller.hear(node.key, node.request(), room.moment)

    assert hello is not None
    assert hello.kind == "hello"
    assert (heard.believed, heard.lead_at_least) == (False, epoch + 1)
    assert room.node("n1").unverified


def test_a_replica_that_came_from_the_future_is_known_again_by_its_definition(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 1))
    settle(node)
    other = RoomNode(room, "n2").join()
    old = backup(room)
    later = deployment("web", 1, network="none")
    room.put(later)
    settle(node)
    restore(room, old, node)
    node.exchange()
    node.exchange()
    assert room.container("web-01").spec.digest() != room.container("web-01").digest
    room.put(later)
    settle(other, node)

    replica = room.container("web-01")
    assert (replica.spec.network, replica.ready) == ("none", True)
    assert replica.spec.digest() == replica.digest


class Addressed(RoomNode):
    """A node whose containers have another address from a moment on."""

    address = "10.0.0.7"

    def obey(self) -> None:
        super().obey()
        for slot, each in self.holding.items():
            self.holding[slot] = replace(each, addresses=(self.address,))


def test_a_replica_from_the_future_is_known_again_when_the_addresses_in_it_are_known(
    room: ControlRoom,
) -> None:
    node, other = Addressed(room, "n1"), RoomNode(room, "n2")
    node.join()
    for name in ("db", "web"):
        room.put(deployment(name, 1))
    settle(node)
    other.join()
    old = backup(room)
    node.address = "10.0.0.9"
    spec = {
        "network": "none",
        "constraints": ["node = n1"],
        "environment": {"DB": "$pf-meta:deployment_ip_addresses?deployment_name=db"},
    }
    later = deployment("web", 1, **spec)
    settle(node)
    room.put(later)
    settle(node)
    generation = room.container("web-01").generation
    restore(room, old, node)
    room.put(later)
    settle(other, node)

    replica = room.container("web-01")
    assert (replica.generation, replica.spec.network, replica.ready) == (generation, "none", True)
    assert replica.spec.environment == {"DB": "10.0.0.9"}


def shell(*scripts: str) -> list[dict[str, str]]:
    """Steps of bootstrap."""
    return [{"type": "shell", "script": script} for script in scripts]


def test_replicas_that_were_set_up_in_the_future_are_set_up_anew_as_min_available_allows(
    room: ControlRoom, node: RoomNode
) -> None:
    """Promise 6."""
    room.put(deployment("web", 3, min_available=2, bootstrap=shell("one")))
    settle(node)
    old = backup(room)
    room.put(deployment("web", 3, min_available=2, bootstrap=shell("two", "three")))
    settle(node)
    later = {slot: each.round for slot, each in node.holding.items()}
    restore(room, old, node)
    for _ in range(12):
        node.exchange()
        assert sum(each.ready for each in room.state.replicas("c/web")) >= 2
        node.obey()

    replicas = room.state.replicas("c/web")
    assert [each.ready for each in replicas] == [True] * 3
    assert all(node.wanted[each.name].spec["bootstrap"] == shell("one") for each in replicas)
    assert all(each.round > later[each.name] for each in replicas)


def test_a_replica_that_was_about_to_be_set_up_in_the_future_is_set_up_anew_at_once(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 1, bootstrap=shell("one")))
    settle(node)
    old = backup(room)
    room.put(deployment("web", 1, bootstrap=shell("two")))
    node.exchange()
    node.holding = {"web-01": held(node.wanted["web-01"], bootstrap="running")}
    node.exchange()
    later = room.container("web-01").round
    restore(room, old, node)
    node.exchange()
    node.exchange()
    begun = room.container("web-01")
    settle(node)

    assert (begun.phase, begun.ready, begun.round > later) == (Phase.PROVISIONED, False, True)
    assert room.actions("web-01")[-4:] == ["unready", "rebootstrapping", "bootstrapped", "ready"]
    assert node.wanted["web-01"].spec["bootstrap"] == shell("one")


def test_after_a_restore_nothing_is_placed_before_every_node_has_spoken_or_was_given_up(
    room: ControlRoom, node: RoomNode
) -> None:
    dead = RoomNode(room, "n2").join()
    old = backup(room)
    room.put(container("one"))
    settle(node, dead)
    restore(room, old, node)
    room.put(container("new"))
    node.live()
    room.tick(10 * OUTWAIT_MS)
    waiting = room.container("new")
    node.live()
    room.ask(Delete("node", CLUSTER, "n2", force=True))
    room.tick(1)

    assert waiting.node == ""
    assert "must hear what runs on" in waiting.why
    assert "pfi delete node n2 --force" in str(waiting.explanation["remedies"])
    assert room.container("new").node == "n1"


def test_reverted_change_is_as_if_it_had_never_been(room: ControlRoom, node: RoomNode) -> None:
    room.put(container("one"))
    settle(node)
    before = picture(room.state)
    room.ask(Delete("node", CLUSTER, "n1", force=True))
    room.controller.revert(room.changes[-1])
    node.live()

    assert picture(room.state) == before
    assert room.plan(container("two"))["two"]["node"] == "n1"


def test_report_that_did_not_become_durable_is_taken_again_with_the_next(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(container("one"))
    node.exchange()
    node.obey()
    node.exchange()
    room.controller.revert(room.changes[-1])
    lost = room.container("one").ready
    node.exchange()

    assert not lost
    assert room.container("one").ready


def test_join_that_did_not_become_durable_leaves_no_node_to_wait_for(room: ControlRoom) -> None:
    RoomNode(room, "n1").join()
    while room.state.count(Node):
        room.controller.revert(room.changes.pop())
    room.tick(1)

    assert room.state.count(Node) == 0
    assert room.controller.life.nodes == {}
