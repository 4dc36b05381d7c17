"""Moves between two LXD daemons that do not know each other, asked for and by themselves.

Promises 2, 6 and 7.
"""

import http.client
import itertools
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from pathfinder.client import kinds
from pathfinder.lab.layout import SERVER_PORT
from pathfinder.lab.platform import CLUSTER, Server
from tests.support.lab import Lab, running_lab, why_not

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

FILE = "/root/data"
MIB = 20
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(nodes=2) as lab:
        yield lab


@pytest.fixture
def name(lab: Lab) -> Iterator[str]:
    """A STATEFUL container on n1 that has been bootstrapped and has written a file."""
    name = f"db-{next(NUMBERS)}"
    spec = {
        "type": "STATEFUL",
        "image": "busybox",
        "resources": {"memory": "32MiB"},
        "bootstrap": [{"type": "shell", "script": "echo once >> /root/bootstraps"}],
    }
    lab.pfi("cordon", "n2")
    lab.apply({"kind": "Container", "name": name, "spec": spec})
    lab.pfi("wait", f"container/{name}")
    lab.pfi("uncordon", "n2")
    lab.inside(name, "dd", "if=/dev/urandom", f"of={FILE}", "bs=1M", f"count={MIB}")
    yield name
    lab.pfi("delete", "container", name)
    lab.pfi("wait", f"container/{name}", "--for", "deleted")


def checksum(lab: Lab, name: str) -> str:
    """Of the file that the container has written."""
    return lab.inside(name, "md5sum", FILE).split()[0]


def seen(lab: Lab, name: str) -> dict[str, Any]:
    """The container as the server shows it."""
    shown: dict[str, Any] = json.loads(lab.pfi("get", "container", name, "-o", "json"))
    return shown


def instances(lab: Lab, node: str) -> list[str]:
    """What the node's LXD has."""
    listed = json.loads(lab.must("exec", node, "--", "lxc", "list", "--format", "json"))
    return [each["name"] for each in listed]


def test_container_moves_with_its_data_and_comes_back(lab: Lab, name: str) -> None:
    before, sum_before = seen(lab, name), checksum(lab, name)
    said = lab.pfi("relocate", name, "n2", "--wait")
    lab.wait_until(lambda: name not in instances(lab, "n1"), "n1 has let go of it")
    there = seen(lab, name)
    moved_sum = checksum(lab, name)
    lab.inside(name, "sh", "-c", f"echo more >> {FILE}")
    more = checksum(lab, name)
    lab.pfi("relocate", name, "--wait")

    assert f"container/{name} moves from n1 to n2" in said
    assert (before["node"], there["node"], there["phase"]) == ("n1", "n2", "BOOTSTRAPPED")
    assert there["generation"] > before["generation"]
    assert moved_sum == sum_before
    assert seen(lab, name)["node"] == "n1"
    assert checksum(lab, name) == more
    assert lab.inside(name, "cat", "/root/bootstraps") == "once\n"


def market(lab: Lab, method: str, path: str, **fields: str) -> dict[str, Any]:
    """As BaritoMarket asks API v2."""
    server = Server(lab.layout)
    token = server.secret_file("app-token").read_text().strip()
    trust = ssl.create_default_context(cafile=str(server.certificate))
    connection = http.client.HTTPSConnection(
        lab.layout.address, SERVER_PORT, context=trust, timeout=30
    )
    connection.request(
        method,
        f"/api/v2/ext_app/containers/{path}?{urlencode({'cluster_name': CLUSTER, **fields})}",
        headers={"X-Auth-Token": token},
    )
    answer = connection.getresponse()
    said: dict[str, Any] = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, said
    return dict(said["data"])


def test_the_originals_clients_move_it_by_schedule_relocation(lab: Lab, name: str) -> None:
    sum_before = checksum(lab, name)
    begun = market(lab, "POST", f"{name}/schedule_relocation", node_hostname="n2")
    lab.pfi("wait", f"container/{name}", "--for", "moved")
    moved = market(lab, "GET", name)

    assert (begun["node_hostname"], begun["status"]) == ("n2", "RELOCATE_STARTED")
    assert (moved["node_hostname"], moved["status"]) == ("n2", "BOOTSTRAPPED")
    assert moved["ipaddress"] == seen(lab, name)["ipaddress"]
    assert checksum(lab, name) == sum_before


def test_snapshot_goes_with_it_and_brings_its_disk_back(lab: Lab, name: str) -> None:
    before = checksum(lab, name)
    made = lab.pfi("snapshot", "create", name, "before")
    lab.inside(name, "rm", FILE)
    lab.pfi("relocate", name, "n2", "--wait")
    lab.pfi("snapshot", "create", name)
    listed = json.loads(lab.pfi("snapshot", "list", name, "-o", "json"))
    lab.pfi("snapshot", "restore", name, "before")
    lab.pfi("wait", f"container/{name}")
    after = checksum(lab, name)
    lab.pfi("snapshot", "delete", name, "before")
    left = json.loads(lab.pfi("snapshot", "list", name, "-o", "json"))

    assert made == f"snapshot before of container/{name} is made\n"
    assert [each["name"] == "before" for each in listed] == [True, False]
    assert after == before
    assert seen(lab, name)["node"] == "n2"
    assert left == listed[1:]


def test_what_cannot_be_copied_runs_on_and_says_why(lab: Lab, name: str) -> None:
    address = lab.layout.node("n1").address
    lab.must("exec", "n1", "--", "lxc", "config", "set", "core.https_address", "127.0.0.1:8443")
    lab.wait_until(
        lambda: lab.node_facts("n1")["copies_at"] == "127.0.0.1:8443", "n1 tells where it listens"
    )
    sum_before = checksum(lab, name)
    lab.pfi("relocate", name, "n2")
    lab.wait_until(lambda: not seen(lab, name)["relocation"], "it is given up")
    lab.must("exec", "n1", "--", "lxc", "config", "set", "core.https_address", f"{address}:8443")
    lab.wait_until(
        lambda: lab.node_facts("n1")["copies_at"] == f"{address}:8443", "n1 listens again"
    )
    after = seen(lab, name)

    assert (after["node"], after["ready"]) == ("n1", True)
    assert "could not move to n2: no way to 127.0.0.1:8443" in after["relocation_error"]
    assert "127.0.0.1:8443" in after["hint"]
    assert checksum(lab, name) == sum_before
    lab.wait_until(lambda: name not in instances(lab, "n2"), "nothing half made stays on n2")


@pytest.mark.parametrize("program", ["agent", "lxd"])
def test_node_whose_programs_die_on_the_way_loses_nothing(
    lab: Lab, name: str, program: str
) -> None:
    sum_before = checksum(lab, name)
    lab.pfi("relocate", name, "n2")
    lab.must("kill", "n2", "--program", program)
    lab.must("start", "n2")
    lab.pfi("wait", f"container/{name}", "--for", "moved")
    after = seen(lab, name)

    assert after["node"] == "n2" or after["relocation_error"]
    assert checksum(lab, name) == sum_before
    other = "n1" if after["node"] == "n2" else "n2"
    lab.wait_until(lambda: name not in instances(lab, other), f"{other} has nothing of it")


# What moves by itself, between the same two nodes of four cores each.


def asks(name: str, cores: float, priority: int = 0, **spec: Any) -> dict[str, Any]:
    """A single container of so many cores."""
    fields = {"image": "busybox", "resources": {"cpu": cores, "memory": "32MiB"}, **spec}
    return {"kind": "Container", "name": name, "priority": priority, "spec": fields}


def replicated(name: str, replicas: int, floor: int, cores: float, priority: int = 0) -> Any:
    """STATELESS replicas of so many cores."""
    document = asks(name, cores, priority, type="STATELESS")
    return {**document, "kind": "Deployment", "replicas": replicas, "min_available": floor}


def planned(lab: Lab, *documents: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What applying them would do, by name."""
    with lab.client() as client:
        plan = client.apply(documents, dry_run=True)
    return {change["name"]: change for change in plan["changes"]}


def places(lab: Lab, prefix: str) -> dict[str, str]:
    """The node of each container of these, and of those alone that have nothing left elsewhere."""
    return {
        name: "" if each["leaving"] else each["node"]
        for name, each in lab.containers().items()
        if name.startswith(prefix)
    }


def ready(lab: Lab, prefix: str) -> int:
    """How many of these are ready."""
    return sum(each["ready"] for name, each in lab.containers().items() if name.startswith(prefix))


@pytest.fixture
def only(lab: Lab) -> Iterator[list[str]]:
    """The names of what a test makes: gone at its end, so that the next one has all the room."""
    made: list[str] = []
    yield made
    for name in made:
        lab.pfi("delete", *name.split("/"))
    lab.wait_until(lambda: not lab.containers(), "both nodes are empty again")


def test_higher_priority_is_placed_and_what_makes_room_keeps_its_data(
    lab: Lab, only: list[str]
) -> None:
    """As its plan has said: db is STATEFUL on n1, and n2 has room for it and for nothing larger."""
    only += ["container/db", "container/anchor", "container/high"]
    lab.pfi("cordon", "n2")
    lab.apply(
        {"kind": "Cluster", "name": CLUSTER, "preemption": "all"},
        asks("db", 3, type="STATEFUL"),
        asks("anchor", 1, 20, type="STATELESS", constraints=["node = n2"]),
    )
    lab.pfi("wait", "container/db")
    lab.pfi("uncordon", "n2")
    lab.inside("db", "dd", "if=/dev/urandom", f"of={FILE}", "bs=1M", f"count={MIB}")
    sum_before = checksum(lab, "db")
    high = asks("high", 4, 9, type="STATELESS")
    plan = planned(lab, high)
    lab.apply(high)
    lab.pfi("wait", "container/high")

    assert (plan["db"]["action"], plan["db"]["node"]) == ("relocate", "n2")
    assert "makes room for high, of priority 9 (its own: 0)" in plan["db"]["why"]
    assert plan["high"]["why"] == "waits for db (moves to n2 with its data) to leave n1"
    assert (seen(lab, "db")["node"], seen(lab, "high")["node"]) == ("n2", "n1")
    assert checksum(lab, "db") == sum_before


def test_a_deployment_of_higher_priority_takes_what_the_lower_one_can_spare(
    lab: Lab, only: list[str]
) -> None:
    only += ["deployment/low", "deployment/top"]
    lab.apply(replicated("low", 2, 1, 3))
    lab.pfi("wait", "deployment/low")
    before = places(lab, "low")
    top = replicated("top", 2, 0, 3, priority=5)
    plan = planned(lab, top)
    (goes,) = [name for name, change in plan.items() if change["action"] == "replace"]
    (comes,) = [name for name in plan if f"makes room for {name}," in plan[goes]["why"]]
    lab.apply(top)
    least: list[int] = []

    def is_ready() -> bool:
        least.append(ready(lab, "low"))
        return bool(seen(lab, comes)["ready"])

    lab.wait_until(is_ready, "one of the higher priority is ready")
    after = lab.containers()
    (waits,) = {"top-01", "top-02"} - {comes}

    assert min(least) == 1
    assert after[comes]["node"] == before[goes]
    assert [after[name]["node"] for name in (goes, waits)] == ["", ""]
    assert "2 of 2 lack CPU" in after[waits]["why"]


def test_balancing_does_what_its_preview_says_and_stops_when_it_is_told(
    lab: Lab, only: list[str]
) -> None:
    only.append("deployment/web")
    lab.pfi("cordon", "n2")
    lab.apply(replicated("web", 4, 3, 1))
    lab.pfi("wait", "deployment/web")
    lab.pfi("uncordon", "n2")
    previews, moved, least = [], [], []

    def is_moving() -> bool:
        least.append(ready(lab, "web"))
        return any(node != "n1" for node in places(lab, "web").values())

    def is_at_rest() -> bool:
        least.append(ready(lab, "web"))
        return least[-1] == 4 and "" not in places(lab, "web").values()

    def is_balanced() -> bool:
        with lab.client() as client:
            return is_at_rest() and not client.get(kinds.CLUSTER, CLUSTER)["moves_left"]

    for is_stopped in (True, False):
        before = places(lab, "web")
        plan = json.loads(lab.pfi("rebalance", "--plan", "-o", "json"))
        previews.append({move["name"]: move["target"] for move in plan["moves"]})
        with lab.client() as client:
            client.rebalance(20)
            if is_stopped:
                lab.wait_until(is_moving, "the first one is on its way")
                client.rebalance(0)  # as --stop does
        lab.wait_until(is_balanced, "no more is moved")
        after = places(lab, "web")
        moved.append({name: after[name] for name in after if after[name] != before[name]})

    first, second = previews[0]
    assert previews == [{first: "n2", second: "n2"}, {second: "n2"}]
    assert moved == [{first: "n2"}, {second: "n2"}]
    assert min(least) >= 3


def test_a_drained_node_is_empty_and_what_was_on_it_has_its_data(lab: Lab, only: list[str]) -> None:
    only += ["deployment/web", "container/db", "container/tied"]
    lab.pfi("cordon", "n2")
    lab.apply(
        replicated("web", 2, 1, 0.5),
        asks("db", 0.5, type="STATEFUL"),
        asks("tied", 0.5, type="STATELESS", constraints=["node = n1"]),
    )
    lab.pfi("wait", "deployment/web", "container/db", "container/tied")
    lab.inside("db", "dd", "if=/dev/urandom", f"of={FILE}", "bs=1M", f"count={MIB}")
    sum_before = checksum(lab, "db")
    lab.pfi("uncordon", "n2")
    plan = json.loads(lab.pfi("drain", "n1", "--plan", "-o", "json"))
    lab.pfi("drain", "n1", "--reason", "new disks")
    lab.wait_until(lambda: set(instances(lab, "n1")) == {"tied"}, "all leave that can")
    lab.wait_until(lambda: ready(lab, "web") == 2, "they are ready there")
    described = lab.pfi("describe", "node", "n1")
    lab.pfi("delete", *only.pop().split("/"))
    said = lab.pfi("drain", "n1", "--wait")
    nodes = lab.pfi("get", "nodes")
    lab.pfi("uncordon", "n1")

    moved = {name: each["node"] for name, each in lab.containers().items()}
    assert moved == {"web-01": "n2", "web-02": "n2", "db": "n2"}
    assert {move["name"]: move["target"] for move in plan["moves"]} == moved
    assert ["tied stays on n1" in text for text in plan["blocked"]] == [True]
    assert checksum(lab, "db") == sum_before
    assert (
        "tied stays: fits on no other node: no node fits: 1 of 2 does not meet node = n1"
        in described
    )
    assert said.startswith("node/n1 is being drained: ")
    assert "ready,drained" in nodes
