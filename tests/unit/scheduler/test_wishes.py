"""What wishes count on a node is what placing goes by."""

from dataclasses import replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.model.selectors import requirement
from pathfinder.scheduler import wishes
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import Fleet
from pathfinder.scheduler.place import best
from pathfinder.scheduler.ties import Tie
from pathfinder.scheduler.wishes import counts_of, second_best
from tests.unit.scheduler.builders import fleet, node, request

NODES = ("n1", "n2", "n3", "n4", "n5")


@st.composite
def ties(draw: st.DrawFn) -> Tie:
    """A wish, to its own group or to another."""
    kind: Literal["spread", "near", "far"] = draw(st.sampled_from(("spread", "near", "far")))
    return Tie(
        kind=kind,
        over=draw(st.sampled_from(("rack", "node"))),
        group="west/web" if kind == "spread" else draw(st.sampled_from(("west/web", "west/db"))),
        weight=draw(st.integers(1, 9)),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Nodes in racks and outside, with members of two groups."""
    racks = draw(st.lists(st.sampled_from(("r1", "r2", "")), min_size=5, max_size=5))
    made = fleet(
        *(
            node(name, labels={"node": name, **({"rack": rack} if rack else {})})
            for name, rack in zip(NODES, racks, strict=True)
        )
    )
    need = request().need
    for name, group in draw(
        st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(("west/web", "west/db"))))
    ):
        made.reserve(f"west/{name}", need, group)
    return made


@st.composite
def wishful(draw: st.DrawFn) -> Request:
    """A container of `web` with wishes and no musts."""
    preferences = draw(
        st.lists(st.tuples(st.sampled_from(("rack = r1", "node = n2", "!rack")), st.integers(1, 9)))
    )
    return replace(
        request(cpu_millis=10, group="west/web"),
        ties=tuple(draw(st.lists(ties(), max_size=3))),
        preferences=tuple((requirement(text, ""), weight) for text, weight in preferences),
    )


@given(nodes=fleets(), asked=wishful())
def test_nodes_are_ordered_by_what_their_wishes_count_together(
    nodes: Fleet, asked: Request
) -> None:
    order = [name for name, _ in best(nodes, asked, len(NODES))]
    sums = [sum(each.count for each in counts) for counts in counts_of(nodes, asked, order)]

    assert len(order) == len(NODES)
    assert sums == sorted(sums)


def test_second_is_told_of_the_best_node_alone() -> None:
    nodes = fleet(node("n1"), node("n2"))
    asked = request(cpu_millis=1_000)

    assert second_best(nodes, asked, "n1") == "second: n2 (75 % of CPU free)"
    assert second_best(nodes, asked, "n2") == ""


def test_second_is_not_looked_for_where_that_takes_as_long_as_placing() -> None:
    names = [f"n{number:04}" for number in range(wishes.SECOND_NODES_MAX + 1)]

    assert second_best(fleet(*map(node, names)), request(), "n0000") == ""
