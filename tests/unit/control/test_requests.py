"""What holds for every request: idempotency keys, revisions that must match, dry runs.

Promise 8.
"""

import pytest

from pathfinder.control.access import SYSTEM, Principal
from pathfinder.control.answered import ANSWERED_MS, ANSWERED_MS_MIN
from pathfinder.control.commands import (
    Apply,
    Command,
    Delete,
    PatchNode,
    Put,
    PutCluster,
    Register,
    Request,
    Reschedule,
    Scale,
)
from pathfinder.control.objects import Answered
from pathfinder.model.errors import Conflict, Malformed, NotFound, RevisionStale
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    picture,
    token_command,
)


@pytest.fixture
def room() -> ControlRoom:
    made = ControlRoom()
    node = RoomNode(made, "n1").join()
    made.put(deployment("web", 2))
    made.put(container("one"))
    node.live()
    return made


def keyed(command: Command, key: str = "k", digest: str = "d", token: str = "") -> Request:
    """A request under an idempotency key."""
    who = Principal(name="ci", role="admin", token=token)
    return Request(principal=who, command=command, idempotency_key=key, request_digest=digest)


def test_same_request_under_the_same_key_gets_the_same_answer_and_happens_once(
    room: ControlRoom,
) -> None:
    first = room.request(keyed(Reschedule(CLUSTER, "one")))
    revision = room.state.revision
    again = room.request(keyed(Reschedule(CLUSTER, "one")))

    assert again.body == first.body
    assert again.change is None
    assert room.state.revision == revision


def test_refusal_under_a_key_is_remembered_also_when_it_would_succeed_now(
    room: ControlRoom,
) -> None:
    first = room.request(keyed(Scale(CLUSTER, "api", 1)))
    room.put(deployment("api", 2))
    again = room.request(keyed(Scale(CLUSTER, "api", 1)))

    assert isinstance(first.refusal, NotFound)
    assert isinstance(again.refusal, NotFound)
    assert again.refusal.document() == first.refusal.document()
    assert room.deployment("api").replicas == 2


def test_refusal_leaves_nothing_but_its_own_memory(room: ControlRoom) -> None:
    before = picture(room.state)
    room.request(keyed(Apply((container("two"), {"kind": "Container", "name": "-"}))))
    after = picture(room.state)

    assert after["indexes"] == before["indexes"]
    changed = {kind for kind in after["things"] if after["things"][kind] != before["things"][kind]}
    assert changed == {"answered"}


def test_other_request_under_a_used_key_is_refused(room: ControlRoom) -> None:
    room.request(keyed(Reschedule(CLUSTER, "one"), digest="d1"))

    with pytest.raises(Conflict, match="belongs to another request") as refused:
        room.request(keyed(Reschedule(CLUSTER, "web-01"), digest="d2"))
    assert "new key" in refused.value.hint


def test_keys_of_two_tokens_of_one_name_do_not_meet(room: ControlRoom) -> None:
    room.request(keyed(Reschedule(CLUSTER, "one"), token="t1"))
    other = room.request(keyed(Reschedule(CLUSTER, "one"), token="t2"))

    assert other.change is not None


def test_answers_are_forgotten_after_a_day_and_not_before(room: ControlRoom) -> None:
    room.request(keyed(Reschedule(CLUSTER, "one")))
    room.tick(ANSWERED_MS)
    kept = room.state.count(Answered)
    room.tick(1)

    assert kept == 1
    assert room.state.count(Answered) == 0


@pytest.mark.parametrize("jump_ms", [2 * ANSWERED_MS, -2 * ANSWERED_MS])
def test_a_wall_clock_that_jumps_neither_forgets_an_answer_nor_keeps_it_for_ever(
    room: ControlRoom, jump_ms: int
) -> None:
    """Promise 8: a repetition that comes after the jump is not done a second time."""
    first = room.request(keyed(Reschedule(CLUSTER, "one")))
    room.wall_ms += jump_ms
    room.tick(60_000)
    again = room.request(keyed(Reschedule(CLUSTER, "one")))
    room.tick(ANSWERED_MS)

    assert (again.body, again.change) == (first.body, None)
    assert room.state.count(Answered) == 0


def test_a_server_that_starts_keeps_an_old_answer_for_an_hour(room: ControlRoom) -> None:
    room.request(keyed(Reschedule(CLUSTER, "one")))
    room.now_ms += 2 * ANSWERED_MS
    room.restart()
    room.tick(ANSWERED_MS_MIN - 1)
    kept = room.state.count(Answered)
    room.tick(1)

    assert kept == 1
    assert room.state.count(Answered) == 0


def test_answers_survive_a_restart(room: ControlRoom) -> None:
    first = room.request(keyed(Reschedule(CLUSTER, "one")))
    room.restart(room.rebuilt())
    again = room.request(keyed(Reschedule(CLUSTER, "one")))

    assert again.body == first.body
    assert again.change is None


MATCHED: list[tuple[Command, str, str]] = [
    (Put(container("one", type="STATELESS")), "container", "c/one"),
    (Put(deployment("web", 3)), "deployment", "c/web"),
    (Delete("container", CLUSTER, "one"), "container", "c/one"),
    (Scale(CLUSTER, "web", 3), "deployment", "c/web"),
    (Reschedule(CLUSTER, "one"), "container", "c/one"),
    (PatchNode(CLUSTER, "n1", cordoned=True), "node", "c/n1"),
    (PutCluster(CLUSTER, "hash"), "cluster", "c"),
]


@pytest.mark.parametrize(("command", "kind", "key"), MATCHED)
def test_change_of_another_revision_than_the_named_one_is_refused(
    room: ControlRoom, command: Command, kind: str, key: str
) -> None:
    revision = room.state.things[kind][key].revision
    with pytest.raises(RevisionStale) as refused:
        room.ask(command, if_match=revision - 1)
    room.ask(command, if_match=revision)

    assert refused.value.details == {"revision": revision}
    assert f"at revision {revision}, not {revision - 1}" in refused.value.message


def test_revision_of_what_is_not_there_cannot_match(room: ControlRoom) -> None:
    with pytest.raises(NotFound):
        room.ask(Put(container("two")), if_match=1)


DRY: list[Command] = [
    Apply((deployment("web", 5, type="STATELESS"), container("two"))),
    Put(container("one", resources={"memory_mib": 50})),
    Delete("container", CLUSTER, "one"),
    Delete("deployment", CLUSTER, "web"),
    Delete("node", CLUSTER, "n1", force=True),
    PatchNode(CLUSTER, "n1", cordoned=True, labels={"rack": "r1"}),
    Scale(CLUSTER, "web", 0),
    Reschedule(CLUSTER, "one"),
    PutCluster("new", "hash"),
    token_command("t", "s" * 40),
]


@pytest.mark.parametrize("command", DRY, ids=repr)
def test_dry_run_leaves_everything_as_it_was(room: ControlRoom, command: Command) -> None:
    before = picture(room.state)
    answer = room.ask(command, dry_run=True)

    assert answer["dry_run"]
    assert answer["changes"]
    assert picture(room.state) == before


@pytest.mark.parametrize("command", DRY, ids=repr)
def test_after_a_dry_run_nodes_are_used_as_before(room: ControlRoom, command: Command) -> None:
    room.ask(command, dry_run=True)
    room.tick(100)
    placed = room.plan(container("next"))["next"]

    assert placed["node"] == "n1"
    assert room.controller.life.status("c/n1") == "ready"


def test_dry_run_of_a_join_leaves_no_node_behind(room: ControlRoom) -> None:
    command = Register(RoomNode(room, "n2").registration(), password_good=True)
    before = picture(room.state)
    room.ask(command, dry_run=True)
    room.tick(100)

    assert picture(room.state) == before
    assert set(room.controller.life.nodes) == {"c/n1"}


def test_refused_command_leaves_everything_as_it_was(room: ControlRoom) -> None:
    before = picture(room.state)
    wrong = {"kind": "Container", "cluster": CLUSTER, "name": "x", "spec": {}}
    for command in (Apply((deployment("web", 9), wrong)), Delete("node", CLUSTER, "n1")):
        with pytest.raises((Malformed, Conflict)):
            room.ask(command)

    assert picture(room.state) == before


def test_request_without_a_change_makes_no_revision(room: ControlRoom) -> None:
    revision = room.state.revision
    outcome = room.request(Request(principal=SYSTEM, command=Put(deployment("web", 2))))

    assert outcome.change is None
    assert room.state.revision == revision
