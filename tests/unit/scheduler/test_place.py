"""Placing: who goes where, in which order nodes are preferred, and the sentence that says so."""

from pathfinder.model.resources import Resources
from pathfinder.scheduler.draft import Placement, Unplaced
from pathfinder.scheduler.fleet import Fleet
from pathfinder.scheduler.place import CLASSES_MAX, place
from tests.unit.scheduler.builders import fleet, node, request


def chosen(outcomes: list[Placement | Unplaced]) -> list[str]:
    """Node names, "" for what was not placed."""
    return [
        outcome.node_key.partition("/")[2] if isinstance(outcome, Placement) else ""
        for outcome in outcomes
    ]


def test_replicas_of_a_group_are_spread_over_nodes_before_anything_else() -> None:
    big = Resources(cpu_millis=64000, memory_mib=65536)
    nodes = fleet(node("n1", big), node("n2"), node("n3"))
    outcomes = place(nodes, [request(memory_mib=512, group="west/web") for _ in range(6)])

    assert sorted(chosen(outcomes)) == ["n1", "n1", "n2", "n2", "n3", "n3"]


def test_the_node_with_the_largest_share_left_comes_first() -> None:
    nodes = fleet(node("n1"), node("n2"), node("n3"))
    nodes.reserve("west/n1", Resources(memory_mib=2048), "")
    nodes.reserve("west/n2", Resources(cpu_millis=2000), "")
    nodes.reserve("west/n3", Resources(cpu_millis=1000, memory_mib=1024), "")

    assert chosen(place(nodes, [request(memory_mib=64)])) == ["n3"]


def test_the_smallest_name_wins_among_equals() -> None:
    assert chosen(place(fleet(node("n3"), node("n1"), node("n2")), [request()])) == ["n1"]


def test_containers_that_reserve_nothing_are_spread_by_their_number() -> None:
    nodes = fleet(node("n1"), node("n2"))

    assert chosen(place(nodes, [request() for _ in range(4)])) == ["n1", "n2", "n1", "n2"]


def test_each_request_sees_what_those_before_it_were_given() -> None:
    nodes = fleet(node("n1", Resources(cpu_millis=1000, memory_mib=1024)))
    outcomes = place(
        nodes,
        [request(memory_mib=600), request(memory_mib=600), request(memory_mib=424), request()],
    )

    assert chosen(outcomes) == ["n1", "", "n1", "n1"]


def test_placing_leaves_the_fleet_as_it_was() -> None:
    nodes = fleet(node("n1"))
    place(nodes, [request(memory_mib=512, group="west/web") for _ in range(3)])

    assert (nodes.used("west/n1"), nodes.count("west/n1")) == (Resources(), 0)


def test_disk_and_processes_of_unknown_capacity_are_no_obstacle() -> None:
    nodes = fleet(node("n1"))

    assert chosen(place(nodes, [request(disk_mib=1 << 30, processes=1 << 20)])) == ["n1"]


def test_what_asks_for_nothing_fits_where_others_have_taken_too_much() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", Resources(cpu_millis=9000, memory_mib=9000), "")

    assert chosen(place(nodes, [request()])) == ["n1"]


def test_the_bound_on_containers_holds_within_one_round() -> None:
    nodes = fleet(node("n1", containers_max=2))

    assert chosen(place(nodes, [request() for _ in range(3)])) == ["n1", "n1", ""]


def test_requests_of_several_clusters_are_decided_in_one_call() -> None:
    nodes = fleet(node("n1"))
    elsewhere = request()
    outcomes = place(nodes, [elsewhere, request()])

    assert chosen(outcomes) == ["n1", "n1"]
    assert isinstance(place(Fleet(), [elsewhere])[0], Unplaced)


def test_more_classes_than_are_remembered_are_placed_alike() -> None:
    nodes = fleet(*(node(f"n{number}") for number in range(4)))
    classes = [request(memory_mib=number % 7, processes=number) for number in range(CLASSES_MAX)]
    classes.append(request(memory_mib=8))
    together = place(nodes, [*classes, *classes])
    for outcome, asked in zip(together, [*classes, *classes], strict=True):
        assert place(nodes, [asked]) == [outcome]
        if isinstance(outcome, Placement):
            nodes.reserve(outcome.node_key, asked.need, asked.group)

    assert len({*chosen(together)}) == 4


def test_why_names_the_group_the_share_and_how_many_fit() -> None:
    nodes = fleet(node("n1"), node("n2"), node("n3", cordoned=True))
    nodes.reserve("west/n1", Resources(memory_mib=1024), "west/web")
    nodes.reserve("west/n2", Resources(memory_mib=2048), "west/web")
    (outcome,) = place(nodes, [request(memory_mib=512, group="west/web")])

    assert outcome == Placement(
        "west", "n1", "fewest replicas of web (1), 62 % of memory free; 2 of 3 nodes fit"
    )


def test_why_says_when_there_was_no_choice() -> None:
    nodes = fleet(node("n1"), node("n2", cordoned=True))
    (outcome,) = place(nodes, [request(cpu_millis=3000)])

    assert outcome == Placement("west", "n1", "25 % of CPU free; the only node of 2 that fits")
