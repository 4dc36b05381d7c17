"""Relocation with data between two LXD daemons that do not know each other. Promises 2 and 7."""

import http.client
import itertools
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

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
