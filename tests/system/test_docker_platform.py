"""Application containers as people use them: server, agent and a real Docker.

Promise 4.
"""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pathfinder.runtimes.dockerclient.files import read_file, write_file
from tests.support.dockerd import PrivateDocker
from tests.support.platform import Platform, running_platform, wait_for

pytestmark = [pytest.mark.system, pytest.mark.slow]
SLOW_S = 60.0


@pytest.fixture
def platform(docker: PrivateDocker, tmp_path: Path) -> Iterator[Platform]:
    docker.remove_containers()
    with running_platform(tmp_path, docker) as made:
        yield made
    docker.remove_containers()


def shop(port: int, **spec: Any) -> dict[str, Any]:
    """A web server with everything that an application container can ask for."""
    return {
        "kind": "Deployment",
        "name": "shop",
        "replicas": 1,
        "spec": {
            "kind": "application",
            "image": "busybox",
            "resources": {"cpu": 0.5, "memory": "64MiB", "processes": 50},
            "ports": [f"{port}:80"],
            "mounts": [{"volume": "data", "path": "/srv/data"}],
            "health": {"http": {"port": 80}, "interval_s": 1, "retries": 2},
            **spec,
        },
    }


def free_port() -> int:
    with socket.create_server(("0.0.0.0", 0)) as server:
        return int(server.getsockname()[1])


def container(platform: Platform, name: str) -> dict[str, Any]:
    return platform.items("container").get(name, {})


def wait_until_ready(platform: Platform, name: str, generation: int = 0) -> dict[str, Any]:
    def is_ready() -> bool:
        found = container(platform, name)
        return bool(found) and found["ready"] and found["generation"] > generation

    wait_for(is_ready, SLOW_S, f"{name} is ready")
    return container(platform, name)


def page(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_application_answers_at_its_port_and_keeps_its_data_when_it_is_replaced(
    platform: Platform, docker: PrivateDocker
) -> None:
    port = free_port()
    with platform.client() as client:
        client.apply([shop(port)])
        first = wait_until_ready(platform, "shop-01")
        before = page(port)
        write_file(docker.client, "shop-01", "/srv/data/kept", b"one")
        client.apply([shop(port, environment={"MODE": "new"})])
        second = wait_until_ready(platform, "shop-01", first["generation"])
        after = page(port)

    assert before.endswith(b"hello from shop-01\n")
    assert after.endswith(b"hello from shop-01\n")
    assert (first["node"], second["node"]) == ("n1", "n1")
    assert read_file(docker.client, "shop-01", "/srv/data/kept").content == b"one"


def test_second_that_wants_the_same_host_port_waits_and_says_so(platform: Platform) -> None:
    port = free_port()
    with platform.client() as client:
        client.apply([{**shop(port), "replicas": 2}])
        wait_until_ready(platform, "shop-01")
        waiting = container(platform, "shop-02")

    assert waiting["node"] == ""
    assert f"has given host port {port}/tcp away already" in waiting["why"]


def test_killed_program_runs_again_and_it_is_told_how_it_ended(
    platform: Platform, docker: PrivateDocker
) -> None:
    with platform.client() as client:
        client.apply([shop(free_port())])
        wait_until_ready(platform, "shop-01")
        os.kill(docker.pid("shop-01"), signal.SIGKILL)
        wait_for(lambda: container(platform, "shop-01")["restarts"] == 1, SLOW_S, "it restarted")
        again = wait_until_ready(platform, "shop-01")

    assert again["ended"] == "was ended by signal 9 (exit code 137)"


def test_nothing_is_noticed_of_agent_server_and_dockerd_being_killed(
    platform: Platform, docker: PrivateDocker
) -> None:
    with platform.client() as client:
        client.apply([shop(free_port())])
        wait_until_ready(platform, "shop-01")
    before = docker.pid("shop-01")

    platform.kill_agent()
    platform.kill_server()
    docker.kill()
    docker.start()
    platform.start_server()
    platform.start_agent()
    platform.wait_until_node_is_ready()
    wait_until_ready(platform, "shop-01")

    assert docker.pid("shop-01") == before
    assert container(platform, "shop-01")["restarts"] == 0


def test_node_tells_what_it_is_and_lacks(platform: Platform) -> None:
    facts = platform.items("node")["n1"]["facts"]

    assert (facts["runtime"], facts["kinds"]) == ("docker", ["application"])
    assert "disk" in facts["limits_missing"]
    assert not facts.get("warnings")
