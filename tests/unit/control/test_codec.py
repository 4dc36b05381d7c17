"""Records and snapshots: what is read is what was written, also by newer versions."""

from typing import Any

import msgspec
import pytest

from pathfinder.control import codec
from pathfinder.control.commands import Delete, Reschedule
from pathfinder.control.objects import Container, Node
from pathfinder.control.state import State
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
    """A bit of everything, and changes of every kind."""
    made = ControlRoom()
    node = RoomNode(made, "n1").join()
    hub = {"kind": "Remote", "cluster": CLUSTER, "name": "hub", "server": "https://hub.example"}
    image = {"kind": "Image", "cluster": CLUSTER, "name": "base", "alias": "x", "remote": "hub"}
    for document in (hub, image, deployment("web", 2), container("one", command=["a", "b"])):
        made.put(document)
    node.live()
    made.ask(token_command("t", "s" * 40, clusters=(CLUSTER,)))
    made.ask(Reschedule(CLUSTER, "one"))
    made.ask(Delete("container", CLUSTER, "web-02"))
    return made


def record(**fields: Any) -> bytes:
    """A record of this version with one change of one node, some fields replaced."""
    thing = {"cluster": CLUSTER, "name": "n9", "secret_digest": "d", "revision": 1, **fields}
    return msgspec.msgpack.encode({"v": 2, "changes": [[1, {"node": [thing]}, {}, []]]})


def test_state_rebuilt_from_records_is_the_state(room: ControlRoom) -> None:
    assert picture(room.rebuilt()) == picture(room.state)


def test_records_may_hold_any_number_of_changes(room: ControlRoom) -> None:
    together = State()
    codec.replay(together, codec.encode_record(room.changes))

    assert picture(together) == picture(room.state)


def test_records_of_many_changes_are_packed_and_read_again(room: ControlRoom) -> None:
    node = RoomNode(room, "n2").join()
    node.live()
    room.put(deployment("many", 99))
    packed = room.records[-1]

    assert "packed" in msgspec.msgpack.decode(packed)
    assert len(packed) < len(msgspec.msgpack.encode(list(room.state.all(Container)))) / 5
    assert picture(room.rebuilt()) == picture(room.state)


def test_records_of_an_earlier_version_are_read(room: ControlRoom) -> None:
    state = State()
    for change in room.changes:
        edits = [[edit.kind, edit.key, edit.after] for edit in change.edits]
        old = {"v": 1, "changes": [[change.revision, edits, change.events]]}
        body = msgspec.msgpack.encode(old)
        codec.replay(state, body)
        assert codec.describe_record(body)["version"] == 1

    assert picture(state) == picture(room.state)


def test_snapshot_gives_the_state_back(room: ControlRoom) -> None:
    loaded = codec.load_snapshot(codec.encode_snapshot(room.state))

    assert picture(loaded) == picture(room.state)


def test_empty_state_has_a_snapshot_too() -> None:
    loaded = codec.load_snapshot(codec.encode_snapshot(State()))

    assert picture(loaded) == picture(State())


def test_snapshot_is_of_the_moment_at_which_it_was_asked_for(room: ControlRoom) -> None:
    before = picture(room.state)
    chunks = codec.encode_snapshot(room.state)
    room.put(deployment("later", 2))

    assert picture(codec.load_snapshot(chunks)) == before


def test_chunks_are_bounded(room: ControlRoom) -> None:
    state = room.state
    for number in range(2 * codec.CHUNK_THINGS + 1):
        one = msgspec.structs.replace(room.container("one"), name=f"x{number}")
        state.set("container", one.key, one)
    chunks = list(codec.encode_snapshot(state))
    sizes = [len(msgspec.msgpack.decode(chunk)["things"]) for chunk in chunks]

    assert max(sizes) == codec.CHUNK_THINGS
    assert sum(sizes) == sum(len(things) for things in state.things.values())
    assert picture(codec.load_snapshot(chunks)) == picture(state)


def test_fields_of_newer_versions_are_kept_and_written_back() -> None:
    state = State()
    codec.replay(state, record(zone="z1", tier={"name": "gold"}))
    node = state.get(Node, "c/n9")
    again = codec.load_snapshot(codec.encode_snapshot(state)).get(Node, "c/n9")

    assert node is not None
    assert node.extra == {"zone": "z1", "tier": {"name": "gold"}}
    assert again == node
    written = msgspec.msgpack.decode(next(iter(codec.encode_snapshot(state))))
    assert written["things"][0]["zone"] == "z1"


def test_containers_that_say_the_same_share_it_after_loading(room: ControlRoom) -> None:
    room.put(deployment("many", 3))
    loaded = codec.load_snapshot(codec.encode_snapshot(room.state))
    first, second, third = loaded.replicas(f"{CLUSTER}/many")

    assert first.spec is second.spec is third.spec
    assert first.spec == room.container("many-01").spec
    assert first.extra is second.extra


def test_snapshot_of_an_earlier_version_is_read(room: ControlRoom) -> None:
    room.put(deployment("many", 3))
    in_full = []
    for chunk in codec.encode_snapshot(room.state):
        content = msgspec.msgpack.decode(chunk)
        if content["kind"] == "container":
            told = [{**content["like"][number], **each} for number, each in content["things"]]
            content = {"v": 1, "revision": content["revision"], "kind": "container"}
            content["things"] = told
        in_full.append(msgspec.msgpack.encode(content))

    assert picture(codec.load_snapshot(in_full)) == picture(room.state)


def test_containers_keep_what_a_newer_version_says_of_one_or_of_all(room: ControlRoom) -> None:
    room.put(deployment("many", 3))
    newer = []
    for chunk in codec.encode_snapshot(room.state):
        content = msgspec.msgpack.decode(chunk)
        if content["kind"] == "container":
            for like in content["like"]:
                like["zone"] = "z1"
            content["things"][-1][1]["tier"] = "gold"
            content["fields"].append("tier")
        newer.append(msgspec.msgpack.encode(content))
    loaded = codec.load_snapshot(newer)
    again = codec.load_snapshot(codec.encode_snapshot(loaded))

    replicas = loaded.replicas(f"{CLUSTER}/many")
    assert [each.extra for each in replicas] == [
        {"zone": "z1"},
        {"zone": "z1"},
        {"zone": "z1", "tier": "gold"},
    ]
    assert [each.name for each in replicas] == ["many-01", "many-02", "many-03"]
    assert picture(again) == picture(loaded)


def test_field_that_this_version_learns_is_read_from_what_kept_it() -> None:
    state = State()
    codec.replay(state, record(extra={"zone": "z1"}, tier="gold"))
    node = state.get(Node, "c/n9")

    assert node is not None
    assert node.extra == {"zone": "z1", "tier": "gold"}


@pytest.mark.parametrize("version", [0, 3])
def test_another_form_is_refused_with_the_next_step(version: int) -> None:
    body = msgspec.msgpack.encode({"v": version, "changes": []})
    chunk = msgspec.msgpack.encode({"v": version, "revision": 1, "kind": "", "things": []})

    with pytest.raises(codec.UnknownVersion, match="upgrade Pathfinder"):
        codec.replay(State(), body)
    with pytest.raises(codec.UnknownVersion, match="upgrade Pathfinder"):
        codec.load_snapshot([chunk])


def test_record_of_another_place_in_the_journal_is_a_bug(room: ControlRoom) -> None:
    with pytest.raises(AssertionError):
        codec.replay(State(), room.records[1])


def test_shown_record_hides_what_could_open_something(room: ControlRoom) -> None:
    shown = [codec.describe_record(each) for each in room.records]
    edits = [edit for each in shown for change in each["changes"] for edit in change["edits"]]
    secrets = [edit["after"]["secret_digest"] for edit in edits if edit["kind"] == "token"]

    assert secrets == ["(hidden)"]
    assert {edit["kind"] for edit in edits} >= {"cluster", "node", "container", "remote", "image"}


def test_changes_taken_back_one_by_one_lead_to_the_beginning(room: ControlRoom) -> None:
    beginning = State()
    for change in reversed(room.changes):
        room.controller.revert(change)

    assert picture(room.state) == picture(beginning)
    assert room.state.count(Container) == 0
