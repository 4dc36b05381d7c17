"""The requests that tests/unit asserts as data do in a real Docker what they promise. Promise 9."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pathfinder.model.services import Port
from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.dockerclient.commands import run_command
from pathfinder.runtimes.dockerclient.volumes import list_volumes
from pathfinder.runtimes.port import RuntimeFailure
from tests.support.docker_cases import CASES, NAME, Case
from tests.support.dockerd import PrivateDocker
from tests.support.processes import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def daemon(docker: PrivateDocker) -> Iterator[PrivateDocker]:
    yield docker
    docker.remove_containers()


def make(daemon: PrivateDocker, what: str) -> None:
    """Create and start the case of this name."""
    runtime = DockerRuntime(daemon.socket_path)
    (case,) = (case for case in CASES if case.what == what)
    runtime.create(case.wish)
    runtime.start(NAME)
    runtime.close()


def in_force(daemon: PrivateDocker, controller: str, file_v1: str, file_v2: str) -> str:
    """What the kernel holds the container to, read from its first process's control group."""
    groups: dict[str, str] = {}
    for line in Path(f"/proc/{daemon.pid(NAME)}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    if controller in groups:
        place = Path(f"/sys/fs/cgroup/{controller}{groups[controller]}/{file_v1}")
    else:
        place = Path(f"/sys/fs/cgroup{groups['']}/{file_v2}")
    return place.read_text().strip()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_daemon_takes_the_request_as_it_is(daemon: PrivateDocker, case: Case) -> None:
    runtime = DockerRuntime(daemon.socket_path)

    runtime.create(case.wish)
    runtime.close()

    document, body = daemon.document(NAME), case.body
    host = dict(body["HostConfig"])
    assert host.pop("RestartPolicy")["Name"] == document["HostConfig"]["RestartPolicy"]["Name"]
    for bindings in host.get("PortBindings", {}).values():
        for binding in bindings:
            binding["HostIp"] = ""  # of all the node's addresses
    for mount in host.get("Mounts", ()):
        if not mount["ReadOnly"]:
            del mount["ReadOnly"]
    assert document["HostConfig"].items() >= host.items()
    assert document["Config"]["Hostname"] == NAME
    assert document["Config"]["Labels"].items() >= body["Labels"].items()
    assert set(document["Config"]["Env"]) >= set(body["Env"])


def test_memory_limit_is_in_force(daemon: PrivateDocker) -> None:
    make(daemon, "memory")

    assert in_force(daemon, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)


def test_process_limit_is_in_force(daemon: PrivateDocker) -> None:
    make(daemon, "processes")

    assert in_force(daemon, "pids", "pids.max", "pids.max") == "40"


def test_share_of_a_core_is_in_force(daemon: PrivateDocker) -> None:
    make(daemon, "an odd share")

    assert in_force(daemon, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "12500"


def test_environment_arrives_as_it_was_written(daemon: PrivateDocker) -> None:
    make(daemon, "environment")

    _, output, _ = run_command(daemon.client, NAME, ("sh", "-c", 'echo "$ODD"'))

    (case,) = (case for case in CASES if case.what == "environment")
    assert output.decode() == f"{case.spec.environment['ODD']}\n"


def test_command_takes_the_place_of_the_images(daemon: PrivateDocker) -> None:
    make(daemon, "command")

    assert Path(f"/proc/{daemon.pid(NAME)}/cmdline").read_bytes() == b"sleep\x001000\x00"


def serving_at(daemon: PrivateDocker, port: int) -> None:
    """Create and start a web server at this port of the node."""
    runtime = DockerRuntime(daemon.socket_path)
    (plain,) = (case for case in CASES if case.what == "no limits")
    spec = replace(plain.spec, ports=(Port(host=port, container=80),))
    try:
        runtime.create(replace(plain.wish, spec=spec))
        runtime.start(NAME)
    finally:
        runtime.close()


def page(port: int) -> bytes:
    """What is answered at a port of the node; b"" while nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(4096), b""))
    except ConnectionError:
        return b""


def test_port_of_the_node_leads_into_the_container(daemon: PrivateDocker) -> None:
    with socket.create_server(("0.0.0.0", 0)) as free:
        port = free.getsockname()[1]

    serving_at(daemon, port)

    # Docker's proxy takes connections before the program in the container listens.
    wait_until(lambda: page(port).endswith(b"hello from case-01\n"), 30, "it answers")


def test_port_that_is_taken_on_the_node_is_said_with_what_to_do(daemon: PrivateDocker) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeFailure) as refused:
            serving_at(daemon, port)

    assert str(port) in str(refused.value)
    assert "ask for another" in refused.value.hint


def test_volume_outlives_its_container_and_is_there_for_the_next(daemon: PrivateDocker) -> None:
    runtime = DockerRuntime(daemon.socket_path)
    make(daemon, "mounts")
    runtime.write_file(NAME, "/srv/data/kept", b"one")
    code, _, said = run_command(daemon.client, NAME, ("touch", "/etc/conf/new"))

    runtime.remove(NAME)
    make(daemon, "mounts")

    assert runtime.read_file(NAME, "/srv/data/kept") == b"one"
    assert (code, b"Read-only" in said) == (1, True)
    assert {volume.name: volume.labels for volume in list_volumes(daemon.client)} == {
        f"cases.{NAME}.{name}": {
            "pathfinder.cluster": "cases",
            "pathfinder.slot": NAME,
            "pathfinder.volume": name,
        }
        for name in ("data", "conf")
    }
    runtime.close()
