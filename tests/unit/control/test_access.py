"""Who may do what: roles, cluster scopes, expiry, revocation, and what a node may. Promise 10."""

import pytest

from pathfinder.control.access import Principal, Verb, authenticate
from pathfinder.control.commands import (
    Command,
    Delete,
    DeleteToken,
    PatchNode,
    Put,
    PutCluster,
    Register,
    Reschedule,
    Scale,
)
from pathfinder.model.errors import DefinitionWrong, Forbidden, NameTaken, NotFound, Unauthorized
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    token_command,
)

SECRET = "s" * 40
ADMIN_OF_C = Principal(name="c's admin", role="admin", clusters=(CLUSTER,))


def principal(role: str, *clusters: str) -> Principal:
    """Somebody of a role."""
    return Principal(name=role, role=role, clusters=clusters)


MAY: list[tuple[str, set[Verb]]] = [
    ("admin", {"read", "write", "exec", "admin"}),
    ("app", {"read", "write", "exec"}),
    ("reader", {"read"}),
    ("node", set()),
    ("join", set()),
    ("nonsense", set()),
]


@pytest.mark.parametrize(("role", "verbs"), MAY)
def test_role_opens_its_verbs_and_no_others(role: str, verbs: set[Verb]) -> None:
    every: tuple[Verb, ...] = ("read", "write", "exec", "admin")
    allowed = set()
    for verb in every:
        try:
            principal(role).require(verb)
        except Forbidden:
            continue
        allowed.add(verb)

    assert allowed == verbs


def test_scope_is_said_when_another_cluster_is_asked_for() -> None:
    with pytest.raises(Forbidden, match="c's admin is for the clusters c, not d"):
        ADMIN_OF_C.require("read", "d")
    with pytest.raises(Forbidden, match="and this concerns all"):
        ADMIN_OF_C.require("admin")

    assert ADMIN_OF_C.sees(CLUSTER)
    assert not ADMIN_OF_C.sees("d")


WRITES: list[Command] = [
    Put(container("x")),
    Put(deployment("x", 1)),
    Delete("container", CLUSTER, "one"),
    Delete("deployment", CLUSTER, "web"),
    Scale(CLUSTER, "web", 2),
    Reschedule(CLUSTER, "one"),
]
ADMINISTRATION: list[Command] = [
    Delete("node", CLUSTER, "n1"),
    Delete("cluster", CLUSTER, CLUSTER),
    PatchNode(CLUSTER, "n1", cordoned=True),
    PutCluster(CLUSTER, "hash"),
    Put({"kind": "Remote", "cluster": CLUSTER, "name": "r", "server": "https://x"}),
    token_command("other", SECRET, clusters=(CLUSTER,)),
    DeleteToken("mine"),
]


@pytest.fixture
def room() -> ControlRoom:
    made = ControlRoom()
    RoomNode(made, "n1").join()
    made.put(container("one"))
    made.put(deployment("web", 1))
    made.ask(token_command("mine", SECRET, clusters=(CLUSTER,)))
    made.ask(PutCluster("d"))
    return made


@pytest.mark.parametrize("command", [*WRITES, *ADMINISTRATION])
@pytest.mark.parametrize(
    "who", [principal("reader"), principal("admin", "d"), principal("node", CLUSTER)]
)
def test_change_is_refused_to_whoever_may_not_make_it_and_leaves_nothing(
    room: ControlRoom, command: Command, who: Principal
) -> None:
    before = room.state.revision
    with pytest.raises(Forbidden):
        room.ask(command, principal=who)

    assert room.state.revision == before


@pytest.mark.parametrize("command", ADMINISTRATION)
def test_administration_is_refused_to_an_application(room: ControlRoom, command: Command) -> None:
    with pytest.raises(Forbidden):
        room.ask(command, principal=principal("app"))


def test_scope_of_a_deletion_is_the_cluster_that_goes(room: ControlRoom) -> None:
    with pytest.raises(Forbidden):
        room.ask(Delete("cluster", CLUSTER, "d"), principal=ADMIN_OF_C)


def test_nobody_makes_a_token_that_may_more_than_himself(room: ControlRoom) -> None:
    for clusters in ((), ("d",), (CLUSTER, "d")):
        with pytest.raises(Forbidden):
            room.ask(token_command("new", SECRET, clusters=clusters), principal=ADMIN_OF_C)
    made = room.ask(token_command("new", SECRET, clusters=(CLUSTER,)), principal=ADMIN_OF_C)

    assert made["created_by"] == "c's admin"


def test_token_opens_what_it_was_made_for_until_it_expires(room: ControlRoom) -> None:
    room.ask(token_command("short", SECRET, role="app", expires_ms=5_000, name="ci"))
    opened = authenticate(room.state, f"pft.short.{SECRET}", 5_000)
    with pytest.raises(Unauthorized, match="the token ci has expired") as refused:
        authenticate(room.state, f"pft.short.{SECRET}", 5_001)

    assert (opened.name, opened.role, opened.token) == ("ci", "app", "short")
    assert "pfi --token-file" in refused.value.hint


def test_revoked_token_opens_nothing(room: ControlRoom) -> None:
    authenticate(room.state, f"pft.mine.{SECRET}", 0)
    room.ask(DeleteToken("mine"))

    with pytest.raises(Unauthorized, match="not known"):
        authenticate(room.state, f"pft.mine.{SECRET}", 0)
    with pytest.raises(NotFound):
        room.ask(DeleteToken("mine"))


@pytest.mark.parametrize(
    "credential",
    [
        "", "x", ".", "pft", "pft.", "pft.mine", "pft.mine.", "pft.mine.wrong", "pft.none.none",
        "pft.join." + SECRET, "pfn", "pfn...", "pfn.c.n1.", "pfn.c.n1.wrong", "pfn.c.n2.wrong",
        "pfn.d.n1." + f"{'n1':x>32}", "pft.mine.\ud800",
    ],
)  # fmt: skip
def test_wrong_credential_is_refused_without_saying_which_part_is_wrong(
    room: ControlRoom, credential: str
) -> None:
    room.ask(token_command("join", SECRET, role="join", clusters=(CLUSTER,)))
    with pytest.raises(Unauthorized) as refused:
        authenticate(room.state, credential, 0)

    known = "this credential is not known" if credential else "no credential was given"
    assert refused.value.message == known


def test_credential_of_a_node_opens_its_own_exchange_and_nothing_else(room: ControlRoom) -> None:
    node = authenticate(room.state, f"pfn.c.n1.{'n1':x>32}", 0)

    assert node.node == "c/n1"
    verbs: tuple[Verb, ...] = ("read", "write", "exec", "admin")
    for verb in verbs:
        with pytest.raises(Forbidden):
            node.require(verb, CLUSTER)


def test_credential_of_a_node_in_a_cluster_with_dots_is_read_from_the_right(
    room: ControlRoom,
) -> None:
    room.ask(PutCluster("a.b"))
    node = RoomNode(room, "n1")
    registration = node.registration(cluster="a.b")
    room.ask(Register(registration, password_good=True))

    assert authenticate(room.state, f"pfn.a.b.n1.{node.secret}", 0).node == "a.b/n1"


def test_token_of_a_taken_identifier_or_a_wrong_name_is_refused(room: ControlRoom) -> None:
    with pytest.raises(NameTaken):
        room.ask(token_command("mine", SECRET))
    with pytest.raises(DefinitionWrong):
        room.ask(token_command("other", SECRET, name="two words"))
    with pytest.raises(NotFound):
        room.ask(token_command("other", SECRET, clusters=("nowhere",)))
