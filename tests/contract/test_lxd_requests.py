"""The requests that tests/unit asserts as data do in a real LXD what they promise. Promise 9."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.runtimes.lxd import LxdRuntime
from pathfinder.runtimes.lxdclient.commands import run_command
from tests.support.lxd import PrivateLxd
from tests.support.lxd_cases import CASES, NAME, Case

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def daemon(lxd: PrivateLxd) -> Iterator[PrivateLxd]:
    yield lxd
    lxd.remove_instances()


def make(daemon: PrivateLxd, what: str) -> None:
    """Create and start the case of this name."""
    runtime = LxdRuntime(daemon.socket_path)
    (case,) = (case for case in CASES if case.what == what)
    runtime.create(case.wish)
    runtime.start(NAME)
    runtime.close()


def in_force(daemon: PrivateLxd, controller: str, file_v1: str, file_v2: str) -> str:
    """What the kernel holds the instance to, read from its init's control group."""
    pid = daemon.client.get(f"/1.0/instances/{NAME}/state")["pid"]
    groups: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    if controller in groups:
        place = Path(f"/sys/fs/cgroup/{controller}{groups[controller]}/{file_v1}")
    else:
        place = Path(f"/sys/fs/cgroup{groups['']}/{file_v2}")
    return place.read_text().strip()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_daemon_takes_the_request_as_it_is(daemon: PrivateLxd, case: Case) -> None:
    runtime = LxdRuntime(daemon.socket_path)

    runtime.create(case.wish)
    runtime.close()

    document = daemon.client.get(f"/1.0/instances/{NAME}")
    assert document["config"].items() >= case.body["config"].items()
    assert document["devices"] == case.body["devices"]
    assert document["profiles"] == ["default"]


def test_memory_limit_is_in_force(daemon: PrivateLxd) -> None:
    make(daemon, "memory")

    assert in_force(daemon, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)


def test_process_limit_is_in_force(daemon: PrivateLxd) -> None:
    make(daemon, "processes")

    assert in_force(daemon, "pids", "pids.max", "pids.max") == "40"


def test_share_of_a_core_is_in_force(daemon: PrivateLxd) -> None:
    make(daemon, "half a core")

    assert in_force(daemon, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"


def test_disk_limit_is_in_force(daemon: PrivateLxd) -> None:
    make(daemon, "disk")

    fill = ("dd", "if=/dev/zero", "of=/full", "bs=1M", "count=150")
    code, _, said = run_command(daemon.client, NAME, fill)

    assert code != 0, said
    assert b"quota" in said.lower() or b"space" in said.lower()


def test_no_network_means_no_interface(daemon: PrivateLxd) -> None:
    make(daemon, "no network")

    code, output, _ = run_command(daemon.client, NAME, ("ls", "/sys/class/net"))

    assert (code, output.split()) == (0, [b"lo"])


def test_environment_arrives_letter_by_letter(daemon: PrivateLxd) -> None:
    make(daemon, "environment")
    (case,) = (case for case in CASES if case.what == "environment")

    code, output, _ = run_command(daemon.client, NAME, ("/bin/sh", "-c", 'printf %s "$ODD"'))

    assert (code, output.decode()) == (0, case.spec.environment["ODD"])
