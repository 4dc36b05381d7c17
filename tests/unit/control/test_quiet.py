"""Until when the passing of time alone brings nothing."""

from pathfinder.control.life import OUTWAIT_MS, SUSPECT_MS
from pathfinder.control.quiet import QUIET_MS_MAX
from tests.support.control_room import ControlRoom, RoomNode, container


def at_rest() -> tuple[ControlRoom, RoomNode]:
    """A node with a container, and nothing left to do."""
    room = ControlRoom()
    node = RoomNode(room, "n1").join()
    room.put(container("one", type="STATELESS"))
    node.live()
    while room.tick(500) is not None:
        node.live()
    return room, node


def test_a_cluster_at_rest_is_quiet_until_a_node_would_be_suspected() -> None:
    room, node = at_rest()
    node.exchange()
    room.tick(1)
    quiet_ms = room.controller.quiet_until_ms - room.now_ms

    assert 0 < SUSPECT_MS - quiet_ms < 1_000  # as known at the tick before
    assert quiet_ms < QUIET_MS_MAX


def test_a_tick_that_is_left_out_would_have_done_nothing() -> None:
    room, node = at_rest()
    for _ in range(100):
        room.now_ms += 250
        is_quiet = room.now_ms < room.controller.quiet_until_ms
        if room.now_ms % 3_000 == 0:
            node.exchange()
        change = room.controller.tick(room.moment, is_full=True)

        assert not (is_quiet and change)


def test_a_node_that_falls_silent_is_lost_as_soon_as_without_quiet_times() -> None:
    """Promise 3."""
    room, node = at_rest()
    node.exchange()
    lost_after_ms = 0
    while room.controller.life.status(node.key) != "lost":
        room.tick(500)
        lost_after_ms += 500

    assert lost_after_ms - 500 <= OUTWAIT_MS < lost_after_ms
    assert room.container("one").node == ""


def test_a_change_ends_the_quiet() -> None:
    room, _ = at_rest()
    room.tick(1)
    was_quiet = room.controller.quiet_until_ms > room.now_ms
    room.put(container("two"))

    assert was_quiet
    assert room.controller.quiet_until_ms <= room.now_ms
