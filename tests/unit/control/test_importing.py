"""Things of another Pathfinder are put as they were: all or none, and nothing follows from it."""

from typing import Any

import pytest
from msgspec.structs import replace

from pathfinder.control.access import Principal
from pathfinder.control.commands import Import
from pathfinder.control.objects import Cluster, Container, Copy, Deployment, Node, Thing
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.errors import Forbidden, NameTaken
from pathfinder.model.phases import Phase
from pathfinder.model.resources import NOTHING
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode, container, picture

SPEC = ContainerSpec(image=ImageSource(alias="busybox"))
THERE = Node(cluster=CLUSTER, name="old", secret_digest="d", protocol="poll")


def imported(name: str, **fields: Any) -> Container:
    usual = {"phase": Phase.BOOTSTRAPPED, "node": "old", "digest": SPEC.digest()}
    return Container(**{"cluster": CLUSTER, "name": name, "spec": SPEC, **usual, **fields})


def wanted(replicas: int) -> Deployment:
    return Deployment(
        cluster=CLUSTER, name="web", replicas=replicas, min_available=0, spec=SPEC,
        digest=SPEC.digest(),
    )  # fmt: skip


def test_import_is_one_change_after_which_nothing_has_been_placed_or_made() -> None:
    room = ControlRoom()
    RoomNode(room, "ours").join()
    pending = imported("waits", phase=Phase.PENDING, node="")
    things: tuple[Thing, ...] = (THERE, wanted(3), imported("one"), pending)
    room.ask(Import(things))

    assert room.changes[-1].edit_count == len(things)
    assert room.container("one").phase == Phase.BOOTSTRAPPED
    assert room.container("waits").phase == Phase.PENDING
    assert room.state.replicas(f"{CLUSTER}/web") == []
    assert picture(room.rebuilt()) == picture(room.state)


def test_what_follows_is_what_the_server_does_as_ever() -> None:
    room = ControlRoom()
    RoomNode(room, "ours").join()
    room.ask(Import((wanted(2), imported("waits", phase=Phase.PENDING, node=""))))
    room.restart()
    room.tick(20_000)

    assert len(room.state.replicas(f"{CLUSTER}/web")) == 2


def test_generations_are_of_this_state_and_older_than_what_comes() -> None:
    room = ControlRoom()
    copy = Copy(node="old", generation=0, resources=NOTHING, revision=0)
    room.ask(Import((THERE, imported("one"), imported("going", node="", leaving=(copy,)))))
    one = room.container("one")
    room.put(container("two"))

    assert one.generation >> 32 == room.epoch
    assert one.generation < room.container("two").generation
    assert one.assigned == room.container("going").leaving[0].revision
    assert one.round == one.generation


def test_what_is_there_already_stops_all_of_it() -> None:
    room = ControlRoom()
    room.put(container("one"))
    before = picture(room.state)

    with pytest.raises(NameTaken, match="nothing was imported"):
        room.ask(Import((THERE, imported("one"))))
    assert picture(room.state) == before


def test_cluster_that_is_there_takes_over_the_password() -> None:
    room = ControlRoom()
    before = room.state.get(Cluster, CLUSTER)
    assert before is not None
    new = Cluster(name=CLUSTER, password_hash="$2a$", extra={"original_id": 7})
    room.ask(Import((new,)))
    after = room.state.get(Cluster, CLUSTER)

    assert after == replace(
        before, password_hash="$2a$", extra={"original_id": 7}, revision=room.state.revision
    )


def test_only_who_administers_everything_may_import() -> None:
    room = ControlRoom()

    for who in (
        Principal(name="app", role="app"),
        Principal(name="one", role="admin", clusters=(CLUSTER,)),
    ):
        with pytest.raises(Forbidden):
            room.ask(Import((THERE,)), principal=who)
