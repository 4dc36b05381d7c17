"""Agents of the original against a real server process: with a real LXD, and fifty at once.

Promises 4 and 5.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pathfinder.runtimes.lxdclient.files import read_file, write_file
from tests.support.lxd import PrivateLxd
from tests.support.original_clients.barito import Barito
from tests.support.original_clients.go import GoAgent, GoLibrary, GoPfi
from tests.support.original_clients.go_agent_lxd import SCRIPT, GoAgentWithLxd
from tests.support.original_clients.raw import ANSWER_S_MAX
from tests.support.platform import wait_for
from tests.support.server_process import ServerProcess, run_program, server_process

pytestmark = pytest.mark.system
AGENTS = 50
CONTAINERS = 1_000
AT_ONCE = 16
PATIENCE_S = 120.0
MOST_CREATED = 20


@contextmanager
def our_agent(served: ServerProcess, lxd: PrivateLxd, directory: Path) -> Iterator[None]:
    """Our agent as a process, started with nothing but the original agent's variables."""
    environment = {
        **os.environ,
        "PF_SERVER_ADDR": f"http://127.0.0.1:{served.port}",
        "PF_CLUSTER_PASSWORD": password_of(served),
        "LXD_SOCKET_PATH": lxd.socket_path,
        "METRICS_ZPOOL_NAME": "local",
        "PF_NAME": "new",
        "PF_STATE_DIR": str(directory / "agent"),
    }
    with (directory / "agent.log").open("ab") as log:
        command = [sys.executable, "-m", "pathfinder.agent.main"]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(ANSWER_S_MAX)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose cluster has a password, which stands in a file beside its data."""
    ended = run_program(
        "init", "--data-dir", tmp_path / "data",
        "--cluster-password-file", tmp_path / "password",
        "--admin-token-file", tmp_path / "admin",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    token = (tmp_path / "admin").read_text().strip()
    with server_process(tmp_path / "data", token) as server:
        yield server


def password_of(served: ServerProcess) -> str:
    return (served.log.parent.parent / "password").read_text().strip()


def is_ready(served: ServerProcess, node: str) -> bool:
    api = served.api()
    try:
        answer = api.call("GET", f"/api/v3/clusters/default/nodes/{node}")
    finally:
        api.connection.close()
    return answer.status == 200 and answer.document["status"] == "ready"


def created_on_both(person: GoPfi, old: GoAgent) -> dict[str, str]:
    """Containers on the old node and on the new one, by name; on a busy machine one may be late."""
    for number in range(MOST_CREATED):
        assert old.scheduled().status == 200, "it polls, or it would be suspected"
        assert person.create(f"web-{number}", "busybox").status == 200
        items = person.containers().items
        placed = {item["hostname"]: item["node_hostname"] for item in items}
        if {"old", "new"} <= set(placed.values()) and all(placed.values()):
            return placed
    raise AssertionError(f"not on both nodes: {person.containers().items}")


def definition(attributes: dict[str, Any], alias: str = "busybox") -> dict[str, Any]:
    step = {
        "bootstrap_type": "chef-solo",
        "bootstrap_cookbooks_url": "https://cookbooks.example/master.tar.gz",
        "bootstrap_attributes": attributes,
    }
    return {"source": {"source_type": "image", "alias": alias}, "bootstrappers": [step]}


def test_go_agent_lives_its_whole_life_on_a_real_lxd(
    served: ServerProcess, lxd: PrivateLxd
) -> None:
    lxd.remove_instances()
    agent = GoAgentWithLxd(served.port, "n1", lxd)
    assert agent.register(password_of(served)).status == 200
    barito = Barito(served.port, served.token)
    attributes = {"text": "ü 'quoted' \"twice\" `no` tab\t", "list": [1, 2.5, None, True]}
    try:
        barito.provision("web", definition(attributes))
        assert agent.provision() == ["SCHEDULED web"]
        shown = barito.show("web").data
        assert shown["status"] == "PROVISIONED"
        assert shown["ipaddress"].startswith(f"{lxd.subnet}.")
        assert agent.bootstrap() == ["web"]
        assert barito.show("web").data["status"] == "BOOTSTRAPPED"
        assert read_file(lxd.client, "web", SCRIPT).mode == 0o600
        assert json.loads(read_file(lxd.client, "web", "/tmp/run").content)["list"] == [
            1,
            2.5,
            None,
            True,
        ]
        assert (agent.provision(), agent.bootstrap()) == ([], [])

        barito.rebootstrap("web", definition({"round": 2})["bootstrappers"])
        assert agent.bootstrap() == ["web"]
        assert json.loads(read_file(lxd.client, "web", "/tmp/run").content) == {"round": 2}

        barito.reprovision("web")
        assert agent.provision() == ["SCHEDULE_DELETION web"]
        assert agent.provision() == ["SCHEDULED web"]
        assert barito.show("web").data["status"] == "PROVISIONED"

        barito.provision("broken", definition({}, alias="missing"))
        assert agent.provision() == ["SCHEDULED broken"]
        assert barito.show("broken").data["status"] == "PROVISION_ERROR"

        barito.delete("web")
        barito.delete("broken")
        assert agent.provision() == ["SCHEDULE_DELETION web", "SCHEDULE_DELETION broken"]
        assert barito.show("web").status == 404
        assert lxd.client.get("/1.0/instances") == []
    finally:
        lxd.remove_instances()


def test_container_moves_between_agents_that_share_an_lxd_cluster(
    served: ServerProcess, lxd: PrivateLxd
) -> None:
    """Its data is what it was, and nobody removes it on the way. Promise 7."""
    lxd.remove_instances()
    source = GoAgentWithLxd(served.port, "n1", lxd)
    barito = Barito(served.port, served.token)
    library = GoLibrary(served.port, token=served.token)
    try:
        assert source.register(password_of(served)).status == 200
        barito.provision("web", definition({"round": 1}))
        assert (source.provision(), source.bootstrap()) == (["SCHEDULED web"], ["web"])
        write_file(lxd.client, "web", "/root/data", b"kept")
        target = GoAgentWithLxd(served.port, "n2", lxd)
        assert target.register(password_of(served)).status == 200

        assert library.relocate("web", "n2").status == 200
        assert source.provision() == []
        assert target.provision() == ["SCHEDULE_RELOCATION web"]
        assert target.bootstrap() == ["web"]
        shown = barito.show("web").data
        assert (shown["status"], shown["node_hostname"]) == ("BOOTSTRAPPED", "n2")
        assert read_file(lxd.client, "web", "/root/data").content == b"kept"
        assert source.provision() == []

        barito.delete("web")
        assert (source.provision(), target.provision()) == ([], ["SCHEDULE_DELETION web"])
        assert lxd.client.get("/1.0/instances") == []
    finally:
        lxd.remove_instances()


def test_old_and_new_agent_run_containers_of_one_cluster(
    served: ServerProcess, lxd: PrivateLxd, tmp_path: Path
) -> None:
    """Both on one daemon: neither touches what the other has made. Promise 7."""
    lxd.remove_instances()
    person = GoPfi(served.port, token=served.token)
    old = GoAgentWithLxd(served.port, "old", lxd)
    assert old.register(password_of(served)).status == 200
    try:
        with our_agent(served, lxd, tmp_path):
            wait_for(lambda: is_ready(served, "new"), PATIENCE_S, "the new agent has joined")
            placed = created_on_both(person, old)
            on_old = sorted(name for name, node in placed.items() if node == "old")
            assert sorted(old.provision()) == [f"SCHEDULED {name}" for name in on_old]
            wait_for(
                lambda: all(item["ipaddress"] for item in person.containers().items),
                PATIENCE_S,
                "all have addresses",
            )
            for name in placed:
                person.delete(name)
            assert sorted(old.provision()) == [f"SCHEDULE_DELETION {name}" for name in on_old]
            wait_for(lambda: not person.containers().items, PATIENCE_S, "all are gone")
        assert "METRICS_ZPOOL_NAME" in (tmp_path / "agent.log").read_text()
        assert password_of(served) not in (tmp_path / "agent.log").read_text()
    finally:
        lxd.remove_instances()


def test_fifty_agents_and_a_thousand_containers_at_once(served: ServerProcess) -> None:
    password = password_of(served)
    agents = [GoAgent(served.port, f"n{number}") for number in range(AGENTS)]
    with ThreadPoolExecutor(AGENTS) as pool:
        assert (
            list(pool.map(lambda agent: agent.register(password).status, agents)) == [200] * AGENTS
        )

    def create(numbers: range) -> list[int]:
        person = GoPfi(served.port, token=served.token)
        return [person.create(f"web-{number}").status for number in numbers]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = [range(start, CONTAINERS, AT_ONCE) for start in range(AT_ONCE)]
        assert {status for part in pool.map(create, parts) for status in part} == {200}

    def live(agent: GoAgent) -> int:
        items = agent.scheduled().items
        for index, item in enumerate(items):
            name = item["hostname"]
            assert agent.ipaddress(name, f"10.0.{index}.1").status == 200
            assert agent.mark("provisioned", name).status == 200
            assert agent.mark("provisioned", name).status == 200
            assert agent.mark("bootstrap_started", name).status == 200
            assert agent.mark("bootstrapped", name).status == 200
        return len(items)

    with ThreadPoolExecutor(AGENTS) as pool:
        shares = list(pool.map(live, agents))

    assert sum(shares) == CONTAINERS
    assert max(shares) - min(shares) <= 1, "placed evenly"
    person = GoLibrary(served.port, token=served.token)
    found = person.containers().items
    assert len(found) == CONTAINERS
    assert {item["status"] for item in found} == {"BOOTSTRAPPED"}
    assert len({item["id"] for item in found}) == CONTAINERS
