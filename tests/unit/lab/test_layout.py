"""Names, addresses and places of a lab: what follows from its record."""

from pathlib import Path

import pytest

from pathfinder.agent.settings import read_settings
from pathfinder.lab.layout import Layout, Record, checked_count, checked_name, record_from
from pathfinder.lab.network import milliseconds
from pathfinder.lab.platform import agent_arguments, is_helper
from pathfinder.lab.trouble import Trouble

RECORD = Record(
    name="lab",
    network="10.90",
    node_count=12,
    runtimes=("lxd", "docker"),
    capacity="cpu=4,memory=4GiB",
)
LAYOUT = Layout(record=RECORD, root=Path("/labs"))


def test_a_record_is_read_as_it_was_written() -> None:
    assert record_from(RECORD.document()) == RECORD


def test_addresses_follow_from_the_network_and_the_number() -> None:
    node = LAYOUT.node("n2")

    assert (LAYOUT.address, node.address) == ("10.90.0.1", "10.90.0.12")
    assert (node.subnet("lxd"), node.subnet("docker", 1)) == ("10.91.2.0/24", "10.92.2.1")


def test_no_two_nodes_share_a_name_or_an_address() -> None:
    nodes = LAYOUT.nodes()

    for field in ("name", "address", "mac", "namespace", "port", "cgroup", "directory"):
        assert len({getattr(node, field) for node in nodes}) == 12


def test_names_of_links_fit_the_kernel() -> None:
    longest = Layout(
        record=Record(
            name="abcdefgh", network="10.90", node_count=100, runtimes=("lxd",), capacity=""
        ),
        root=Path("/labs"),
    )

    assert len(longest.bridge) <= 15
    assert len(f"{longest.node('n100').port}b") <= 15


@pytest.mark.parametrize("name", ["n0", "n13", "node1", "n01", ""])
def test_a_node_that_is_not_there_is_said_with_those_that_are(name: str) -> None:
    with pytest.raises(Trouble) as caught:
        LAYOUT.node(name)

    assert caught.value.hint == "nodes are n1 to n12"


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "la-b", "abcdefghi", "../x"])
def test_a_wrong_name_of_a_lab_is_refused(name: str) -> None:
    with pytest.raises(Trouble, match="cannot be the name of a lab"):
        checked_name(name)


@pytest.mark.parametrize("count", [0, -1, 101])
def test_an_impossible_number_of_nodes_is_refused(count: int) -> None:
    with pytest.raises(Trouble, match="are not possible"):
        checked_count(count)


def test_an_agent_is_told_its_daemons_and_what_it_may_give() -> None:
    node = LAYOUT.node("n3")
    told = read_settings(agent_arguments(node, Path("/t"), Path("/s")), {}, "machine")

    assert told.sockets == {
        "lxd": "/labs/lab/n3/lxd/unix.socket",
        "docker": "/labs/lab/n3/docker.sock",
    }
    assert (told.server, told.node) == (LAYOUT.url, "n3")
    assert (told.capacity.cpu_millis, told.capacity.memory_mib) == (4_000, 4_096)
    assert told.labels == {"rack": "r3"}


@pytest.mark.parametrize(
    ("line", "is_ours"),
    [
        ("python /bin/pathfinder init --data-dir /labs/lab/server", True),
        ("/bin/pathfinder server --data-dir /labs/lab/server", True),
        ("python -m pathfinder.lab.inside /labs/lab n1 init", True),
        ("python -m pathfinder.lab.inside /labs/lab2 n1 init", False),
        ("python /bin/pathfinder lab down --name lab", False),
        ("tail -f /labs/lab/server.log", False),
        ("vi pathfinder /labs/laboratory", False),
    ],
)
def test_what_works_on_a_lab_is_known_by_program_and_place(line: str, *, is_ours: bool) -> None:
    assert is_helper(line.split(), LAYOUT) == is_ours


@pytest.mark.parametrize(("text", "delay_ms"), [("50ms", 50.0), ("1s", 1_000.0), ("0.5ms", 0.5)])
def test_delays_are_read_with_their_unit(text: str, delay_ms: float) -> None:
    assert milliseconds(text) == delay_ms


@pytest.mark.parametrize("text", ["50", "ms", "-1ms", "1h"])
def test_a_delay_without_a_sense_is_refused(text: str) -> None:
    with pytest.raises(Trouble, match="is not a delay"):
        milliseconds(text)
