"""How many containers a second find their node, beside the same decisions in plain Python.

1,000 nodes of three sizes in twenty racks, a third of their room taken. The floor decides for fewer
containers, since it needs milliseconds for each. Each value is the median of its runs.
"""

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.draft import Placement
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import Fleet, NodeView
from pathfinder.scheduler.place import place
from pathfinder.scheduler.ties import Tie
from tests.support.plain_placing import Reservation, fleet_of, plain_nodes, plain_place

NODES: Final = 1_000
CONTAINERS: Final = 1_000
FLOOR_CONTAINERS: Final = 50
RUNS: Final = 9
TIED_NODES: Final = 5_000
TIED_DEPLOYMENTS: Final = 200
TIED_RUNS: Final = 3
RACKS: Final = 20
SIZES: Final = ((16_000, 32_768), (32_000, 65_536), (64_000, 262_144))
SEED: Final = 1


def run() -> Iterator[dict[str, Any]]:
    """Three loads: one large deployment, as many definitions as containers, and none that fits."""
    luck = random.Random(SEED)
    views = [_view(number, luck) for number in range(NODES)]
    reservations = [_reservation(view, luck) for view in views for _ in range(5)]
    fleet = fleet_of(views, reservations)
    for name, requests in (
        ("place_equal_1000_nodes", [_request(0) for _ in range(CONTAINERS)]),
        ("place_distinct_1000_nodes", [_request(number) for number in range(CONTAINERS)]),
    ):
        _check(fleet, views, reservations, requests)
        rates = [len(requests) / _seconds(fleet, requests) for _ in range(RUNS)]
        yield _result(name, rates, _floor(views, reservations, requests))
    unplaceable = [_request(number, memory_mib=1 << 20) for number in range(FLOOR_CONTAINERS)]
    rates = [len(unplaceable) / _seconds(fleet, unplaceable) for _ in range(RUNS)]
    yield _result("explain_distinct_1000_nodes", rates, _floor(views, reservations, unplaceable))
    yield from _tied()


def _tied() -> Iterator[dict[str, Any]]:
    """Deployments of 1 to 100 replicas on 5,000 nodes in 50 racks, with and without ties.

    The floor is the same load without: what a tie costs is the ratio of the two.
    """
    luck = random.Random(SEED)
    views = [_view(number, luck, racks=50) for number in range(TIED_NODES)]
    reservations = [_reservation(view, luck) for view in views for _ in range(3)]
    fleet = fleet_of(views, reservations)
    sizes = [luck.randint(1, 100) for _ in range(TIED_DEPLOYMENTS)]
    free = [_member(number) for number, size in enumerate(sizes) for _ in range(size)]
    loads = {
        "place_mixed_5000_nodes": free,
        "place_mixed_spread_over_racks": [replace(r, ties=_ties(r)[:1]) for r in free],
        "place_mixed_spread_apart_near": [replace(r, ties=_ties(r)) for r in free],
    }
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(TIED_RUNS):
        for name, requests in loads.items():
            rates[name].append(len(requests) / _seconds(fleet, requests))
    floor = statistics.median(rates["place_mixed_5000_nodes"])
    for name, each in rates.items():
        yield _result(name, each, floor)


def _member(number: int) -> Request:
    return Request(
        name=f"app-{number}",
        cluster="bench",
        kind="system",
        need=Resources(cpu_millis=100 + number % 7, memory_mib=128 + number % 5),
        group=f"bench/app-{number}",
    )


def _ties(request: Request) -> tuple[Tie, ...]:
    """Evenly over racks, never two on a node, and rather beside an older deployment."""
    group = request.group
    return (
        Tie(kind="spread", over="rack", group=group, skew=1),
        Tie(kind="far", over="node", group=group),
        Tie(kind="near", over="rack", group="bench/old-3", weight=5),
    )


def _view(number: int, luck: random.Random, *, racks: int = RACKS) -> NodeView:
    cpu_millis, memory_mib = luck.choice(SIZES)
    return NodeView(
        cluster="bench",
        name=f"n{number:04}",
        capacity=Resources(cpu_millis=cpu_millis, memory_mib=memory_mib),
        kinds=("system", "application"),
        labels={"rack": f"r{number % racks}"},
        containers_max=1_000,
    )


def _reservation(view: NodeView, luck: random.Random) -> Reservation:
    share = luck.randrange(1, 13)  # of a hundredth: five of them take a third on the average
    need = Resources(
        cpu_millis=view.capacity.cpu_millis * share // 100,
        memory_mib=view.capacity.memory_mib * share // 100,
    )
    return Reservation(view.name, need, f"bench/old-{share}")


def _request(number: int, *, memory_mib: int = 256) -> Request:
    return Request(
        name=f"web-{number}",
        cluster="bench",
        kind="system",
        need=Resources(cpu_millis=100 + number, memory_mib=memory_mib + number),
        constraints=(requirement(f"rack != r{number % RACKS}", "constraints"),),
        group=f"bench/web-{number}",
    )


def _check(
    fleet: Fleet,
    views: Sequence[NodeView],
    reservations: Sequence[Reservation],
    requests: Sequence[Request],
) -> None:
    """Both have to come to the same nodes, or their speeds cannot be compared."""
    nodes = plain_nodes(views, reservations)
    names = plain_place(nodes, requests[:FLOOR_CONTAINERS])
    outcomes = place(fleet, requests[:FLOOR_CONTAINERS])
    chosen = [o.node for o in outcomes if isinstance(o, Placement)]
    assert chosen == names, "the scheduler and plain Python disagree"


def _seconds(fleet: Fleet, requests: Sequence[Request]) -> float:
    begin = time.perf_counter()
    place(fleet, requests)
    return time.perf_counter() - begin


def _floor(
    views: Sequence[NodeView], reservations: Sequence[Reservation], requests: Sequence[Request]
) -> float:
    rates = []
    for _ in range(RUNS):
        nodes = plain_nodes(views, reservations)
        begin = time.perf_counter()
        plain_place(nodes, requests[:FLOOR_CONTAINERS])
        rates.append(min(len(requests), FLOOR_CONTAINERS) / (time.perf_counter() - begin))
    return statistics.median(rates)


def _result(name: str, rates: Sequence[float], floor: float) -> dict[str, Any]:
    value = statistics.median(rates)
    return {
        "name": name,
        "value": round(value),
        "unit": "1/s",
        "floor": round(floor),
        "ratio": round(value / floor, 2),
        "runs": len(rates),
    }
