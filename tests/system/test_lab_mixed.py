"""One cluster with both kinds of containers: three nodes, each with LXD and Docker. Promise 3."""

import http.client
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support import dockerd
from tests.support.lab import Lab, running_lab, why_not

REASON = why_not() or dockerd.why_not()
pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(bool(REASON), reason=REASON),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(nodes=3, runtime="mixed") as running:
        running.apply(deployment("vm", "system"), deployment("app", "application"))
        running.wait_until(lambda: ready(running) == 24, "24 containers are ready")
        yield running


def deployment(name: str, kind: str) -> dict[str, object]:
    """Twelve small replicas."""
    spec = {
        "kind": kind,
        "type": "STATELESS",
        "image": "busybox",
        "resources": {"memory": "32MiB", "cpu": 0.1},
    }
    return {"kind": "Deployment", "name": name, "replicas": 12, "spec": spec}


def ready(lab: Lab) -> int:
    """How many containers are ready and have no copy left over."""
    return sum(each["ready"] and not each["leaving"] for each in lab.containers().values())


def page(address: str) -> str:
    """What a container answers this machine."""
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def test_both_kinds_are_spread_over_all_nodes(lab: Lab) -> None:
    where = Counter((each["deployment"], each["node"]) for each in lab.containers().values())

    assert where == {(name, node): 4 for name in ("vm", "app") for node in ("n1", "n2", "n3")}


def test_everything_reaches_everything(lab: Lab) -> None:
    containers = lab.containers()
    by_node = {(each["deployment"], each["node"]): each for each in containers.values()}
    vm, app = by_node["vm", "n1"], by_node["app", "n2"]
    vm_to_app = lab.inside(vm["name"], "wget", "-qO-", f"http://{app['ipaddress']}/")
    app_to_vm = lab.inside(app["name"], "wget", "-qO-", f"http://{vm['ipaddress']}/")

    assert all(page(each["ipaddress"]) for each in containers.values())
    assert vm_to_app == page(app["ipaddress"])
    assert app_to_vm == page(vm["ipaddress"])


def test_a_node_without_power_is_replaced_for_both_kinds_and_comes_back(lab: Lab) -> None:
    lab.must("kill", "n3")
    lab.wait_until(
        lambda: all(
            each["node"] in ("n1", "n2") and each["ready"] for each in lab.containers().values()
        ),
        "all 24 run on two nodes",
    )
    lab.must("start", "n3")
    lab.wait_until(lambda: ready(lab) == 24, "the surplus on n3 is gone")

    assert set(lab.nodes().values()) == {"ready"}
