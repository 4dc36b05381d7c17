"""Promise of `holdings`: what is known before a search changes how long it takes, and no answer."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as some

from pathfinder.model.resources import Resources
from pathfinder.scheduler.fit import Request, feasible
from pathfinder.scheduler.fleet import Fleet
from pathfinder.scheduler.holdings import LEVELS_MAX, Holdings
from pathfinder.scheduler.occupants import Occupant
from pathfinder.scheduler.preempt import Known, preempt
from tests.unit.scheduler.builders import fleet, node

PRIORITY = LEVELS_MAX + 1  # more levels below it than are told apart
NODES = 4
GROUPS = ("west/a", "west/b")

occupants = some.builds(
    lambda priority, cpu, memory, group, stateful, is_available, is_going: Occupant(
        name="" if is_going else "x",
        priority=priority,
        need=Resources(cpu_millis=cpu, memory_mib=memory),
        group=group,
        stateful=stateful,
        is_available=is_available,
    ),
    some.integers(0, 1) | some.integers(0, PRIORITY + 1),
    some.integers(0, 4),
    some.integers(0, 4),
    some.sampled_from(("", *GROUPS)),
    some.booleans(),
    some.booleans(),
    some.integers(0, 4).map(lambda chance: not chance),
)
worlds = some.lists(some.lists(occupants, min_size=2, max_size=8), min_size=2, max_size=NODES)


def _named(world: list[list[Occupant]]) -> dict[str, list[Occupant]]:
    return {
        f"n{number}": [
            Occupant(
                name=one.name and f"x{number}-{place:02}",
                priority=one.priority,
                need=one.need,
                group=one.group,
                stateful=one.stateful,
                is_available=one.is_available,
            )
            for place, one in enumerate(there)
        ]
        for number, there in enumerate(world)
    }


def _full(there: Mapping[str, list[Occupant]]) -> Fleet:
    """Nodes that have just what is on them."""
    made = fleet(
        *(
            node(
                name,
                Resources(
                    cpu_millis=1 + sum(one.need.cpu_millis for one in each),
                    memory_mib=1 + sum(one.need.memory_mib for one in each),
                ),
                containers_max=len(each),
            )
            for name, each in there.items()
        )
    )
    for name, each in there.items():
        for one in each:
            made.reserve(f"west/{name}", one.need, one.group, stateful=one.stateful)
    return made


@given(
    worlds,
    some.lists(some.tuples(some.integers(0, 12), some.integers(0, 12)), min_size=1, max_size=4),
    some.dictionaries(some.sampled_from(GROUPS), some.integers(0, 3)),
    some.sampled_from((1, 2, PRIORITY)),
    some.sampled_from((frozenset({False}), frozenset({False, True}))),
)
def test_what_is_known_before_a_search_changes_no_answer(
    world: list[list[Occupant]],
    needs: list[tuple[int, int]],
    spare: dict[str, int],
    priority: int,
    types: frozenset[bool],
) -> None:
    there = _named(world)
    nodes = _full(there)
    names = nodes.columns("west").names
    holdings = Holdings(
        len(names),
        lambda row: [one for one in there[names[row]] if not one.name or one.stateful in types],
    )

    def asked(name: str) -> list[Occupant]:
        return [
            one
            for one in there[name]
            if not one.name or (one.priority < priority and one.stateful in types)
        ]

    for cpu, memory in needs:
        need = Resources(cpu_millis=cpu, memory_mib=memory)
        request = Request(name="high", cluster="west", kind="system", need=need)
        feasibility = feasible(nodes, request)
        plain = preempt(feasibility, asked, lambda group: spare.get(group, 0))
        known = Known(holdings, priority, {})
        quick = preempt(feasibility, asked, lambda group: spare.get(group, 0), known)
        assert quick == plain
