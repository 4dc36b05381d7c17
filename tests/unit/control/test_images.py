"""Images and remotes: names for what containers are made of, and what holds them in use."""

from typing import Any

import pytest

from pathfinder.control import queries
from pathfinder.control.commands import Delete
from pathfinder.control.objects import Image, Remote
from pathfinder.model.errors import Conflict, DefinitionWrong, NotFound
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode, container

HUB: dict[str, Any] = {
    "kind": "Remote", "cluster": CLUSTER, "name": "hub", "server": "https://hub.example",
}  # fmt: skip
BASE: dict[str, Any] = {
    "kind": "Image", "cluster": CLUSTER, "name": "base", "alias": "debian/12", "remote": "hub",
}  # fmt: skip


@pytest.fixture
def room() -> ControlRoom:
    made = ControlRoom()
    made.put(HUB)
    made.put(BASE)
    return made


def test_same_document_again_changes_nothing(room: ControlRoom) -> None:
    revision = room.state.revision
    room.put(HUB)
    room.put(BASE)

    assert room.state.revision == revision


def test_change_is_said_and_keeps_the_time_of_making(room: ControlRoom) -> None:
    made = room.put(BASE)["created_ms"]
    room.now_ms += 1_000
    after = room.put({**BASE, "alias": "debian/13"})

    assert (after["alias"], after["created_ms"]) == ("debian/13", made)
    assert room.actions("base") == ["created", "changed"]


def test_remote_that_an_image_comes_from_stays(room: ControlRoom) -> None:
    with pytest.raises(Conflict, match="image 'base' comes from remote 'hub'") as refused:
        room.ask(Delete("remote", CLUSTER, "hub"))
    room.ask(Delete("image", CLUSTER, "base"))
    room.ask(Delete("remote", CLUSTER, "hub"))

    assert refused.value.hint == "pfi delete image base"
    assert room.state.count(Image) == room.state.count(Remote) == 0


def test_image_or_container_of_an_unknown_remote_is_refused_with_the_place(
    room: ControlRoom,
) -> None:
    with pytest.raises(NotFound):
        room.put({**BASE, "remote": "nowhere"})
    with pytest.raises(DefinitionWrong, match=r"spec\.image\.remote: there is no remote 'nowhere'"):
        room.put(container("one", image="nowhere:debian"))


def test_image_of_another_kind_than_the_container_is_refused(room: ControlRoom) -> None:
    with pytest.raises(DefinitionWrong, match="'base' is an image for system containers"):
        room.put(container("one", image="base", kind="application"))


def test_node_is_told_what_a_name_stands_for_and_where_it_comes_from(room: ControlRoom) -> None:
    node = RoomNode(room, "n1").join()
    room.put(container("named", image="base"))
    room.put(container("remote", image="hub:alpine"))
    room.put(container("local"))
    node.live()

    images = {slot: each.spec["image"] for slot, each in node.wanted.items()}
    assert images == {
        "named": {"alias": "debian/12", "remote": "hub"},
        "remote": {"alias": "alpine", "remote": "hub"},
        "local": {"alias": "busybox"},
    }
    remotes = {slot: each.remote["server"] for slot, each in node.wanted.items() if each.remote}
    assert remotes == dict.fromkeys(("named", "remote"), "https://hub.example")


def test_list_shows_named_images_and_those_that_nodes_have(room: ControlRoom) -> None:
    RoomNode(room, "n1").join()
    page = queries.images(room.controller, CLUSTER, queries.Window())

    assert [(each.name, each.named, each.nodes) for each in page.items] == [
        ("base", True, ()), ("busybox", False, ("n1",))
    ]  # fmt: skip


def test_cluster_goes_only_when_empty_and_takes_its_names_with_it(room: ControlRoom) -> None:
    room.put(container("one"))
    with pytest.raises(Conflict, match="cluster 'c' still has 1 container") as refused:
        room.ask(Delete("cluster", CLUSTER, CLUSTER))
    room.ask(Delete("container", CLUSTER, "one"))
    room.ask(Delete("cluster", CLUSTER, CLUSTER))

    assert refused.value.hint == "pfi --cluster c get containers"
    assert room.state.count(Image) == room.state.count(Remote) == 0


def test_tag_that_reads_like_a_remote_is_explained(room: ControlRoom) -> None:
    with pytest.raises(DefinitionWrong) as refused:
        room.put(container("web", kind="application", image="nginx:1.25"))

    assert refused.value.message == "spec.image.remote: there is no remote 'nginx' in cluster 'c'"
    assert refused.value.hint.startswith('for a tag write image: {alias: "nginx:1.25"}')


def test_each_kind_has_its_own_kind_of_remote(room: ControlRoom) -> None:
    for name, protocol in (("hub", "registry"), ("linux", "simplestreams")):
        server = f"https://{name}.example"
        room.put(
            {
                "kind": "Remote",
                "cluster": CLUSTER,
                "name": name,
                "server": server,
                "protocol": protocol,
            }
        )

    room.put(container("web", kind="application", image="hub:web"))
    room.put(container("vm", image="linux:debian"))
    for kind, image in (("system", "hub:web"), ("application", "linux:debian")):
        with pytest.raises(DefinitionWrong, match="containers have no images from"):
            room.put(container("wrong", kind=kind, image=image))
