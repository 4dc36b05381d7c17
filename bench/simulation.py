"""How many hours of a cluster the simulation plays in a second of one core, every promise checked.

Five nodes with sixteen containers each. `settled`: nothing goes wrong and nobody asks for anything.
`troubled`: thirty troubles an hour (a crash, a reboot, a partition, a jump of a clock), one message
in fifty lost, repeated or late, one call in thirty that fails or is not answered, and seventy
changes of a mind. `seeds`: the small worlds of `./dev simulate`, where a minute has twenty of each.
The floor is what as many events cost that do nothing. CPU time: others may use the other core.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any, Final

from pathfinder.simulation.faults import NONE, TROUBLES, Faults
from pathfinder.simulation.timeline import Timeline
from pathfinder.simulation.world import SEEDS, Shape, World

HOUR_MS: Final = 3_600_000
RUNS: Final = 3
SLOTS: Final = range(70, 91)  # containers in a world that counts: sixteen on each node, about
SMALL_SEEDS: Final = 30
SETTLED: Final = Shape(
    node_count=5,
    capacity_mib=4_800,
    person_count=18,
    replicas_max=16,
    settle_ms=600_000,  # definitions that need each other's addresses are replaced one by one
    faults=NONE,
    is_balanced=False,
)
TROUBLED: Final = replace(
    SETTLED,
    troubled_ms=HOUR_MS,
    gaps_ms=(1_800_000,),
    faults=Faults(
        loss=0.007,
        repeat=0.007,
        late=0.007,
        slip=0.02,
        doubt=0.01,
        disk_full=0.01,
        troubles=TROUBLES,
        gap_ms=120_000,
    ),
)


def run() -> Iterator[dict[str, Any]]:
    """Hours a second: settled, troubled, and of the small worlds."""
    longer = replace(SETTLED, settle_ms=SETTLED.settle_ms + HOUR_MS)
    yield _result(
        "simulated_hours_5x16_settled",
        [(1, _last_hour(seed, longer), (0.0, 0)) for seed in islice(_settled_seeds(), RUNS)],
    )
    yield _result(
        "simulated_hours_5x16_troubled",
        [(_hours(TROUBLED), _cost(seed, TROUBLED), (0.0, 0)) for seed in range(RUNS)],
    )
    hours = _hours(SEEDS) * SMALL_SEEDS
    parts = [_cost(seed, SEEDS) for seed in range(SMALL_SEEDS)]
    whole = (sum(took_s for took_s, _ in parts), sum(events for _, events in parts))
    yield _result("simulated_hours_of_seeds", [(hours, whole, (0.0, 0))])


def _settled_seeds() -> Iterator[int]:
    """Those whose people ask for as many containers as the benchmark is about.

    Not those in which ticks that may be left out are made all the same, and compared.
    """
    for seed in count():
        world = World(seed, shape=SETTLED)
        world.run()
        running = sum(1 for node in world.stage.nodes for _ in node.runtime.running())
        if running in SLOTS and not world.stage.server.ticks_all:
            yield seed


def _hours(shape: Shape) -> float:
    return (shape.troubled_ms + shape.settle_ms) / HOUR_MS


def _cost(seed: int, shape: Shape) -> tuple[float, int]:
    """CPU seconds and events of one world."""
    world = World(seed, shape=shape)
    began_s = time.process_time()
    verdict = world.run()
    return time.process_time() - began_s, verdict.actions


def _last_hour(seed: int, shape: Shape) -> tuple[float, int]:
    """CPU seconds and events of the last hour alone: what begins before it would hide it."""
    world, began_s = World(seed, shape=shape), list[float]()
    begin_ms = shape.troubled_ms + shape.settle_ms - HOUR_MS
    world.timeline.after(begin_ms, lambda: began_s.append(time.process_time()))
    verdict = world.run()
    took_s = time.process_time() - began_s[0]
    before = World(seed, shape=replace(shape, settle_ms=shape.settle_ms - HOUR_MS)).run()
    return took_s, verdict.actions - before.actions


def _result(
    name: str, runs: list[tuple[float, tuple[float, int], tuple[float, int]]]
) -> dict[str, Any]:
    """Each run: hours, the cost of a world, and the cost of its beginning, which does not count."""
    rates = [hours / (whole[0] - start[0]) for hours, whole, start in runs]
    floors = [hours / _bare_s(whole[1] - start[1]) for hours, whole, start in runs]
    value, floor = statistics.median(rates), statistics.median(floors)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "hours/s",
        "floor": round(floor, 2),
        "ratio": value / floor,
        "runs": len(runs),
    }


def _bare_s(actions: int) -> float:
    timeline = Timeline(0)

    def again() -> None:
        timeline.after(1, again)

    began_s = time.process_time()
    _start(timeline, again)
    timeline.run_until(actions)
    return time.process_time() - began_s


def _start(timeline: Timeline, action: Callable[[], None]) -> None:
    timeline.after(0, action)
