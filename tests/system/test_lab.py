"""A lab of real LXD nodes: what people do to it, and that it leaves nothing behind.

Promises 2, 3 and 4.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dockerd
from tests.support.lab import Lab, running_lab, why_not

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
DELAY_MS = 60


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(nodes=3) as running:
        running.apply(deployment("web", 6, "STATELESS"), deployment("db", 3, "STATEFUL"))
        running.wait_until(lambda: all_ready(running, 9), "everything is ready")
        yield running


def deployment(name: str, replicas: int, type: str, kind: str = "system") -> dict[str, object]:
    """Small replicas."""
    spec = {"type": type, "kind": kind, "image": "busybox", "resources": {"memory": "32MiB"}}
    return {"kind": "Deployment", "name": name, "replicas": replicas, "spec": spec}


def all_ready(lab: Lab, count: int) -> bool:
    """Whether there are so many containers, all of them ready, and no copy is left over."""
    containers = lab.containers().values()
    settled = [each for each in containers if each["ready"] and not each["leaving"]]
    return len(settled) == len(containers) == count


def traces(lab: Lab) -> list[str]:
    """What there is of a lab on this machine, outside its directory."""

    def said(*argv: str) -> list[str]:
        ended = subprocess.run(argv, capture_output=True, text=True, check=True)
        return ended.stdout.splitlines()

    looks = (
        said("ip", "-br", "link"),
        said("ip", "netns", "list"),
        said("ip", "-4", "route"),
        said("iptables", "-S"),
        said("losetup", "-nlO", "BACK-FILE"),
        said("ps", "-eo", "args"),
        Path("/proc/mounts").read_text().splitlines(),
        map(str, Path("/sys/fs/cgroup").glob("*/pathfinder-lab-*")),
        map(str, Path("/run").glob("pathfinder-lab-*")),
    )
    own = (f"pfl{lab.name}", f"-{lab.name}", f"/{lab.name}/")
    return [line for look in looks for line in look if any(name in line for name in own)]


def test_nodes_are_ready_and_their_containers_reach_each_other(lab: Lab) -> None:
    containers = lab.containers()
    addresses = [each["ipaddress"] for each in containers.values()]
    connection = http.client.HTTPConnection(addresses[0], timeout=5)
    connection.request("GET", "/")
    from_machine = connection.getresponse().read().decode()
    connection.close()
    other = next(name for name, each in containers.items() if each["node"] == "n2")
    elsewhere = next(each["ipaddress"] for each in containers.values() if each["node"] == "n3")
    between = lab.inside(other, "wget", "-qO-", f"http://{elsewhere}/")

    assert set(lab.nodes().values()) == {"ready"}
    assert {each["node"] for each in containers.values()} == {"n1", "n2", "n3"}
    assert from_machine.startswith("hello from ")
    assert between.startswith("hello from ")


def test_a_node_that_is_cut_off_is_lost_and_returns(lab: Lab) -> None:
    stateful = {n for n, each in lab.containers().items() if each["node"] == "n2" and "db" in n}
    lab.must("cut", "n2")
    lab.wait_until(lambda: lab.nodes()["n2"] == "lost", "n2 is lost")
    lab.wait_until(
        lambda: all(
            each["node"] != "n2" and each["ready"]
            for name, each in lab.containers().items()
            if name.startswith("web")
        ),
        "what is STATELESS runs elsewhere",
    )
    waiting = lab.containers()
    cable = lab.status()["n2"]["cable"]
    lab.must("heal", "n2")
    lab.wait_until(lambda: all_ready(lab, 9), "n2 is back and the surplus is gone")

    assert cable == "cut"
    assert all(waiting[name]["node"] == "n2" for name in stateful)
    assert all("not made twice" in waiting[name]["why"] for name in stateful)


def test_a_node_whose_power_was_cut_starts_its_containers_again(lab: Lab) -> None:
    stateful = {n for n, each in lab.containers().items() if each["node"] == "n3" and "db" in n}
    lab.must("kill", "n3")
    off_since = time.monotonic()
    power = lab.status()["n3"]["power"]
    lab.must("start", "n3")
    silence_s, off_s = lab.silence_s("n3"), time.monotonic() - off_since
    lab.wait_until(lambda: all_ready(lab, 9), "everything is ready again")

    assert power == "off"
    assert silence_s < off_s, "the server has heard the node since, not only not missed it yet"
    assert all(lab.containers()[name]["node"] == "n3" for name in stateful)


def test_a_dead_agent_leaves_its_containers_running(lab: Lab) -> None:
    before = lab.must("exec", "n1", "--", "lxc", "list", "-c", "ns", "-f", "csv")
    lab.must("kill", "n1", "--program", "agent")
    programs = lab.status()["n1"]["programs"]
    meanwhile = lab.must("exec", "n1", "--", "lxc", "list", "-c", "ns", "-f", "csv")
    lab.must("start", "n1")

    assert programs == {"lxd": True, "agent": False}
    assert meanwhile == before
    assert lab.status()["n1"]["programs"]["agent"]


def test_a_frozen_node_goes_on_when_it_is_thawed(lab: Lab) -> None:
    lab.must("freeze", "n1")
    lab.wait_until(lambda: lab.nodes()["n1"] == "suspect", "n1 is silent")
    lab.must("thaw", "n1")
    lab.wait_until(lambda: lab.nodes()["n1"] == "ready", "n1 is heard")


def test_a_slow_cable_is_slow_both_ways_and_fast_again(lab: Lab) -> None:
    address = lab.layout.node("n2").address
    lab.must("delay", "n2", f"{DELAY_MS}ms")
    told = lab.status()["n2"]["delay_ms"]
    slow_s = min(_connect_s(lab, address) for _ in range(3))
    lab.must("heal", "n2")
    fast_s = min(_connect_s(lab, address) for _ in range(3))

    assert told == DELAY_MS
    assert slow_s - fast_s >= DELAY_MS / 1_000


def _connect_s(lab: Lab, address: str) -> float:
    began = time.monotonic()
    lab.must("exec", "n1", "--", "bash", "-c", f"echo > /dev/tcp/{address}/8443")
    return time.monotonic() - began


def test_up_again_repairs_and_extends(lab: Lab) -> None:
    lab.must("kill", "n2")
    lab.must("up", "--nodes", "4")

    assert {row["status"] for row in lab.status().values()} == {"ready"}
    assert list(lab.status()) == ["n1", "n2", "n3", "n4"]


def test_mistakes_are_told_with_the_next_step(lab: Lab) -> None:
    unknown = lab.run("cut", "n9")
    other = lab.run("up", "--runtime", "docker")
    missing = Lab(name="nolab", directory=lab.directory).run("status")

    assert (unknown.code, other.code, missing.code) == (1, 1, 1)
    assert "has no node 'n9'" in unknown.err
    assert "nodes are n1 to n" in unknown.err
    assert "there is a lab" in other.err
    assert "pathfinder lab up" in missing.err


@pytest.mark.skipif(bool(dockerd.why_not()), reason=dockerd.why_not())
def test_a_mixed_node_runs_both_kinds_and_has_both_again_after_a_power_cut() -> None:
    with running_lab(nodes=2, runtime="mixed") as lab:
        lab.apply(
            deployment("web", 2, "STATELESS"), deployment("app", 2, "STATELESS", "application")
        )
        lab.wait_until(lambda: all_ready(lab, 4), "both kinds are ready")
        spread = {(name[:3], each["node"]) for name, each in lab.containers().items()}
        lab.must("kill", "n1")
        lab.must("start", "n1")
        # The server may not yet have heard that they ended: asked is who must know.
        lab.wait_until(lambda: bool(_applications(lab)), "n1 runs its application again")
        lab.wait_until(lambda: all_ready(lab, 4), "both kinds are ready again")
        application = _applications(lab)[0]
        addresses = [each["ipaddress"] for each in lab.containers().values()]
        pages = [
            lab.must("exec", "n1", "--", *argv, "wget", "-qO-", f"http://{address}/")
            for address in addresses
            for argv in (["busybox"], ["docker", "exec", application])
        ]

    assert spread == {("web", "n1"), ("web", "n2"), ("app", "n1"), ("app", "n2")}
    assert all(pages)


def test_an_up_that_was_killed_leaves_nothing_after_down(tmp_path: Path) -> None:
    """Also not what it had begun: `init` of the server outlives the `up` that called it."""
    lab = Lab(name=f"k{os.getpid() % 46_656:04x}", directory=tmp_path)
    argv = [sys.executable, "-m", "pathfinder.lab.main", "up", "--name", lab.name, "--nodes", "1"]
    secrets = lab.directory / lab.name / "secrets"
    with subprocess.Popen(argv, env=lab.environment(), stdout=subprocess.DEVNULL) as up:
        lab.wait_until(secrets.exists, "the server is being initialised")
        up.send_signal(signal.SIGSTOP)
        concurrent = lab.run("down")
        up.kill()
    ended = lab.run("down")

    assert concurrent.code == 1
    assert "another command is at work" in concurrent.err
    assert ended.code == 0
    assert traces(lab) == []
    assert not (lab.directory / lab.name).exists()


def _applications(lab: Lab) -> list[str]:
    """The Docker containers that n1 runs."""
    return lab.must("exec", "n1", "--", "docker", "ps", "-q").split()


@pytest.mark.parametrize("broken", ["whole", "without its record", "killed in the middle"])
def test_down_leaves_the_machine_as_it_was(broken: str) -> None:
    with running_lab(nodes=1) as lab:
        directory = lab.directory / lab.name
        if broken == "without its record":
            (directory / "lab.json").unlink()
        elif broken == "killed in the middle":
            os.kill(int((directory / "server.pid").read_text()), 9)
            shutil.rmtree(directory / "n1/run")
        before = traces(lab)
        lab.must("down")
        after = traces(lab)
        again = lab.must("down")

    assert len(before) > 5
    assert after == []
    assert not directory.exists()
    assert "There was no lab" in again
