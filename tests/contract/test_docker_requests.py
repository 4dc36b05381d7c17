"""The requests that tests/unit asserts as data do in a real Docker what they promise. Promise 9."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.runtimes.docker import DockerRuntime
from pathfinder.runtimes.dockerclient.commands import run_command
from tests.support.docker_cases import CASES, NAME, Case
from tests.support.dockerd import PrivateDocker

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
