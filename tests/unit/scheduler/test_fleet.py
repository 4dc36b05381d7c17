"""The fleet: amounts are exact, kept by key, and independent of the order in which things came."""

import pytest

from pathfinder.model.resources import NOTHING, Resources
from pathfinder.scheduler.fit import feasible
from pathfinder.scheduler.fleet import Fleet
from tests.unit.scheduler.builders import fleet, node, request

SMALL = Resources(cpu_millis=500, memory_mib=512, disk_mib=1, processes=7)


def test_releasing_what_was_reserved_leaves_nothing() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", SMALL, "west/web")
    nodes.reserve("west/n1", SMALL, "")
    before = nodes.used("west/n1"), nodes.count("west/n1")
    nodes.release("west/n1", SMALL, "west/web")
    nodes.release("west/n1", SMALL, "")

    assert before == (
        Resources(cpu_millis=1000, memory_mib=1024, disk_mib=2, processes=14),
        2,
    )
    assert (nodes.used("west/n1"), nodes.count("west/n1")) == (NOTHING, 0)


def test_free_is_capacity_without_what_is_used_and_never_less_than_nothing() -> None:
    nodes = fleet(node("n1", Resources(cpu_millis=400, memory_mib=4096)))
    nodes.reserve("west/n1", SMALL, "")

    assert nodes.free("west/n1") == Resources(cpu_millis=0, memory_mib=3584)


def test_amounts_may_come_before_their_node() -> None:
    nodes = Fleet()
    nodes.reserve("west/n1", SMALL, "west/web")
    nodes.set_node("west/n1", node("n1"))

    assert nodes.used("west/n1") == SMALL
    assert nodes.free("west/n1") == Resources(cpu_millis=3500, memory_mib=3584)


def test_amounts_without_a_node_are_no_candidate() -> None:
    nodes = fleet(node("n2"))
    nodes.reserve("west/n1", SMALL, "")
    result = feasible(nodes, request())

    assert result.node_names() == ("n2",)
    assert result.node_count() == 1


def test_amounts_without_a_node_are_counted_in_no_reason() -> None:
    nodes = fleet(node("n2", cordoned=True))
    nodes.reserve("west/n1", SMALL, "")
    asked = request(memory_mib=9000, cpu_millis=9000, constraints=("rack = r1",), kind="other")
    failures = feasible(nodes, asked).failures

    assert {failure.code: int(failure.nodes.sum()) for failure in failures} == {
        "cordoned": 1,
        "unavailable": 0,
        "memory_limit": 0,
        "kind": 1,
        "constraint:rack = r1": 1,
        "cpu": 1,
        "memory": 1,
        "containers_max": 0,
    }


def test_amounts_stay_when_their_node_is_removed_and_count_when_it_returns() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", SMALL, "west/web")
    nodes.remove_node("west/n1")
    gone = feasible(nodes, request())
    nodes.set_node("west/n1", node("n1"))

    assert gone.node_names() == ()
    assert (nodes.used("west/n1"), nodes.count("west/n1")) == (SMALL, 1)


def test_describing_a_node_again_keeps_its_amounts() -> None:
    nodes = fleet(node("n1", labels={"rack": "r1"}))
    nodes.reserve("west/n1", SMALL, "")
    asked = request(constraints=("rack = r2",))
    before = feasible(nodes, asked).fits_on("n1")
    nodes.set_node("west/n1", node("n1", labels={"rack": "r2"}))

    assert (before, feasible(nodes, asked).fits_on("n1")) == (False, True)
    assert nodes.used("west/n1") == SMALL


def test_a_node_that_begins_to_run_another_kind_is_a_candidate_for_it() -> None:
    nodes = fleet(node("n1"))
    asked = request(kind="application")
    before = feasible(nodes, asked).fits_on("n1")
    nodes.set_node("west/n1", node("n1", kinds=("system", "application")))

    assert (before, feasible(nodes, asked).fits_on("n1")) == (False, True)


def test_nodes_are_read_in_the_order_of_their_names() -> None:
    nodes = fleet(*(node(f"n{number}") for number in (30, 10, 20, 40, 15)))
    before = feasible(nodes, request()).node_names()
    nodes.remove_node("west/n20")

    assert before == ("n10", "n15", "n20", "n30", "n40")
    assert feasible(nodes, request()).node_names() == ("n10", "n15", "n30", "n40")


def test_many_nodes_coming_and_going_leave_amounts_with_their_nodes() -> None:
    nodes = Fleet()
    for number in range(100):
        nodes.set_node(f"west/n{number}", node(f"n{number}"))
        nodes.reserve(f"west/n{number}", Resources(memory_mib=number + 1), "west/web")
    for number in range(0, 100, 2):
        nodes.release(f"west/n{number}", Resources(memory_mib=number + 1), "west/web")
        nodes.remove_node(f"west/n{number}")
    names = feasible(nodes, request()).node_names()

    assert names == tuple(sorted(f"n{number}" for number in range(1, 100, 2)))
    for number in range(1, 100, 2):
        assert nodes.used(f"west/n{number}") == Resources(memory_mib=number + 1)


def test_a_node_that_comes_after_others_have_gone_begins_with_nothing() -> None:
    nodes = fleet(node("n1"), node("n2"), node("n3"))
    nodes.reserve("west/n3", SMALL, "")
    nodes.remove_node("west/n1")
    feasible(nodes, request())
    nodes.set_node("west/n4", node("n4"))

    assert (nodes.used("west/n4"), nodes.count("west/n4")) == (NOTHING, 0)
    assert (nodes.used("west/n3"), nodes.count("west/n3")) == (SMALL, 1)


def test_nothing_is_kept_of_a_cluster_that_has_neither_nodes_nor_amounts() -> None:
    nodes = fleet(node("n1"), node("n2"))
    nodes.reserve("west/n2", SMALL, "")
    nodes.remove_node("west/n1")
    nodes.remove_node("west/n2")
    before = nodes.columns("west").names
    nodes.release("west/n2", SMALL, "")

    assert (before, nodes.columns("west").names) == (["n2"], [])


def test_clusters_do_not_see_each_other() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("east/n1", SMALL, "")

    assert nodes.used("west/n1") == NOTHING
    assert nodes.used("east/n1") == SMALL


def test_what_is_not_there_has_nothing_and_is_removed_without_a_word() -> None:
    nodes = Fleet()
    nodes.remove_node("west/n1")

    assert (nodes.used("west/n1"), nodes.free("west/n1"), nodes.count("west/n1")) == (
        NOTHING,
        NOTHING,
        0,
    )


def test_releasing_more_than_was_reserved_is_a_bug() -> None:
    nodes = fleet(node("n1"))

    with pytest.raises(AssertionError, match="released more on n1"):
        nodes.release("west/n1", SMALL, "")


def test_releasing_for_another_group_than_was_reserved_is_a_bug() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", SMALL, "west/web")

    with pytest.raises(AssertionError, match="released more of west/db on n1"):
        nodes.release("west/n1", SMALL, "west/db")


def test_releasing_other_amounts_than_were_reserved_is_a_bug() -> None:
    nodes = fleet(node("n1"))
    nodes.reserve("west/n1", SMALL, "")

    with pytest.raises(AssertionError, match="amounts without containers on n1"):
        nodes.release("west/n1", NOTHING, "")


def test_more_questions_than_are_remembered_are_still_answered() -> None:
    nodes = fleet(node("n1", labels={"rack": "r1500"}))
    answers = [
        feasible(nodes, request(constraints=(f"rack = r{number}",))).fits_on("n1")
        for number in range(1600)
    ]

    assert [number for number, fits in enumerate(answers) if fits] == [1500]
