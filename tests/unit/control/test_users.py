"""People who sign in: who makes them, what they may, how a sign-in lives and ends. Promise 10."""

from typing import Any

import pytest

from pathfinder.control.access import Principal, authenticate, digest
from pathfinder.control.commands import (
    ChangeUser,
    CreateToken,
    CreateUser,
    Delete,
    DeleteToken,
    DeleteUser,
    PutCluster,
    RenewSignIn,
    SetPassword,
    SignIn,
    SignOut,
)
from pathfinder.control.objects import Token, User
from pathfinder.control.users import SIGN_INS_MAX
from pathfinder.model.errors import (
    Conflict,
    DefinitionWrong,
    Forbidden,
    NameTaken,
    NotFound,
    Unauthorized,
)
from tests.support.control_room import CLUSTER, WALL_MS, ControlRoom, picture

SECRET = "s" * 40
HOUR_MS = 3_600_000
ANNA = Principal(name="anna", role="", user="anna")
ADMIN_OF_C = Principal(name="c's admin", role="admin", clusters=(CLUSTER,))


@pytest.fixture
def room() -> ControlRoom:
    made = ControlRoom()
    made.ask(PutCluster("d"))
    made.ask(CreateUser("anna", "hash", "app"))
    return made


def sign_in(room: ControlRoom, identifier: str = "one", **fields: Any) -> str:
    """Anna signs in; the credential."""
    command = SignIn(
        **{
            "id": identifier,
            "secret_digest": digest(SECRET),
            "password_hash": "hash",
            "idle_ms": HOUR_MS,
            "whole_ms": 10 * HOUR_MS,
            "peer": "127.0.0.1",
            **fields,
        }
    )
    room.ask(command, principal=ANNA)
    return f"pfs.{identifier}.{SECRET}"


def who(room: ControlRoom, credential: str, after_ms: int = 0) -> Principal:
    """Whom a credential opens for."""
    return authenticate(room.state, credential, WALL_MS + after_ms)


def test_sign_in_opens_what_the_person_may(room: ControlRoom) -> None:
    principal = who(room, sign_in(room))

    assert (principal.name, principal.user, principal.role) == ("anna", "anna", "app")
    assert room.events("anna")[-1].action == "signed_in"
    assert room.events("anna")[-1].why == "from 127.0.0.1"


def test_what_a_person_may_changes_with_the_next_request(room: ControlRoom) -> None:
    credential = sign_in(room)
    room.ask(ChangeUser("anna", role="reader", clusters=(CLUSTER,)))

    assert who(room, credential).role == "reader"
    assert who(room, credential).clusters == (CLUSTER,)


def test_sign_in_ends_when_it_is_not_used(room: ControlRoom) -> None:
    credential = sign_in(room)
    assert who(room, credential, HOUR_MS).user == "anna"
    with pytest.raises(Unauthorized, match="has ended") as refused:
        who(room, credential, HOUR_MS + 1)

    assert refused.value.hint == "sign in again"


def test_sign_in_in_use_lasts_on_and_never_beyond_its_end(room: ControlRoom) -> None:
    credential = sign_in(room, whole_ms=HOUR_MS + HOUR_MS // 2)
    assert not who(room, credential, HOUR_MS // 32).is_renewal_due
    due = who(room, credential, HOUR_MS // 2)
    room.now_ms += HOUR_MS // 2
    room.ask(RenewSignIn("one"), principal=due)
    room.now_ms += HOUR_MS // 2
    room.ask(RenewSignIn("one"), principal=due)

    assert due.is_renewal_due
    assert who(room, credential, HOUR_MS + HOUR_MS // 2).is_renewal_due is False
    with pytest.raises(Unauthorized):
        who(room, credential, HOUR_MS + HOUR_MS // 2 + 1)


def test_renewal_that_brings_nothing_is_no_change(room: ControlRoom) -> None:
    principal = who(room, sign_in(room))
    before = room.state.revision
    room.ask(RenewSignIn("one"), principal=principal)

    assert room.state.revision == before


def test_signing_out_ends_the_own_sign_in_alone(room: ControlRoom) -> None:
    first, second = sign_in(room, "one"), sign_in(room, "two")
    room.ask(SignOut("one"), principal=who(room, first))

    with pytest.raises(Unauthorized):
        who(room, first)
    assert who(room, second).user == "anna"


def test_nobody_signs_another_out(room: ControlRoom) -> None:
    sign_in(room)
    with pytest.raises(Unauthorized):
        room.ask(SignOut("one"), principal=Principal(name="eve", role="admin", user="eve"))
    room.ask(CreateToken("tok", "admin", digest(SECRET)))
    with pytest.raises(Conflict, match="not a sign-in"):
        room.ask(SignOut("tok"))

    assert room.state.get(Token, "one") is not None


def test_another_password_ends_the_other_sign_ins(room: ControlRoom) -> None:
    here, elsewhere = sign_in(room, "here"), sign_in(room, "elsewhere")
    room.ask(SetPassword("anna", "other"), principal=who(room, here))

    assert who(room, here).user == "anna"
    with pytest.raises(Unauthorized):
        who(room, elsewhere)
    with pytest.raises(Unauthorized, match="do not belong together"):
        sign_in(room, "old-password")


def test_disabled_person_is_out_and_stays_out(room: ControlRoom) -> None:
    credential = sign_in(room)
    room.ask(ChangeUser("anna", disabled=True))
    with pytest.raises(Unauthorized):
        who(room, credential)
    with pytest.raises(Unauthorized):
        sign_in(room, "two")
    room.ask(ChangeUser("anna", disabled=False))

    assert who(room, sign_in(room, "three")).user == "anna"
    assert room.actions("anna")[1:] == ["signed_in", "disabled", "enabled", "signed_in"]


def test_deleted_person_leaves_no_sign_in(room: ControlRoom) -> None:
    credential = sign_in(room)
    room.ask(DeleteUser("anna"))

    with pytest.raises(Unauthorized):
        who(room, credential)
    assert room.state.count(User) == room.state.count(Token) == 0


def test_sign_ins_of_one_person_have_a_bound_and_the_oldest_gives_way(room: ControlRoom) -> None:
    credentials = []
    for number in range(SIGN_INS_MAX + 1):
        room.now_ms += 1
        credentials.append(sign_in(room, f"n{number}"))

    assert room.state.count(Token) == SIGN_INS_MAX
    assert who(room, credentials[-1]).user == "anna"
    with pytest.raises(Unauthorized):
        who(room, credentials[0])


def test_sign_ins_that_are_over_are_forgotten_at_the_next_one(room: ControlRoom) -> None:
    sign_in(room, "old")
    room.now_ms += HOUR_MS + 1
    sign_in(room, "new")

    assert [token.id for token in room.state.all(Token)] == ["new"]


def test_sign_in_is_no_token_and_a_token_no_sign_in(room: ControlRoom) -> None:
    sign_in(room)
    room.ask(CreateToken("tok", "admin", digest(SECRET)))
    for credential in (f"pft.one.{SECRET}", f"pfs.tok.{SECRET}", "pfs.one.wrong", "pfs.", "pfs"):
        with pytest.raises(Unauthorized):
            who(room, credential)

    assert who(room, f"pft.tok.{SECRET}").user == ""


def test_administrator_of_all_ends_any_sign_in(room: ControlRoom) -> None:
    credential = sign_in(room)
    with pytest.raises(Forbidden):
        room.ask(DeleteToken("one"), principal=ADMIN_OF_C)
    room.ask(DeleteToken("one"))

    with pytest.raises(Unauthorized):
        who(room, credential)


def test_nobody_makes_a_user_who_may_more_than_himself(room: ControlRoom) -> None:
    for clusters in ((), ("d",), (CLUSTER, "d")):
        with pytest.raises(Forbidden):
            room.ask(CreateUser("ben", "h", "reader", clusters), principal=ADMIN_OF_C)
    room.ask(CreateUser("ben", "h", "admin", (CLUSTER,)), principal=ADMIN_OF_C)
    with pytest.raises(Forbidden):
        room.ask(ChangeUser("ben", clusters=()), principal=ADMIN_OF_C)
    for command in (ChangeUser("anna", role="admin"), SetPassword("anna", "h"), DeleteUser("anna")):
        with pytest.raises(Forbidden):
            room.ask(command, principal=ADMIN_OF_C)

    ben = room.state.get(User, "ben")
    assert ben is not None
    assert (ben.clusters, ben.created_by) == ((CLUSTER,), "c's admin")


def test_person_may_change_the_own_password_and_no_right(room: ControlRoom) -> None:
    anna = who(room, sign_in(room))
    room.ask(SetPassword("anna", "new"), principal=anna)
    with pytest.raises(Forbidden) as refused:
        room.ask(ChangeUser("anna", role="admin"), principal=anna)

    assert refused.value.hint.endswith("pfi change user anna --role admin")
    assert room.actions("anna")[-1] == "password_changed"


def test_person_of_a_deleted_cluster_does_not_come_to_another_of_its_name(
    room: ControlRoom,
) -> None:
    room.ask(CreateUser("ben", "h", "app", ("d",)))
    room.ask(CreateUser("cleo", "h", "app", ("d", CLUSTER)))
    room.ask(Delete("cluster", "d", "d"))
    ben, cleo = room.state.get(User, "ben"), room.state.get(User, "cleo")

    assert ben is not None
    assert (ben.disabled, ben.clusters) == (True, ("d",))
    assert cleo is not None
    assert (cleo.disabled, cleo.clusters) == (False, (CLUSTER,))


def test_wrong_names_and_clusters_are_refused(room: ControlRoom) -> None:
    with pytest.raises(NameTaken):
        room.ask(CreateUser("anna", "h", "app"))
    with pytest.raises(DefinitionWrong):
        room.ask(CreateUser("two words", "h", "app"))
    with pytest.raises(NotFound):
        room.ask(CreateUser("ben", "h", "app", ("nowhere",)))
    with pytest.raises(NotFound):
        room.ask(SetPassword("nobody", "h"))

    assert room.state.count(User) == 1


def test_journal_tells_the_same_people(room: ControlRoom) -> None:
    sign_in(room)
    room.ask(ChangeUser("anna", role="admin"))

    assert picture(room.rebuilt()) == picture(room.state)


def test_dry_run_says_what_happens_to_a_person_and_does_nothing(room: ControlRoom) -> None:
    plan = room.ask(DeleteUser("anna"), dry_run=True)

    assert [(item["kind"], item["name"], item["action"]) for item in plan["changes"]] == [
        ("user", "anna", "delete")
    ]
    assert room.state.get(User, "anna") is not None
