"""What a cluster has left, and what would be missing without each of its nodes."""

from pathfinder.model.resources import Resources
from pathfinder.scheduler.headroom import fullest, head_room, without_each
from tests.unit.scheduler.builders import fleet, node, request

BIG = Resources(cpu_millis=4000, memory_mib=4096)
HALF = Resources(cpu_millis=2000, memory_mib=2048)


def test_only_nodes_that_take_containers_count() -> None:
    nodes = fleet(node("n1", BIG), node("n2", BIG, cordoned=True), node("n3", HALF))
    nodes.reserve("west/n1", HALF, "")

    left = head_room(nodes, "west")["cpu_millis"]

    assert (left.capacity, left.reserved, left.free) == (6000, 2000, 4000)
    assert (left.most_free, left.most_free_on) == (2000, "n1")
    assert fullest(nodes, "west") == ["n1", "n3"]


def test_each_trial_is_taken_back_before_the_next() -> None:
    nodes = fleet(node("n1", BIG), node("n2", BIG), node("n3", BIG))
    for name in ("n1", "n2"):
        nodes.reserve(f"west/{name}", Resources(cpu_millis=3000, memory_mib=1), "")
    ask = request(cpu_millis=3000, memory_mib=1)

    assert without_each(nodes, "west", [("n1", [ask]), ("n2", [ask])]) == {"n1": 0, "n2": 0}


def test_what_would_fit_nowhere_is_counted() -> None:
    nodes = fleet(node("n1", BIG), node("n2", BIG))
    for name in ("n1", "n2"):
        nodes.reserve(f"west/{name}", HALF, "")
    ask = request(cpu_millis=2000, memory_mib=1)

    assert without_each(nodes, "west", [("n1", [ask, ask, ask])]) == {"n1": 2}


def test_an_empty_cluster_has_nothing_and_no_node_to_lose() -> None:
    assert head_room(fleet(), "west")["memory_mib"].most_free_on == ""
    assert fullest(fleet(), "west") == []
