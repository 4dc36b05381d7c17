"""The state as a file: what is planned on it is what the server would have answered."""

import zlib

import msgspec
import pytest

from pathfinder.control import queries, whatif
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import Put, PutCluster
from pathfinder.control.exporting import earlier, exported, load_export
from pathfinder.control.objects import Cluster, Node
from pathfinder.model.errors import Malformed
from tests.support.control_room import (
    CLUSTER,
    WALL_MS,
    ControlRoom,
    RoomNode,
    deployment,
    settle,
    token_command,
)

LOSE_ONE = whatif.Question(lose=("n1",))


@pytest.fixture
def room() -> ControlRoom:
    room = ControlRoom()
    nodes = [RoomNode(room, name).join() for name in ("n1", "n2", "n3")]
    room.put(deployment("web", 5, type="STATELESS", environment={"A": "b"}))
    room.put(deployment("db", 2, type="STATEFUL"))
    settle(*nodes)
    return room


def file_of(room: ControlRoom) -> bytes:
    """The exported state."""
    return b"".join(exported(queries.twin(room.controller), WALL_MS))


def asked(twin: queries.Twin) -> whatif.WhatIf:
    """What becomes of it without a node."""
    return whatif.answer(twin.state, twin.statuses, CLUSTER, LOSE_ONE, (SYSTEM, WALL_MS))


def test_a_plan_on_the_file_is_the_servers_own(room: ControlRoom) -> None:
    twin, time_ms = load_export(file_of(room))

    assert time_ms == WALL_MS
    answer = asked(twin)
    assert answer.moves
    assert answer == asked(queries.twin(room.controller))


def test_what_nodes_measured_goes_along(room: ControlRoom) -> None:
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "limits": {"memory_percent": 50}}))

    answer = asked(load_export(file_of(room))[0])

    assert answer == asked(queries.twin(room.controller))
    assert "has not measured" in answer.moves[0].why


def test_no_secret_is_in_it_and_the_state_keeps_its_own(room: ControlRoom) -> None:
    room.ask(PutCluster(CLUSTER, password_hash="argon2-of-a-password"))
    room.ask(token_command("t1", "a-secret"))
    before = room.node("n1").secret_digest

    twin, _ = load_export(file_of(room))

    assert not twin.state.things["token"]
    assert [cluster.password_hash for cluster in twin.state.all(Cluster)] == [""]
    assert {node.secret_digest for node in twin.state.all(Node)} == {""}
    assert room.node("n1").secret_digest == before != ""
    assert len(room.state.things["token"]) == 1


def test_what_is_not_one_or_not_whole_is_refused(room: ControlRoom) -> None:
    content = file_of(room)
    header_end = content.index(b"\n") + 1
    header_length = int.from_bytes(content[header_end : header_end + 4], "big")
    broken = [
        b"",
        b"kind: Deployment\n",
        content[:-1],
        content[: header_end + 4 + header_length],  # cut between two frames
        content[:40] + b"\0" + content[41:],
    ]
    for each in broken:
        with pytest.raises(Malformed) as refused:
            load_export(each)
        assert "pfi export" in refused.value.hint


def test_what_a_newer_version_wrote_is_refused_and_says_what_to_do(room: ControlRoom) -> None:
    content = file_of(room)
    newer_form = content.replace(b"pathfinder-state 1\n", b"pathfinder-state 2\n", 1)
    chunk = {"v": 3, "revision": 1, "kind": "", "things": [], "events": []}
    newer_chunk = content + framed(msgspec.msgpack.encode(chunk))
    kind = {**chunk, "v": 1, "kind": "constellation"}
    newer_kind = content + framed(msgspec.msgpack.encode(kind))

    for each in (newer_form, newer_chunk, newer_kind):
        with pytest.raises(Malformed, match=r"upgrade Pathfinder|of a newer version") as refused:
            load_export(each)
        assert refused.value.hint == "or plan where it was exported"


def framed(content: bytes) -> bytes:
    """One more frame of a file."""
    packed = zlib.compress(content)
    return len(packed).to_bytes(4, "big") + packed


def test_an_earlier_state_shows_nodes_as_its_events_say(room: ControlRoom) -> None:
    room.tick(60_000)
    twin = earlier(room.rebuilt())

    assert set(twin.statuses.values()) == {"lost"}
    assert all(move.action == "unplaced" for move in asked(twin).moves if move.source != "")
