"""Promise of `turns`: a plan is what follows, however few are looked at in one transaction."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from pathfinder.control.commands import Put
from pathfinder.control.turns import Turns
from tests.support.control_room import CLUSTER, ControlRoom, container, settle
from tests.support.movers import mover

TICK_MS = 500
NODES = 3

amounts = some.tuples(some.integers(1, 8), some.integers(0, 3), some.booleans())
asked = some.lists(some.tuples(some.integers(1, 8), some.integers(0, 4)), min_size=1, max_size=8)


def _document(name: str, cores: int, priority: int, *, is_stateful: bool = False) -> dict[str, Any]:
    resources = {"cpu": cores, "memory_mib": 10}
    made = container(name, type="STATEFUL" if is_stateful else "STATELESS", resources=resources)
    return {**made, "priority": priority}


def _full(there: list[tuple[int, int, bool]], work: int, preemption: str) -> ControlRoom:
    room = ControlRoom()
    room.controller.life.turns = Turns(work_max=work, left=work)
    room.ask(Put({"kind": "Cluster", "name": CLUSTER, "preemption": preemption}))
    nodes = [mover(room, f"n{number}") for number in range(NODES)]
    for number, (cores, priority, is_stateful) in enumerate(there):
        room.put(_document(f"low-{number}", cores, priority, is_stateful=is_stateful))
    settle(*nodes)
    _ticks(room)
    settle(*nodes)
    return room


def _ticks(room: ControlRoom) -> None:
    while room.controller.quiet_until_ms <= room.now_ms or room.controller.life.turns.waiting():
        room.tick(TICK_MS)


@given(
    some.lists(amounts, max_size=8),
    asked,
    some.sampled_from((1, 20, 100)),
    some.sampled_from(("stateless", "all")),
)
def test_a_plan_is_what_happens_when_the_turns_of_all_have_come(
    there: list[tuple[int, int, bool]], wanted: list[tuple[int, int]], work: int, preemption: str
) -> None:
    room = _full(there, work, preemption)
    documents = [
        _document(f"high-{number}", cores, priority)
        for number, (cores, priority) in enumerate(wanted)
    ]
    planned = room.plan(*documents)

    room.plan(*documents, dry_run=False)
    _ticks(room)
    for name, item in planned.items():
        made = room.container(name)
        if made.arriving is not None:
            assert (item["action"], item["node"]) == ("relocate", made.arriving.node)
        else:
            assert item["why"] == made.why, name
            assert item["node"] == made.node or item["action"] == "replace"
