"""Silent nodes: seen in time, given nothing new, emptied by nobody. Promises 2 and 3."""

from typing import Final

from tests.support.control_room import ControlRoom, RoomNode

SEEN_MS_MAX: Final = 13_400  # what ARCHITECTURE.md promises at default settings


def container(name: str) -> dict[str, object]:
    return {
        "kind": "Container",
        "cluster": "c",
        "name": name,
        "spec": {"image": "busybox", "resources": {"memory": "64MiB"}},
    }


def test_lost_node_is_seen_within_the_promised_time_and_given_nothing_new() -> None:
    room = ControlRoom()
    RoomNode(room, "n1").join()
    room.tick(SEEN_MS_MAX + 1)
    made = room.put(container("new"))

    assert room.controller.life.status("c/n1") == "lost"
    assert made["node"] == ""
    assert "lost" in made["explanation"]["text"]


def test_container_of_a_lost_node_is_never_started_elsewhere_by_itself() -> None:
    room = ControlRoom()
    first = RoomNode(room, "n1").join()
    room.put(container("only"))
    first.live()
    second = RoomNode(room, "n2").join()
    for _ in range(20):
        room.tick(SEEN_MS_MAX)
        second.live()

    assert room.controller.life.status("c/n1") == "lost"
    assert room.container("only").node == "n1"
    assert second.wanted == {}
