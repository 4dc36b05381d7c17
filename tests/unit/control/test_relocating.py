"""Relocation between nodes of our agents: who does what when, and what happens when it fails.

Promises 2, 5 and 10.
"""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.control.commands import (
    CancelRelocation,
    Delete,
    Rebootstrap,
    Relocate,
    Reschedule,
)
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.relocating import FAILURES_MAX, phase_of
from pathfinder.control.views import container_view
from pathfinder.model.errors import Conflict, NotFound
from pathfinder.model.phases import Phase
from pathfinder.wire.messages import Holding
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    container,
    deployment,
    settle,
)
from tests.support.movers import MOVER, SECRET, Mover, mover

STEP_MS = 1_000


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def source(room: ControlRoom) -> Mover:
    return mover(room, "n1")


@pytest.fixture
def target(room: ControlRoom, source: Mover) -> Mover:
    room.put(container("web", type="STATEFUL"))
    source.live()
    return mover(room, "n2")


def relocate(room: ControlRoom, name: str = "web", node: str = "n2") -> dict[str, Any]:
    return room.ask(Relocate(CLUSTER, name, node))


def parts(*nodes: Mover) -> list[str]:
    """What each node is told to do with web, "-" when nothing."""
    return [
        node.wanted["web"].relocation or "run" if "web" in node.wanted else "-" for node in nodes
    ]


def step(node: Mover) -> None:
    """Say what there is, and do what is answered."""
    node.exchange()
    node.obey()


def test_container_runs_on_another_node_with_a_new_generation(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    before = room.container("web")
    answer = relocate(room)
    settle(source, target)
    after = room.container("web")

    assert answer["relocation"] == {"node": "n2", "stage": "copying", "failures": 0}
    assert (after.node, after.ready, after.leaving) == ("n2", True, ())
    assert after.generation > before.generation
    assert (after.digest, after.phase) == (before.digest, before.phase)
    assert (source.holding, list(target.holding)) == ({}, ["web"])
    assert room.actions("web")[-6:] == [
        "relocate_started", "unready", "arriving", "relocated", "ready", "released",
    ]  # fmt: skip


def test_target_starts_it_only_when_the_source_has_stopped_it(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    told = []
    for node in (source, target, source, target, target, source, target, source, target, target):
        step(node)
        told.append(parts(source, target))
        runs = [each.holding["web"].phase == "running" for each in (source, target) if each.holding]
        assert sum(runs) <= 1, told

    assert told[-1] == ["halt", "arrive"]
    assert [pair for at, pair in enumerate(told) if told.index(pair) == at] == [
        ["offer", "-"], ["offer", "take"], ["halt", "take"], ["halt", "arrive"],
    ]  # fmt: skip


def test_what_still_runs_is_not_copied_for_good(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    source.fails["halt"] = {"phase": "running"}
    relocate(room)
    for _ in range(4):
        step(source)
        step(target)

    assert parts(source, target) == ["halt", "take"]
    assert target.wanted["web"].offer is None


def test_it_counts_on_both_nodes_while_it_moves(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    counts = [room.state.fleet.count(f"{CLUSTER}/{name}") for name in ("n1", "n2")]
    settle(source, target)

    assert counts == [1, 1]
    assert [room.state.fleet.count(f"{CLUSTER}/{name}") for name in ("n1", "n2")] == [0, 1]


@pytest.mark.parametrize("part", ["offer", "take", "halt"])
def test_copy_that_fails_again_and_again_leaves_it_where_it_is(
    room: ControlRoom, source: Mover, target: Mover, part: str
) -> None:
    for node in (source, target):
        node.fails[part] = {
            "copy": "failed",
            "copy_code": "runtime_failed",
            "copy_error": "no way to 10.0.0.1:8443",
            "copy_hint": "let this node reach it",
        }
    relocate(room)
    settle(source, target)
    after = room.container("web")
    view = container_view(room.state, room.controller.life, after)

    assert (after.node, after.ready, after.leaving, target.holding) == ("n1", True, (), {})
    assert view.relocation_error == "could not move to n2: no way to 10.0.0.1:8443"
    assert (view.why, view.hint) == (view.relocation_error, "let this node reach it")
    assert phase_of(after) == Phase.RELOCATE_ERROR
    assert source.wanted["web"].relocation == ""


def test_copy_that_fails_once_is_taken_anew_under_another_number(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    target.fails["take"] = {"copy": "failed", "copy_code": "outcome_unknown", "copy_error": "late"}
    step(source)
    step(target)
    target.exchange()
    target.fails.clear()
    (copy,) = room.container("web").leaving
    settle(source, target)

    assert (copy.stage, copy.number, copy.failures) == ("copying", 2, 1)
    assert FAILURES_MAX > 1
    assert room.container("web").node == "n2"


@pytest.mark.usefixtures("target")
def test_what_is_refused_is_not_tried_again(room: ControlRoom, source: Mover) -> None:
    source.fails["offer"] = {"copy": "failed", "copy_code": "refused", "copy_error": "not here"}
    relocate(room)
    step(source)
    step(source)

    assert room.container("web").relocation_error == "could not move to n2: not here"


def until_it_may_start(room: ControlRoom, source: Mover, target: Mover) -> None:
    relocate(room)
    for _ in range(20):
        step(source)
        target.exchange()
        if parts(target) == ["arrive"]:
            return
        target.obey()
    raise AssertionError("it never may")


def test_start_that_fails_brings_it_back_once_the_target_has_let_go(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    until_it_may_start(room, source, target)
    target.fails["arrive"] = {"phase": "failed", "error": "no such device", "addresses": ()}
    target.obey()
    target.exchange()
    source.live()
    halted = parts(source)
    target.live()
    settle(source, target)
    after = room.container("web")

    assert halted == ["halt"]
    assert parts(source, target) == ["run", "-"]
    assert (after.node, after.ready) == ("n1", True)
    assert after.relocation_error == "could not move to n2: n2: no such device"


def test_copy_that_is_gone_when_it_is_to_start_is_not_made_anew(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    until_it_may_start(room, source, target)
    target.holding.clear()
    target.exchange()
    settle(source, target)

    assert room.container("web").node == "n1"
    assert "its copy is gone" in room.container("web").relocation_error


def test_relocation_can_be_cancelled(room: ControlRoom, source: Mover, target: Mover) -> None:
    relocate(room)
    step(source)
    step(target)
    room.ask(CancelRelocation(CLUSTER, "web"))
    settle(source, target)
    after = room.container("web")
    again = room.ask(CancelRelocation(CLUSTER, "web"))

    assert (after.node, after.ready, after.leaving, target.holding) == ("n1", True, (), {})
    assert "cancelled by" in after.relocation_error
    assert again["revision"] == after.revision


def test_what_may_run_on_its_target_already_is_not_called_back(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    """It would come back without what it has written there."""
    until_it_may_start(room, source, target)
    with pytest.raises(Conflict, match="all of container 'web' is on n2"):
        room.ask(CancelRelocation(CLUSTER, "web"))
    room.ask(Rebootstrap(CLUSTER, "web"))
    settle(source, target)

    assert (room.container("web").node, room.container("web").ready) == ("n2", True)


def test_best_node_is_found_when_none_is_named(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    room.put(container("big", resources={"memory_mib": 800}, constraints=["node=n2"]))
    mover(room, "n3")
    settle(source, target)

    assert relocate(room, node="")["relocation"]["node"] == "n3"


@pytest.mark.usefixtures("target")
def test_what_cannot_be_moved_says_why(room: ControlRoom, source: Mover) -> None:
    room.put(container("tied", constraints=["node=n1"]))
    room.put(container("new", constraints=["node=nowhere"]))
    source.live()
    mover(room, "old", replace(MOVER, takes_copies=False))
    mover(room, "arm", replace(MOVER, architecture="aarch64"))

    for name, node, said in (
        ("new", "n2", "is PENDING"),
        ("web", "n1", "is on node 'n1' already"),
        ("tied", "n2", "does not fit there: .* do not meet node = n1"),
        ("web", "old", "takes no copies"),
        ("web", "arm", "aarch64"),
    ):
        with pytest.raises(Conflict, match=said):
            relocate(room, name, node)
    source.exchange()
    with pytest.raises(NotFound, match="no node 'nowhere'"):
        relocate(room, "web", "nowhere")
    relocate(room)
    with pytest.raises(Conflict, match="is being relocated to n2 already"):
        relocate(room)


def test_node_whose_daemon_listens_nowhere_hands_nothing_over(room: ControlRoom) -> None:
    mute = mover(room, "mute", replace(MOVER, copies_at=""))
    room.put(container("web"))
    mute.live()
    mover(room, "n2")

    with pytest.raises(Conflict, match="listens at no address") as refused:
        relocate(room)

    assert "lxc config set core.https_address" in refused.value.hint


def test_another_definition_ends_the_relocation(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    step(source)
    step(target)
    room.ask(Reschedule(CLUSTER, "web"))
    settle(source, target)
    after = room.container("web")

    assert (after.ready, after.leaving, after.arriving) == (True, (), None)
    assert len(source.holding) + len(target.holding) == 1


def test_replica_is_moved_as_a_single_container_is(room: ControlRoom) -> None:
    nodes = [mover(room, name) for name in ("n1", "n2", "n3")]
    room.put(deployment("db", 2, type="STATEFUL", min_available=1))
    settle(*nodes)
    (free,) = {"n1", "n2", "n3"} - {room.container(name).node for name in ("db-01", "db-02")}
    relocate(room, "db-01", free)
    settle(*nodes)

    assert room.container("db-01").node == free
    assert room.container("db-01").ready


def test_plan_of_a_move_says_where_to_and_what_it_costs(room: ControlRoom) -> None:
    nodes = [mover(room, name) for name in ("n1", "n2", "n3")]
    room.put(deployment("db", 2, type="STATEFUL", min_available=1))
    settle(*nodes)
    command = Relocate(CLUSTER, "db-01", "n3")
    (one,) = room.ask(command, dry_run=True)["changes"]
    room.ask(Delete("container", CLUSTER, "db-02"))
    (tight,) = room.ask(command, dry_run=True)["changes"]

    assert (one["action"], one["node"], one["warnings"]) == ("relocate", "n3", [])
    assert tight["warnings"] == ["while it is stopped, db has 0 ready, and its min_available is 1"]
    assert room.container("db-01").arriving is None


def lose(room: ControlRoom, *alive: Mover) -> None:
    """Time passes until all nodes but these are lost."""
    for _ in range(OUTWAIT_MS // STEP_MS + 2):
        room.tick(STEP_MS)
        for node in alive:
            step(node)


def test_target_that_is_lost_early_changes_nothing(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    step(source)
    step(target)
    lose(room, source)
    settle(source)
    after = room.container("web")

    assert (after.node, after.ready, parts(source)) == ("n1", True, ["run"])
    assert "node n2 is lost" in after.relocation_error


def test_target_that_is_lost_when_it_may_run_is_waited_for_until_a_person_knows_better(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    until_it_may_start(room, source, target)
    lose(room, source)
    waiting = container_view(room.state, room.controller.life, room.container("web"))
    halted = parts(source)
    room.ask(Delete("node", CLUSTER, "n2", force=True))
    settle(source)

    assert halted == ["halt"]
    assert waiting.why == "was to start on n2, which is lost: it may run there"
    assert "pfi delete node n2 --force" in waiting.hint
    assert (room.container("web").ready, parts(source)) == (True, ["run"])


def test_source_that_is_dead_when_all_is_copied_does_not_lose_it(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    until_it_may_start(room, source, target)
    room.ask(Delete("node", CLUSTER, "n1", force=True))
    target.obey()
    settle(target)
    after = room.container("web")

    assert (after.node, after.ready, after.leaving) == ("n2", True, ())


def test_half_made_copy_is_not_taken_for_the_container_by_a_restored_server(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    backup = room.rebuilt()
    relocate(room)
    step(source)
    step(target)
    step(target)
    assert target.holding["web"].digest == ""
    room.restart(backup, epoch=9)
    settle(source, target)
    room.tick(1)
    settle(source, target)

    assert room.container("web").node == "n1"
    assert target.holding == {}


def test_relocation_goes_on_after_a_restart_of_the_server(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    step(source)
    room.restart()
    settle(source, target)
    room.tick(1)
    settle(source, target)

    assert room.container("web").node == "n2"


def test_secrets_of_an_offer_are_passed_on_and_not_kept(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    relocate(room)
    step(source)
    step(source)
    target.exchange()
    offer = target.wanted["web"].offer

    assert offer is not None
    assert offer.details == {"secret": f"{SECRET} 1"}
    assert SECRET not in repr(offer)
    assert SECRET not in repr(target.wanted["web"])
    assert all(SECRET.encode() not in record for record in room.records)
    settle(source, target)
    assert room.controller.life.offers == {}


@pytest.mark.usefixtures("target")
def test_gone_on_its_source_it_does_not_move(room: ControlRoom, source: Mover) -> None:
    relocate(room)
    step(source)
    source.holding.clear()
    source.exchange()

    assert room.container("web").arriving is None
    assert "it is gone from n1" in room.container("web").relocation_error


def test_holding_of_another_copy_changes_nothing(
    room: ControlRoom, source: Mover, target: Mover
) -> None:
    """Promise 8."""
    until_it_may_start(room, source, target)
    before = room.state.revision
    late = Holding(
        slot="web",
        generation=target.wanted["web"].generation,
        phase="creating",
        copy="taken",
        copy_number=1,
    )
    target.holding["web"] = late
    target.exchange()

    assert room.state.revision == before
