"""Nodes: joining by token or password, labels, cordon, and how they are forgotten."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pathfinder.control.commands import Delete, DeleteToken, PatchNode, PutCluster, Register
from pathfinder.control.objects import Container, Node, Token
from pathfinder.model.errors import (
    Conflict,
    DefinitionWrong,
    Malformed,
    NameTaken,
    NotFound,
    PathfinderError,
    Unauthorized,
)
from pathfinder.model.phases import Phase
from tests.support.control_room import (
    CLUSTER,
    FACTS,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    settle,
    token_command,
)

SECRET = "j" * 40
TOKEN = f"pf1.digest.once.{SECRET}"


@pytest.fixture
def room() -> ControlRoom:
    made = ControlRoom()
    made.ask(token_command("once", SECRET, role="join", clusters=(CLUSTER,), expires_ms=1 << 60))
    return made


def joined(room: ControlRoom, node: RoomNode, token: str = TOKEN, **fields: Any) -> dict[str, Any]:
    """A node's view after it has registered with a token."""
    return room.ask(Register(node.registration(token, **fields)))


def test_join_token_admits_one_node_and_this_one_again(room: ControlRoom) -> None:
    node = RoomNode(room, "n1")
    first = joined(room, node)
    revision = room.state.revision
    again = joined(room, node)

    assert again == first
    assert room.state.revision == revision
    with pytest.raises(Unauthorized, match="has been used by another node") as refused:
        joined(room, RoomNode(room, "n2"))
    assert "pfi create join-token" in refused.value.hint


def test_join_token_makes_one_node_also_for_one_secret(room: ControlRoom) -> None:
    joined(room, RoomNode(room, "n1", secret="s" * 40))

    with pytest.raises(Unauthorized, match="is for a node named 'n1'"):
        joined(room, RoomNode(room, "n2", secret="s" * 40))


def test_forgotten_node_cannot_come_back_by_its_old_token(room: ControlRoom) -> None:
    node = RoomNode(room, "n1")
    joined(room, node)
    room.ask(Delete("node", CLUSTER, "n1"))

    with pytest.raises(Unauthorized, match="this join token is not known"):
        joined(room, node)


def test_tokens_of_a_deleted_cluster_do_not_open_its_namesake(room: ControlRoom) -> None:
    room.ask(PutCluster("d"))
    room.ask(token_command("only", SECRET, clusters=("d",)))
    room.ask(token_command("both", SECRET, clusters=("d", CLUSTER)))
    room.ask(Delete("cluster", "", "d"))

    both = room.state.get(Token, "both")
    assert room.state.get(Token, "only") is None
    assert both is not None
    assert both.clusters == (CLUSTER,)


@pytest.mark.parametrize(
    "token",
    [
        "x", "pf1", "pf1.digest.once", f"pf1.digest.once.{'x' * 40}", f"pf2.digest.once.{SECRET}",
        f"pf1.digest.other.{SECRET}", "pf1.digest.once.\ud800",
    ],
)  # fmt: skip
def test_wrong_join_token_is_refused_with_the_next_step(room: ControlRoom, token: str) -> None:
    with pytest.raises(Unauthorized, match="this join token is not known") as refused:
        joined(room, RoomNode(room, "n1"), token)

    assert "pfi create join-token" in refused.value.hint
    assert room.state.count(Node) == 0


def test_join_token_of_another_role_cluster_node_or_time_is_refused(room: ControlRoom) -> None:
    room.ask(PutCluster("d"))
    made: dict[str, dict[str, Any]] = {
        "admin": {"role": "admin"},
        "elsewhere": {"role": "join", "clusters": ("d",)},
        "named": {"role": "join", "clusters": (CLUSTER,), "node": "n9"},
        "old": {"role": "join", "clusters": (CLUSTER,), "expires_ms": 1},
    }
    for identifier, fields in made.items():
        room.ask(token_command(identifier, SECRET, **fields))
        with pytest.raises(Unauthorized):
            joined(room, RoomNode(room, "n1"), f"pf1.digest.{identifier}.{SECRET}")

    assert room.state.count(Node) == 0


def test_revoked_join_token_admits_nobody(room: ControlRoom) -> None:
    room.ask(DeleteToken("once"))

    with pytest.raises(Unauthorized):
        joined(room, RoomNode(room, "n1"))


def test_refused_registration_leaves_its_token_unused(room: ControlRoom) -> None:
    RoomNode(room, "n1", secret="o" * 32).join()
    with pytest.raises(NameTaken, match="another identity") as refused:
        joined(room, RoomNode(room, "n1"))
    token = room.state.get(Token, "once")

    assert "--name" in refused.value.hint
    assert token is not None
    assert token.used_by == ""


WRONG: list[tuple[dict[str, Any], type[PathfinderError]]] = [
    ({"secret": "short"}, Malformed),
    ({"capacity": {"memory_mib": -1}}, DefinitionWrong),
    ({"labels": {"a b": "c"}}, DefinitionWrong),
    ({"cluster": "nowhere"}, Unauthorized),
]


def test_name_that_cannot_be_a_hostname_is_refused(room: ControlRoom) -> None:
    with pytest.raises(DefinitionWrong, match="node: 'a b' cannot be a name"):
        joined(room, RoomNode(room, "a b"))


@pytest.mark.parametrize(("fields", "error"), WRONG)
def test_wrong_registration_is_refused(
    room: ControlRoom, fields: dict[str, Any], error: type[PathfinderError]
) -> None:
    with pytest.raises(error):
        joined(room, RoomNode(room, "n1"), **fields)

    assert room.state.count(Node) == 0


def test_password_admits_only_when_it_was_good(room: ControlRoom) -> None:
    registration = RoomNode(room, "n1").registration()
    with pytest.raises(Unauthorized, match="no cluster 'c' has this password"):
        room.ask(Register(registration, password_good=False))

    assert room.ask(Register(registration, password_good=True))["name"] == "n1"


def test_joining_again_keeps_what_people_have_said_of_a_node(room: ControlRoom) -> None:
    node = RoomNode(room, "n1")
    joined(room, node, labels={"rack": "r1"})
    room.ask(PatchNode(CLUSTER, "n1", labels={"rack": "r2"}, cordoned=True))
    again = joined(room, node, labels={"rack": "r1"}, address="10.9.9.9")

    assert again["labels"] == {"rack": "r2"}
    assert again["cordoned"]
    assert again["address"] == "10.9.9.9"
    assert room.actions("n1") == ["joined", "cordoned", "labelled", "rejoined"]


def test_joining_again_keeps_fields_of_newer_versions(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    newer = msgspec.structs.replace(room.node("n1"), extra={"zone": "z1"})
    room.state.set("node", newer.key, newer)
    room.ask(Register(node.registration(address="10.9.9.9"), password_good=True))

    assert room.node("n1").extra == {"zone": "z1"}


def test_capacity_is_what_the_operator_grants_else_what_the_node_has(room: ControlRoom) -> None:
    view = joined(room, RoomNode(room, "n1"), capacity={"memory_mib": 500})

    assert view["capacity"]["memory_mib"] == 500
    assert view["capacity"]["cpu_millis"] == FACTS.cpu_millis


@pytest.mark.parametrize("amount", [-1, (1 << 63) - 1])
def test_boasting_node_does_not_disturb_placing(room: ControlRoom, amount: int) -> None:
    facts = replace(FACTS, cpu_millis=amount, memory_mib=amount, disk_mib=amount)
    RoomNode(room, "n1").join(facts)
    RoomNode(room, "n2").join()
    room.put(deployment("web", 4))

    assert all(each.node for each in room.state.all(Container))


def test_labels_are_set_and_removed_and_open_constraints(room: ControlRoom) -> None:
    RoomNode(room, "n1").join()
    room.put(container("one", constraints=["rack = r1"]))
    before = room.container("one")
    room.ask(PatchNode(CLUSTER, "n1", labels={"rack": "r1", "old": "x"}))
    after = room.container("one")
    room.ask(PatchNode(CLUSTER, "n1", labels={"old": None}))

    assert before.phase == Phase.PENDING
    assert after.node == "n1"
    assert room.node("n1").labels == {"rack": "r1"}


def test_cordoned_node_keeps_what_it_has_and_takes_nothing_new(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.put(container("one"))
    node.live()
    room.ask(PatchNode(CLUSTER, "n1", cordoned=True))
    room.put(container("two"))
    node.live()
    waiting = room.container("two")
    room.ask(PatchNode(CLUSTER, "n1", cordoned=False))

    assert room.container("one").ready
    assert "cordoned" in waiting.explanation["text"]
    assert room.container("two").node == "n1"
    assert room.actions("n1")[-2:] == ["cordoned", "uncordoned"]


def test_node_with_containers_is_not_forgotten_by_mistake(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.put(container("one"))
    node.live()

    with pytest.raises(Conflict, match="node 'n1' has 1 container") as refused:
        room.ask(Delete("node", CLUSTER, "n1"))
    assert "pfi delete node n1 --force" in refused.value.hint


def test_containers_of_a_dead_node_are_placed_anew_when_a_person_says_so(
    room: ControlRoom,
) -> None:
    first, second = RoomNode(room, "n1").join(), RoomNode(room, "n2")
    room.put(container("one"))
    room.put(deployment("web", 2))
    first.live()
    room.ask(Delete("container", CLUSTER, "one"))
    second.join()
    old = room.container("web-01").generation
    room.ask(Delete("node", CLUSTER, "n1", force=True))
    settle(second)

    assert room.state.get(Node, "c/n1") is None
    containers = list(room.state.all(Container))
    assert {each.name for each in containers} == {"web-01", "web-02"}
    assert all(each.node == "n2" and each.ready and not each.leaving for each in containers)
    assert room.container("web-01").generation > old
    assert room.state.fleet.count("c/n1") == 0


def test_forgotten_node_is_not_heard_and_may_join_as_a_new_one(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.ask(Delete("node", CLUSTER, "n1"))
    with pytest.raises(Unauthorized):
        node.exchange()
    RoomNode(room, "n1", secret="n" * 32).join()
    room.tick(100)

    assert room.controller.life.status("c/n1") == "ready"
    with pytest.raises(NotFound):
        room.ask(Delete("node", CLUSTER, "n2"))
