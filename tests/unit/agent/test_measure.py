"""Facts and measurements from files that look like a machine's, and from a daemon."""

from pathlib import Path

import pytest

from pathfinder.agent.facts import memory_total_mib, node_facts
from pathfinder.agent.looking import Running
from pathfinder.agent.measure import CONTAINERS_PER_ROUND, Meter
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.port import Labels, RuntimeFacts, Wish
from pathfinder.runtimes.scripted import ScriptedRuntime

MEMINFO = "MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    6291456 kB\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's files."""
    files = {
        "proc/meminfo": MEMINFO,
        "proc/loadavg": "0.50 0.25 0.10 1/100 4242\n",
        "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n",
        "proc/sys/kernel/random/boot_id": "b-1\n",
        "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian 12"\n',
        "etc/machine-id": "m-1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def runtime_with(*names: str) -> ScriptedRuntime:
    """A daemon in memory that runs these."""
    runtime = ScriptedRuntime()
    for name in names:
        labels = Labels(cluster="west", slot=name, generation=1, digest="d")
        spec = ContainerSpec(image=ImageSource(alias="busybox"))
        runtime.create(Wish(name=name, labels=labels, spec=spec))
        runtime.start(name)
    return runtime


def running(*names: str) -> Running:
    """What the core says that runs."""
    return Running(names=names, event=7)


def test_facts_are_the_machines_when_the_daemon_is_silent(machine: Path) -> None:
    facts = node_facts(None, "192.0.2.7", str(machine))

    assert (facts.os, facts.machine_id, facts.boot_id) == ("Debian 12", "m-1", "b-1")
    assert (facts.memory_mib, facts.addresses, facts.runtime) == (8_192, ("192.0.2.7",), "")


def test_what_the_daemon_has_counts_before_what_the_machine_has(machine: Path) -> None:
    capacity = Resources(cpu_millis=2_000, memory_mib=4_096, disk_mib=10_000)
    daemon = RuntimeFacts(runtime="lxd", version="5.0.2", kinds=("system",), capacity=capacity)

    facts = node_facts(daemon, "", str(machine))

    assert (facts.cpu_millis, facts.memory_mib, facts.disk_mib) == (2_000, 4_096, 10_000)
    assert (facts.runtime, facts.kinds) == ("lxd", ("system",))


@pytest.mark.parametrize(
    "path",
    ["sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"],
    ids=["control groups v2", "control groups v1"],
)
@pytest.mark.parametrize(
    ("limit", "expected_mib"),
    [("2147483648", 2_048), ("max", 8_192), ("9223372036854771712", 8_192)],
)
def test_memory_is_what_the_control_group_allows(
    machine: Path, path: str, limit: str, expected_mib: int
) -> None:
    (machine / path).parent.mkdir(parents=True)
    (machine / path).write_text(f"{limit}\n")

    assert memory_total_mib(str(machine)) == expected_mib


def test_cpu_is_the_share_that_was_busy_between_two_rounds(machine: Path) -> None:
    meter = Meter(runtime_with(), lambda: 0, cpu_count=4, root=str(machine))
    first = meter.round(running(), None)
    (machine / "proc/stat").write_text("cpu  150 0 150 900 0 0 0 0 0 0\n")

    second = meter.round(running(), None)

    assert first.measurements.cpu_used_millis == -1
    assert second.measurements.cpu_used_millis == 2_000
    assert (second.measurements.memory_used_mib, second.measurements.load_1m) == (2_048, 0.5)


def test_unreadable_machine_gives_unknown_and_not_an_error(tmp_path: Path) -> None:
    meter = Meter(runtime_with(), lambda: 0, cpu_count=4, root=str(tmp_path))

    measured = meter.round(running(), None)

    assert (measured.measurements.cpu_used_millis, measured.measurements.memory_total_mib) == (
        -1,
        0,
    )


def test_crowded_node_is_measured_in_turns_and_nobody_is_left_out(machine: Path) -> None:
    names = tuple(f"web-{number:03}" for number in range(CONTAINERS_PER_ROUND + 20))
    meter = Meter(runtime_with(*names), lambda: 0, cpu_count=4, root=str(machine))

    first, second = meter.round(running(*names), None), meter.round(running(*names), None)

    assert len(first.measurements.containers) == CONTAINERS_PER_ROUND
    assert tuple(usage.slot for usage in second.measurements.containers) == names


def test_container_that_has_gone_is_not_told_any_more(machine: Path) -> None:
    meter = Meter(runtime_with("web-01", "web-02"), lambda: 0, cpu_count=4, root=str(machine))
    meter.round(running("web-01", "web-02"), None)

    measured = meter.round(running("web-02"), None)

    assert [usage.slot for usage in measured.measurements.containers] == ["web-02"]


def test_what_the_daemon_said_of_each_is_told_with_the_moment_of_asking(machine: Path) -> None:
    runtime = runtime_with("web-01")
    meter = Meter(runtime, lambda: 0, cpu_count=4, root=str(machine))

    measured = meter.round(running("web-01", "gone"), None)

    assert measured.usages == {"web-01": runtime.usage("web-01")}
    assert measured.event == 7
