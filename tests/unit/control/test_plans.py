"""Plans: what a request changes, in words, with warnings for what would be regretted."""

import pytest

from pathfinder.control.commands import Apply, Delete
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode, container, deployment


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


@pytest.fixture
def node(room: ControlRoom) -> RoomNode:
    return RoomNode(room, "n1").join()


@pytest.mark.usefixtures("node")
def test_plan_names_what_is_made_and_where(room: ControlRoom) -> None:
    plan = room.plan(deployment("web", 2), container("one"))

    assert {name: item["action"] for name, item in plan.items()} == dict.fromkeys(
        ("web", "web-01", "web-02", "one"), "create"
    )
    assert {plan[name]["node"] for name in ("web-01", "web-02", "one")} == {"n1"}
    assert plan["one"]["why"]


def test_plan_that_was_tried_is_what_then_happens(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 2))
    node.live()
    documents = (deployment("web", 3, environment={"A": "1"}), container("one"))
    tried = room.ask(Apply(documents), dry_run=True)
    done = room.ask(Apply(documents))

    assert done == {**tried, "dry_run": False}


def test_plan_of_a_rollout_says_who_is_replaced_now_and_who_waits(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 3))
    node.live()
    plan = room.plan(deployment("web", 3, environment={"A": "1"}))
    actions = {name: item["action"] for name, item in plan.items()}

    assert actions == {"web": "change", "web-01": "replace", "web-02": "wait", "web-03": "wait"}
    assert plan["web-02"]["why"] == "waiting for web-01 to be ready"


def test_plan_of_a_rollout_that_nothing_allows_warns(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 1, min_available=1))
    node.live()
    plan = room.plan(deployment("web", 1, min_available=1, environment={"A": "1"}))

    assert "lower min_available to 0" in plan["web"]["warnings"][0]
    assert plan["web-01"]["action"] == "wait"
    assert plan["web-01"]["why"] == plan["web"]["warnings"][0]


@pytest.mark.parametrize(
    ("kind", "warnings"),
    [("STATEFUL", ["its root disk is discarded: it is STATEFUL"]), ("STATELESS", [])],
)
def test_replacing_warns_where_data_is_lost(
    room: ControlRoom, node: RoomNode, kind: str, warnings: list[str]
) -> None:
    room.put(container("one", type=kind))
    node.live()
    plan = room.plan(container("one", type=kind, environment={"A": "1"}))

    assert (plan["one"]["action"], plan["one"]["warnings"]) == ("replace", warnings)


@pytest.mark.usefixtures("node")
def test_image_that_no_node_has_is_said_at_once_with_those_there_are(room: ControlRoom) -> None:
    plan = room.plan(container("one", image="busybx"))

    assert plan["one"]["warnings"] == [
        "no node has an image 'busybx' in its local store; there are: busybox"
    ]


@pytest.mark.usefixtures("node")
def test_image_from_a_remote_or_under_a_name_is_not_warned_of(room: ControlRoom) -> None:
    hub = {"kind": "Remote", "cluster": CLUSTER, "name": "hub", "server": "https://hub.example"}
    named = {"kind": "Image", "cluster": CLUSTER, "name": "base", "alias": "x", "remote": "hub"}
    plan = room.plan(
        hub, named, container("one", image="hub:debian"), container("two", image="base")
    )

    assert plan["one"]["warnings"] == []
    assert plan["two"]["warnings"] == []
    assert (plan["hub"]["kind"], plan["base"]["kind"]) == ("remote", "image")


@pytest.mark.usefixtures("node")
def test_what_finds_no_node_says_why(room: ControlRoom) -> None:
    plan = room.plan(container("big", resources={"memory_mib": 4_000}))

    assert plan["big"]["node"] == ""
    assert "memory" in plan["big"]["why"]


def test_what_needs_no_change_is_unchanged_and_makes_no_revision(
    room: ControlRoom, node: RoomNode
) -> None:
    room.put(deployment("web", 1))
    node.live()
    answer = room.ask(Apply((deployment("web", 1),)))

    assert [(item["name"], item["action"]) for item in answer["changes"]] == [("web", "unchanged")]
    assert answer["revision"] == room.state.revision


def test_plan_of_a_deletion_names_what_goes_with_it(room: ControlRoom, node: RoomNode) -> None:
    room.put(deployment("web", 2))
    node.live()
    answer = room.ask(Delete("deployment", CLUSTER, "web"), dry_run=True)
    actions = {item["name"]: (item["action"], item["node"]) for item in answer["changes"]}

    assert actions == {
        "web": ("delete", ""), "web-01": ("delete", "n1"), "web-02": ("delete", "n1")
    }  # fmt: skip


def test_documents_are_applied_in_the_order_in_which_they_need_each_other(
    room: ControlRoom,
) -> None:
    remote = {"kind": "Remote", "cluster": "new", "name": "hub", "server": "https://hub.example"}
    image = {"kind": "Image", "cluster": "new", "name": "base", "alias": "x", "remote": "hub"}
    single = {**container("one", image="base"), "cluster": "new"}
    plan = room.plan(single, image, remote, {"kind": "Cluster", "name": "new"}, dry_run=False)

    assert list(plan) == ["new", "hub", "base", "one"]


def test_plan_of_a_policy_says_what_changes_from_what_to_what(room: ControlRoom) -> None:
    change = {
        "kind": "Cluster",
        "name": CLUSTER,
        "placement": "pack",
        "quota": {"memory": "8GiB", "containers": 20},
        "reserved": {"cpu": 0.5},
        "overcommit": {"cpu": 1.5},
        "limits": {"memory_percent": 80},
    }
    tried = room.plan(change)
    room.put(change)
    said = {event.action: event.why for event in room.state.events}

    limits = "limits.memory_percent none -> 80"
    policy = (
        "placement spread -> pack, overcommit.cpu 1 -> 1.5, reserved.cpu none -> 0.5, "
        "quota.memory none -> 8GiB, quota.containers none -> 20"
    )
    assert tried[CLUSTER]["why"] == f"{limits}, {policy}"
    assert (said["limits_changed"], said["policy_changed"]) == (limits, policy)
    assert room.plan(change)[CLUSTER]["action"] == "unchanged"


def test_plan_of_an_image_says_what_changes(room: ControlRoom) -> None:
    image = {"kind": "Image", "cluster": CLUSTER, "name": "base", "alias": "debian/12"}
    room.put(image)
    plan = room.plan({**image, "alias": "debian/13"})

    assert plan["base"]["why"] == "alias debian/12 -> debian/13"
